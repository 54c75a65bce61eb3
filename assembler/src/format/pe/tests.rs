use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromZeros, IntoBytes};

use super::layout::{
    Arm64Header, CODE, Coff, DATA, Optional, PE_MAGIC, PE32_PLUS, READ, SETUP_HEADER, SectionHeader, SetupHeader,
};
use super::*;
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::format::tree::fixture::judge;

/// Write over bytes.
fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

/// A program of two sections, with symbols behind them, that says it is a stub.
fn program(machine: Machine, head: usize, coff_at: usize, image_version: u16, version: &str) -> Vec<u8> {
    let mut bytes = vec![0; head + 0x600];
    put(&mut bytes, 0, b"MZ");
    put(&mut bytes, 0x3c, &u32::try_from(coff_at).unwrap().to_le_bytes());
    let mut coff = Coff::new_zeroed();
    (coff.signature, coff.machine, coff.sections) = (PE_MAGIC, machine.number().into(), 2.into());
    (coff.symbols, coff.symbol_count) = (u32::try_from(head + 0x400).unwrap().into(), 7.into());
    (coff.optional, coff.characteristics) = (160.into(), 0x206.into());
    put(&mut bytes, coff_at, coff.as_bytes());
    let mut optional = Optional::new_zeroed();
    optional.magic = PE32_PLUS.into();
    (optional.section_align, optional.file_align) = (0x200.into(), 0x200.into());
    (optional.entry, optional.code_base, optional.subsystem) = (0x4000.into(), 0x4000.into(), 10.into());
    optional.versions[2] = U16::new(image_version);
    (optional.image, optional.headers) = (0x5200.into(), u32::try_from(head).unwrap().into());
    (optional.checksum, optional.directories) = (0xdead.into(), 6.into());
    put(&mut bytes, coff_at + 24, optional.as_bytes());
    // Of signatures, which are not true any more.
    put(&mut bytes, coff_at + 24 + 112 + 32, &[1; 8]);
    for (index, (name, address, kind)) in
        [(".text", 0x4000, CODE | READ), (".sdmagic", 0x5000, DATA)].iter().enumerate()
    {
        let mut section = SectionHeader::new_zeroed();
        section.name[..name.len()].copy_from_slice(name.as_bytes());
        (section.virtual_size, section.address, section.size) = (0x34.into(), U32::new(*address), 0x200.into());
        section.offset = u32::try_from(head + index * 0x200).unwrap().into();
        section.characteristics = U32::new(*kind);
        put(&mut bytes, coff_at + 24 + 160 + index * 40, section.as_bytes());
    }
    put(&mut bytes, head + 0x200, format!("#### LoaderInfo: systemd-stub {version} ####").as_bytes());
    bytes
}

fn stub(machine: Machine) -> Vec<u8> {
    program(machine, 0x400, 0x80, 0, "252.39-1")
}

/// An x86 kernel by its headers.
fn bzimage(image_version: u16, change: &dyn Fn(&mut SetupHeader)) -> Sparse {
    let mut bytes = program(Machine::X64, 0x1000, 0x300, image_version, "none");
    let mut head = SetupHeader::new_zeroed();
    (head.boot_flag, head.header, head.version) = ([0x55, 0xaa], *b"HdrS", 0x20f.into());
    (head.kernel_version, head.relocatable, head.xloadflags) = (0x600.into(), 1, 0x3f.into());
    (head.cmdline_size, head.init_size, head.alignment) = (2047.into(), 0x30_0000.into(), 0x20_0000.into());
    change(&mut head);
    put(&mut bytes, usize::try_from(SETUP_HEADER).unwrap(), head.as_bytes());
    put(&mut bytes, 0x800, b"6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP\0");
    Sparse::of_bytes(bytes)
}

fn arm64() -> Sparse {
    let mut bytes = program(Machine::Arm64, 0x1000, 0x40, 1, "none");
    let mut head = Arm64Header::new_zeroed();
    (head.code, head.magic, head.coff) = (*b"MZ\0\0\0\0\0\0", *b"ARM\x64", 0x40.into());
    head.image_size = 0x9000.into();
    put(&mut bytes, 0, head.as_bytes());
    bytes.resize((1 << 20) + 100, 0);
    put(&mut bytes, 0x1300, b"Linux version %s (%s)");
    // Across the end of what is read at a time.
    put(&mut bytes, (1 << 20) - 20, b"Linux version 6.1.0-18-cloud-arm64 (debian-kernel) #1 SMP");
    Sparse::of_bytes(bytes)
}

