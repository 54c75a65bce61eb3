//! A file as text, for golden tests and for people.

use std::fmt::Write as _;

use super::VdiError;
use super::layout::{BLOCK, SPECIAL};
use super::read;
use crate::format::sparse::Sparse;

/// List a file: the header, and one line a block that is there: offset, number.
///
/// # Errors
///
/// - [`VdiError::Damaged`], [`VdiError::Io`].
pub fn dump(file: &Sparse) -> Result<String, VdiError> {
    let (header, map) = read::open(file)?;
    let hex = |bytes: [u8; 16]| format!("{:032x}", u128::from_be_bytes(bytes));
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    let _ =
        writeln!(text, "{:08x} header size {} id {} state {}", 0, header.size, hex(header.id), hex(header.modified));
    let _ = writeln!(text, "{:08x} map blocks {} allocated {}", header.map, header.blocks, header.allocated);
    for (number, place) in map.iter().enumerate().filter(|(_, place)| **place < SPECIAL) {
        let _ = writeln!(text, "{:08x} block {number}", u64::from(header.data) + u64::from(*place) * BLOCK);
    }
    Ok(text)
}
