//! El Torito: what firmware starts from an image.
//!
//! ```text
//! sector 17  boot record -> boot catalog, one sector of entries of 32 bytes:
//!            0x00  validation: the platform of the first image
//!            0x20  first image: that of BIOS, or of UEFI if there is none
//!            0x40  head of UEFI's section, if there are both
//!            0x60  UEFI's image: a FAT volume, the EFI system partition
//! ```
//!
//! BIOS loads its image to 0x7c00 and jumps there. UEFI mounts its own.
//!
//! Source: El Torito Bootable CD-ROM Format Specification 1.0, 1995; UEFI 2.10, 13.3.2.1.

use std::mem::size_of;

use zerocopy::{FromBytes, FromZeros, IntoBytes, KnownLayout};

use super::IsoError;
use super::layout::{
    BOOT, BOOTABLE, BootImage, BootRecord, EFI, EL_TORITO, KEY, LAST, MORE, SECTOR, STANDARD, SYSTEM_SECTORS,
    SectionHeader, Validation, X86,
};
use crate::format::tree::Contents;

/// Bytes of each entry of a catalog.
const ENTRY: u64 = size_of::<BootImage>() as u64;
/// Unit of what is loaded, in bytes.
const UNIT: u64 = 512;

/// What firmware starts: either, both or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// For BIOS.
    pub bios: Option<Bios>,
    /// For UEFI: path of the file that is a FAT volume.
    pub efi: Option<Vec<u8>>,
}

/// What BIOS loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bios {
    /// Path of the file.
    pub path: Vec<u8>,
    /// How much of it is loaded, in units of 512 bytes; at least one, and no more than there is. Not all BIOSes load more than 4.
    pub load: u16,
}

/// Where a file is in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first sector, of 2048 bytes; the others follow.
    pub sector: u32,
    /// Its length in bytes.
    pub len: u64,
}

impl Place {
    /// Give the first byte, from the image's start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.sector) * SECTOR
    }
}

/// Give the descriptor that leads to a catalog.
pub(super) fn record(catalog: u32) -> BootRecord {
    let mut record = BootRecord::new_zeroed();
    (record.kind, record.standard, record.version, record.system) = (BOOT, *STANDARD, 1, *EL_TORITO);
    record.catalog = catalog.into();
    record
}

/// Give a catalog of BIOS's image with the number of units to load, and UEFI's.
pub(super) fn catalog(bios: Option<(Place, u16)>, efi: Option<Place>) -> Vec<u8> {
    let mut first = Validation::new_zeroed();
    (first.header, first.platform, first.key) = (1, if bios.is_some() { X86 } else { EFI }, KEY);
    first.checksum = checksum(first.as_bytes()).wrapping_neg().into();
    let mut bytes = first.as_bytes().to_vec();
    if let Some((place, load)) = bios {
        bytes.extend_from_slice(image(place, load).as_bytes());
    }
    if let Some(place) = efi {
        if bios.is_some() {
            let mut head = SectionHeader::new_zeroed();
            (head.header, head.platform, head.count) = (LAST, EFI, 1.into());
            bytes.extend_from_slice(head.as_bytes());
        }
        bytes.extend_from_slice(image(place, whole(place.len)).as_bytes());
    }
    bytes
}

fn image(place: Place, count: u16) -> BootImage {
    let mut image = BootImage::new_zeroed();
    (image.bootable, image.count, image.sector) = (BOOTABLE, count.into(), place.sector.into());
    image
}

/// Say how long a FAT volume is. What cannot be said is 1, which means all up to the end of the ISO 9660 volume. 65535, as xorriso
/// writes it, makes OVMF see 128 MiB, and others by the letter of El Torito 32 MiB.
///
/// Source: UEFI 2.10, 13.3.2.1.
fn whole(len: u64) -> u16 {
    u16::try_from(len.div_ceil(UNIT)).unwrap_or(1)
}

fn checksum(entry: &[u8]) -> u16 {
    let words = entry.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    words.fold(0, u16::wrapping_add)
}

/// A boot catalog that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// Its sector.
    pub sector: u32,
    /// Offset of each image's entry in bytes from the image's start, the image's platform, and the entry.
    pub images: Vec<(u64, u8, BootImage)>,
}

impl Catalog {
    /// Read the catalog of an image; nothing if it has none. Only its first sector is read.
    ///
    /// # Errors
    ///
    /// - [`IsoError::Damaged`]: the catalog is not where it is said to be, or its entries do not follow one another.
    /// - [`IsoError::Io`].
    pub fn read(image: &dyn Contents) -> Result<Option<Self>, IsoError> {
        let at = (SYSTEM_SECTORS + 1) * SECTOR;
        let record = read::<BootRecord>(image, at)?;
        if (record.kind, record.standard, record.system) != (BOOT, *STANDARD, *EL_TORITO) {
            return Ok(None);
        }
        let sector = record.catalog.get();
        let start = u64::from(sector) * SECTOR;
        let first = read::<Validation>(image, start)?;
        let damaged = |offset, what| Err(IsoError::Damaged { offset, what });
        if (first.header, first.key) != (1, KEY) || checksum(first.as_bytes()) != 0 {
            return damaged(start, "no boot catalog starts with these bytes");
        }
        let mut images = vec![(start + ENTRY, first.platform, read(image, start + ENTRY)?)];
        let mut at = start + 2 * ENTRY;
        let mut more = true;
        while more && at < start + SECTOR {
            let head = read::<SectionHeader>(image, at)?;
            // Without sections there are zeros.
            more = head.header == MORE;
            if !more && head.header != LAST {
                break;
            }
            for _ in 0..head.count.get() {
                at += ENTRY;
                if at >= start + SECTOR {
                    return damaged(at, "a section leaves the boot catalog");
                }
                images.push((at, head.platform, read(image, at)?));
            }
            at += ENTRY;
        }
        Ok(Some(Self { sector, images }))
    }
}

fn read<T: FromBytes + KnownLayout>(image: &dyn Contents, offset: u64) -> Result<T, IsoError> {
    let size = size_of::<T>() as u64;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut image.reader(offset, size)?, &mut bytes)?;
    T::read_from_bytes(&bytes).map_err(|_| IsoError::Damaged { offset, what: "the image ends too early" })
}
