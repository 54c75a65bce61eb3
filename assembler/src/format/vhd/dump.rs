//! A file as text, for golden tests and for people.

use std::fmt::Write as _;

use super::VhdError;
use super::layout::{ABSENT, SECTOR};
use super::read;
use crate::format::sparse::Sparse;

/// List a file: the footer, the header, and one line a block that is there: offset of the bitmap, number of the block.
///
/// # Errors
///
/// - [`VhdError::Damaged`], [`VhdError::Io`].
pub fn dump(file: &Sparse) -> Result<String, VhdError> {
    let vhd = read::open(file)?;
    let footer = vhd.footer;
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:08x} footer kind {} size {} chs {}/{}/{} t{} `{}` id {:032x} sum {:08x}",
        file.size().saturating_sub(SECTOR),
        footer.kind,
        footer.size,
        footer.cylinders,
        footer.heads,
        footer.sectors,
        footer.time,
        footer.creator.escape_ascii(),
        u128::from_be_bytes(footer.id),
        footer.checksum,
    );
    if let Some((header, table)) = vhd.blocks {
        let (at, block) = (footer.header, header.block);
        let _ = writeln!(text, "{at:08x} header blocks {} of {block} table {:x}", header.entries, header.table);
        for (number, sector) in table.iter().enumerate().filter(|(_, sector)| **sector != ABSENT) {
            let _ = writeln!(text, "{:08x} block {number}", u64::from(*sector) * SECTOR);
        }
    }
    Ok(text)
}
