//! A program of UEFI's as a disk that firmware starts it from: only what is on a disk does Secure Boot look at.

use std::fs;
use std::path::Path;

use super::{Bus, DiskLayout, Drive, GuestArch, VmError, Writes};
use crate::format::fat;
use crate::format::sparse::Sparse;

/// Write a disk of one file system with one program, where firmware looks for it, and describe the drive.
///
/// # Errors
///
/// - [`VmError::Read`]: the program cannot be read.
/// - [`VmError::Program`]: it is too large, or the disk cannot be written.
pub fn esp(arch: GuestArch, program: &Path, into: &Path) -> Result<Drive, VmError> {
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| VmError::Program { path: program.to_owned(), cause };
    let bytes = fs::read(program).map_err(|cause| VmError::Read { path: program.to_owned(), cause })?;
    let place = match arch {
        GuestArch::Amd64 => "EFI/BOOT/BOOTX64.EFI",
        GuestArch::Arm64 => "EFI/BOOT/BOOTAA64.EFI",
        GuestArch::Riscv64 => "EFI/BOOT/BOOTRISCV64.EFI",
    };
    let options = fat::Options { kind: None, size: None, start: 0, label: "HULLKIT".to_owned(), serial: 0, time: 0 };
    let volume = fat::write(&[(place, &Sparse::of_bytes(bytes))], &options).map_err(|cause| failed(cause.into()))?;
    let mut disk = fs::File::create(into).map_err(|cause| failed(cause.into()))?;
    std::io::copy(&mut volume.image.reader(), &mut disk).map_err(|cause| failed(cause.into()))?;
    Ok(Drive { path: into.to_owned(), layout: DiskLayout::Raw, bus: Bus::Virtio, writes: Writes::Discarded })
}
