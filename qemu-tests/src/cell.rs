//! One boot of a case: which machine, by which firmware, from which file on which bus.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use hullkit::platform::Arch;
use hullkit::vm::Bus;

/// One boot of a case, written as in `amd64 bios raw nvme`: architecture, firmware, format of the build, bus.
///
/// A format that is no disk (`kernel+initrd`, `uki`, `netboot`) has no bus.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cell {
    /// What the machine is.
    pub arch: Arch,
    /// What starts it.
    pub firmware: Firmware,
    /// What `hullkit build --format` is given.
    pub format: String,
    /// What the machine finds the file on.
    pub bus: Option<Bus>,
}

/// What starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// What the board brings: SeaBIOS on a PC, nothing on arm64, where QEMU itself starts a kernel.
    Bios,
    /// OVMF on a PC, AAVMF on arm64.
    Uefi,
}

/// The format of a case that says nothing of boots.
pub const KERNEL: &str = "kernel+initrd";

/// The format of a host that fetches its root.
pub const NETBOOT: &str = "netboot";

/// Formats whose one file is booted, and how its name ends.
const FILES: [(&str, &str); 15] = [
    ("raw", ".raw"),
    ("raw-bios", "-bios.img"),
    ("raw-efi", "-efi.img"),
    ("iso", ".iso"),
    ("iso-bios", "-bios.iso"),
    ("iso-efi", "-efi.iso"),
    ("iso-efi-initrd", "-efi-initrd.iso"),
    ("qcow2", ".qcow2"),
    ("qcow2-bios", "-bios.qcow2"),
    ("qcow2-efi", "-efi.qcow2"),
    ("vmdk", ".vmdk"),
    ("vhd", ".vhd"),
    ("vhdx", ".vhdx"),
    ("vdi", ".vdi"),
    ("uki", ".efi"),
];

impl Cell {
    /// Hand the kernel and the initrd to the machine, as a case does that says nothing of boots.
    #[must_use]
    pub fn kernel(arch: Arch) -> Self {
        Self { arch, firmware: Firmware::Bios, format: KERNEL.to_owned(), bus: None }
    }

    /// Name the file that is booted, of those that were built under a name.
    ///
    /// # Errors
    ///
    /// The format has not one such file.
    pub fn file(&self, name: &Path) -> anyhow::Result<PathBuf> {
        let known = FILES.into_iter().find(|(format, _)| *format == self.format);
        let (_, ending) = known.with_context(|| format!("the format `{}` has no file to boot", self.format))?;
        let mut file = name.as_os_str().to_owned();
        file.push(ending);
        Ok(file.into())
    }
}

impl FromStr for Cell {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let (arch, firmware, format, bus) = match words.as_slice() {
            [arch, firmware, format] => (arch, firmware, format, None),
            [arch, firmware, format, bus] => (arch, firmware, format, Some(bus.parse()?)),
            _ => bail!("`{text}` is no boot: write `ARCH FIRMWARE FORMAT BUS`"),
        };
        let firmware = match *firmware {
            "bios" => Firmware::Bios,
            "uefi" => Firmware::Uefi,
            other => bail!("`{other}` is not firmware; known are bios and uefi"),
        };
        let is_disk = ![KERNEL, NETBOOT, "uki"].contains(format);
        ensure!(is_disk == bus.is_some(), "`{text}`: a disk has a bus, a kernel has none");
        Ok(Self { arch: arch.parse()?, firmware, format: (*format).to_owned(), bus })
    }
}

impl TryFrom<String> for Cell {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|error: anyhow::Error| format!("{error:#}"))
    }
}

/// The test's name: words joined by `-`; the architecture alone for a kernel that QEMU itself starts.
impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::kernel(self.arch) {
            return write!(out, "{}", self.arch);
        }
        let firmware = match self.firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
        };
        write!(out, "{}-{firmware}-{}", self.arch, self.format)?;
        self.bus.iter().try_for_each(|bus| write!(out, "-{bus}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_read_as_four_words_and_named_by_them() {
        let table = [
            ("amd64 bios raw nvme", "amd64-bios-raw-nvme"),
            ("arm64  uefi iso cdrom", "arm64-uefi-iso-cdrom"),
            ("amd64 uefi uki", "amd64-uefi-uki"),
            ("amd64 bios netboot", "amd64-bios-netboot"),
            ("arm64 bios kernel+initrd", "arm64"),
        ];
        for (text, want) in table {
            assert_eq!(text.parse::<Cell>().expect(text).to_string(), want);
        }
    }

    #[test]
    fn a_boot_that_means_nothing_is_refused() {
        for text in ["", "amd64 bios raw", "amd64 bios uki usb", "mips bios raw usb", "amd64 efi raw usb", "a b c d e"]
        {
            assert!(text.parse::<Cell>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_is_named_after_its_format() {
        let file = |text: &str| text.parse::<Cell>().expect(text).file(Path::new("out/host"));
        assert_eq!(file("amd64 uefi vhd ide").expect("a disk"), Path::new("out/host.vhd"));
        assert_eq!(file("amd64 uefi uki").expect("a program"), Path::new("out/host.efi"));
        file("amd64 bios kernel+initrd").expect_err("three files");
    }
}
