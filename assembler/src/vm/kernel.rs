//! What a kernel file is for, by its first bytes.

use crate::platform::Arch;

/// Bytes to read of a kernel file to recognise it.
pub(super) const HEAD: u64 = 0x240;

/// Tell for which architecture a kernel is, if its header says.
///
/// # Source
///
/// Linux, `Documentation/x86/boot.rst` (`HdrS` at 0x202) and `Documentation/arm64/booting.rst` (`ARM\x64` at 0x38).
pub(super) fn arch_of(head: &[u8]) -> Option<Arch> {
    let says = |at: usize, magic: &[u8; 4]| head.get(at..at + 4) == Some(magic);
    if says(0x202, b"HdrS") {
        Some(Arch::Amd64)
    } else if says(0x38, b"ARM\x64") {
        Some(Arch::Arm64)
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
        assert_eq!(arch_of(&file), Some(Arch::Arm64));
        file[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(arch_of(&file), Some(Arch::Amd64));
        assert_eq!(arch_of(b"HdrS"), None);
    }
}
