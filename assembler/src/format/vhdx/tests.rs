use proptest::prelude::*;

use super::dump::dump;
use super::layout::{MAX, MIB, bat_index, block_len, checksum, chunk};
use super::{VhdxError, dynamic, read};
use crate::format::disks::{self, ID, golden, qemu_agrees, same};
use crate::format::sparse::Sparse;

#[test]
fn qemu_checks_and_reads_vhdx() {
    for (name, disk) in disks::odd() {
        eprintln!("{name}");
        let file = dynamic(&disk, ID).unwrap();
        assert_eq!(file.size() % MIB, 0);
        qemu_agrees(&disk, &file, "vhdx", disk.size().next_multiple_of(512));
    }
}

#[test]
fn large_disks_have_large_blocks() {
    let mut disk = Sparse::new(5 << 40);
    for at in [0, (1 << 40) - 3, (5 << 40) - 7] {
        disk.put_bytes(at, *b"a few b").unwrap();
    }
    let file = dynamic(&disk, ID).unwrap();
    assert_eq!(file.size(), (3 + 8 * 5 / 8 + 1 + 4 * 8) << 20);
    // QEMU would read all of the zeros to compare them.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    disks::save(&file, &path);
    disks::judge(std::process::Command::new("qemu-img").args(["check", "-f", "vhdx"]).arg(&path));
    same(&disk, &read::disk(&file).unwrap());
}

#[test]
fn a_small_vhdx() {
    let (_, disk) = disks::odd().swap_remove(5);
    golden(&dump(&dynamic(&disk, ID).unwrap()).unwrap(), "src/format/vhdx/golden.txt");
    assert_eq!(disks::digest(&dynamic(&disks::small(), ID).unwrap()), "23d6b8c5508c");
}

#[test]
fn entries_of_bitmaps_stand_between_those_of_blocks() {
    assert_eq!((chunk(MIB), chunk(32 * MIB)), (4096, 128));
    assert_eq!([0, 4095, 4096, 8191, 8192].map(|number| bat_index(number, 4096)), [0, 4095, 4097, 8192, 8194]);
    assert_eq!([1, 1 << 40, (1 << 40) + 1, MAX].map(block_len), [MIB, MIB, 2 * MIB, 64 * MIB]);
    assert_eq!(checksum(b"123456789"), 0xe306_9283);
}

#[test]
fn a_vhdx_ends_at_64_tib() {
    assert_eq!(dynamic(&Sparse::new(MAX), ID).unwrap().size(), 12 * MIB);
    assert!(matches!(dynamic(&Sparse::new(MAX + 1), ID), Err(VhdxError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn vhdx_reads_back(disk in disks::any()) {
        let found = read::disk(&dynamic(&disk, ID).unwrap()).unwrap();
        prop_assert_eq!(found.size(), disk.size().next_multiple_of(512));
        same(&disk, &found);
    }

    #[test]
    fn vhdx_reader(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), cut in 0..3000_usize) {
        let file = dynamic(&disks::small(), ID).unwrap();
        let _ = read::disk(&disks::damaged(&file, &changes, cut));
        // Where no checksum is: metadata and BAT.
        let (two, mib) = (2 << 20, 1 << 20);
        let near: Vec<_> = changes.iter().map(|(at, byte)| (two + at % 200, *byte)).collect();
        let far: Vec<_> = changes.iter().map(|(at, byte)| (two + 65_536 + at % 40, *byte)).collect();
        let bat: Vec<_> = changes.iter().map(|(at, byte)| (two + mib + at % 32, *byte)).collect();
        for changes in [near, far, bat] {
            let _ = read::disk(&disks::damaged(&file, &changes, 0));
        }
    }
}
