//! The partition table of a disk. In: the disk. Out: its partitions, where they are and what they are called.
//!
//! init reads it itself, because the kernel does so only for disks whose sectors are as long as those the table counts in: not for
//! a CD, nor for a disk of 4096-byte sectors that an image for 512 was copied to.

pub mod grow;

use std::io;

use super::{Disk, bytes_at, printable, u32_at, u64_at, uuid_text};

/// Lengths of a sector that tables count in, in bytes, the most common first.
const SECTORS: [u64; 3] = [512, 2048, 4096];

/// First eight bytes of the header.
const SIGNATURE: &[u8; 8] = b"EFI PART";

/// Bytes of the header that are defined; more may follow.
const HEADER: usize = 92;

/// Bytes of an entry that are defined; more may follow.
const ENTRY: usize = 128;

/// Most bytes of entries that are read; common tables have 16 KiB.
const ENTRIES_MAX: usize = 1 << 20;

/// Most partitions that are taken from one table.
const PARTITIONS_MAX: usize = 1024;

/// A table whose checksums are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Bytes of a sector as it counts them.
    pub sector: u64,
    /// It was the one at the disk's end: the one at its start is damaged.
    pub backup: bool,
    /// What is in use and lies on the disk, in the table's order.
    pub partitions: Vec<Partition>,
}

/// One partition; it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Position in the table, from 1.
    pub number: usize,
    /// Its identity, lower case with hyphens.
    pub uuid: String,
    /// Its name, often empty.
    pub label: String,
    /// Where it starts, in bytes.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// Read the partition table: the one at the disk's start, or else the one at its end; `None` if there is none that is whole.
///
/// # Errors
///
/// The kernel's, if the disk cannot be read.
///
/// # Source
///
/// UEFI 2.10, 5.3.2 and 5.3.3.
pub fn read(disk: &dyn Disk) -> io::Result<Option<Table>> {
    for backup in [false, true] {
        for sector in SECTORS {
            let header = if backup { (disk.size() / sector).saturating_sub(1) } else { 1 };
            if let Some(partitions) = table(disk, sector, header)? {
                return Ok(Some(Table { sector, backup, partitions }));
            }
        }
    }
    Ok(None)
}

/// Read the table whose header is at this sector.
fn table(disk: &dyn Disk, sector: u64, at: u64) -> io::Result<Option<Vec<Partition>>> {
    let Some(offset) = at.checked_mul(sector) else { return Ok(None) };
    let Ok(length) = usize::try_from(sector) else { return Ok(None) };
    let Some(block) = disk.part(offset, length)? else { return Ok(None) };
    let Some(header) = Header::parse(&block, at) else { return Ok(None) };
    let Some(offset) = header.entries.checked_mul(sector) else { return Ok(None) };
    let Some(entries) = disk.part(offset, header.entry * header.count)? else { return Ok(None) };
    if crc(&[&entries]) != header.crc {
        return Ok(None);
    }
    let entries = entries.chunks_exact(header.entry).enumerate();
    let found = entries.filter_map(|(at, entry)| Partition::parse(at + 1, entry, sector, disk.size()));
    Ok(Some(found.take(PARTITIONS_MAX).collect()))
}

/// A header whose checksum is right.
struct Header {
    /// Sector at which the entries start.
    entries: u64,
    /// Number of entries; with `entry` at most [`ENTRIES_MAX`] bytes.
    count: usize,
    /// Bytes of one, at least [`ENTRY`].
    entry: usize,
    /// Checksum of all.
    crc: u32,
}

impl Header {
    fn parse(block: &[u8], at: u64) -> Option<Self> {
        if !block.starts_with(SIGNATURE) || u64_at(block, 0x18)? != at {
            return None;
        }
        let length = usize::try_from(u32_at(block, 0x0c)?).ok().filter(|length| *length >= HEADER)?;
        // The checksum counts as zero in itself.
        if crc(&[block.get(..0x10)?, &[0; 4], block.get(0x14..length)?]) != u32_at(block, 0x10)? {
            return None;
        }
        let count = usize::try_from(u32_at(block, 0x50)?).ok()?;
        let entry = usize::try_from(u32_at(block, 0x54)?).ok().filter(|entry| *entry >= ENTRY)?;
        let bounded = count.checked_mul(entry).is_some_and(|all| all <= ENTRIES_MAX);
        bounded.then_some(Self { entries: u64_at(block, 0x48)?, count, entry, crc: u32_at(block, 0x58)? })
    }
}

impl Partition {
    /// Read an entry; `None` if it is not in use, or leads beyond the disk.
    fn parse(number: usize, entry: &[u8], sector: u64, disk: u64) -> Option<Self> {
        if bytes_at(entry, 0)? == [0_u8; 16] {
            return None;
        }
        let start = u64_at(entry, 0x20)?.checked_mul(sector)?;
        let end = u64_at(entry, 0x28)?.checked_add(1)?.checked_mul(sector)?;
        let size = end.checked_sub(start).filter(|size| *size > 0 && end <= disk)?;
        let units = entry.get(0x38..ENTRY)?.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let label: String = char::decode_utf16(units.take_while(|unit| *unit != 0))
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        Some(Self { number, uuid: guid_text(bytes_at(entry, 0x10)?), label: printable(&label), start, size })
    }
}

/// A GUID's first three numbers lie in little-endian order (UEFI 2.10, appendix A).
fn guid_text(mut bytes: [u8; 16]) -> String {
    for (from, to) in [(0, 4), (4, 6), (6, 8)] {
        if let Some(number) = bytes.get_mut(from..to) {
            number.reverse();
        }
    }
    uuid_text(bytes)
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = flate2::Crc::new();
    for part in parts {
        crc.update(part);
    }
    crc.sum()
}

#[cfg(test)]
#[path = "gpt/tests.rs"]
pub(crate) mod tests;
