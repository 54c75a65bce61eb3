//! A disk or CD of a machine: which file, and as what the guest sees it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::VmError;

/// A disk or CD of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The file that holds it.
    pub path: PathBuf,
    /// How the file holds it.
    pub layout: DiskLayout,
    /// What the guest finds it on.
    pub bus: Bus,
    /// What becomes of what the guest writes; a CD takes no writes.
    pub writes: Writes,
}

/// How a file holds a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskLayout {
    /// Byte by byte; an ISO too.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// VMware's.
    Vmdk,
    /// Virtual PC's and Azure's, of fixed size or growing.
    Vhd,
    /// Hyper-V's.
    Vhdx,
    /// VirtualBox's.
    Vdi,
}

impl DiskLayout {
    /// Name QEMU's driver for it.
    pub(super) fn driver(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vpc",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
        }
    }
}

/// What a guest finds a drive on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// A virtio block device.
    Virtio,
    /// A parallel ATA disk of an old PC.
    Ide,
    /// A SATA disk.
    Ahci,
    /// An NVMe disk.
    Nvme,
    /// A USB stick.
    Usb,
    /// A disk behind a virtio SCSI adapter.
    Scsi,
    /// A CD behind a virtio SCSI adapter: kernels that are made for clouds know no other.
    Cdrom,
}

impl Bus {
    /// Every bus with its name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("virtio", Self::Virtio),
        ("ide", Self::Ide),
        ("ahci", Self::Ahci),
        ("nvme", Self::Nvme),
        ("usb", Self::Usb),
        ("scsi", Self::Scsi),
        ("cdrom", Self::Cdrom),
    ];
}

impl FromStr for Bus {
    type Err = VmError;

    fn from_str(text: &str) -> Result<Self, VmError> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, bus)| bus).ok_or_else(|| VmError::Bus { text: text.to_owned() })
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.into_iter().find(|(_, bus)| bus == self);
        out.write_str(found.map_or("", |(name, _)| name))
    }
}

/// What becomes of what a guest writes to a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// It is gone when the machine ends; the file is only read.
    Discarded,
    /// It is in the file.
    Kept,
}

/// A disk that can be pulled out while its machine runs, and plugged in again: a raw file, whose writes are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooseDisk {
    /// What it is called, of letters, digits and `-`.
    pub name: String,
    /// The file that holds it.
    pub path: PathBuf,
    /// It is not plugged in when its machine starts.
    pub later: bool,
}

impl LooseDisk {
    /// Name the device that it is, as `-device` and [`Vm::plug`](super::Vm::plug) take it.
    #[must_use]
    pub fn device(&self) -> String {
        let name = &self.name;
        format!("virtio-blk-pci,id={},drive=file-{name},bus=port-{name},serial={name}", self.id())
    }

    /// Give the id by which [`Vm::unplug`](super::Vm::unplug) knows it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("disk-{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_read_as_it_is_written() {
        for (name, bus) in Bus::ALL {
            assert_eq!(name.parse::<Bus>().expect(name), bus);
            assert_eq!(bus.to_string(), name);
        }
        let error = "sata".parse::<Bus>().expect_err("not a bus");
        let want = "`sata` is not a bus for a disk; known are virtio, ide, ahci, nvme, usb, scsi and cdrom";
        assert_eq!(error.to_string(), want);
    }
}
