//! What a kernel file is for, by its first bytes.

use super::GuestArch;

/// Bytes to read of a kernel file to recognise it.
pub(super) const HEAD: u64 = 0x240;

/// Tell for which architecture a kernel or a program of UEFI's is, if its header says.
///
/// # Source
///
/// Linux, `Documentation/x86/boot.rst` (`HdrS` at 0x202), `Documentation/arm64/booting.rst` (`ARM\x64` at 0x38) and
/// `Documentation/riscv/boot-image-header.rst` (`RSC\x05` at 0x38);
/// Microsoft, PE Format, "Machine Types".
pub(super) fn arch_of(head: &[u8]) -> Option<GuestArch> {
    let says = |at: usize, magic: &[u8]| head.get(at..at.saturating_add(magic.len())) == Some(magic);
    if says(0x202, b"HdrS") {
        Some(GuestArch::Amd64)
    } else if says(0x38, b"ARM\x64") {
        Some(GuestArch::Arm64)
    } else if says(0x38, b"RSC\x05") {
        Some(GuestArch::Riscv64)
    } else if says(0, b"MZ") {
        let at = u32::from_le_bytes(head.get(0x3c..0x40)?.try_into().ok()?);
        let at = usize::try_from(at).ok()?;
        let machines: [(&[u8], GuestArch); 3] = [
            (b"PE\0\0\x64\x86", GuestArch::Amd64),
            (b"PE\0\0\x64\xaa", GuestArch::Arm64),
            (b"PE\0\0\x64\x50", GuestArch::Riscv64),
        ];
        machines.into_iter().find(|(header, _)| says(at, header)).map(|(_, arch)| arch)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_recognised_by_its_header() {
        let mut file = vec![0; 0x240];
        assert_eq!(arch_of(&file), None);
        file[0x38..0x3c].copy_from_slice(b"ARM\x64");
        assert_eq!(arch_of(&file), Some(GuestArch::Arm64));
        file[0x38..0x3c].copy_from_slice(b"RSC\x05");
        assert_eq!(arch_of(&file), Some(GuestArch::Riscv64));
        file[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(arch_of(&file), Some(GuestArch::Amd64));
        assert_eq!(arch_of(b"HdrS"), None);
    }

    #[test]
    fn a_unified_kernel_image_is_recognised_by_its_program_header() {
        let mut file = vec![0; 0x100];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x80;
        assert_eq!(arch_of(&file), None);
        file[0x80..0x86].copy_from_slice(b"PE\0\0\x64\xaa");
        assert_eq!(arch_of(&file), Some(GuestArch::Arm64));
        file[0x3c..0x40].fill(0xff);
        assert_eq!(arch_of(&file), None);
    }
}
