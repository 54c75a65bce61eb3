//! A disk to a VHD that refers to its bytes.

use zerocopy::{FromZeros, IntoBytes};

use super::VhdError;
use super::layout::{
    ALIGN, BITMAP, BLOCK, BLOCK_LEN, COOKIE, CREATOR, CREATOR_HOST, CREATOR_VERSION, DATA_ALIGN, DYNAMIC, EPOCH,
    FEATURES, FIXED, Footer, HEADER, HEADER_COOKIE, Header, MAX, NONE, SECTOR, TABLE, VERSION, checksum, geometry,
};
use crate::format::sparse::Sparse;

/// Put a footer behind a disk.
///
/// In: `id`, a UUID in the order it is written in; `time`, seconds since 1970, no earlier than 2000 to be seen. Out: the disk padded to a
/// multiple of 1 MiB, and 512 bytes more. No data is read.
///
/// # Errors
///
/// - [`VhdError::TooLarge`]: the disk is longer than 2040 GiB.
pub fn fixed(disk: &Sparse, id: [u8; 16], time: u32) -> Result<Sparse, VhdError> {
    let size = padded(disk)?;
    let mut file = disk.clone();
    file.resize(size)?;
    file.append(&Sparse::of_bytes(footer(size, FIXED, NONE, id, time).as_bytes()));
    Ok(file)
}

/// Put what is there of a disk into blocks of 2 MiB; blocks that are nothing but a hole are left out, and holes in a block stay
/// holes.
///
/// In and out: as [`fixed`].
///
/// # Errors
///
/// - [`VhdError::TooLarge`]: the disk is longer than 2040 GiB.
pub fn dynamic(disk: &Sparse, id: [u8; 16], time: u32) -> Result<Sparse, VhdError> {
    let size = padded(disk)?;
    let too_large = || VhdError::TooLarge { size: disk.size() };
    let entries = u32::try_from(size.div_ceil(BLOCK)).map_err(|_| too_large())?;
    let footer = footer(size, DYNAMIC, HEADER, id, time);
    // What is left of the table's last sector says of no block that it is there.
    let table_len = (u64::from(entries) * 4).next_multiple_of(SECTOR);
    let mut table = vec![0xff; usize::try_from(table_len).map_err(|_| too_large())?];
    let mut file = Sparse::new(TABLE + table_len);
    let mut blocks = Vec::new();
    for number in disk.blocks(BLOCK) {
        let bitmap = (file.size() + BITMAP).next_multiple_of(DATA_ALIGN) - BITMAP;
        let sector = u32::try_from(bitmap / SECTOR).map_err(|_| too_large())?;
        let entry = usize::try_from(number * 4).ok().and_then(|at| table.get_mut(at..)?.first_chunk_mut());
        *entry.ok_or_else(too_large)? = sector.to_be_bytes();
        file.resize(bitmap + BITMAP + BLOCK)?;
        blocks.push((number, bitmap));
    }
    file.put_bytes(0, footer.as_bytes())?;
    file.put_bytes(HEADER, header(entries).as_bytes())?;
    file.put_bytes(TABLE, table)?;
    // Every sector of a block counts as there, holes too: nobody then has to know what others read as.
    let bitmap = Sparse::of_bytes(vec![0xff; usize::try_from(BITMAP).unwrap_or_default()]);
    for (number, at) in blocks {
        file.put(at, &bitmap)?;
        file.put(at + BITMAP, &disk.slice(number * BLOCK, BLOCK))?;
    }
    file.append(&Sparse::of_bytes(footer.as_bytes()));
    Ok(file)
}

/// Give the length of the disk with its padding, in bytes.
fn padded(disk: &Sparse) -> Result<u64, VhdError> {
    match disk.size().max(1).checked_next_multiple_of(ALIGN) {
        Some(size) if size <= MAX => Ok(size),
        _ => Err(VhdError::TooLarge { size: disk.size() }),
    }
}

fn footer(size: u64, kind: u32, header: u64, id: [u8; 16], time: u32) -> Footer {
    let (cylinders, heads, sectors) = geometry(size / SECTOR);
    let mut footer = Footer {
        cookie: COOKIE,
        features: FEATURES.into(),
        version: VERSION.into(),
        header: header.into(),
        time: time.saturating_sub(EPOCH).into(),
        creator: CREATOR,
        creator_version: CREATOR_VERSION.into(),
        creator_host: CREATOR_HOST,
        original_size: size.into(),
        size: size.into(),
        cylinders: cylinders.into(),
        heads,
        sectors,
        kind: kind.into(),
        id,
        ..Footer::new_zeroed()
    };
    footer.checksum = checksum(footer.as_bytes()).into();
    footer
}

fn header(entries: u32) -> Header {
    let mut header = Header {
        cookie: HEADER_COOKIE,
        next: NONE.into(),
        table: TABLE.into(),
        version: VERSION.into(),
        entries: entries.into(),
        block: BLOCK_LEN.into(),
        ..Header::new_zeroed()
    };
    header.checksum = checksum(header.as_bytes()).into();
    header
}
