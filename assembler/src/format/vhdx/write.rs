//! A disk to a VHDX that refers to its bytes.

use zerocopy::{FromZeros, IntoBytes};

use super::VhdxError;
use super::layout::{
    BAT, BAT_REGION, DISK_ID, DISK_SIZE, FLAGS_DISK, FLAGS_REQUIRED, FileType, HEADER_SIGNATURE, HEADERS, Header,
    ITEMS, Item, Items, LOG, MAX, METADATA, METADATA_REGION, METADATA_SIGNATURE, MIB, MIB_LEN, MetadataTable,
    PARAMETERS, PART, PHYSICAL, PHYSICAL_SIZE, PRESENT, REGION_SIGNATURE, REGIONS, REQUIRED, Region, RegionTable,
    SECTOR, SECTOR_SIZE, SIGNATURE, VERSION, ZERO, bat_index, block_len, checksum, chunk, guid,
};
use crate::digest::Digest;
use crate::format::sparse::Sparse;

/// Put what is there of a disk into blocks; blocks that are nothing but a hole are left out, and holes in a block stay holes.
///
/// In: `id`, a UUID in the order it is written in: the disk's identity, which those of the file's state derive from. Out: the disk
/// padded to a multiple of 512 bytes, the file a multiple of 1 MiB. No data is read.
///
/// # Errors
///
/// - [`VhdxError::TooLarge`]: the disk is longer than 64 TiB.
pub fn dynamic(disk: &Sparse, id: [u8; 16]) -> Result<Sparse, VhdxError> {
    let too_large = || VhdxError::TooLarge { size: disk.size() };
    if disk.size() > MAX {
        return Err(too_large());
    }
    let size = disk.size().max(1).next_multiple_of(u64::from(SECTOR));
    let block = block_len(size);
    let (blocks, chunk) = (size.div_ceil(block), chunk(block));
    // The last entry is one of a block: a bitmap stands behind whole chunks only.
    let entries = bat_index(blocks - 1, chunk) + 1;
    let bat_len = (entries * 8).next_multiple_of(MIB);
    let mut bat = vec![0_u8; usize::try_from(entries * 8).map_err(|_| too_large())?];
    let mut set = |number: u64, entry: u64| {
        let at = usize::try_from(bat_index(number, chunk) * 8).ok();
        if let Some(place) = at.and_then(|at| bat.get_mut(at..)?.first_chunk_mut()) {
            *place = entry.to_le_bytes();
        }
    };
    let start = BAT + bat_len;
    let mut file = Sparse::new(start);
    let mut next = 0;
    for number in disk.blocks(block) {
        (next..number).for_each(|hole| set(hole, ZERO));
        next = number + 1;
        let at = file.size();
        set(number, at | PRESENT);
        file.append(&disk.slice(number * block, block));
    }
    // Not "not present", of which the specification lets a reader make anything.
    (next..blocks).for_each(|hole| set(hole, ZERO));
    file.put_bytes(BAT, bat)?;

    file.put_bytes(0, file_type().as_bytes())?;
    for (at, sequence) in HEADERS.into_iter().zip(1..) {
        file.put_bytes(at, header(id, sequence).as_bytes())?;
    }
    let regions = regions(u32::try_from(bat_len).map_err(|_| too_large())?);
    for at in REGIONS {
        file.put_bytes(at, regions.as_slice())?;
    }
    let items = Items {
        block: u32::try_from(block).map_err(|_| too_large())?.into(),
        flags: 0.into(),
        size: size.into(),
        id: guid(u128::from_be_bytes(id)),
        sector: SECTOR.into(),
        physical: PHYSICAL.into(),
    };
    file.put_bytes(METADATA, metadata())?;
    file.put_bytes(METADATA + u64::from(ITEMS), items.as_bytes())?;
    Ok(file)
}

fn file_type() -> FileType {
    let mut file_type = FileType { signature: SIGNATURE, ..FileType::new_zeroed() };
    for (place, letter) in file_type.creator.iter_mut().zip("Hullkit".encode_utf16()) {
        *place = letter.into();
    }
    file_type
}

fn header(id: [u8; 16], sequence: u64) -> Header {
    let derived = |what: &[u8]| {
        let digest = Digest::of(&[&id, what].concat());
        digest.bytes().first_chunk().copied().unwrap_or_default()
    };
    let mut header = Header {
        signature: HEADER_SIGNATURE,
        sequence: sequence.into(),
        file_write: derived(b"vhdx file"),
        data_write: derived(b"vhdx data"),
        version: VERSION.into(),
        log_len: MIB_LEN.into(),
        log_offset: LOG.into(),
        ..Header::new_zeroed()
    };
    header.checksum = checksum(header.as_bytes()).into();
    header
}

/// Make a region table, without the zeros that its checksum reaches over.
fn regions(bat_len: u32) -> Vec<u8> {
    let region =
        |id, offset: u64, len: u32| Region { id, offset: offset.into(), len: len.into(), required: REQUIRED.into() };
    let regions = [region(BAT_REGION, BAT, bat_len), region(METADATA_REGION, METADATA, MIB_LEN)];
    let mut head =
        RegionTable { signature: REGION_SIGNATURE, entries: 2.into(), checksum: 0.into(), reserved: 0.into() };
    let mut whole = [head.as_bytes(), regions.as_bytes()].concat();
    whole.resize(usize::try_from(PART).unwrap_or_default(), 0);
    head.checksum = checksum(&whole).into();
    [head.as_bytes(), regions.as_bytes()].concat()
}

/// Make the table of the metadata's items.
fn metadata() -> Vec<u8> {
    let items = [
        (PARAMETERS, 8, FLAGS_REQUIRED),
        (DISK_SIZE, 8, FLAGS_REQUIRED | FLAGS_DISK),
        (DISK_ID, 16, FLAGS_REQUIRED | FLAGS_DISK),
        (SECTOR_SIZE, 4, FLAGS_REQUIRED | FLAGS_DISK),
        (PHYSICAL_SIZE, 4, FLAGS_REQUIRED | FLAGS_DISK),
    ];
    let mut offset = ITEMS;
    let entries = items.map(|(id, len, flags)| {
        let item = Item { id, offset: offset.into(), len: len.into(), flags: flags.into(), reserved: 0.into() };
        offset += len;
        item
    });
    let table = MetadataTable { signature: METADATA_SIGNATURE, entries: 5.into(), ..MetadataTable::new_zeroed() };
    [table.as_bytes(), entries.as_bytes()].concat()
}
