//! A disk to a VDI that refers to its bytes.

use zerocopy::{FromZeros, IntoBytes};

use super::VdiError;
use super::layout::{BLOCK, BLOCK_LEN, DYNAMIC, HEADER_LEN, Header, MAP, MAX, SECTOR, SIGNATURE, TEXT, VERSION};
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::format::vhdx::layout::guid;

/// Put what is there of a disk into blocks of 1 MiB; blocks that are nothing but a hole are left out, and holes in a block stay holes.
///
/// In: `uuid`, in the order it is written in: the image's identity, which that of its state derives from. Out: the disk padded to a
/// multiple of 512 bytes. No data is read.
///
/// # Errors
///
/// - [`VdiError::TooLarge`]: the disk is longer than 16 TiB.
pub fn dynamic(disk: &Sparse, uuid: [u8; 16]) -> Result<Sparse, VdiError> {
    let too_large = || VdiError::TooLarge { size: disk.size() };
    if disk.size() > MAX {
        return Err(too_large());
    }
    let size = disk.size().max(1).next_multiple_of(u64::from(SECTOR));
    let blocks = size.div_ceil(BLOCK);
    let map_len = blocks * 4;
    let data = (u64::from(MAP) + map_len).next_multiple_of(BLOCK);
    let mut map = vec![0xff; usize::try_from(map_len).map_err(|_| too_large())?];
    let mut file = Sparse::new(data);
    let mut allocated = 0_u32;
    for number in disk.blocks(BLOCK) {
        let entry = usize::try_from(number * 4).ok().and_then(|at| map.get_mut(at..)?.first_chunk_mut());
        *entry.ok_or_else(too_large)? = allocated.to_le_bytes();
        allocated += 1;
        file.append(&disk.slice(number * BLOCK, BLOCK));
    }
    file.put_bytes(u64::from(MAP), map)?;
    let state = Digest::of(&[&uuid, &b"vdi data"[..]].concat());
    let mut text = [0; 64];
    text.iter_mut().zip(TEXT).for_each(|(place, letter)| *place = *letter);
    let header = Header {
        text,
        signature: SIGNATURE.into(),
        version: VERSION.into(),
        len: HEADER_LEN.into(),
        kind: DYNAMIC.into(),
        map: MAP.into(),
        data: u32::try_from(data).map_err(|_| too_large())?.into(),
        sector: SECTOR.into(),
        size: size.into(),
        block: BLOCK_LEN.into(),
        blocks: u32::try_from(blocks).map_err(|_| too_large())?.into(),
        allocated: allocated.into(),
        id: guid(u128::from_be_bytes(uuid)),
        geometry_sector: SECTOR.into(),
        modified: state.bytes().first_chunk().copied().unwrap_or_default(),
        ..Header::new_zeroed()
    };
    file.put_bytes(0, header.as_bytes())?;
    Ok(file)
}
