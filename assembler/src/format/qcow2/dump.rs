//! A qcow2 file as text, for golden tests and for people.

use std::fmt::Write as _;

use super::Qcow2Error;
use super::layout::{CLUSTER, ENTRIES, Entry, ZSTD};
use super::read::Image;
use crate::format::sparse::Sparse;

/// List a file: the header, the tables, and where each cluster of the disk is.
///
/// # Errors
///
/// - [`Qcow2Error::Damaged`], [`Qcow2Error::Io`].
pub fn dump(file: &Sparse) -> Result<String, Qcow2Error> {
    let image = Image::open(file)?;
    let head = image.header;
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:08x} header disk {} file {} {}",
        0,
        head.size,
        file.size(),
        if head.compression == ZSTD { "zstd" } else { "deflate" },
    );
    let _ = writeln!(text, "{:08x} l1 entries {}", head.l1_offset, head.l1_entries);
    let _ = writeln!(text, "{:08x} refcounts clusters {}", head.refcounts_offset, head.refcounts_clusters);
    for (at, place) in image.tables()? {
        let _ = writeln!(text, "{place:08x} l2 of {:x}", at * ENTRIES * CLUSTER);
    }
    for (number, entry) in image.clusters()? {
        let disk = number * CLUSTER;
        let _ = match entry {
            Entry::Nothing => Ok(()),
            Entry::Plain { offset } => writeln!(text, "{offset:08x} plain {disk:x}"),
            Entry::Packed { offset, len } => writeln!(text, "{offset:08x} packed {disk:x} in {len}"),
        };
    }
    Ok(text)
}
