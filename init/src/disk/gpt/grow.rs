//! A partition that takes the room behind it. In: a disk and its table. Out: what to write where, so that the disk has a whole table
//! at every moment.

use std::io;

use super::super::{Disk, bytes_at, u32_at};
use super::{HEADER, Header, Table, crc};

/// What partitions end at a multiple of, in bytes: what every disk is fast with.
const ALIGN: u64 = 1 << 20;

/// Where the entries of the protective MBR are, how long one is and how many there are.
const MBR: (usize, usize, usize) = (446, 16, 4);

/// Type of the entry that stands for the whole disk.
const PROTECTIVE: u8 = 0xee;

/// Where a header says which sector it is in, and where the other one and the entries are.
const OWN: usize = 0x18;
/// See [`OWN`].
const OTHER: usize = 0x20;
/// Last sector that a partition may have.
const LAST_USABLE: usize = 0x30;
/// See [`OWN`].
const ENTRIES: usize = 0x48;

/// A partition that has grown once all is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// Its new length, in bytes.
    pub size: u64,
    /// What is written, and where, in bytes from the disk's start: each piece once the one before is on the disk.
    pub writes: Vec<(u64, Vec<u8>)>,
}

/// Let a partition end where its disk does. `None` if it cannot grow: it does already, another one is behind it, or the table at the
/// disk's start is damaged.
///
/// The table at the end is written first. A machine that loses power between two writes has one of them.
///
/// # Errors
///
/// The kernel's, if the disk cannot be read.
///
/// # Source
///
/// UEFI 2.10, 5.2.3, 5.3.2 and 5.3.3.
pub fn grow(disk: &dyn Disk, table: &Table, number: usize) -> io::Result<Option<Growth>> {
    let sector = table.sector;
    let Some(own) = table.partitions.iter().find(|partition| partition.number == number) else { return Ok(None) };
    if table.backup || table.partitions.iter().any(|other| other.start > own.start) {
        return Ok(None);
    }
    let Ok(length) = usize::try_from(sector) else { return Ok(None) };
    let (Some(mbr), Some(block)) = (disk.part(0, length)?, disk.part(sector, length)?) else { return Ok(None) };
    let Some(header) = Header::parse(&block, 1) else { return Ok(None) };
    let Some(entries) = disk.part(header.entries.saturating_mul(sector), header.entry * header.count)? else {
        return Ok(None);
    };
    let Some(last) = (disk.size() / sector).checked_sub(1) else { return Ok(None) };
    let Some(copy) = last.checked_sub((entries.len() as u64).div_ceil(sector)) else { return Ok(None) };
    let end = copy.saturating_mul(sector) / ALIGN * ALIGN;
    if end <= own.start.saturating_add(own.size) {
        return Ok(None);
    }
    Ok(rewrite(&Parts { mbr, block, header, entries, sector, last, copy }, number, end)
        .map(|writes| Growth { size: end - own.start, writes }))
}

/// What is on the disk, and where the copy goes.
struct Parts {
    mbr: Vec<u8>,
    /// The sector of the header.
    block: Vec<u8>,
    header: Header,
    entries: Vec<u8>,
    sector: u64,
    /// The disk's last sector.
    last: u64,
    /// First sector of the copy of the entries.
    copy: u64,
}

/// Let partition `number` end at byte `end`; `None` if what was read contradicts itself.
fn rewrite(parts: &Parts, number: usize, end: u64) -> Option<Vec<(u64, Vec<u8>)>> {
    let Parts { sector, last, copy, .. } = *parts;
    let mut entries = parts.entries.clone();
    let entry = entries.chunks_exact_mut(parts.header.entry).nth(number.checked_sub(1)?)?;
    put(entry, 0x28, &(end / sector).checked_sub(1)?.to_le_bytes())?;
    let usable = (LAST_USABLE, copy.checked_sub(1)?);
    let first = header(&parts.block, &entries, &[(OTHER, last), usable])?;
    let second = header(&parts.block, &entries, &[(OWN, last), (OTHER, 1), (ENTRIES, copy), usable])?;
    let mbr = protective(parts.mbr.clone(), last)?;
    Some(vec![
        (copy.checked_mul(sector)?, entries.clone()),
        (last.checked_mul(sector)?, second),
        (parts.header.entries.checked_mul(sector)?, entries),
        (sector, first),
        (0, mbr),
    ])
}

