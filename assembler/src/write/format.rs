//! What a build can write: the formats' names, their files, and what each of them needs.

use clap::ValueEnum;

use crate::plan::boot::Root;
use crate::platform::Arch;

/// A kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Format {
    /// `NAME-kernel`, `NAME-initrd.img` and `NAME-cmdline`, for any loader.
    #[value(name = "kernel+initrd")]
    KernelInitrd,
    /// `NAME.tar`, the host's root file system.
    Tar,
    /// `NAME.efi`, one file that UEFI starts: a unified kernel image.
    Uki,
    /// `NAME.raw`, a disk for BIOS and UEFI.
    Raw,
    /// `NAME-bios.img`, a disk for BIOS alone.
    RawBios,
    /// `NAME-efi.img`, a disk for UEFI alone.
    RawEfi,
    /// `NAME.raw.gz`: the disk, compressed.
    #[value(name = "raw.gz")]
    RawGz,
    /// `NAME.raw.xz`: the disk, compressed most.
    #[value(name = "raw.xz")]
    RawXz,
    /// `NAME.raw.zst`: the disk, compressed fast.
    #[value(name = "raw.zst")]
    RawZst,
    /// `NAME.iso`, for a CD drive or a USB stick, for BIOS and UEFI.
    Iso,
    /// `NAME.iso`, for BIOS alone.
    IsoBios,
    /// `NAME-efi.iso`, for UEFI alone.
    IsoEfi,
    /// `NAME-efi-initrd.iso`, for UEFI alone, which runs from memory.
    IsoEfiInitrd,
    /// `NAME.qcow2`: the disk for QEMU, compressed with zstd (QEMU 5.1 or later).
    Qcow2,
    /// `NAME.qcow2`: for BIOS alone, compressed with zlib, for any QEMU.
    Qcow2Bios,
    /// `NAME-efi.qcow2`: for UEFI alone, compressed with zlib, for any QEMU.
    Qcow2Efi,
    /// `NAME-plain.qcow2`: not compressed.
    Qcow2Plain,
    /// `NAME.vmdk`: the disk for VMware, compressed (streamOptimized).
    Vmdk,
    /// `NAME-sparse.vmdk`: not compressed (monolithicSparse).
    VmdkSparse,
    /// `NAME.vhd`: the disk for Azure, of fixed size.
    Vhd,
    /// `NAME.vhd`, which grows.
    DynamicVhd,
    /// `NAME.vhdx`: the disk for Hyper-V.
    Vhdx,
    /// `NAME.vdi`: the disk for VirtualBox.
    Vdi,
    /// `NAME.ova`: a virtual machine for VMware and VirtualBox.
    Ova,
    /// `NAME.img.tar.gz`: the disk for Google's cloud.
    Gcp,
    /// `NAME.raw`: the disk as Amazon's cloud imports it.
    Aws,
    /// `NAME.ipxe` with `NAME-kernel`, `NAME-netboot.img` and `NAME-root.img`, to boot from a web server.
    Netboot,
    /// `NAME-rpi.img`: an SD card for the Raspberry Pi.
    #[value(alias = "rpi3")]
    Rpi,
    /// `NAME.docker`, the tar with a Dockerfile, for `docker build` (LinuxKit's layout only).
    Docker,
    /// `NAME-initrd.tar` with kernel, initrd.img, cmdline and ucode.cpio (LinuxKit's layout only).
    TarKernelInitrd,
    /// `NAME-kernel`, `NAME-cmdline` and `NAME-squashfs.img` (LinuxKit's layout only).
    #[value(name = "kernel+squashfs")]
    KernelSquashfs,
    /// `NAME-kernel`, `NAME-cmdline` and `NAME-erofs.img` (LinuxKit's layout only).
    #[value(name = "kernel+erofs")]
    KernelErofs,
    /// `NAME-kernel`, `NAME-cmdline` and `NAME.iso`, which does not boot by itself (LinuxKit's layout only).
    #[value(name = "kernel+iso")]
    KernelIso,
}

