//! What is looked at before QEMU starts, because it would complain of it less clearly or not at all.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{Boot, Bus, Firmware, GuestArch, Machine, Publish, VmError, kernel};

/// Look at a machine's files, ports and parts.
///
/// # Errors
///
/// The first thing that keeps it from running.
pub(super) fn check(machine: &Machine) -> Result<(), VmError> {
    match &machine.boot {
        Boot::Kernel { .. } if is_secure(machine) => return Err(VmError::Unlooked),
        Boot::Kernel { kernel, initrd, .. } => {
            check_kernel(machine.arch, kernel)?;
            initrd.as_deref().map(open).transpose()?;
        }
        Boot::Drives | Boot::Network { .. } => check_firmware(machine)?,
    }
    if let Boot::Network { folder, file } = &machine.boot
        && !file.contains("://")
    {
        open(&folder.join(file))?;
    }
    for drive in &machine.drives {
        if drive.bus == Bus::Ide && machine.arch != GuestArch::Amd64 {
            return Err(VmError::NoIde { arch: machine.arch, path: drive.path.clone() });
        }
        if drive.bus == Bus::Ide && is_secure(machine) {
            return Err(VmError::OldPc { path: drive.path.clone() });
        }
        open(&drive.path)?;
    }
    machine.loose.iter().try_for_each(|disk| open(&disk.path).map(drop))?;
    let ports = machine.network.iter().flatten();
    ports.filter(|publish| publish.host != 0).try_for_each(Publish::check)
}

fn is_secure(machine: &Machine) -> bool {
    matches!(&machine.firmware, Firmware::Uefi(flash) if flash.secure)
}

fn check_kernel(arch: GuestArch, path: &Path) -> Result<(), VmError> {
    let mut head = Vec::new();
    open(path)?.take(kernel::HEAD).read_to_end(&mut head).map_err(|cause| unreadable(path, cause))?;
    match kernel::arch_of(&head).filter(|found| *found != arch) {
        Some(found) => Err(VmError::ForeignKernel { path: path.to_owned(), found, wanted: arch }),
        None => Ok(()),
    }
}

fn check_firmware(machine: &Machine) -> Result<(), VmError> {
    match (&machine.firmware, machine.arch) {
        (Firmware::Board, GuestArch::Arm64) => Err(VmError::NoBios { arch: machine.arch }),
        (_, GuestArch::Riscv64) => Err(VmError::NoLoader { arch: machine.arch }),
        _ => Ok(()),
    }
}

fn open(path: &Path) -> Result<File, VmError> {
    File::open(path).map_err(|cause| unreadable(path, cause))
}

fn unreadable(path: &Path, cause: io::Error) -> VmError {
    VmError::Read { path: path.to_owned(), cause }
}
