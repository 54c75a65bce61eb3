use std::process::Command;

use proptest::prelude::*;

use super::dump::dump;
use super::layout::{ALIGN, BLOCK, DATA_ALIGN, MAX, geometry};
use super::{VhdError, dynamic, fixed, read};
use crate::format::disks::{self, ID, TIME, golden, qemu_agrees, same};
use crate::format::sparse::Sparse;

#[test]
fn qemu_reads_fixed_and_dynamic_vhds() {
    for (name, disk) in disks::odd() {
        let size = disk.size().next_multiple_of(ALIGN);
        for file in [fixed(&disk, ID, TIME).unwrap(), dynamic(&disk, ID, TIME).unwrap()] {
            eprintln!("{name}");
            qemu_agrees(&disk, &file, "vpc", size);
        }
    }
}

#[test]
fn vhds_have_the_length_they_should() {
    for (name, disk) in disks::odd() {
        assert_eq!(fixed(&disk, ID, TIME).unwrap().size() % ALIGN, 512, "{name}");
        let file = dynamic(&disk, ID, TIME).unwrap();
        let blocks = u64::try_from(disk.blocks(BLOCK).count()).unwrap();
        assert!(file.size() <= blocks * (BLOCK + DATA_ALIGN) + 16_384, "{name}: {}", file.size());
        assert!(file.allocated() <= disk.allocated() + blocks * 512 + 16_384, "{name}");
    }
}

#[test]
fn a_small_dynamic_vhd() {
    let (_, disk) = disks::odd().swap_remove(5);
    golden(&dump(&dynamic(&disk, ID, TIME).unwrap()).unwrap(), "src/format/vhd/golden.txt");
    let small = disks::small();
    assert_eq!(disks::digest(&fixed(&small, ID, TIME).unwrap()), "f4f28cbaab02");
    assert_eq!(disks::digest(&dynamic(&small, ID, TIME).unwrap()), "8b7f987d0a85");
    let text = dump(&fixed(&disk, ID, TIME).unwrap()).unwrap();
    assert!(text.starts_with("140000000 footer kind 2 size 5368709120 chs 10402/16/63 t753315200 `win `"), "{text}");
}

#[test]
fn geometry_is_that_of_the_specification() {
    // Of disks that QEMU makes, whose geometry follows the same appendix.
    for mib in [1, 40, 127, 260, 504, 511, 512, 1024, 8000, 100_000, 140_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let mut qemu = Command::new("qemu-img");
        qemu.args(["create", "-q", "-f", "vpc", "-o", "force_size"]).arg(&path).arg(format!("{mib}M"));
        disks::judge(&mut qemu);
        let file = Sparse::of_file(std::fs::File::open(&path).unwrap()).unwrap();
        let footer = read::open(&file).unwrap().footer;
        let found = (footer.cylinders.get(), footer.heads, footer.sectors);
        if footer.size.get() == mib << 20 && found != (65_535, 16, 255) {
            assert_eq!(geometry(mib << 11), found, "{mib} MiB");
        }
    }
}

#[test]
fn a_vhd_ends_at_2040_gib() {
    assert_eq!(fixed(&Sparse::new(MAX), ID, TIME).unwrap().size(), MAX + 512);
    assert!(dynamic(&Sparse::new(MAX), ID, TIME).unwrap().size() < 5 << 20);
    for size in [MAX + 1, u64::MAX] {
        let error = dynamic(&Sparse::new(size), ID, 0).unwrap_err();
        assert!(matches!(error, VhdError::TooLarge { .. }));
        assert!(error.to_string().contains("does not fit into a VHD, which ends at 2040 GiB"), "{error}");
        assert!(matches!(fixed(&Sparse::new(size), ID, 0), Err(VhdError::TooLarge { .. })));
    }
}

proptest! {
    #[test]
    fn vhds_read_back(disk in disks::any()) {
        for file in [fixed(&disk, ID, TIME).unwrap(), dynamic(&disk, ID, TIME).unwrap()] {
            let found = read::disk(&file).unwrap();
            prop_assert_eq!(found.size(), disk.size().next_multiple_of(ALIGN));
            same(&disk, &found);
        }
    }

    #[test]
    fn vhd_reader(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), cut in 0..3000_usize) {
        let _ = read::disk(&disks::damaged(&dynamic(&disks::small(), ID, TIME).unwrap(), &changes, cut));
    }
}
