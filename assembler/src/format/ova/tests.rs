use std::fs;
use std::io::Read as _;

use super::{Adapter, Controller, Disk, Firmware, Machine, wrap};
use crate::digest::Digest;
use crate::format::sparse::Sparse;

const MACHINE: Machine<'static> = Machine {
    name: "nginx-amd64",
    title: "Nginx & <friends>\u{7}",
    memory: 512,
    cpus: 2,
    firmware: Firmware::Efi,
    controller: Controller::Ide,
    adapter: Adapter::VmxNet3,
};

fn disk(vmdk: &Sparse) -> Disk<'_> {
    Disk { vmdk, digest: Digest::of(b"the disk"), capacity: 1 << 30, populated: 123_456 }
}

fn bytes(file: &Sparse) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.reader().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn ova_of_a_machine() {
    let vmdk = Sparse::of_bytes(*b"the disk");
    let file = wrap(&MACHINE, &disk(&vmdk), 1_700_000_000).unwrap();
    let archive = bytes(&file);
    let mut members = tar::Archive::new(archive.as_slice());
    let mut found = String::new();
    for member in members.entries().unwrap() {
        let mut member = member.unwrap();
        let head = member.header();
        let (at, time, mode) = (member.raw_header_position(), head.mtime().unwrap(), head.mode().unwrap());
        found += &format!("{at:08x} {} {} {mode:o} t{time}\n", member.path().unwrap().display(), member.size());
        member.read_to_string(&mut found).unwrap();
        found.push('\n');
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/format/ova/golden.txt"), &found).unwrap();
        return;
    }
    assert_eq!(found, include_str!("golden.txt"));
    assert_eq!(Digest::of(&archive).short(), "95cc5b5e5d74");
}

#[test]
fn names_that_do_not_travel_are_refused() {
    let vmdk = Sparse::new(512);
    for name in ["", ".hidden", "-x", "a b", "a/b", "ä", "a\"b", &"n".repeat(81)] {
        let error = wrap(&Machine { name, ..MACHINE }, &disk(&vmdk), 0).unwrap_err();
        assert!(error.to_string().contains("cannot name an OVA"), "{error}");
    }
    for (memory, cpus) in [(3, 1), (512, 0)] {
        let error = wrap(&Machine { memory, cpus, ..MACHINE }, &disk(&vmdk), 0).unwrap_err();
        assert!(error.to_string().contains("cannot have"), "{error}");
    }
}

#[test]
fn a_disk_of_8_gib_has_its_length_in_a_pax_header() {
    let largest = (8 << 30) - 1;
    for (size, names) in [(largest, 3), (largest + 1, 4)] {
        let file = wrap(&MACHINE, &disk(&Sparse::new(size)), 0).unwrap();
        let heads = bytes(&file.slice(0, 16 << 10));
        let count = heads.chunks(512).filter(|block| block.get(257..262) == Some(b"ustar")).count();
        assert_eq!(count, names, "{size}");
        assert_eq!(file.size() % 512, 0);
    }
}