fn parts<'p>(linux: &'p Sparse, initrd: &'p Sparse) -> Parts<'p> {
    Parts { osrel: "ID=hullkit\nNAME=Hullkit\n", cmdline: "console=ttyS0 quiet", uname: "6.1.0", initrd, linux }
}

fn bytes(sparse: &Sparse) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(sparse.size()).unwrap()];
    sparse.read_at(0, &mut bytes).unwrap();
    bytes
}

fn refused(machine: Machine, stub: &[u8], parts: &Parts<'_>) -> String {
    let error = uki(machine, stub, parts).map(|_| ()).unwrap_err();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

#[test]
fn pe_a_uki() {
    let (linux, initrd) = (bzimage(1, &|_| ()), Sparse::of_bytes(vec![b'i'; 4097]));
    let found = uki(Machine::X64, &stub(Machine::X64), &parts(&linux, &initrd)).unwrap();
    let text = dump(&found.image).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/format/pe/golden.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, &text).unwrap();
        return;
    }
    assert_eq!(text, include_str!("golden.txt"));
    assert_eq!(Digest::of(&bytes(&found.image)).short(), "d199295876b1");
    for (range, want) in [
        (&found.linux, bytes(&linux)),
        (&found.initrd, bytes(&initrd)),
        (&found.cmdline, b"console=ttyS0 quiet".to_vec()),
    ] {
        assert_eq!(range.start % ALIGN, 0);
        assert!(bytes(&found.image.slice(range.start, range.end - range.start)) == want);
    }
    assert_eq!(found.image.size() % ALIGN, 0);
}

#[test]
fn objdump_lists_the_sections_and_objcopy_gives_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (linux, initrd) = (bzimage(1, &|_| ()), Sparse::of_bytes(vec![b'i'; 4097]));
    let found = uki(Machine::X64, &stub(Machine::X64), &parts(&linux, &initrd)).unwrap();
    let path = folder.path().join("uki.efi");
    fs::write(&path, bytes(&found.image)).unwrap();
    let Some(said) = judge(Command::new("objdump").arg("-h").arg(&path)) else { return };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let names = said.lines().filter_map(|line| line.split_whitespace().nth(1)).filter(|name| name.starts_with('.'));
    let names = names.collect::<Vec<_>>();
    assert_eq!(names, [".text", ".sdmagic", ".osrel", ".uname", ".cmdline", ".initrd", ".linux"], "{said}");
    for (name, want) in [(".linux", bytes(&linux)), (".initrd", bytes(&initrd)), (".uname", b"6.1.0".to_vec())] {
        let out: PathBuf = folder.path().join("section");
        let dump = format!("{name}={}", out.display());
        let copy: &Path = &folder.path().join("copy");
        let Some(_) = judge(Command::new("objcopy").args(["--dump-section", &dump]).arg(&path).arg(copy)) else {
            return;
        };
        assert!(fs::read(&out).unwrap() == want, "{name}");
    }
}

#[test]
fn what_is_empty_gets_no_section() {
    let (linux, none) = (arm64(), Sparse::new(0));
    let parts = Parts { osrel: "", cmdline: "", uname: "", initrd: &none, linux: &linux };
    let found = uki(Machine::Arm64, &stub(Machine::Arm64), &parts).unwrap();
    let image = read(&found.image).unwrap();
    assert_eq!(image.sections.len(), 3);
    assert_eq!(found.initrd, 0..0);
    assert_eq!(image.section(".linux").unwrap().bytes(), found.linux);
}

#[test]
fn only_a_kernel_that_is_started_where_it_lies_gets_room() {
    let initrd = Sparse::new(0);
    let memory = |image_version, version: &str| {
        let linux = bzimage(image_version, &|_| ());
        let stub = program(Machine::X64, 0x400, 0x80, 0, version);
        let found = uki(Machine::X64, &stub, &parts(&linux, &initrd)).unwrap();
        let image = read(&found.image).unwrap();
        let linux = &image.section(".linux").unwrap().header;
        image.optional.image.get() - linux.address.get()
    };
    assert_eq!(memory(1, "252.39-1"), 0x2000);
    assert_eq!(memory(1, "257"), 0x2000);
    assert_eq!(memory(1, "251"), 0x50_0000);
    assert_eq!(memory(1, "x"), 0x50_0000);
    assert_eq!(memory(0, "252"), 0x50_0000);
}

