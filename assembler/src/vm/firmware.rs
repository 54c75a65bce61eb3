//! What starts a machine before any of its own software, and where distributions keep it.

use std::fs;
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
    /// Secure Boot: the program starts nothing that no key among its variables signed, and keeps the guest away from them.
    pub secure: bool,
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

/// Firmware that enforces Secure Boot, with variables that hold Microsoft's keys: folder, program, variables. On x86 it needs a machine with
/// System Management Mode.
const AMD64_SECURE: [(&str, &str, &str); 5] = [
    // Debian and Ubuntu, now and until 2024.
    ("/usr/share/OVMF", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
    ("/usr/share/OVMF", "OVMF_CODE.secboot.fd", "OVMF_VARS.ms.fd"),
    // Fedora.
    ("/usr/share/edk2/ovmf", "OVMF_CODE_4M.secboot.qcow2", "OVMF_VARS_4M.secboot.qcow2"),
    ("/usr/share/edk2/ovmf", "OVMF_CODE.secboot.fd", "OVMF_VARS.secboot.fd"),
    // openSUSE.
    ("/usr/share/qemu", "ovmf-x86_64-smm-ms-code.bin", "ovmf-x86_64-smm-ms-vars.bin"),
];

/// As [`AMD64_SECURE`]; there, nothing keeps the guest away from the variables.
const ARM64_SECURE: [(&str, &str, &str); 1] =
    // Debian and Ubuntu.
    [("/usr/share/AAVMF", "AAVMF_CODE.ms.fd", "AAVMF_VARS.ms.fd")];

/// Find UEFI firmware for `arch` where distributions keep it.
///
/// # Errors
///
/// [`VmError::NoFirmware`]: it is in no such place.
pub fn find_uefi(arch: Arch) -> Result<Flash, VmError> {
    find(arch, false, Path::is_file)
}

/// Find UEFI firmware that enforces Secure Boot.
///
/// In: `variables`, in place of those with Microsoft's keys.
///
/// # Errors
///
/// - [`VmError::NoFirmware`]: it is in no such place.
/// - [`VmError::Read`]: the variables cannot be read.
/// - [`VmError::Variables`]: they are not of the firmware's length.
pub fn find_secure(arch: Arch, variables: Option<&Path>) -> Result<Flash, VmError> {
    let flash = find(arch, true, Path::is_file)?;
    let Some(variables) = variables else { return Ok(flash) };
    let length = |path: &Path| {
        let found = fs::metadata(path).map(|meta| meta.len());
        found.map_err(|cause| VmError::Read { path: path.to_owned(), cause })
    };
    let (found, wanted) = (length(variables)?, length(&flash.variables)?);
    // A file in QEMU's format says nothing of its length by its own.
    let is_packed = |path: &Path| path.extension().is_some_and(|ending| ending == "qcow2");
    if found != wanted && !is_packed(variables) && !is_packed(&flash.variables) {
        return Err(VmError::Variables { path: variables.to_owned(), found, wanted });
    }
    Ok(Flash { variables: variables.to_owned(), ..flash })
}

fn find(arch: Arch, secure: bool, is_there: impl Fn(&Path) -> bool) -> Result<Flash, VmError> {
    let (places, package) = match (arch, secure) {
        (Arch::Amd64, false) => (&AMD64[..], "ovmf"),
        (Arch::Arm64, false) => (&ARM64[..], "qemu-efi-aarch64"),
        (Arch::Amd64, true) => (&AMD64_SECURE[..], "ovmf"),
        (Arch::Arm64, true) => (&ARM64_SECURE[..], "qemu-efi-aarch64"),
    };
    let mut flashes = places.iter().map(|(folder, code, variables)| {
        let folder = Path::new(folder);
        Flash { code: folder.join(code), variables: folder.join(variables), secure }
    });
    let found = flashes.find(|flash| is_there(&flash.code) && is_there(&flash.variables));
    let what = if secure { "UEFI firmware with Secure Boot" } else { "UEFI firmware" };
    found.ok_or(VmError::NoFirmware { what, arch, package })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_firmware_names_the_package_that_brings_it() {
        let error = find(Arch::Arm64, false, |_| false).expect_err("nothing is there");
        let want = "UEFI firmware for arm64 is not installed; Debian's package is `qemu-efi-aarch64`";
        assert_eq!(error.to_string(), want);
        let error = find(Arch::Amd64, true, |_| false).expect_err("nothing is there");
        assert!(error.to_string().starts_with("UEFI firmware with Secure Boot for amd64 is not installed"), "{error}");
    }

    #[test]
    fn variables_of_another_length_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["own.fd", "own.raw", "own"] {
            let file = folder.path().join(name);
            fs::write(&file, "short").expect("a writable folder");
            let said = find_secure(Arch::Amd64, Some(&file)).expect_err("no variables").to_string();
            assert!(said.contains(&format!("{name}` has 5 bytes, and the variables of this firmware have ")), "{said}");
        }
    }

    #[test]
    fn a_program_without_its_variables_is_passed_over() {
        let there = |path: &Path| path != Path::new("/usr/share/OVMF/OVMF_VARS_4M.fd");
        let flash = find(Arch::Amd64, false, there).expect("the next place");
        assert_eq!(flash.code, Path::new("/usr/share/OVMF/OVMF_CODE.fd"));
    }
}
