//! A VMDK as text, for golden tests and for people.

use std::fmt::Write as _;

use super::VmdkError;
use super::layout::{DESCRIPTOR_AT, DESCRIPTOR_SECTORS, ENTRIES, GRAIN, SECTOR};
use super::read::Image;
use crate::format::sparse::Sparse;

/// List a file: the header, the descriptor, the tables, and where each grain of the disk is. Offsets are in bytes.
///
/// # Errors
///
/// - [`VmdkError::Damaged`], [`VmdkError::Io`].
pub fn dump(file: &Sparse) -> Result<String, VmdkError> {
    let image = Image::open(file)?;
    let head = &image.header;
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:08x} header version {} flags {:x} disk {} file {} first grain from {:x}",
        0,
        head.version,
        head.flags,
        image.size(),
        file.size(),
        head.overhead.get().saturating_mul(SECTOR),
    );
    let mut descriptor = vec![0; usize::try_from(DESCRIPTOR_SECTORS * SECTOR).unwrap_or_default()];
    file.read_at(DESCRIPTOR_AT * SECTOR, &mut descriptor)?;
    let descriptor = String::from_utf8_lossy(&descriptor);
    for line in descriptor.trim_end_matches('\0').lines().filter(|line| !line.is_empty()) {
        let shown: String = line.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(text, "         {shown}");
    }
    let _ = writeln!(text, "{:08x} directory", head.directory_at.get() * SECTOR);
    for (number, place) in image.tables()? {
        let _ = writeln!(text, "{:08x} table of {:x}", place * SECTOR, number * ENTRIES * GRAIN);
    }
    for (grain, place) in image.grains()? {
        let _ = write!(text, "{:08x} grain {:x}", place * SECTOR, grain * GRAIN);
        if image.packed() {
            let _ = write!(text, " in {}", image.marker(place)?.size);
        }
        text.push('\n');
    }
    Ok(text)
}
