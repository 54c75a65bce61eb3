//! What the guest sees: plain data, no process yet.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Publish, VmError};
use crate::platform::Arch;

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
}
