//! What is on one block device. In: its bytes. Out: [`Holds`]: every EROFS file system at its start or at the start of one of its
//! partitions, and for people, what else it seems to be.

use std::io;

use super::erofs::{self, Volume};
use crate::disk::Disk;
use crate::disk::gpt::{self, Partition, Table};

/// Where an ISO 9660 volume says so, in bytes, and how (ECMA-119, 8.1).
const ISO: (u64, &[u8; 5]) = (32769, b"CD001");

/// Most partitions that a list for people shows of one device.
const SHOWN: usize = 16;

/// An EROFS file system on a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it says of itself.
    pub volume: Volume,
    /// The partition that it is the start of; `None` if that is the device.
    pub partition: Option<Partition>,
    /// Where it starts, in bytes from the device's start.
    pub start: u64,
    /// Bytes from there to the end of the partition or of the device.
    pub room: u64,
}

/// What is on a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// Its length in bytes.
    pub size: u64,
    /// Its partition table.
    pub table: Option<Table>,
    /// It is an ISO image.
    pub iso: bool,
    /// The file systems that could be meant, in order of their places.
    pub found: Vec<Found>,
}

/// Look at the device's start and at those of its partitions.
///
/// # Errors
///
/// The kernel's, if the device cannot be read.
pub fn probe(disk: &dyn Disk) -> io::Result<Holds> {
    let size = disk.size();
    let table = gpt::read(disk)?;
    let (offset, word) = ISO;
    let iso = disk.part(offset, word.len())?.as_deref() == Some(word);
    let mut found = Vec::new();
    if let Some(volume) = erofs::read(disk, 0)? {
        found.push(Found { volume, partition: None, start: 0, room: size });
    }
    for partition in table.iter().flat_map(|table| &table.partitions) {
        if let Some(volume) = erofs::read(disk, partition.start)? {
            let (start, room) = (partition.start, partition.size);
            found.push(Found { volume, partition: Some(partition.clone()), start, room });
        }
    }
    Ok(Holds { size, table, iso, found })
}

impl Holds {
    /// Say what it is, for people: a line for the device after its name and size, and one for each partition.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(bare) = self.found.iter().find(|found| found.partition.is_none()) {
            words.push(name(&bare.volume));
        }
        if self.iso {
            words.push("iso".to_owned());
        }
        let partitions = self.table.as_ref().map_or(&[][..], |table| &table.partitions);
        if let Some(Table { backup, sector, .. }) = &self.table {
            let backup = if *backup { ", damaged at its start" } else { "" };
            words.push(format!("gpt of {} partitions, {sector}-byte sectors{backup}", partitions.len()));
        }
        if words.is_empty() {
            words.push("nothing that is known here".to_owned());
        }
        let mut lines = vec![words.join(", ")];
        for partition in partitions.iter().take(SHOWN) {
            let of = |found: &&Found| found.partition.as_ref().is_some_and(|own| own.number == partition.number);
            let volume = self.found.iter().find(of).map_or("no erofs".to_owned(), |found| name(&found.volume));
            lines.push(format!("  partition {} `{}`: {volume}", partition.number, partition.label));
        }
        if partitions.len() > SHOWN {
            lines.push(format!("  and {} more", partitions.len() - SHOWN));
        }
        lines
    }
}

fn name(volume: &Volume) -> String {
    format!("erofs, UUID={} LABEL={}", volume.uuid, volume.label)
}

#[cfg(test)]
mod tests {
    use super::super::erofs::tests::image;
    use super::*;
    use crate::disk::gpt::tests::disk;

    #[test]
    fn file_systems_are_found_at_the_start_of_the_device_and_of_partitions() {
        let bare = probe(&image(1, b"a")).unwrap();
        assert_eq!((bare.found.len(), bare.found[0].start, bare.found[0].room), (1, 0, 8192));
        let mut disk = disk(512, &[("esp", 64, 80), ("root", 80, 100)]);
        disk[80 * 512..][..8192].copy_from_slice(&image(2, b"hullkit-root"));
        disk[32769..][..5].copy_from_slice(b"CD001");
        let holds = probe(&disk).unwrap();
        let [found] = &holds.found[..] else { panic!("{holds:?}") };
        assert_eq!((found.start, found.room), (80 * 512, 20 * 512));
        assert_eq!(found.partition.as_ref().map(|partition| &*partition.label), Some("root"));
        assert_eq!(
            holds.describe(),
            [
                "iso, gpt of 2 partitions, 512-byte sectors",
                "  partition 1 `esp`: no erofs",
                "  partition 2 `root`: erofs, UUID=02020202-0202-0202-0202-020202020202 LABEL=hullkit-root"
            ]
        );
    }

    #[test]
    fn an_empty_disk_holds_nothing() {
        for size in [0, 511, 512, 40_000] {
            let holds = probe(&vec![0; size]).unwrap();
            assert_eq!((holds.found.len(), holds.describe()), (0, vec!["nothing that is known here".to_owned()]));
        }
    }
}
