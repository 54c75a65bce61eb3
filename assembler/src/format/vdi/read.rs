//! A VDI back to the disk in it, by reference. Bytes may be any.

use zerocopy::{FromZeros, IntoBytes};

use super::VdiError;
use super::layout::{BLOCK, BLOCK_LEN, DYNAMIC, Header, MAX, SECTOR, SIGNATURE, SPECIAL, VERSION};
use crate::format::sparse::Sparse;

/// Read the header and the map: for each block its number in the file, or [`super::layout::ABSENT`].
///
/// # Errors
///
/// - [`VdiError::Damaged`], [`VdiError::Io`].
pub fn open(file: &Sparse) -> Result<(Header, Vec<u32>), VdiError> {
    let damaged = |offset, what| Err(VdiError::Damaged { offset, what });
    let mut header = Header::new_zeroed();
    file.read_at(0, header.as_mut_bytes())?;
    if header.signature != SIGNATURE || header.version != VERSION {
        return damaged(0x40, "no signature of version 1.1 stands there");
    }
    if header.kind != DYNAMIC || header.parent != [0; 16] {
        return damaged(0x4c, "the image is not dynamic, or builds on another");
    }
    let shape = (header.sector.get(), header.block.get(), header.extra.get());
    let (blocks, size) = (u64::from(header.blocks), header.size.get());
    if shape != (SECTOR, BLOCK_LEN, 0) || size > MAX || size.div_ceil(BLOCK) != blocks {
        return damaged(0x168, "the disk's length does not match its blocks");
    }
    let at = u64::from(header.map);
    if at + blocks * 4 > file.size() {
        return damaged(at, "the map lies behind the end");
    }
    let mut bytes = vec![0; usize::try_from(blocks * 4).unwrap_or_default()];
    file.read_at(at, &mut bytes)?;
    let map = bytes.chunks_exact(4).filter_map(|entry| Some(u32::from_le_bytes(*entry.first_chunk()?))).collect();
    Ok((header, map))
}

/// Give the disk in a file.
///
/// # Errors
///
/// - [`VdiError::Damaged`], [`VdiError::Layout`], [`VdiError::Io`].
pub fn disk(file: &Sparse) -> Result<Sparse, VdiError> {
    let (header, map) = open(file)?;
    let size = header.size.get();
    let mut disk = Sparse::new(size);
    for (number, place) in (0_u64..).zip(map).filter(|(_, place)| *place < SPECIAL) {
        let data = u64::from(header.data) + u64::from(place) * BLOCK;
        if data + BLOCK > file.size() {
            return Err(VdiError::Damaged { offset: data, what: "a block lies behind the end" });
        }
        let start = number * BLOCK;
        disk.put(start, &file.slice(data, BLOCK.min(size - start)))?;
    }
    Ok(disk)
}
