use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::format::tree::fixture::judge;

const MIB: u64 = 1 << 20;

fn partition(number: u8, kind: Uuid, start: u64, len: u64) -> Partition {
    let name = format!("part {number}");
    Partition { kind, guid: guid([number; 16]), name, start, len, attributes: 0 }
}

fn table() -> Table {
    let mut root = partition(3, kind::ROOT_X86_64, 40 * MIB, 10 * MIB + 512);
    root.attributes = attribute::READ_ONLY | attribute::GROW;
    let partitions =
        vec![partition(1, kind::BIOS_BOOT, HEAD, MIB - HEAD), partition(2, kind::ESP, MIB, 33 * MIB), root];
    let mbr = Mbr { code: Some(Box::new([0x90; 440])), signature: 0x1234_5678, active: true, others: vec![] };
    Table { disk: guid([9; 16]), partitions, mbr }
}

fn disk(table: &Table, size: u64) -> Sparse {
    let mut disk = Sparse::new(size);
    write(&mut disk, table).unwrap();
    disk
}

fn on_disk(folder: &Path, disk: &Sparse) -> PathBuf {
    let path = folder.join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(disk.size()).unwrap();
    for extent in disk.extents() {
        let mut bytes = vec![0; usize::try_from(extent.len).unwrap()];
        disk.read_at(extent.offset, &mut bytes).unwrap();
        file.write_all_at(&bytes, extent.offset).unwrap();
    }
    path
}

#[test]
fn sgdisk_finds_no_problem_and_shows_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    for size in [64 * MIB, 51 * MIB, 3 << 40] {
        let path = on_disk(folder.path(), &disk(&table(), size));
        let Some(said) = judge(Command::new("sgdisk").arg("-v").arg(&path)) else { return };
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("No problems found."), "{said}");
        let Some(said) = judge(Command::new("sgdisk").args(["-p", "-i", "3"]).arg(&path)) else { return };
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        for want in [
            "Partition GUID code: 4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
            "Partition unique GUID: 03030303-0303-8303-8303-030303030303",
            "First sector: 81920 ",
            "Last sector: 102400 ",
            "Attribute flags: 1800000000000000",
            "Partition name: 'part 3'",
            "Disk identifier (GUID): 09090909-0909-8909-8909-090909090909",
        ] {
            assert!(said.contains(want), "{want} in {said}");
        }
        let Some(said) = judge(Command::new("sfdisk").arg("-V").arg(&path)) else { return };
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("No errors detected."), "{said}");
    }
}

#[test]
fn equal_tables_give_equal_bytes_and_take_no_more_than_they_need() {
    let disks = [disk(&table(), 64 * MIB), disk(&table(), 64 * MIB)];
    let bytes = disks.map(|disk| {
        assert_eq!(disk.allocated(), 3 * 512 + 2 * 512);
        let mut bytes = vec![0; 64 << 20];
        disk.read_at(0, &mut bytes).unwrap();
        bytes
    });
    assert!(bytes[0] == bytes[1]);
    assert_eq!(Digest::of(&bytes[0]).short(), "d000e334c8f8");
}

#[test]
fn fdisk_shows_a_hybrid_and_sgdisk_still_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table();
    table.mbr.active = false;
    table.mbr.others = vec![
        Entry { kind: mbr_kind::ESP, start: MIB, len: 33 * MIB, active: false },
        Entry { kind: mbr_kind::NONE, start: 0, len: 512, active: true },
    ];
    let path = on_disk(folder.path(), &disk(&table, 64 * MIB));
    let Some(said) = judge(Command::new("sgdisk").arg("-v").arg(&path)) else { return };
    assert!(String::from_utf8_lossy(&said.stdout).contains("No problems found."), "{said:?}");
    let Some(said) = judge(Command::new("sfdisk").args(["-d", "-Y", "dos"]).arg(&path)) else { return };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for want in ["label-id: 0x12345678", "start=           1, size=        2047, type=ee", "size=       67584, type=ef"]
    {
        assert!(said.contains(want), "{want} in {said}");
    }
}

#[test]
fn fdisk_shows_a_plain_mbr() {
    let folder = tempfile::tempdir().unwrap();
    let entry = Entry { kind: mbr_kind::FAT32, start: MIB, len: 40 * MIB, active: true };
    let mbr = Mbr { signature: 0xcafe_f00d, others: vec![entry], ..Mbr::default() };
    let mut disk = Sparse::new(41 * MIB);
    mbr_only(&mut disk, &mbr).unwrap();
    let path = on_disk(folder.path(), &disk);
    let Some(said) = judge(Command::new("sfdisk").arg("-d").arg(&path)) else { return };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for want in ["label: dos", "label-id: 0xcafef00d", "start=        2048, size=       81920, type=c, bootable"] {
        assert!(said.contains(want), "{want} in {said}");
    }
    let twice = Mbr { others: vec![entry, entry], ..Mbr::default() };
    let found = mbr_only(&mut Sparse::new(41 * MIB), &twice).unwrap_err().to_string();
    assert_eq!(found, "partitions `type 0x0c` and `type 0x0c` overlap at byte 1048576");
}

#[test]
fn what_cannot_be_a_table_is_refused_with_the_names_of_partitions() {
    let refused = |change: &dyn Fn(&mut Table), size: u64| {
        let mut table = table();
        change(&mut table);
        write(&mut Sparse::new(size), &table).unwrap_err().to_string()
    };
    let size = 64 * MIB;
    for (found, want) in [
        (refused(&|_| (), size + 1), "a disk of 67108865 bytes is no whole number of sectors of 512 bytes"),
        (
            refused(&|table| table.partitions[1].start = MIB + 1, size),
            "partition `part 2`, 34603008 bytes from 1048577 on, is not made of whole sectors of 512 bytes",
        ),
        (
            refused(&|table| table.partitions[1].len = 39 * MIB + 512, size),
            "partitions `part 2` and `part 3` overlap at byte 41943040",
        ),
        (
            refused(&|_| (), 50 * MIB + 512),
            "partition `part 3`, 10486272 bytes from 41943040 on, is not within bytes 17408 to 52412416, which partitions may take",
        ),
        (
            refused(&|table| table.partitions[0].start = 512, size),
            "partition `part 1`, 1031168 bytes from 512 on, is not within bytes 17408 to 67091968, which partitions may take",
        ),
        (
            refused(&|table| table.partitions[1].guid = guid([1; 16]), size),
            "partitions `part 1` and `part 2` have the same GUID, 01010101-0101-8101-8101-010101010101",
        ),
        (
            refused(&|table| table.partitions[1].name = "n".repeat(37), size),
            "`nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn` cannot name a partition: it is longer than 36 characters, or holds a NUL",
        ),
    ] {
        assert_eq!(found, want);
    }
    let mut taken = Sparse::new(size);
    taken.put_bytes(512, *b"x").unwrap();
    assert!(matches!(write(&mut taken, &table()), Err(GptError::Place(_))));
}
