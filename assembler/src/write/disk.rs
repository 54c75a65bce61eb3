//! A disk that boots: a partition table and what it leads to.
//!
//! ```text
//!  0        MBR, with the boot sector's code | GPT
//!  1 MiB    BIOS boot partition: the second stage (amd64)                   1 MiB
//!           ESP: FAT32 with EFI/BOOT/BOOT*.EFI, the unified kernel image    room for three of them
//!           root: EROFS with the images (unless they are in memory)
//!           data: ext4 of 128 MiB, empty, grown to the end of the disk at boot (if a volume is persistent)
//!  the end  the copy of the GPT
//! ```
//!
//! UEFI starts the one file of the ESP; the BIOS loader, which is generated for this very disk, reads the same file's sections
//! from the sectors that they are at.

use super::WriteError;
use super::boot::Boot;
use super::format::Firmware;
use crate::format::bios::kernel::Kernel;
use crate::format::bios::write::{self as bios, Load};
use crate::format::ext4;
use crate::format::fat;
use crate::format::gpt::{self, Mbr, Partition, Table, attribute, kind};
use crate::format::pe::Uki;
use crate::format::sparse::Sparse;
use crate::platform::Arch;

/// What is made, for messages.
const WHAT: &str = "the disk";

/// Name of the file system that volumes keep what is written on.
const LABEL: &str = hullkit_init::contract::DATA_NAME;

/// The same of its parts.
const ESP: &str = "the EFI system partition";
/// See [`ESP`].
pub(super) const LOADER: &str = "the BIOS boot loader";

/// Where partitions start, and what disks are a multiple of, in bytes.
const ALIGN: u64 = 1 << 20;

/// How much of a kernel is looked at, in bytes.
const SETUP: u64 = 4096;

/// Lay a disk out.
///
/// In: `size`, the length it must have at least, in bytes; whole MiB are used.
///
/// # Errors
///
/// - [`WriteError::Size`]: it does not fit.
/// - [`WriteError::Layout`]: something cannot be on such a disk.
pub fn disk(boot: &Boot, firmware: Firmware, size: Option<u64>) -> Result<Sparse, WriteError> {
    let uki = boot.uki()?;
    let mut plan = Plan { next: ALIGN, partitions: Vec::new() };
    let stage = firmware.bios.then(|| plan.take(boot, "bios", kind::BIOS_BOOT, ALIGN, 0));
    let esp_start = plan.next;
    let esp = esp(boot, &uki, esp_start, Reserve::TwoMore)?;
    // Without UEFI it is only where the loader finds its files.
    let (esp_kind, esp_flags) = if firmware.uefi { (kind::ESP, 0) } else { (kind::BASIC_DATA, attribute::NO_AUTO) };
    plan.take(boot, "esp", esp_kind, esp.image.size(), esp_flags);
    let root = boot.root.as_ref().map(|root| {
        let kind = if boot.arch == Arch::Amd64 { kind::ROOT_X86_64 } else { kind::ROOT_ARM64 };
        (plan.take(boot, "root", kind, root.image.size(), attribute::READ_ONLY), &root.image)
    });
    let data = match boot.keeps {
        true => Some((plan.take(boot, "data", kind::LINUX, ext4::SIZE, attribute::GROW), data(boot)?)),
        false => None,
    };
    let least = (plan.next + gpt::TAIL).next_multiple_of(ALIGN);
    let size = size.map_or(least, |size| size.next_multiple_of(ALIGN));
    if size < least {
        return Err(WriteError::Size { size, least });
    }
    let mut disk = Sparse::new(size);
    disk.put(esp_start, &esp.image).map_err(|cause| WriteError::layout(WHAT, cause))?;
    let data = data.as_ref().map(|(start, image)| (*start, image));
    for (start, image) in root.into_iter().chain(data) {
        disk.put(start, image).map_err(|cause| WriteError::layout(WHAT, cause))?;
    }
    let mut code = None;
    if let Some(start) = stage {
        let file = esp.files.first().map_or(esp_start, |file| esp_start + file.start);
        let loader = loader(boot, &uki, file)?;
        let stages =
            bios::disk(&loader.boot(), start / gpt::SECTOR).map_err(|cause| WriteError::layout(LOADER, cause))?;
        disk.put_bytes(start, stages.second_stage).map_err(|cause| WriteError::layout(WHAT, cause))?;
        code = Some(Box::new(stages.boot_code));
    }
    let mbr = Mbr { code, signature: boot.serial("mbr"), active: firmware.bios, others: Vec::new() };
    let table = Table { disk: boot.guid("disk"), partitions: plan.partitions, mbr };
    gpt::write(&mut disk, &table).map_err(|cause| WriteError::layout(WHAT, cause))?;
    Ok(disk)
}

