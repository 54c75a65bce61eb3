//! What the guest sees: plain data, no process yet.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Drive, Firmware, GuestArch, LooseDisk, Publish, VmError};

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Processor architecture of the guest.
    pub arch: GuestArch,
    /// Its RAM.
    pub memory: Memory,
    /// Its processors.
    pub cpus: NonZeroU16,
    /// What starts it.
    pub firmware: Firmware,
    /// What that starts in turn.
    pub boot: Boot,
    /// Its disks and CDs.
    pub drives: Vec<Drive>,
    /// Disks that can be pulled out while it runs.
    pub loose: Vec<LooseDisk>,
    /// Its network card, with the ports of 127.0.0.1 that lead to it; none: it has no card.
    pub network: Option<Vec<Publish>>,
    /// Its screen.
    pub screen: Screen,
    /// Socket that QEMU makes, whose other end is the virtio port of the host's init; none: it has no port.
    pub control: Option<PathBuf>,
    /// Socket of its TPM (see [`Tpm`](super::Tpm)); none: it has no TPM.
    pub tpm: Option<PathBuf>,
    /// A second network card: the socket of the network that it is on (see [`Lan`](super::Lan)), and a number of its own there.
    pub lan: Option<(PathBuf, u8)>,
    /// Folders of this host that the guest can mount.
    pub shares: Vec<Share>,
    /// Arguments appended to QEMU's, unchecked.
    pub extra: Vec<OsString>,
}

impl Machine {
    /// Describe a machine of one processor, without firmware of its own, drives or a network card.
    #[must_use]
    pub fn new(arch: impl Into<GuestArch>, memory: Memory, boot: Boot) -> Self {
        Self {
            arch: arch.into(),
            memory,
            cpus: NonZeroU16::MIN,
            firmware: Firmware::Board,
            boot,
            drives: Vec::new(),
            loose: Vec::new(),
            network: None,
            screen: Screen::None,
            control: None,
            tpm: None,
            lan: None,
            shares: Vec::new(),
            extra: Vec::new(),
        }
    }
}

/// What a machine draws on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// Nothing.
    None,
    /// A screen that nobody looks at, of which a picture can be taken.
    Hidden,
    /// A screen that is shown as QEMU's `-display` takes it: `gtk`, `sdl`, `vnc=:1`.
    Shown(String),
}

/// A folder of this host that the guest mounts by its tag, over 9P.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// What the guest calls it.
    pub tag: String,
    /// The folder.
    pub folder: PathBuf,
    /// The guest may not write to it.
    pub readonly: bool,
}

impl FromStr for Share {
    type Err = VmError;

    /// Read `TAG=DIR` or `TAG=DIR:ro`.
    fn from_str(text: &str) -> Result<Self, VmError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let parts = text.split_once('=').filter(|(tag, folder)| {
            (1..=31).contains(&tag.len()) && tag.chars().all(plain) && !folder.trim_end_matches(":ro").is_empty()
        });
        let (tag, folder) = parts.ok_or_else(|| VmError::Share { text: text.to_owned() })?;
        let (folder, readonly) = folder.strip_suffix(":ro").map_or((folder, false), |folder| (folder, true));
        Ok(Self { tag: tag.to_owned(), folder: PathBuf::from(folder), readonly })
    }
}

/// What a machine boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// A kernel that QEMU hands to the machine, as the firmware's boot loader would.
    Kernel {
        /// The kernel, as its distribution ships it; under UEFI any of its programs, as a unified kernel image.
        kernel: PathBuf,
        /// The initial RAM file system, if the kernel needs one.
        initrd: Option<PathBuf>,
        /// The kernel's command line, final (see [`with_console`](super::with_console)); may be empty.
        cmdline: String,
    },
    /// What the machine's drives hold, the first that boots.
    Drives,
    /// What the firmware fetches over the network card.
    Network {
        /// The folder that the machine sees as a TFTP server's.
        folder: PathBuf,
        /// The file in it that is fetched first, or an address on the web: an iPXE script, or a program of the firmware's.
        file: String,
    },
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
    fn a_folder_is_shared_under_a_tag() {
        let share: Share = "src=/a b:ro".parse().expect("a folder");
        assert_eq!((share.tag.as_str(), share.folder.to_str(), share.readonly), ("src", Some("/a b"), true));
        for text in ["", "src", "=/a", "src=", "src=:ro", "a b=/x", "a,b=/x"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn memory_that_means_nothing_is_refused() {
        for text in ["", "0", "M", "1T", "-1", "1.5G", "99999999999", "4194304G", "１"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }
}
