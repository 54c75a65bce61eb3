//! What a machine's processor is: more than hosts are built for, because QEMU runs what was built elsewhere, too.

use std::fmt;
use std::str::FromStr;

use super::VmError;
use crate::platform::Arch;

/// The architecture of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuestArch {
    /// x86, 64 bit.
    Amd64,
    /// Arm, 64 bit, little endian.
    Arm64,
    /// RISC-V, 64 bit; no host is built for it.
    Riscv64,
}

impl GuestArch {
    /// Give the architecture that hosts are built for, if they are.
    ///
    /// # Errors
    ///
    /// - [`VmError::NoInit`]: they are not.
    pub fn built(self) -> Result<Arch, VmError> {
        match self {
            Self::Amd64 => Ok(Arch::Amd64),
            Self::Arm64 => Ok(Arch::Arm64),
            Self::Riscv64 => Err(VmError::NoInit { arch: self }),
        }
    }
}

impl From<Arch> for GuestArch {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::Amd64 => Self::Amd64,
            Arch::Arm64 => Self::Arm64,
        }
    }
}

impl fmt::Display for GuestArch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.built().map_or("riscv64", Arch::name))
    }
}

impl FromStr for GuestArch {
    type Err = VmError;

    fn from_str(text: &str) -> Result<Self, VmError> {
        match text.strip_prefix("linux/").unwrap_or(text) {
            "riscv64" => Ok(Self::Riscv64),
            other => other.parse().map(|arch: Arch| arch.into()).map_err(|_| VmError::Arch { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_the_names_of_its_processor() {
        for (text, name) in [("x86_64", "amd64"), ("linux/arm64", "arm64"), ("riscv64", "riscv64")] {
            assert_eq!(text.parse::<GuestArch>().expect(text).to_string(), name);
        }
        let said = "riscv32".parse::<GuestArch>().expect_err("no machine").to_string();
        assert_eq!(
            said,
            "`riscv32` is not an architecture hullkit runs; it knows amd64 (x86_64), arm64 (aarch64) and riscv64"
        );
        GuestArch::Riscv64.built().expect_err("no init");
    }
}
