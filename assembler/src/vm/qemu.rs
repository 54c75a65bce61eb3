//! Which QEMU runs guests of an architecture, and where it is.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{GuestArch, VmError};

/// Find the QEMU that runs guests of `arch` in the folders of `path`, which is written like `$PATH`.
///
/// # Errors
///
/// [`VmError::NoQemu`]: no folder has it.
pub fn find_qemu(arch: impl Into<GuestArch>, path: &OsStr) -> Result<PathBuf, VmError> {
    let (program, package) = match arch.into() {
        GuestArch::Amd64 => ("qemu-system-x86_64", "qemu-system-x86"),
        GuestArch::Arm64 => ("qemu-system-aarch64", "qemu-system-arm"),
        GuestArch::Riscv64 => ("qemu-system-riscv64", "qemu-system-misc"),
    };
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
        .ok_or(VmError::NoQemu { program, package })
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_qemu_names_the_package_that_brings_it() {
        let error = find_qemu(GuestArch::Arm64, OsStr::new("/nonexistent")).expect_err("no such folder");
        assert_eq!(error.to_string(), "`qemu-system-aarch64` is not installed; Debian's package is `qemu-system-arm`");
    }
}
