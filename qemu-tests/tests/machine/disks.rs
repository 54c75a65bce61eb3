//! Machines that boot disks, and what is fetched over the network.

use std::fs;
use std::path::Path;

use super::guest::{self, Then, WRITTEN};
use super::{PATIENCE, see, start_with};
use hullkit::platform::Arch;
use hullkit::vm::{Boot, Bus, DiskLayout, Drive, Machine, Outcome, Writes};

fn machine(boot: Boot) -> Machine {
    Machine::new(Arch::Amd64, "16".parse().expect("an amount"), boot)
}

fn with_disk(path: &Path, bus: Bus, writes: Writes) -> Machine {
    let drive = Drive { path: path.to_owned(), layout: DiskLayout::Raw, bus, writes };
    Machine { drives: vec![drive], ..machine(Boot::Drives) }
}

pub(crate) fn boots(folder: &Path) {
    let disk = guest::write_disk(folder, "hello\n", Then::Sleep);
    for bus in [Bus::Virtio, Bus::Ide, Bus::Ahci, Bus::Nvme, Bus::Usb, Bus::Scsi] {
        let vm = start_with(&with_disk(&disk, bus, Writes::Discarded), Vec::new()).expect("a machine");
        see(&vm, "hello");
    }
}

pub(crate) fn keeps(folder: &Path) {
    let disk = guest::write_disk(folder, "hello\n", Then::Write);
    let before = fs::read(&disk).expect("the disk");
    for (writes, written) in [(Writes::Discarded, &[0; 512][..]), (Writes::Kept, &before[..512])] {
        let vm = start_with(&with_disk(&disk, Bus::Virtio, writes), Vec::new()).expect("a machine");
        assert_eq!(vm.wait(Some(PATIENCE)), Outcome::PoweredOff);
        let after = fs::read(&disk).expect("the disk");
        assert!(after[WRITTEN * 512..][..512] == *written, "{writes:?}");
    }
}

pub(crate) fn network(folder: &Path) {
    let disk = guest::write_disk(folder, "fetched\n", Then::Sleep);
    let sector = fs::read(disk).expect("the disk")[..512].to_vec();
    fs::write(folder.join("boot"), sector).expect("a writable folder");
    let machine = machine(Boot::Network { folder: folder.to_owned(), file: "boot".to_owned() });
    let vm = start_with(&machine, Vec::new()).expect("a machine");
    see(&vm, "fetched");
}
