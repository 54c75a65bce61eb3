//! An SD card for the Raspberry Pi: one FAT partition with the firmware's files, the kernel and its initrd.
//!
//! ```text
//!  0        MBR with one FAT32 partition
//!  1 MiB    config.txt, cmdline.txt, kernel8.img, initrd.img, and what the firmware image brings: start4.elf, *.dtb, overlays
//! ```
//!
//! Source: Raspberry Pi documentation, "config.txt" and "The boot folder".

use std::collections::BTreeMap;

use super::WriteError;
use super::boot::{Boot, check_cmdline};
use crate::format::fat;
use crate::format::gpt::{self, Entry, Mbr, mbr_kind};
use crate::format::sparse::Sparse;

/// What is made, for messages.
const WHAT: &str = "the SD card";

/// Where the partition starts, and what the card is a multiple of, in bytes.
const ALIGN: u64 = 1 << 20;

/// What the firmware is told, unless its image has a `config.txt`: a kernel of 64 bits, its initrd behind it, a serial console.
const CONFIG: &str = "arm_64bit=1\nkernel=kernel8.img\ninitramfs initrd.img followkernel\nenable_uart=1\n";

/// Lay a card out. In: `firmware`, the files of the board's firmware by their paths.
///
/// # Errors
///
/// - [`WriteError::Size`]: it does not fit into `size`.
/// - [`WriteError::Cmdline`].
/// - [`WriteError::Layout`]: a file cannot be on a card.
pub fn card(boot: &Boot, firmware: &BTreeMap<String, Sparse>, size: Option<u64>) -> Result<Sparse, WriteError> {
    check_cmdline(boot.arch, &boot.kernel, &boot.cmdline)?;
    let own = [
        ("config.txt", Sparse::of_bytes(CONFIG.as_bytes())),
        ("cmdline.txt", Sparse::of_bytes(format!("{}\n", boot.cmdline).into_bytes())),
        ("kernel8.img", boot.kernel.clone()),
        ("initrd.img", boot.initrd.clone()),
    ];
    // A firmware's own settings win; what this host is, is ours to say.
    let own = own.iter().filter(|(name, _)| *name != "config.txt" || !firmware.contains_key(*name));
    let mut files: BTreeMap<&str, &Sparse> = firmware.iter().map(|(path, file)| (path.as_str(), file)).collect();
    files.extend(own.map(|(name, file)| (*name, file)));
    let files: Vec<(&str, &Sparse)> = files.into_iter().collect();
    let kind = Some(fat::Kind::Fat32);
    let fitting =
        fat::size_for(&files, 0, kind).map_err(|cause| WriteError::layout(WHAT, cause))?.next_multiple_of(ALIGN);
    let least = fitting + ALIGN;
    let size = size.map_or(least, |size| size.next_multiple_of(ALIGN));
    if size < least {
        return Err(WriteError::Size { size, least });
    }
    let len = size - ALIGN;
    let label = "HULLKIT".to_owned();
    let options =
        fat::Options { kind, size: Some(len), start: ALIGN, label, serial: boot.serial("card"), time: boot.epoch };
    let volume = fat::write(&files, &options).map_err(|cause| WriteError::layout(WHAT, cause))?;
    let mut card = Sparse::new(size);
    card.put(ALIGN, &volume.image).map_err(|cause| WriteError::layout(WHAT, cause))?;
    let entry = Entry { kind: mbr_kind::FAT32, start: ALIGN, len, active: false };
    let mbr = Mbr { code: None, signature: boot.serial("mbr"), active: false, others: vec![entry] };
    gpt::mbr_only(&mut card, &mbr).map_err(|cause| WriteError::layout(WHAT, cause))?;
    Ok(card)
}
