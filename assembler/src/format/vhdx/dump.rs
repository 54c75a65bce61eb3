//! A file as text, for golden tests and for people.

use std::fmt::Write as _;

use super::VhdxError;
use super::layout::{MIB, PRESENT, STATE};
use super::read;
use crate::format::sparse::Sparse;

/// List a file: the header, the metadata, the BAT, and one line a block that is there: offset, number.
///
/// # Errors
///
/// - [`VhdxError::Damaged`], [`VhdxError::Io`].
pub fn dump(file: &Sparse) -> Result<String, VhdxError> {
    let vhdx = read::open(file)?;
    let header = vhdx.header;
    let hex = |bytes: [u8; 16]| format!("{:032x}", u128::from_be_bytes(bytes));
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    let _ = writeln!(text, "header {} sum {:08x}", header.sequence, header.checksum);
    let _ = writeln!(text, "  file {} data {}", hex(header.file_write), hex(header.data_write));
    let _ = writeln!(text, "{:08x} log {:x}", header.log_offset, header.log_len);
    let (bat, metadata) = vhdx.regions;
    let _ =
        writeln!(text, "{:08x} metadata size {} block {} id {}", metadata.offset, vhdx.size, vhdx.block, hex(vhdx.id));
    let _ = writeln!(text, "{:08x} bat {:x} blocks {}", bat.offset, bat.len, vhdx.blocks.len());
    for (number, entry) in vhdx.blocks.iter().enumerate().filter(|(_, entry)| *entry & STATE == PRESENT) {
        let _ = writeln!(text, "{:08x} block {number}", entry & !(MIB - 1));
    }
    Ok(text)
}
