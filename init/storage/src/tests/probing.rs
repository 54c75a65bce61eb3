//! What is on a disk.

use hullkit_init::contract::storage::Format;
use proptest::prelude::*;

use super::images::{SIZE, image, luks};
use crate::marker::{Marker, TEXT};
use crate::probe::{Holds, Kind, probe};

const FORMATS: [Format; 5] = [Format::Ext4, Format::Xfs, Format::Btrfs, Format::Vfat, Format::Swap];

fn found(disk: Vec<u8>) -> (Kind, String, Option<u64>, u64) {
    match probe(&disk).unwrap() {
        Holds::Volume(found) => (found.kind, found.label, found.size, found.block),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_file_system_is_known_with_its_label_and_its_length() {
    for format in FORMATS {
        let block = if format == Format::Vfat { 512 } else { 4096 };
        assert_eq!(found(image(format, "my-label")), (Kind::Format(format), "my-label".into(), Some(2 << 20), block));
    }
    assert_eq!(found(luks("safe")), (Kind::Luks, "safe".into(), None, 512));
}

#[test]
fn what_is_not_made_here_is_known_by_its_name() {
    let mut old = image(Format::Ext4, "old");
    old[1024 + 0x60] = 0;
    let mut table = vec![0; SIZE];
    table[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut first = luks("first");
    first[7] = 1;
    let mut pool = vec![0; SIZE];
    pool[512..520].copy_from_slice(b"LABELONE");
    let names = [
        (old, "ext2 or ext3"),
        (table, "an MBR partition table or boot sector"),
        (first, "LUKS1"),
        (pool, "an LVM physical volume"),
    ];
    for (disk, name) in names {
        assert_eq!(found(disk).0, Kind::Other(name));
    }
}

#[test]
fn a_disk_is_empty_only_if_both_its_ends_are() {
    assert_eq!(probe(&vec![0; SIZE]).unwrap(), Holds::Nothing);
    for at in [0, 100_000, (1 << 20) - 1, SIZE - (1 << 20), SIZE - 1] {
        let mut disk = vec![0; SIZE];
        disk[at] = 1;
        assert_eq!(probe(&disk).unwrap(), Holds::Unknown, "{at}");
    }
    for size in [0, 1, 511, 4096, 100_000] {
        assert_eq!(probe(&vec![0; size]).unwrap(), Holds::Nothing, "{size}");
        assert_eq!(probe(&vec![7; size]).unwrap(), if size == 0 { Holds::Nothing } else { Holds::Unknown });
    }
}

#[test]
fn what_was_begun_is_not_finished_whatever_is_there_already() {
    for marker in [Marker::End, Marker::Gap] {
        let mut disk = image(Format::Ext4, "x");
        let at = usize::try_from(marker.offset(SIZE as u64).unwrap()).unwrap();
        disk[at..][..TEXT.len()].copy_from_slice(TEXT);
        assert_eq!(probe(&disk).unwrap(), Holds::Unfinished);
    }
}

#[test]
fn a_label_cannot_move_the_cursor() {
    assert_eq!(found(image(Format::Ext4, "a\x1b[2Jb")).1, "a?[2Jb");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        format in 0..FORMATS.len(), changes in prop::collection::vec((0..SIZE, any::<u8>()), 0..64), head in prop::collection::vec(any::<u8>(), 0..2048),
        length in 0..SIZE,
    ) {
        let mut disk = image(FORMATS[format], "x");
        for (at, byte) in changes {
            disk[at] = byte;
        }
        disk[..head.len()].copy_from_slice(&head);
        disk.truncate(length);
        let _ = probe(&disk).unwrap().to_string();
    }

    #[test]
    fn no_numbers_in_a_superblock_make_it_panic(format in 0..FORMATS.len(), numbers in prop::collection::vec(any::<u8>(), 48)) {
        let mut disk = image(FORMATS[format], "x");
        for start in [4, 0x20, 1028, 1024 + 4, 1024 + 0x14, 0x10070, 0x100c9] {
            let was = disk.clone();
            disk[start..][..numbers.len()].copy_from_slice(&numbers);
            let _ = probe(&disk).unwrap().to_string();
            disk = was;
        }
    }
}