/// Partitions one after another.
struct Plan {
    next: u64,
    partitions: Vec<Partition>,
}

impl Plan {
    /// Add a partition; give its first byte.
    fn take(&mut self, boot: &Boot, name: &str, kind: gpt::Uuid, len: u64, attributes: u64) -> u64 {
        let start = self.next;
        let guid = boot.guid(name);
        let name = format!("hullkit-{name}");
        let len = len.next_multiple_of(ALIGN);
        self.partitions.push(Partition { kind, guid, name, start, len, attributes });
        self.next = start + len;
        start
    }
}

/// How much room an ESP has beside what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserve {
    /// None: it is never written again.
    None,
    /// For two more unified kernel images, so that an update can be written beside what boots.
    TwoMore,
}

/// Make the file system that firmware reads. In: `start`, its first byte on the disk.
pub(super) fn esp(boot: &Boot, uki: &Uki, start: u64, reserve: Reserve) -> Result<fat::Volume, WriteError> {
    let path = match boot.arch {
        Arch::Amd64 => "EFI/BOOT/BOOTX64.EFI",
        Arch::Arm64 => "EFI/BOOT/BOOTAA64.EFI",
    };
    let files = [(path, &uki.image)];
    let (kind, size) = match reserve {
        Reserve::None => (None, None),
        Reserve::TwoMore => {
            let kind = Some(fat::Kind::Fat32);
            let least =
                fat::size_for(&files, uki.image.size() * 2, kind).map_err(|cause| WriteError::layout(ESP, cause))?;
            (kind, Some(least.next_multiple_of(ALIGN)))
        }
    };
    let serial = boot.serial("esp");
    let options = fat::Options { kind, size, start, label: "HULLKIT".to_owned(), serial, time: boot.epoch };
    let volume = fat::write(&files, &options).map_err(|cause| WriteError::layout(ESP, cause))?;
    // What firmware cannot read is better found here than on the machine.
    fat::check(&volume, &[path]).map_err(|cause| WriteError::layout(ESP, cause))?;
    Ok(volume)
}

/// Make the empty file system that volumes keep what is written on.
fn data(boot: &Boot) -> Result<Sparse, WriteError> {
    let (uuid, hash_seed) = (boot.guid("data file system").into_bytes(), boot.id("data hash seed"));
    let options = ext4::Options { uuid, label: LABEL, hash_seed, time: boot.epoch };
    ext4::write(&options).map_err(|cause| WriteError::layout("the data partition", cause))
}

/// What a BIOS loader needs to know of a disk or a CD.
pub(super) struct Loader<'b> {
    kernel: Kernel,
    kernel_at: [Load; 1],
    initrd_at: [Load; 1],
    cmdline: &'b str,
}

impl Loader<'_> {
    pub(super) fn boot(&self) -> bios::Boot<'_> {
        bios::Boot {
            kernel: &self.kernel,
            kernel_at: &self.kernel_at,
            initrd_at: &self.initrd_at,
            cmdline: self.cmdline,
        }
    }
}

/// Find out what a BIOS loader needs. In: `file`, the first byte of the unified kernel image on the disk.
pub(super) fn loader<'b>(boot: &'b Boot, uki: &Uki, file: u64) -> Result<Loader<'b>, WriteError> {
    let len = usize::try_from(SETUP.min(boot.kernel.size())).unwrap_or_default();
    let mut setup = vec![0; len];
    boot.kernel.read_at(0, &mut setup).map_err(|cause| WriteError::layout("the kernel", cause))?;
    let kernel = Kernel::read(&setup).map_err(|cause| WriteError::layout(LOADER, cause))?;
    let at = |range: &std::ops::Range<u64>| [Load { offset: file + range.start, len: range.end - range.start }];
    Ok(Loader { kernel, kernel_at: at(&uki.linux), initrd_at: at(&uki.initrd), cmdline: &boot.cmdline })
}
