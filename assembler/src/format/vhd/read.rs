//! A VHD back to the disk in it, by reference. Bytes may be any.

use zerocopy::{FromBytes, IntoBytes};

use super::VhdError;
use super::layout::{ABSENT, COOKIE, DYNAMIC, FIXED, Footer, HEADER_COOKIE, Header, MAX, SECTOR, VERSION, checksum};
use crate::format::sparse::Sparse;

/// What a file says of itself.
#[derive(Debug, Clone)]
pub struct Vhd {
    /// The footer at its end.
    pub footer: Footer,
    /// A dynamic disk's header and table: for each block the sector of its bitmap, or [`ABSENT`].
    pub blocks: Option<(Header, Vec<u32>)>,
}

/// Read footer, header and table of a file, and hold them against each other.
///
/// # Errors
///
/// - [`VhdError::Damaged`], [`VhdError::Io`].
pub fn open(file: &Sparse) -> Result<Vhd, VhdError> {
    let end = file.size().saturating_sub(SECTOR);
    let damaged = |offset, what| Err(VhdError::Damaged { offset, what });
    let footer: Footer = structure(file, end)?;
    let sum = checksum(Footer { checksum: 0.into(), ..footer }.as_bytes());
    if footer.cookie != COOKIE || footer.version != VERSION || footer.checksum != sum {
        return damaged(end, "no footer stands there");
    }
    if footer.size > MAX {
        return damaged(end, "the disk is longer than 2040 GiB");
    }
    match footer.kind.get() {
        FIXED if footer.size == end => return Ok(Vhd { footer, blocks: None }),
        FIXED => return damaged(end, "the disk is not as long as the footer says"),
        DYNAMIC => {}
        _ => return damaged(end, "the disk is neither fixed nor dynamic"),
    }
    if structure::<Footer>(file, 0)? != footer {
        return damaged(0, "the footer's copy is another");
    }
    let at = footer.header.get();
    let header: Header = structure(file, at)?;
    let sum = checksum(Header { checksum: 0.into(), ..header }.as_bytes());
    if header.cookie != HEADER_COOKIE || header.version != VERSION || header.checksum != sum {
        return damaged(at, "no header stands there");
    }
    let (block, entries) = (u64::from(header.block), u64::from(header.entries));
    if !block.is_power_of_two() || block < 8 * SECTOR * SECTOR || footer.size.get().div_ceil(block) != entries {
        return damaged(at, "the table does not match the disk's length");
    }
    // No more than 4 MiB: the disk ends at 2040 GiB, and no block is smaller than 2 MiB.
    let mut bytes = vec![0; usize::try_from(entries * 4).unwrap_or_default()];
    if header.table.get().checked_add(entries * 4).is_none_or(|end| end > file.size()) {
        return damaged(at, "the table lies behind the end");
    }
    file.read_at(header.table.get(), &mut bytes)?;
    let table = bytes.chunks_exact(4).filter_map(|entry| Some(u32::from_be_bytes(*entry.first_chunk()?))).collect();
    Ok(Vhd { footer, blocks: Some((header, table)) })
}

/// Give the disk in a file.
///
/// # Errors
///
/// - [`VhdError::Damaged`], [`VhdError::Layout`], [`VhdError::Io`].
pub fn disk(file: &Sparse) -> Result<Sparse, VhdError> {
    let vhd = open(file)?;
    let size = vhd.footer.size.get();
    let Some((header, table)) = vhd.blocks else { return Ok(file.slice(0, size)) };
    let block = u64::from(header.block);
    let bitmap = (block / SECTOR / 8).next_multiple_of(SECTOR);
    let mut disk = Sparse::new(size);
    for (number, sector) in (0_u64..).zip(table).filter(|(_, sector)| *sector != ABSENT) {
        let data = u64::from(sector) * SECTOR + bitmap;
        if data + block > file.size() {
            return Err(VhdError::Damaged { offset: data, what: "a block lies behind the end" });
        }
        // Sectors that the bitmap leaves out are zeros in the file as well, whoever wrote it.
        let start = number * block;
        disk.put(start, &file.slice(data, block.min(size - start)))?;
    }
    Ok(disk)
}

/// Read one structure.
fn structure<T: FromBytes + IntoBytes>(file: &Sparse, offset: u64) -> Result<T, VhdError> {
    let mut value = T::new_zeroed();
    let len = value.as_mut_bytes().len() as u64;
    if offset.checked_add(len).is_none_or(|end| end > file.size()) {
        return Err(VhdError::Damaged { offset, what: "the file is cut short" });
    }
    file.read_at(offset, value.as_mut_bytes())?;
    Ok(value)
}
