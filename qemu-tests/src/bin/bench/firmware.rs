//! Boots from a disk, beside boots whose kernel QEMU itself hands to the same firmware.
//!
//! ```text
//!  power-on                kernel starts                     first line of the service
//!  | firmware, kernel given     | uptime                          |            handed over
//!  | firmware, loader reads the disk | uptime                     |            from the disk
//! ```
//!
//! Handed over are the disk's own kernel and initrd, which then find their root on the same disk: what is left is the loader. Handed over
//! is, too, the host as `kernel+initrd`, which has all in memory and needs no driver: what is left is what a disk costs. What the firmware
//! takes when it is given the kernel is taken out of all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use crate::boots::{ARCH, HOST, PATIENCE};
use crate::figure::{Figure, median};
use crate::script::{shell, uptime};
use hullkit::vm::{Boot, Bus, DiskLayout, Drive, Firmware, Machine, Memory, Writes, find_uefi, with_console};
use qemu_tests::boot;
use qemu_tests::place::Place;

/// The service's line, with the kernel's uptime behind it.
const LINE: &str = "service | up for ";

/// RAM of the boots, in MiB: firmware for UEFI wants some.
const ROOMY: u32 = 512;

/// Takes what a disk boots out of its ESP, which begins behind the partition of the BIOS loader.
const TAKE_OUT: &str = r#"
mcopy -n -o -i "$1@@2M" ::EFI/BOOT/BOOTX64.EFI "$2.efi"
objcopy --dump-section ".linux=$2-kernel" --dump-section ".initrd=$2-initrd" --dump-section ".cmdline=$2-cmdline" "$2.efi" "$2.copy"
"#;

/// Boot the smallest host by both firmwares, each way in turn.
pub(crate) fn measure(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let text = HOST.replace("echo first line; exec", "echo up for $(cut -d\" \" -f1 /proc/uptime); exec");
    let manifest = work.join("disk.yml");
    fs::write(&manifest, text).context("could not write the manifest")?;
    let name = place.build(&manifest, "raw,kernel+initrd", ARCH, &work.join("disk"), &[])?;
    let file = |suffix: &str| PathBuf::from(format!("{}{suffix}", name.display()));
    let own = work.join("disk/own");
    shell(TAKE_OUT, &[&file(".raw"), &own])?;
    let own = |suffix: &str| PathBuf::from(format!("{}{suffix}", own.display()));
    let cmdline = fs::read_to_string(own("-cmdline")).context("the disk has no command line")?;
    let cmdline = with_console(ARCH, cmdline.trim_end_matches(['\0', '\n']));
    let drive = Drive { path: file(".raw"), layout: DiskLayout::Raw, bus: Bus::Virtio, writes: Writes::Discarded };
    let own = Boot::Kernel { kernel: own("-kernel"), initrd: Some(own("-initrd")), cmdline };
    let (kernel, initrd) = (file("-kernel"), Some(file("-initrd.img")));
    let in_memory = Boot::Kernel { kernel, initrd, cmdline: with_console(ARCH, "quiet") };
    let mut figures = Vec::new();
    for (firmware, [loader, disk]) in [
        (Firmware::Board, ["SeaBIOS from a disk, over its kernel handed over", "same, over `kernel+initrd`"]),
        (
            Firmware::Uefi(find_uefi(ARCH)?),
            ["OVMF from a disk, over its kernel handed over", "same, over `kernel+initrd`"],
        ),
    ] {
        let machine = |boot, drives| machine(&firmware, boot, drives);
        let from_disk = machine(Boot::Drives, vec![drive.clone()])?;
        let handed_over = machine(own.clone(), vec![drive.clone()])?;
        let in_memory = machine(in_memory.clone(), Vec::new())?;
        let (mut booted, mut own, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=runs {
            eprintln!("{loader}: {run} of {runs}");
            own.push(times(&handed_over, work)?);
            booted.push(times(&from_disk, work)?);
            memory.push(times(&in_memory, work)?);
        }
        let all = median(booted.iter().map(|(all, _)| *all).collect());
        for (what, direct, target) in [(loader, own, Some(1.15)), (disk, memory, None)] {
            let before = median(direct.iter().map(|(all, uptime)| all - uptime).collect());
            let uptime = median(direct.iter().map(|(_, uptime)| *uptime).collect());
            figures.push(Figure { what, value: (all - before) / uptime, unit: "x", target });
        }
    }
    Ok(figures)
}

fn machine(firmware: &Firmware, boot: Boot, drives: Vec<Drive>) -> anyhow::Result<Machine> {
    Ok(Machine { firmware: firmware.clone(), drives, ..Machine::new(ARCH, Memory::from_mib(ROOMY)?, boot) })
}

/// Boot. Out: seconds from power-on to the service's line, and the kernel's uptime that it tells.
fn times(machine: &Machine, work: &Path) -> anyhow::Result<(f64, f64)> {
    let vm = boot::start(machine, &work.join("console.log"))?;
    let deadline = Instant::now() + PATIENCE;
    let line = vm.console().wait_for(&mut 0, |line| uptime(line, LINE).is_some(), deadline);
    let line = line.context("the console never showed the service's line")?;
    let up = uptime(&line.text, LINE).context("the line has no uptime")?;
    Ok((line.at.as_secs_f64(), up))
}
