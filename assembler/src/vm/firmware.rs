//! What starts a machine before any of its own software, and where distributions keep it.

use std::path::{Path, PathBuf};

use super::VmError;
use crate::platform::Arch;

/// What starts a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// What QEMU's board brings: SeaBIOS on a PC, nothing at all on arm64.
    Board,
    /// UEFI.
    Uefi(Flash),
}

/// The two flash chips of a UEFI machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    /// The firmware's program.
    pub code: PathBuf,
    /// What its variables are at first. The machine writes to a copy that is its own.
    pub variables: PathBuf,
}

/// Firmware without Secure Boot, the better known place first: folder, program, variables.
const AMD64: [(&str, &str, &str); 9] = [
    // Debian and Ubuntu, now and until 2024.
    ("/usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    // Fedora.
    ("/usr/share/edk2/ovmf", "OVMF_CODE_4M.qcow2", "OVMF_VARS_4M.qcow2"),
    ("/usr/share/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    // Arch, now and before.
    ("/usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),
    ("/usr/share/edk2-ovmf/x64", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    // openSUSE.
    ("/usr/share/qemu", "ovmf-x86_64-4m-code.bin", "ovmf-x86_64-4m-vars.bin"),
    // QEMU's own, as Alpine ships it and as it is built from source. The variables serve both widths.
    ("/usr/share/qemu", "edk2-x86_64-code.fd", "edk2-i386-vars.fd"),
    ("/usr/local/share/qemu", "edk2-x86_64-code.fd", "edk2-i386-vars.fd"),
];

/// As [`AMD64`]. Both files have to be as large as the board's flash, 64 MiB.
const ARM64: [(&str, &str, &str); 6] = [
    // Debian and Ubuntu.
    ("/usr/share/AAVMF", "AAVMF_CODE.fd", "AAVMF_VARS.fd"),
    // Fedora.
    ("/usr/share/edk2/aarch64", "QEMU_EFI-pflash.raw", "vars-template-pflash.raw"),
    // Arch.
    ("/usr/share/edk2/aarch64", "QEMU_CODE.fd", "QEMU_VARS.fd"),
    // openSUSE.
    ("/usr/share/qemu", "aavmf-aarch64-code.bin", "aavmf-aarch64-vars.bin"),
    // QEMU's own; the variables serve both widths.
    ("/usr/share/qemu", "edk2-aarch64-code.fd", "edk2-arm-vars.fd"),
    ("/usr/local/share/qemu", "edk2-aarch64-code.fd", "edk2-arm-vars.fd"),
];

/// Find UEFI firmware for `arch` where distributions keep it.
///
/// # Errors
///
/// [`VmError::NoFirmware`]: it is in no such place.
pub fn find_uefi(arch: Arch) -> Result<Flash, VmError> {
    find(arch, Path::is_file)
}

fn find(arch: Arch, is_there: impl Fn(&Path) -> bool) -> Result<Flash, VmError> {
    let (places, package) = match arch {
        Arch::Amd64 => (&AMD64[..], "ovmf"),
        Arch::Arm64 => (&ARM64[..], "qemu-efi-aarch64"),
    };
    let mut flashes = places.iter().map(|(folder, code, variables)| {
        let folder = Path::new(folder);
        Flash { code: folder.join(code), variables: folder.join(variables) }
    });
    let found = flashes.find(|flash| is_there(&flash.code) && is_there(&flash.variables));
    found.ok_or(VmError::NoFirmware { arch, package })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_firmware_names_the_package_that_brings_it() {
        let error = find(Arch::Arm64, |_| false).expect_err("nothing is there");
        let want = "UEFI firmware for arm64 is not installed; Debian's package is `qemu-efi-aarch64`";
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn a_program_without_its_variables_is_passed_over() {
        let there = |path: &Path| path != Path::new("/usr/share/OVMF/OVMF_VARS_4M.fd");
        let flash = find(Arch::Amd64, there).expect("the next place");
        assert_eq!(flash.code, Path::new("/usr/share/OVMF/OVMF_CODE.fd"));
    }
}