/// Write a header anew: other numbers, of 8 bytes each, and the sums that follow from them.
fn header(block: &[u8], entries: &[u8], numbers: &[(usize, u64)]) -> Option<Vec<u8>> {
    let mut block = block.to_vec();
    for (offset, number) in numbers {
        put(&mut block, *offset, &number.to_le_bytes())?;
    }
    put(&mut block, 0x58, &crc(&[entries]).to_le_bytes())?;
    put(&mut block, 0x10, &[0; 4])?;
    let length = usize::try_from(u32_at(&block, 0x0c)?).ok().filter(|length| *length >= HEADER)?;
    let sum = crc(&[block.get(..length)?]);
    put(&mut block, 0x10, &sum.to_le_bytes())?;
    Some(block)
}

/// Let the entry that stands for the whole disk do so again.
fn protective(mut mbr: Vec<u8>, last: u64) -> Option<Vec<u8>> {
    let (start, length, count) = MBR;
    for at in (0..count).map(|entry| start + entry * length) {
        let [kind] = bytes_at(&mbr, at + 4)?;
        if kind == PROTECTIVE {
            put(&mut mbr, at + 12, &u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes())?;
        }
    }
    Some(mbr)
}

fn put(bytes: &mut [u8], offset: usize, value: &[u8]) -> Option<()> {
    bytes.get_mut(offset..)?.get_mut(..value.len())?.copy_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::{read, tests::disk};
    use super::*;

    /// Write what was asked for, up to and without the write of this number.
    fn written(mut disk: Vec<u8>, growth: &Growth, count: usize) -> Vec<u8> {
        for (offset, bytes) in growth.writes.iter().take(count) {
            let start = usize::try_from(*offset).unwrap();
            disk[start..][..bytes.len()].copy_from_slice(bytes);
        }
        disk
    }

    /// A disk of one MiB, or a bit less, in a longer one.
    fn longer(sector: usize, partitions: &[(&str, u64, u64)], mib: usize) -> Vec<u8> {
        let mut disk = disk(sector, partitions);
        disk[446 + 4] = PROTECTIVE;
        disk.resize(mib << 20, 0);
        disk
    }

    #[test]
    fn the_last_partition_ends_with_the_disk_and_there_is_a_whole_table_after_every_write() {
        for sector in [512_usize, 4096] {
            let disk = longer(sector, &[("root", 40, 70), ("data", 70, 100)], 8);
            let table = read(&disk).unwrap().unwrap();
            let growth = grow(&disk, &table, 2).unwrap().unwrap();
            assert_eq!(growth.size, (7 << 20) - 70 * sector as u64);
            for count in 0..=growth.writes.len() {
                let disk = written(disk.clone(), &growth, count);
                let now = read(&disk).unwrap().unwrap();
                assert_eq!(now.partitions[0], table.partitions[0]);
                assert_eq!(now.partitions[1].size == growth.size, count >= 3, "{count}");
            }
            let mut disk = written(disk, &growth, 5);
            let grown = read(&disk).unwrap().unwrap();
            assert_eq!(u32_at(&disk, 446 + 12), Some(u32::try_from((8 << 20) / sector - 1).unwrap()));
            assert_eq!(grow(&disk, &grown, 2).unwrap(), None, "it is at the end");
            disk[sector] ^= 1;
            assert_eq!(read(&disk).unwrap().unwrap().partitions, grown.partitions, "the copy is at the end");
        }
    }

    #[test]
    fn what_cannot_grow_stays() {
        let partitions = [("data", 40, 70), ("other", 70, 100)];
        let disk = longer(512, &partitions, 8);
        let table = read(&disk).unwrap().unwrap();
        assert_eq!(grow(&disk, &table, 1).unwrap(), None, "another one is behind it");
        assert_eq!(grow(&disk, &table, 3).unwrap(), None, "there is none");
        let short = super::super::tests::disk(512, &partitions);
        assert_eq!(grow(&short, &table, 2).unwrap(), None, "there is no room");
        let damaged = Table { backup: true, ..table };
        assert_eq!(grow(&disk, &damaged, 2).unwrap(), None, "its table is damaged");
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(fields in proptest::collection::vec(proptest::num::u8::ANY, 0x44), mib in 1_usize..4) {
            let mut disk = longer(512, &[("data", 70, 100)], mib);
            let table = read(&disk).unwrap().unwrap();
            disk[512 + 0x18..512 + 0x5c].copy_from_slice(&fields);
            disk[512 + 0x18..512 + 0x20].copy_from_slice(&1_u64.to_le_bytes());
            disk[512 + 0x10..512 + 0x14].fill(0);
            let sum = crc(&[&disk[512..512 + HEADER]]);
            disk[512 + 0x10..512 + 0x14].copy_from_slice(&sum.to_le_bytes());
            let _ = grow(&disk, &table, 1);
        }
    }
}
