//! A VHDX without parent back to the disk in it, by reference. Bytes may be any.

use zerocopy::{FromBytes, IntoBytes};

use super::VhdxError;
use super::layout::{
    BAT_REGION, DISK_ID, DISK_SIZE, FileType, HEADER_SIGNATURE, HEADERS, Header, Item, MAX, METADATA_REGION,
    METADATA_SIGNATURE, MIB, MetadataTable, PARAMETERS, PART, PRESENT, REGION_SIGNATURE, REGIONS, Region, RegionTable,
    SECTOR, SECTOR_SIZE, SIGNATURE, STATE, VERSION, bat_index, checksum, chunk,
};
use crate::format::sparse::Sparse;

/// Most entries of a BAT that are read: enough for all that [`super::dynamic`] writes, and for others up to 1 TiB at least.
const ENTRIES: u64 = 4 << 20;

/// What a file says of itself.
#[derive(Debug, Clone)]
pub struct Vhdx {
    /// The header that counts.
    pub header: Header,
    /// Where the BAT is, and where the metadata is.
    pub regions: (Region, Region),
    /// Bytes of a block.
    pub block: u64,
    /// Bytes of the disk.
    pub size: u64,
    /// Its identity.
    pub id: [u8; 16],
    /// For each block the entry of the BAT: its offset in bytes and its state.
    pub blocks: Vec<u64>,
}

/// Read all of a file but its blocks.
///
/// # Errors
///
/// - [`VhdxError::Damaged`], [`VhdxError::Io`].
pub fn open(file: &Sparse) -> Result<Vhdx, VhdxError> {
    if structure::<FileType>(file, 0)?.signature != SIGNATURE {
        return damaged(0, "no signature stands there");
    }
    let [first, second] = [header(file, HEADERS[0])?, header(file, HEADERS[1])?];
    let header = first.into_iter().chain(second).max_by_key(|header| header.sequence.get());
    let Some(header) = header else { return damaged(HEADERS[0], "no header is valid") };
    if header.log != [0; 16] {
        return damaged(header.log_offset.get(), "there is a log to replay");
    }
    let regions = (region(file, BAT_REGION)?, region(file, METADATA_REGION)?);

    let at = regions.1.offset.get();
    let table: MetadataTable = structure(file, at)?;
    if table.signature != METADATA_SIGNATURE {
        return damaged(at, "no metadata stands there");
    }
    let item = |id: [u8; 16], value: &mut [u8]| {
        let entries = (0..u64::from(table.entries)).map(|number| structure::<Item>(file, at + 32 + number * 32));
        for entry in entries {
            let entry = entry?;
            if entry.id == id && u64::from(entry.len) == value.len() as u64 {
                return Ok(file.read_at(at + u64::from(entry.offset), value)?);
            }
        }
        damaged(at, "an item is missing")
    };
    let (mut parameters, mut size, mut id, mut sector) = ([0; 8], [0; 8], [0; 16], [0; 4]);
    item(PARAMETERS, &mut parameters)?;
    item(DISK_SIZE, &mut size)?;
    item(DISK_ID, &mut id)?;
    item(SECTOR_SIZE, &mut sector)?;
    let [block @ .., flags, _, _, _] = parameters;
    let (block, size) = (u64::from(u32::from_le_bytes(block)), u64::from_le_bytes(size));
    if !block.is_power_of_two() || !(MIB..=256 * MIB).contains(&block) || u32::from_le_bytes(sector) != SECTOR {
        return damaged(at, "blocks or sectors are of another size");
    }
    if size == 0 || size > MAX || flags & 2 != 0 {
        return damaged(at, "the disk is empty, too long or builds on another");
    }

    let (at, chunk, count) = (regions.0.offset.get(), chunk(block), size.div_ceil(block));
    let entries = bat_index(count - 1, chunk) + 1;
    if entries > ENTRIES || entries * 8 > u64::from(regions.0.len) || at.saturating_add(entries * 8) > file.size() {
        return damaged(at, "the table of blocks has another length");
    }
    let mut bat = vec![0; usize::try_from(entries * 8).unwrap_or_default()];
    file.read_at(at, &mut bat)?;
    let entry = |number| bat.get(usize::try_from(bat_index(number, chunk) * 8).ok()?..)?.first_chunk();
    let blocks = (0..count).filter_map(entry).map(|entry| u64::from_le_bytes(*entry)).collect();
    Ok(Vhdx { header, regions, block, size, id, blocks })
}

/// Give the disk in a file.
///
/// # Errors
///
/// - [`VhdxError::Damaged`], [`VhdxError::Layout`], [`VhdxError::Io`].
pub fn disk(file: &Sparse) -> Result<Sparse, VhdxError> {
    let vhdx = open(file)?;
    let mut disk = Sparse::new(vhdx.size);
    for (number, entry) in (0_u64..).zip(&vhdx.blocks).filter(|(_, entry)| *entry & STATE == PRESENT) {
        let data = entry & !(MIB - 1);
        if data.checked_add(vhdx.block).is_none_or(|end| end > file.size()) {
            return damaged(data, "a block lies behind the end");
        }
        let start = number * vhdx.block;
        disk.put(start, &file.slice(data, vhdx.block.min(vhdx.size - start)))?;
    }
    Ok(disk)
}

/// Read a header; `None` if it is not valid.
fn header(file: &Sparse, at: u64) -> Result<Option<Header>, VhdxError> {
    let header: Header = structure(file, at)?;
    let sum = checksum(Header { checksum: 0.into(), ..header }.as_bytes());
    let valid = header.signature == HEADER_SIGNATURE && header.version == VERSION && header.checksum == sum;
    Ok(valid.then_some(header))
}

/// Find a region in the first table.
fn region(file: &Sparse, id: [u8; 16]) -> Result<Region, VhdxError> {
    let at = REGIONS[0];
    let mut bytes = vec![0; usize::try_from(PART).unwrap_or_default()];
    file.read_at(at, &mut bytes)?;
    let Ok((head, rest)) = RegionTable::mut_from_prefix(&mut bytes) else {
        return damaged(at, "no table of regions stands there");
    };
    let (signature, sum, count) = (head.signature, head.checksum.get(), head.entries.get());
    head.checksum = 0.into();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = rest.chunks_exact(32).take(count).filter_map(|entry| Region::read_from_bytes(entry).ok());
    let found = found.into_iter().find(|region| region.id == id);
    if signature != REGION_SIGNATURE || checksum(&bytes) != sum {
        return damaged(at, "no table of regions stands there");
    }
    match found {
        Some(region) if region.offset.get() % MIB == 0 && region.offset < file.size() => Ok(region),
        _ => damaged(at, "a region is missing"),
    }
}

/// Read one structure.
fn structure<T: FromBytes + IntoBytes>(file: &Sparse, offset: u64) -> Result<T, VhdxError> {
    let mut value = T::new_zeroed();
    let len = value.as_mut_bytes().len() as u64;
    if offset.checked_add(len).is_none_or(|end| end > file.size()) {
        return damaged(offset, "the file is cut short");
    }
    file.read_at(offset, value.as_mut_bytes())?;
    Ok(value)
}

fn damaged<T>(offset: u64, what: &'static str) -> Result<T, VhdxError> {
    Err(VhdxError::Damaged { offset, what })
}
