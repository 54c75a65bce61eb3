use proptest::prelude::*;

use super::dump::dump;
use super::layout::MAX;
use super::{VdiError, dynamic, read};
use crate::format::disks::{self, ID, golden, qemu_agrees, same};
use crate::format::sparse::Sparse;

#[test]
fn qemu_checks_and_reads_vdi() {
    for (name, disk) in disks::odd() {
        eprintln!("{name}");
        qemu_agrees(&disk, &dynamic(&disk, ID).unwrap(), "vdi", disk.size().next_multiple_of(512));
    }
}

#[test]
fn a_small_vdi() {
    let (_, disk) = disks::odd().swap_remove(5);
    golden(&dump(&dynamic(&disk, ID).unwrap()).unwrap(), "src/format/vdi/golden.txt");
    assert_eq!(disks::digest(&dynamic(&disks::small(), ID).unwrap()), "635a95a622a3");
}

#[test]
fn a_vdi_ends_at_16_tib() {
    assert_eq!(dynamic(&Sparse::new(MAX), ID).unwrap().size(), 65 << 20);
    assert!(matches!(dynamic(&Sparse::new(MAX + 1), ID), Err(VdiError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn vdis_read_back(disk in disks::any()) {
        let found = read::disk(&dynamic(&disk, ID).unwrap()).unwrap();
        prop_assert_eq!(found.size(), disk.size().next_multiple_of(512));
        same(&disk, &found);
    }

    #[test]
    fn vdi_reader(changes in prop::collection::vec((0..600_usize, any::<u8>()), 0..4), cut in 0..3000_usize) {
        let _ = read::disk(&disks::damaged(&dynamic(&disks::small(), ID).unwrap(), &changes, cut));
    }
}
