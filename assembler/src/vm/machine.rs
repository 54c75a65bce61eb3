//! What the guest sees: plain data, no process yet.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroU16;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Publish, VmError};

/// A virtual machine that boots a kernel directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Processor architecture of the guest.
    pub arch: Arch,
    /// Its RAM.
    pub memory: Memory,
    /// Its processors.
    pub cpus: NonZeroU16,
    /// The kernel, as its distribution ships it.
    pub kernel: PathBuf,
    /// The initial RAM file system, if the kernel needs one.
    pub initrd: Option<PathBuf>,
    /// The kernel's command line, final (see [`with_console`](super::with_console)).
    pub cmdline: String,
    /// Ports of 127.0.0.1 that lead into the guest.
    pub publish: Vec<Publish>,
    /// Arguments appended to QEMU's, unchecked.
    pub extra: Vec<OsString>,
}

/// A processor architecture, by its name in OCI platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// x86-64, on a `q35` board.
    Amd64,
    /// AArch64, on a `virt` board.
    Arm64,
}

impl Arch {
    /// Every architecture there is a board for.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Tell this machine's architecture, if guests of it can be run.
    #[must_use]
    pub fn host() -> Option<Self> {
        std::env::consts::ARCH.parse().ok()
    }

    /// Name QEMU's program for this architecture.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// Name the Debian package that brings [`Arch::program`].
    #[must_use]
    pub fn package(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86",
            Self::Arm64 => "qemu-system-arm",
        }
    }

    /// Find [`Arch::program`] in the folders of `path`, in the grammar of `$PATH`.
    ///
    /// # Errors
    ///
    /// [`VmError::NoQemu`]: no folder has it.
    pub fn find_qemu(self, path: &OsStr) -> Result<PathBuf, VmError> {
        std::env::split_paths(path)
            .map(|folder| folder.join(self.program()))
            .find(|file| is_program(file))
            .ok_or(VmError::NoQemu { program: self.program(), package: self.package() })
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl FromStr for Arch {
    type Err = VmError;

    fn from_str(text: &str) -> Result<Self, VmError> {
        match text {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "aarch64" => Ok(Self::Arm64),
            _ => Err(VmError::Arch { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}

/// An amount of RAM, in whole MiB, between 1 MiB and 16 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(u32);

impl Memory {
    const MAX_MIB: u32 = 16 << 20;

    /// Hold `mib` MiB.
    ///
    /// # Errors
    ///
    /// [`VmError::Memory`]: none at all, or more than 16 TiB.
    pub fn from_mib(mib: u32) -> Result<Self, VmError> {
        if (1..=Self::MAX_MIB).contains(&mib) { Ok(Self(mib)) } else { Err(VmError::Memory { text: mib.to_string() }) }
    }

    /// Tell the amount in MiB.
    #[must_use]
    pub fn mib(self) -> u32 {
        self.0
    }
}

impl FromStr for Memory {
    type Err = VmError;

    /// Read `256`, `256M` or `1G`: a bare number counts MiB.
    fn from_str(text: &str) -> Result<Self, VmError> {
        let wrong = || VmError::Memory { text: text.to_owned() };
        let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
            Some(at) => text.split_at(at),
            None => (text, "M"),
        };
        let factor = match unit {
            "M" | "m" | "MiB" | "Mi" => 1,
            "G" | "g" | "GiB" | "Gi" => 1024,
            _ => return Err(wrong()),
        };
        let mib = digits.parse::<u32>().ok().and_then(|count| count.checked_mul(factor)).ok_or_else(wrong)?;
        Self::from_mib(mib).map_err(|_| wrong())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}M", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_the_units_users_write() {
        for (text, mib) in [("96", 96), ("256M", 256), ("1G", 1024), ("2GiB", 2048), ("512m", 512)] {
            assert_eq!(text.parse::<Memory>().expect(text).mib(), mib, "{text}");
        }
    }

    #[test]
    fn memory_that_means_nothing_is_refused() {
        for text in ["", "0", "M", "1T", "-1", "1.5G", "99999999999", "4194304G", "１"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_missing_qemu_names_the_package_that_brings_it() {
        let error = Arch::Arm64.find_qemu(OsStr::new("/nonexistent")).expect_err("no such folder");
        assert_eq!(error.to_string(), "`qemu-system-aarch64` is not installed; Debian's package is `qemu-system-arm`");
    }
}
