//! Boots from a disk, beside the same kernel and initrd given to the same firmware by QEMU itself.
//!
//! ```text
//!  power-on                kernel starts                     first line of the service
//!  | firmware, kernel given     | uptime                          |            direct
//!  | firmware, loader reads the disk | uptime                     |            from the disk
//! ```
//!
//! What the firmware takes when it is given the kernel is taken out of both; what is left of a boot from a disk includes the loader.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use crate::boots::{ARCH, HOST, PATIENCE};
use crate::figure::{Figure, median};
use crate::script::uptime;
use hullkit::vm::{Boot, Bus, DiskLayout, Drive, Firmware, Machine, Memory, Writes, find_uefi, with_console};
use qemu_tests::boot;
use qemu_tests::place::Place;

/// The service's line, with the kernel's uptime behind it.
const LINE: &str = "service | up for ";

/// RAM of the boots, in MiB: firmware for UEFI wants some.
const ROOMY: u32 = 512;

/// Boot the smallest host by both firmwares, each way in turn.
pub(crate) fn measure(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let text = HOST.replace("echo first line; exec", "echo up for $(cut -d\" \" -f1 /proc/uptime); exec");
    let manifest = work.join("disk.yml");
    fs::write(&manifest, text).context("could not write the manifest")?;
    let name = place.build(&manifest, "raw,kernel+initrd", ARCH, &work.join("disk"), &[])?;
    let file = |suffix: &str| PathBuf::from(format!("{}{suffix}", name.display()));
    let mut figures = Vec::new();
    for (firmware, what) in [
        (Firmware::Board, "SeaBIOS from a disk, over the kernel given directly"),
        (Firmware::Uefi(find_uefi(ARCH)?), "OVMF from a disk, over the kernel given directly"),
    ] {
        let cmdline = with_console(ARCH, "quiet");
        let (kernel, initrd) = (file("-kernel"), Some(file("-initrd.img")));
        let direct = machine(&firmware, Boot::Kernel { kernel, initrd, cmdline }, Vec::new())?;
        let path = file(".raw");
        let drive = Drive { path, layout: DiskLayout::Raw, bus: Bus::Virtio, writes: Writes::Discarded };
        let disk = machine(&firmware, Boot::Drives, vec![drive])?;
        let (mut before, mut uptime, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=runs {
            eprintln!("{what}: {run} of {runs}");
            let (time, up) = times(&direct, work)?;
            before.push(time - up);
            uptime.push(up);
            all.push(times(&disk, work)?.0);
        }
        let (before, uptime, all) = (median(before), median(uptime), median(all));
        figures.push(Figure { what, value: (all - before) / uptime, unit: "x", target: Some(1.15) });
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
