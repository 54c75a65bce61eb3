//! From a cell and the files of a build to a machine.

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use linuxkit_yaml::test::{Action, Test};

use super::VerifyError;
use super::cell::{self, Cell, Starter};
use crate::vm::{
    Boot, Bus, DiskLayout, Drive, Firmware, Image, LooseDisk, Machine, Memory, Protocol, Publish, Screen, Writes,
    find_secure, find_uefi, with_console,
};
use crate::write::format::Format;

/// A host to be tested: a machine, and what reports say of it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name, if there are several.
    pub name: Option<String>,
    /// The machine.
    pub machine: Machine,
    /// Empty disks that it gets: name and bytes.
    pub disks: Vec<(String, u64)>,
    /// A file that is its user data.
    pub user_data: Option<PathBuf>,
    /// A program of the firmware's that it boots from a disk, which is made of it.
    pub program: Option<PathBuf>,
    /// Bytes of the files that it boots.
    pub size: u64,
    /// What its control socket is called, as far as that is free.
    pub control: String,
}

/// What a machine is apart from what it boots.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// RAM.
    pub memory: Memory,
    /// Processors.
    pub cpus: NonZeroU16,
    /// A file that is the host's user data.
    pub user_data: Option<PathBuf>,
    /// Secure Boot, with a file of the firmware's variables if they are not those with Microsoft's keys.
    pub secure_boot: Option<Option<PathBuf>>,
    /// Arguments appended to QEMU's.
    pub extra: Vec<std::ffi::OsString>,
}

/// What a machine boots, what it has it on, what starts it, and the files that are read for it.
#[derive(Debug)]
pub struct Booted {
    /// What it boots.
    pub boot: Boot,
    /// Its disk or CD, if that is where it is.
    pub drives: Vec<Drive>,
    /// What starts it.
    pub firmware: Firmware,
    /// The files.
    pub files: Vec<PathBuf>,
}

/// Find what a cell boots among the files of a build.
///
/// In: `name`, the first part of the files' names; `words`, put before the kernel's command line where that is a file of its own.
///
/// # Errors
///
/// [`VerifyError`]: a file is missing, or there is no firmware.
pub fn booted(cell: &Cell, name: &Path, words: &str) -> Result<Booted, VerifyError> {
    let firmware = match cell.firmware {
        Starter::Bios => Firmware::Board,
        Starter::Uefi => Firmware::Uefi(find_uefi(cell.arch)?),
    };
    let (boot, drives, files) = match cell.file(name) {
        None => kernel(cell, name, words)?,
        Some(file) => image(cell, file)?,
    };
    Ok(Booted { boot, drives, firmware, files })
}

/// Describe the machine that boots one of a build's formats.
///
/// In: `name`, the first part of the files' names; `host`, whose ports the test's steps ask, if there are several.
///
/// # Errors
///
/// As [`booted`].
pub fn subject(
    cell: &Cell,
    name: &Path,
    test: &Test,
    host: Option<&str>,
    hardware: &Hardware,
) -> Result<Subject, VerifyError> {
    let Booted { mut boot, drives, mut firmware, files } = booted(cell, name, "")?;
    let mut program = None;
    if let Some(variables) = &hardware.secure_boot {
        firmware = Firmware::Uefi(find_secure(cell.arch, variables.as_deref())?);
        if let Boot::Kernel { kernel, initrd: None, .. } = boot {
            (program, boot) = (Some(kernel), Boot::Drives);
        }
    }
    let mut size = 0;
    for file in &files {
        size += fs::metadata(file).map_err(|cause| VerifyError::File { path: file.clone(), cause })?.len();
    }
    // A kernel that is handed over says all on its console; firmware and loaders may say it on a screen alone.
    let seen = boot == Boot::Drives || cell.firmware == Starter::Uefi;
    let disks: Vec<(String, u64)> =
        test.disks.iter().map(|disk| (disk.name.value.clone(), disk.size.value.0)).collect();
    let loose = disks.iter().map(|(name, _)| LooseDisk { name: name.clone(), path: PathBuf::new() });
    let machine = Machine {
        cpus: hardware.cpus,
        firmware,
        drives,
        loose: loose.collect(),
        network: Some(ports(test, host)),
        screen: if seen { Screen::Hidden } else { Screen::None },
        extra: hardware.extra.clone(),
        ..Machine::new(cell.arch, hardware.memory, boot)
    };
    let stem = name.file_name().unwrap_or_default().to_string_lossy();
    let control = format!("test-{}-{}", std::process::id(), host.unwrap_or(&stem));
    let (name, user_data) = (host.map(str::to_owned), hardware.user_data.clone());
    Ok(Subject { name, machine, disks, user_data, program, size, control })
}

/// Every port that steps ask of a host.
fn ports(test: &Test, host: Option<&str>) -> Vec<Publish> {
    let mine = test.steps.iter().filter(|step| step.host.as_ref().map(|name| name.as_str()) == host);
    let asked = mine.filter_map(|step| match &step.action {
        Action::Http(page) => Some(page.port.value),
        Action::Tcp(tcp) => Some(tcp.port.value),
        _ => None,
    });
    let mut ports: Vec<u16> = asked.collect();
    ports.sort_unstable();
    ports.dedup();
    ports.into_iter().map(|guest| Publish { host: 0, guest, protocol: Protocol::Tcp }).collect()
}

type Parts = (Boot, Vec<Drive>, Vec<PathBuf>);

fn kernel(cell: &Cell, name: &Path, words: &str) -> Result<Parts, VerifyError> {
    if cell.format != Format::KernelInitrd {
        return Err(VerifyError::Cell { text: cell.format.name(), what: "it is booted from a web server".to_owned() });
    }
    let file = |ending| cell::file(name, ending);
    let path = file("-cmdline");
    let cmdline = fs::read_to_string(&path).map_err(|cause| VerifyError::File { path, cause })?;
    let files = vec![file("-kernel"), file("-initrd.img")];
    let boot = Boot::Kernel {
        kernel: file("-kernel"),
        initrd: Some(file("-initrd.img")),
        cmdline: with_console(cell.arch, format!("{words} {}", cmdline.trim()).trim()),
    };
    Ok((boot, Vec::new(), files))
}

/// Describe what boots one file: a program of the firmware's, a disk or a CD.
fn image(cell: &Cell, file: PathBuf) -> Result<Parts, VerifyError> {
    let layout = match Image::of_file(&file)? {
        Some(Image::Program) => {
            let boot = Boot::Kernel { kernel: file.clone(), initrd: None, cmdline: String::new() };
            return Ok((boot, Vec::new(), vec![file]));
        }
        Some(Image::Disk(layout)) => layout,
        Some(Image::Iso) | None => DiskLayout::Raw,
    };
    let drive = Drive { path: file.clone(), layout, bus: cell.bus.unwrap_or(Bus::Virtio), writes: Writes::Discarded };
    Ok((Boot::Drives, vec![drive], vec![file]))
}