/// Whose firmware starts a disk or a CD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firmware {
    /// PC BIOS; there is none but on amd64.
    pub bios: bool,
    /// UEFI.
    pub uefi: bool,
}

impl Firmware {
    const BIOS: Self = Self { bios: true, uefi: false };
    const UEFI: Self = Self { bios: false, uefi: true };
    const BOTH: Self = Self { bios: true, uefi: true };

    /// Leave out what an architecture does not have; `None` if that leaves nothing.
    #[must_use]
    pub fn on(self, arch: Arch) -> Option<Self> {
        let kept = Self { bios: self.bios && arch == Arch::Amd64, ..self };
        (kept.bios || kept.uefi).then_some(kept)
    }
}

/// What kind of thing a format is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Files for a loader, or a file system by itself.
    Loose,
    /// One program for UEFI.
    Uki,
    /// A disk, or a file that holds one.
    Disk(Firmware),
    /// A CD.
    Iso(Firmware),
    /// Files of a web server.
    Netboot,
    /// A card for a board that reads a kernel and its initrd.
    Card,
}

impl Format {
    /// Write the format as users do.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Tell what kind of thing it is.
    #[must_use]
    pub fn medium(self) -> Medium {
        match self {
            Self::Uki => Medium::Uki,
            Self::RawBios | Self::Qcow2Bios => Medium::Disk(Firmware::BIOS),
            Self::RawEfi | Self::Qcow2Efi => Medium::Disk(Firmware::UEFI),
            Self::Raw | Self::RawGz | Self::RawXz | Self::RawZst | Self::Qcow2 | Self::Qcow2Plain => {
                Medium::Disk(Firmware::BOTH)
            }
            Self::Vmdk | Self::VmdkSparse | Self::Vhd | Self::DynamicVhd | Self::Vhdx | Self::Vdi => {
                Medium::Disk(Firmware::BOTH)
            }
            Self::Ova | Self::Gcp | Self::Aws => Medium::Disk(Firmware::BOTH),
            Self::Iso => Medium::Iso(Firmware::BOTH),
            Self::IsoBios => Medium::Iso(Firmware::BIOS),
            Self::IsoEfi | Self::IsoEfiInitrd => Medium::Iso(Firmware::UEFI),
            Self::Netboot => Medium::Netboot,
            Self::Rpi => Medium::Card,
            Self::KernelInitrd | Self::Tar | Self::Docker | Self::TarKernelInitrd => Medium::Loose,
            Self::KernelSquashfs | Self::KernelErofs | Self::KernelIso => Medium::Loose,
        }
    }