#[test]
fn a_kernel_says_its_version() {
    let version = |machine, linux| kernel_version(machine, &linux).unwrap();
    assert_eq!(version(Machine::X64, bzimage(1, &|_| ())).unwrap(), "6.1.0-18-cloud-amd64");
    assert_eq!(version(Machine::Arm64, arm64()).unwrap(), "6.1.0-18-cloud-arm64");
    assert_eq!(version(Machine::X64, arm64()), None);
    assert_eq!(version(Machine::Arm64, Sparse::new(3 << 20)), None);
    assert_eq!(version(Machine::X64, bzimage(1, &|head| head.kernel_version = 0xffff.into())), None);
}

#[test]
fn stubs_that_will_not_do_are_refused() {
    let (linux, initrd) = (bzimage(1, &|_| ()), Sparse::new(0));
    let parts = parts(&linux, &initrd);
    let x64 = "not a stub that a kernel for x86_64 can be added to: ";
    for (stub, want) in [
        (b"#!/bin/sh".to_vec(), "not a 64-bit PE image, at byte 0: it does not start with `MZ`"),
        (stub(Machine::Arm64), "this is for another machine, 0xaa64 by its header, and 0x8664 is wanted"),
        (
            program(Machine::X64, 0x200, 0x80, 0, "252"),
            "there is room for 3 more section headers, and 4 are to be added",
        ),
        (
            stub(Machine::X64)[..0x780].to_vec(),
            "not a 64-bit PE image, at byte 352: a section lies behind the end of the file",
        ),
    ] {
        assert_eq!(refused(Machine::X64, &stub, &parts), format!("{x64}{want}"));
    }
}

#[test]
fn kernels_that_uefi_cannot_start_are_refused() {
    let initrd = Sparse::new(0);
    let x64 = "UEFI cannot start this kernel on x86_64: ";
    for (linux, want) in [
        (bzimage(1, &|head| head.header = *b"none"), "it is no bzImage"),
        (bzimage(1, &|head| head.version = 0x20a.into()), "it is older than 3.8"),
        (bzimage(1, &|head| head.xloadflags = 0.into()), "it is a kernel for 32 bits"),
        (bzimage(1, &|head| head.relocatable = 0), "it was built without CONFIG_RELOCATABLE"),
        (
            bzimage(0, &|head| head.xloadflags = 1.into()),
            "it is older than 5.8 and was built without the entry point for EFI handover",
        ),
        (arm64(), "it is for another machine"),
        (Sparse::of_bytes(*b"\x1f\x8b\x08"), "it is compressed with gzip, and must be unpacked first"),
        (Sparse::new(5000), "it is no program for UEFI; it was built without CONFIG_EFI_STUB, or is no kernel"),
    ] {
        let found = refused(Machine::X64, &stub(Machine::X64), &parts(&linux, &initrd));
        assert_eq!(found, format!("{x64}{want}"));
    }
}

#[test]
fn limits_are_said_with_their_numbers() {
    let (linux, initrd, huge) = (bzimage(1, &|_| ()), Sparse::new(1), Sparse::new(1 << 32));
    let refused = |parts| refused(Machine::X64, &stub(Machine::X64), &parts);
    let (most, more) = ("x".repeat(2047), "x".repeat(2048));
    let fits = Parts { cmdline: &most, ..parts(&linux, &initrd) };
    uki(Machine::X64, &stub(Machine::X64), &fits).unwrap();
    for (parts, want) in [
        (Parts { cmdline: &more, ..fits }, "the kernel's command line has 2048 bytes; this kernel takes at most 2047"),
        (Parts { cmdline: "a\nb", ..fits }, "`.cmdline` cannot hold a line's end"),
        (Parts { cmdline: "a\0b", ..fits }, "`.cmdline` cannot hold a NUL"),
        (Parts { osrel: "\0", ..fits }, "`.osrel` cannot hold a NUL"),
        (
            Parts { initrd: &huge, ..fits },
            "kernel and initrd make an image of 4295004160 bytes; a UKI ends at 4 GiB, and what is larger belongs on a disk root",
        ),
    ] {
        assert_eq!(refused(parts), want);
    }
}

proptest! {
    /// Headers are anyone's; reading them ends, and says yes or no.
    #[test]
    fn damaged_headers_are_read_without_panic(places in prop::collection::vec((0_usize..0x400, any::<u8>()), 0..20), len in 0_usize..0xa00) {
        let mut bytes = stub(Machine::X64);
        for (place, byte) in places {
            bytes[place] = byte;
        }
        bytes.truncate(len);
        let (linux, initrd) = (bzimage(1, &|_| ()), Sparse::new(1));
        let whole = Sparse::of_bytes(bytes.clone());
        drop((dump(&whole), Kernel::read(Machine::X64, &whole), kernel_version(Machine::X64, &whole)));
        drop(uki(Machine::X64, &bytes, &parts(&linux, &initrd)));
    }
}
