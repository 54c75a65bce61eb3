//! A CD that boots, and that boots from a USB stick as well.
//!
//! ```text
//!  0         MBR, with the boot sector's code | GPT: ESP, root
//!  32768     ISO 9660 with Rock Ridge and Joliet
//!              boot/efi.img         FAT with the unified kernel image: the ESP, and El Torito's image for UEFI
//!              boot/bios.img        El Torito's image for BIOS: the loader, which reads the parts in boot/efi.img
//!              boot/stage2.img      the loader's second stage for a stick
//!              hullkit/root.erofs   the images
//!  the end   the copy of the GPT
//! ```

use super::WriteError;
use super::boot::Boot;
use super::disk::{LOADER, Reserve, esp, loader};
use super::format::Firmware;
use crate::format::bios::write as bios;
use crate::format::gpt::{self, Mbr, Partition, Table, attribute, kind};
use crate::format::iso9660::boot::{Bios, Boot as Torito};
use crate::format::iso9660::write::{Image, Options};
use crate::format::sparse::Sparse;
use crate::format::tree::{Attributes, Content, Entry, REGULAR, Tree};
use crate::platform::Arch;

/// What is made, for messages.
const WHAT: &str = "the ISO image";

const EFI: &[u8] = b"boot/efi.img";
const BIOS: &[u8] = b"boot/bios.img";
const STAGE: &[u8] = b"boot/stage2.img";
const ROOT: &[u8] = b"hullkit/root.erofs";

/// Files start at this many sectors of 2048 bytes: where partitions may, and what the root's blocks need.
const ALIGN: u32 = 2;

/// Room for a loader, in bytes: its length is known only once its places are.
const STAGE_LEN: u64 = 32 << 10;

/// What a BIOS loads of El Torito's image, in units of 512 bytes: all that each of them loads.
const LOADED: u16 = 4;

/// Lay a CD out.
///
/// # Errors
///
/// - [`WriteError::Layout`]: something cannot be on a CD.
pub fn iso(boot: &Boot, firmware: Firmware) -> Result<Sparse, WriteError> {
    let uki = boot.uki()?;
    // Where it starts on the CD is not known yet; only who writes to it would want to know.
    let esp = esp(boot, &uki, 0, Reserve::None)?;
    let mut contents = Contents { all: Sparse::default(), entries: Vec::new(), epoch: boot.epoch };
    contents.add(EFI, &esp.image);
    if let Some(root) = &boot.root {
        contents.add(ROOT, &root.image);
    }
    let loaders = contents.all.size();
    if firmware.bios {
        for path in [BIOS, STAGE] {
            contents.add(path, &Sparse::new(STAGE_LEN));
        }
    }
    let Contents { mut all, entries, .. } = contents;
    let tree = Tree::from_entries(entries, i64::from(boot.epoch))?;
    let torito = Torito {
        bios: firmware.bios.then(|| Bios { path: BIOS.to_vec(), load: LOADED }),
        efi: firmware.uefi.then(|| EFI.to_vec()),
    };
    let options = Options {
        align: ALIGN,
        tail: gpt::TAIL,
        boot: torito,
        ..Options::new(volume(&boot.name), i64::from(boot.epoch))
    };
    let image = Image::new(&tree, options).map_err(|cause| WriteError::layout(WHAT, cause))?;
    let at = |path: &[u8]| image.place(path).map_or(0, |place| place.offset());
    let mut code = None;
    if firmware.bios {
        let file = esp.files.first().map_or(0, |file| at(EFI) + file.start);
        let loader = loader(boot, &uki, file)?;
        let cd = bios::cd(&loader.boot(), at(BIOS) / 2048).map_err(|cause| WriteError::layout(LOADER, cause))?;
        let stages =
            bios::disk(&loader.boot(), at(STAGE) / gpt::SECTOR).map_err(|cause| WriteError::layout(LOADER, cause))?;
        all.put_bytes(loaders, cd).map_err(|cause| WriteError::layout(WHAT, cause))?;
        all.put_bytes(loaders + STAGE_LEN, stages.second_stage).map_err(|cause| WriteError::layout(WHAT, cause))?;
        code = Some(Box::new(stages.boot_code));
    }
    let mut cd = image.sparse(&all).map_err(|cause| WriteError::layout(WHAT, cause))?;
    let esp_kind = if firmware.uefi { kind::ESP } else { kind::BASIC_DATA };
    let root_kind = if boot.arch == Arch::Amd64 { kind::ROOT_X86_64 } else { kind::ROOT_ARM64 };
    let mut partitions = vec![partition(boot, "esp", esp_kind, at(EFI), esp.image.size(), 0)];
    if let Some(root) = &boot.root {
        partitions.push(partition(boot, "root", root_kind, at(ROOT), root.image.size(), attribute::READ_ONLY));
    }
    let mbr = Mbr { code, signature: boot.serial("mbr"), active: firmware.bios, others: Vec::new() };
    gpt::write(&mut cd, &Table { disk: boot.guid("disk"), partitions, mbr })
        .map_err(|cause| WriteError::layout(WHAT, cause))?;
    Ok(cd)
}

fn partition(boot: &Boot, name: &str, kind: gpt::Uuid, start: u64, len: u64, attributes: u64) -> Partition {
    let len = len.next_multiple_of(gpt::SECTOR);
    Partition { kind, guid: boot.guid(name), name: format!("hullkit-{name}"), start, len, attributes }
}

/// Files of the CD, one behind another.
struct Contents {
    all: Sparse,
    entries: Vec<Entry>,
    epoch: u32,
}

impl Contents {
    fn add(&mut self, path: &[u8], content: &Sparse) {
        let offset = self.all.size();
        self.all.append(content);
        let attributes = Attributes { mode: REGULAR | 0o644, mtime: i64::from(self.epoch), ..Attributes::default() };
        let content = Content::File { offset, size: content.size() };
        self.entries.push(Entry { path: path.to_vec(), attributes, content });
    }
}

/// Make a volume's name of the host's: what ISO 9660 allows, at most 32 characters.
fn volume(name: &str) -> String {
    let chars = name.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' });
    let name: String = chars.take(32).collect();
    if name.is_empty() { "HULLKIT".to_owned() } else { name }
}