    /// Give what follows NAME in the name of the format's file; `None` if there are several.
    #[must_use]
    pub fn ending(self) -> Option<&'static str> {
        Some(match self {
            Self::Tar => ".tar",
            Self::Uki => ".efi",
            Self::Raw | Self::Aws => ".raw",
            Self::RawBios => "-bios.img",
            Self::RawEfi => "-efi.img",
            Self::RawGz => ".raw.gz",
            Self::RawXz => ".raw.xz",
            Self::RawZst => ".raw.zst",
            Self::Iso | Self::IsoBios => ".iso",
            Self::IsoEfi => "-efi.iso",
            Self::IsoEfiInitrd => "-efi-initrd.iso",
            Self::Qcow2 | Self::Qcow2Bios => ".qcow2",
            Self::Qcow2Efi => "-efi.qcow2",
            Self::Qcow2Plain => "-plain.qcow2",
            Self::Vmdk => ".vmdk",
            Self::VmdkSparse => "-sparse.vmdk",
            Self::Vhd | Self::DynamicVhd => ".vhd",
            Self::Vhdx => ".vhdx",
            Self::Vdi => ".vdi",
            Self::Ova => ".ova",
            Self::Gcp => ".img.tar.gz",
            Self::Rpi => "-rpi.img",
            Self::Docker => ".docker",
            Self::TarKernelInitrd => "-initrd.tar",
            Self::KernelInitrd | Self::Netboot => return None,
            Self::KernelSquashfs | Self::KernelErofs | Self::KernelIso => return None,
        })
    }

    /// Tell where the images are unless the user says otherwise.
    #[must_use]
    pub fn default_root(self) -> Root {
        if self == Self::IsoEfiInitrd { Root::Ram } else { self.root_beside().unwrap_or(Root::Ram) }
    }

    /// Tell what place the format has for images beside the initial RAM file system, if it has one.
    #[must_use]
    pub fn root_beside(self) -> Option<Root> {
        match self.medium() {
            Medium::Disk(_) | Medium::Iso(_) => Some(Root::Disk),
            Medium::Netboot => Some(Root::Web),
            Medium::Loose | Medium::Uki | Medium::Card => None,
        }
    }

    /// Tell whether the format has a place for what volumes keep.
    #[must_use]
    pub fn has_data(self) -> bool {
        matches!(self.medium(), Medium::Disk(_))
    }

    /// Tell whether only LinuxKit's layout has the format.
    #[must_use]
    pub fn is_linuxkits(self) -> bool {
        matches!(
            self,
            Self::Docker | Self::TarKernelInitrd | Self::KernelSquashfs | Self::KernelErofs | Self::KernelIso
        )
    }

    /// Tell whether there can be a file of this format for an architecture.
    #[must_use]
    pub fn is_for(self, arch: Arch) -> bool {
        match self.medium() {
            // Neither VMware nor VirtualBox imports other machines.
            Medium::Disk(_) if self == Self::Ova => arch == Arch::Amd64,
            Medium::Disk(firmware) | Medium::Iso(firmware) => firmware.on(arch).is_some(),
            Medium::Card => arch == Arch::Arm64,
            _ => true,
        }
    }

    /// List the names of the formats that there can be for an architecture, for a message.
    #[must_use]
    pub fn names_for(arch: Arch) -> String {
        let names = Self::value_variants().iter().filter(|format| format.is_for(arch)).map(|format| format.name());
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Find two different formats whose files have one name.
#[must_use]
pub fn clash(formats: &[Format]) -> Option<(Format, Format)> {
    // Amazon's disk is the disk.
    let file = |format: Format| match format {
        Format::KernelIso => Some(".iso"),
        Format::Aws => Format::Raw.ending(),
        other => other.ending(),
    };
    let same = |one: Format, other: Format| {
        one != other && file(one).is_some() && file(one) == file(other) && ![one, other].contains(&Format::Aws)
    };
    formats.iter().enumerate().find_map(|(at, one)| {
        let other = formats.iter().skip(at + 1).find(|other| same(*one, **other))?;
        Some((*one, *other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_one_file_are_found() {
        assert_eq!(clash(&[Format::Raw, Format::Aws, Format::Iso]), None);
        assert_eq!(clash(&[Format::Vhd, Format::Raw, Format::DynamicVhd]), Some((Format::Vhd, Format::DynamicVhd)));
        assert_eq!(clash(&[Format::KernelIso, Format::IsoBios]), Some((Format::KernelIso, Format::IsoBios)));
        assert_eq!(clash(&[Format::KernelInitrd, Format::Netboot]), None);
    }

    #[test]
    fn images_are_beside_the_initrd_where_there_is_a_place() {
        for (format, beside, usual) in [
            (Format::Raw, Some(Root::Disk), Root::Disk),
            (Format::IsoEfiInitrd, Some(Root::Disk), Root::Ram),
            (Format::Netboot, Some(Root::Web), Root::Web),
            (Format::Uki, None, Root::Ram),
        ] {
            assert_eq!((format.root_beside(), format.default_root()), (beside, usual), "{format:?}");
        }
    }

    #[test]
    fn bios_is_for_amd64_alone() {
        assert!(Format::Raw.is_for(Arch::Arm64) && !Format::RawBios.is_for(Arch::Arm64));
        assert!(!Format::Rpi.is_for(Arch::Amd64));
        assert!(!Format::names_for(Arch::Arm64).contains("bios"));
    }
}
