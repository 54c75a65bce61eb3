//! A disk to a monolithicSparse file.

use zerocopy::IntoBytes;

use super::VmdkError;
use super::descriptor::{Identity, descriptor};
use super::layout::{
    DESCRIPTOR_AT, DESCRIPTOR_SECTORS, ENTRIES, FLAG_LINE_ENDS, FLAG_REDUNDANT, GRAIN, GRAIN_SECTORS, Header, SECTOR,
    TABLE, TABLE_SECTORS, VERSION_SPARSE, bytes, directory_sectors, tables_of,
};
use crate::format::sparse::Sparse;

/// Lay a disk out as a sparse VMDK. No byte of it is read, and grains without bytes have no place.
///
/// In: `disk`, a multiple of 512 bytes long and not empty. Out: the file, whose grains are `disk`'s own extents; its length is a
/// multiple of 64 KiB.
///
/// # Errors
///
/// - [`VmdkError::Sector`], [`VmdkError::Empty`], [`VmdkError::TooLarge`], [`VmdkError::TooMuch`], [`VmdkError::Name`].
///
/// # Source
///
/// VMware, "Virtual Disk Format 1.1", "Hosted Sparse Extents".
pub fn sparse(disk: &Sparse, identity: Identity<'_>) -> Result<Sparse, VmdkError> {
    let size = disk.size();
    let descriptor = descriptor(size, "monolithicSparse", identity)?;
    let too_much = || VmdkError::TooMuch { size: disk.allocated() };
    let tables = tables_of(size);
    // All tables have a place, even those of holes: VMware's programs want none to be missing. They are holes of the file then.
    let copy = directory_sectors(tables) + tables * TABLE_SECTORS;
    let redundant_at = DESCRIPTOR_AT + DESCRIPTOR_SECTORS;
    let directory_at = redundant_at + copy;
    let overhead = (directory_at + copy).next_multiple_of(GRAIN_SECTORS);
    let header = Header {
        redundant_at: redundant_at.into(),
        directory_at: directory_at.into(),
        overhead: overhead.into(),
        ..Header::new(VERSION_SPARSE, FLAG_LINE_ENDS | FLAG_REDUNDANT, size)
    };

    let end = overhead + disk.blocks(GRAIN).count() as u64 * GRAIN_SECTORS;
    u32::try_from(end).map_err(|_| too_much())?;
    let grains: Vec<u64> = disk.blocks(GRAIN).collect();
    let mut file = Sparse::new(end * SECTOR);
    file.put_bytes(0, header.as_bytes())?;
    file.put_bytes(DESCRIPTOR_AT * SECTOR, descriptor)?;
    for at in [redundant_at, directory_at] {
        let first = at + directory_sectors(tables);
        let places = (0..tables).map(|table| u32::try_from(first + table * TABLE_SECTORS));
        let places: Vec<u32> = places.collect::<Result<_, _>>().map_err(|_| too_much())?;
        file.put_bytes(at * SECTOR, bytes(&places))?;
    }
    // Grains that follow each other on the disk do so in the file.
    let mut at = overhead * SECTOR;
    for run in grains.chunk_by(|a, b| a + 1 == *b) {
        let len = run.len() as u64 * GRAIN;
        file.put(at, &disk.slice(run.first().map_or(0, |grain| grain * GRAIN), len))?;
        at += len;
    }
    let mut at = overhead;
    for group in grains.chunk_by(|a, b| a / ENTRIES == b / ENTRIES) {
        let mut table = [0; TABLE];
        for grain in group {
            let slot = usize::try_from(grain % ENTRIES).ok().and_then(|slot| table.get_mut(slot));
            if let (Some(slot), Ok(place)) = (slot, u32::try_from(at)) {
                *slot = place;
            }
            at += GRAIN_SECTORS;
        }
        let number = group.first().map_or(0, |grain| grain / ENTRIES);
        let table = Sparse::of_bytes(bytes(&table));
        for at in [redundant_at, directory_at] {
            file.put((at + directory_sectors(tables) + number * TABLE_SECTORS) * SECTOR, &table)?;
        }
    }
    Ok(file)
}
