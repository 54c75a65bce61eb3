//! A table onto a disk.

use std::collections::BTreeMap;

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::partition_types::{OperatingSystem, Type};
use uuid::Uuid;

use super::ends::Ends;
use super::mbr::{self, Mbr};
use super::{GptError, HEAD, PARTITIONS_MAX, SECTOR, TAIL};
use crate::format::sparse::Sparse;

/// Most UTF-16 units of a partition's name.
const NAME_MAX: usize = 36;
/// Bytes of an entry.
const ENTRY: usize = 128;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its type, one of [`super::kind`] or another.
    pub kind: Uuid,
    /// Its own GUID.
    pub guid: Uuid,
    /// Its name, at most 36 UTF-16 units.
    pub name: String,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Some of [`super::attribute`].
    pub attributes: u64,
}

/// All that is said of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The disk's own GUID.
    pub disk: Uuid,
    /// At most 128 partitions, in the order of their numbers, which may not be that of their places.
    pub partitions: Vec<Partition>,
    /// What the first sector has beside the entry that protects the GPT.
    pub mbr: Mbr,
}

/// Write an MBR, a GPT and its copy to both ends of a disk.
///
/// In: `disk`, of its final length, a multiple of 512; its first 1024 bytes, its last 512 and what the entries take at either end
/// are still holes. What is in the partitions does not matter. Equal tables give equal bytes.
///
/// # Errors
///
/// - [`GptError::Size`], [`GptError::Unaligned`], [`GptError::Outside`], [`GptError::Overlap`], [`GptError::SameGuid`],
///   [`GptError::Name`], [`GptError::Many`], [`GptError::TooFar`].
/// - [`GptError::Place`]: something stands where the table goes.
pub fn write(disk: &mut Sparse, table: &Table) -> Result<(), GptError> {
    check(table, disk.size())?;
    let mut ends = Ends::new(disk.size());
    let first = mbr::protective(&table.mbr, disk.size())?.to_bytes();
    ends.head[..first.len()].copy_from_slice(&first);
    let mut partitions = BTreeMap::new();
    for (number, partition) in (1..).zip(&table.partitions) {
        partitions.insert(number, entry(partition));
    }
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut writer = config.create_from_device(ends, Some(table.disk))?;
    writer.update_partitions(partitions)?;
    let ends = writer.write()?;
    // Entries that are not used stay holes.
    let used = (table.partitions.len() * ENTRY).next_multiple_of(first.len());
    let header = ends.tail.len() - first.len();
    let tail = ends.tail_start();
    disk.put_bytes(0, &ends.head[..2 * first.len() + used])?;
    disk.put_bytes(tail, &ends.tail[..used])?;
    Ok(disk.put_bytes(tail + header as u64, &ends.tail[header..])?)
}

fn entry(partition: &Partition) -> gpt::partition::Partition {
    gpt::partition::Partition {
        part_type_guid: Type { guid: partition.kind, os: OperatingSystem::None },
        part_guid: partition.guid,
        first_lba: partition.start / SECTOR,
        last_lba: (partition.start + partition.len) / SECTOR - 1,
        flags: partition.attributes,
        name: partition.name.clone(),
    }
}

/// Refuse what the crate would take in silence.
fn check(table: &Table, size: u64) -> Result<(), GptError> {
    if !size.is_multiple_of(SECTOR) || size < HEAD + TAIL {
        return Err(GptError::Size { size });
    }
    if table.partitions.len() > PARTITIONS_MAX {
        return Err(GptError::Many { count: table.partitions.len(), most: PARTITIONS_MAX });
    }
    let (first, last) = (HEAD, size - TAIL);
    let mut guids: BTreeMap<Uuid, &str> = BTreeMap::new();
    for Partition { name, guid, start, len, .. } in &table.partitions {
        let (start, len) = (*start, *len);
        if name.encode_utf16().count() > NAME_MAX || name.contains('\0') {
            return Err(GptError::Name { name: name.clone() });
        }
        if start % SECTOR != 0 || len % SECTOR != 0 || len == 0 {
            return Err(GptError::Unaligned { name: name.clone(), start, len });
        }
        if start < first || start.checked_add(len).is_none_or(|end| end > last) {
            return Err(GptError::Outside { name: name.clone(), start, len, first, end: last });
        }
        if let Some(one) = guids.insert(*guid, name) {
            return Err(GptError::SameGuid { one: one.to_owned(), other: name.clone(), guid: *guid });
        }
    }
    let mut sorted = table.partitions.iter().collect::<Vec<_>>();
    sorted.sort_by_key(|partition| partition.start);
    for pair in sorted.windows(2) {
        if let [one, other] = pair
            && other.start < one.start + one.len
        {
            return Err(GptError::Overlap { one: one.name.clone(), other: other.name.clone(), at: other.start });
        }
    }
    Ok(())
}
