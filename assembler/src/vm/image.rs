//! What a file to run is, by its ending or else by its first bytes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::{DiskLayout, VmError};

/// A file that a machine boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// A disk.
    Disk(DiskLayout),
    /// An ISO 9660 image: a CD, or a disk if it is written to one.
    Iso,
    /// A program of UEFI's, as a unified kernel image.
    Program,
}

/// What each ending means.
const ENDINGS: [(&str, Image); 10] = [
    ("raw", Image::Disk(DiskLayout::Raw)),
    ("img", Image::Disk(DiskLayout::Raw)),
    ("iso", Image::Iso),
    ("qcow2", Image::Disk(DiskLayout::Qcow2)),
    ("vmdk", Image::Disk(DiskLayout::Vmdk)),
    ("vhd", Image::Disk(DiskLayout::Vhd)),
    ("vhdx", Image::Disk(DiskLayout::Vhdx)),
    ("vdi", Image::Disk(DiskLayout::Vdi)),
    ("efi", Image::Program),
    ("uki", Image::Program),
];

/// What bytes mean: offset, bytes. What holds other things comes first: an ISO that is also a disk has a partition table.
///
/// Source: ECMA-119, 8.1.2; QEMU, `docs/interop/qcow2.txt`; VMware Virtual Disk Format 5.0, `SparseExtentHeader`;
/// Microsoft, Virtual Hard Disk Image Format, Hard Disk Footer; [MS-VHDX] 2.2.1; VirtualBox, `VDICore.h`; UEFI 2.10, 5.2.
const MAGICS: [(u64, &[u8], Image); 7] = [
    (0, b"QFI\xfb", Image::Disk(DiskLayout::Qcow2)),
    (0, b"KDMV", Image::Disk(DiskLayout::Vmdk)),
    (0, b"vhdxfile", Image::Disk(DiskLayout::Vhdx)),
    (0x40, b"\x7f\x10\xda\xbe", Image::Disk(DiskLayout::Vdi)),
    // A disk that grows has a copy of its footer in front.
    (0, b"conectix", Image::Disk(DiskLayout::Vhd)),
    (0x8001, b"CD001", Image::Iso),
    (0x200, b"EFI PART", Image::Disk(DiskLayout::Raw)),
];

impl Image {
    /// Tell what a file is; nothing if it is neither called nor made like an image.
    ///
    /// The ending goes first: the first bytes of a raw disk are its guest's to write, and must not make it another.
    ///
    /// # Errors
    ///
    /// [`VmError::Read`]: there is no telling.
    pub fn of_file(path: &Path) -> Result<Option<Self>, VmError> {
        if let Some(image) = Self::by_ending(path) {
            return Ok(Some(image));
        }
        let found = File::open(path).and_then(|mut file| Self::by_bytes(&mut file));
        found.map_err(|cause| VmError::Read { path: path.to_owned(), cause })
    }

    fn by_ending(path: &Path) -> Option<Self> {
        let ending = path.extension().and_then(OsStr::to_str)?.to_ascii_lowercase();
        ENDINGS.into_iter().find(|(known, _)| *known == ending).map(|(_, image)| image)
    }

    fn by_bytes(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        for (offset, magic, image) in MAGICS {
            let mut bytes = Vec::with_capacity(magic.len());
            file.seek(SeekFrom::Start(offset))?;
            file.take(magic.len() as u64).read_to_end(&mut bytes)?;
            if bytes == magic {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn an_ending_tells_what_a_file_is() {
        let table = [
            ("out/web.raw", Some(Image::Disk(DiskLayout::Raw))),
            ("web.ISO", Some(Image::Iso)),
            ("web-arm64.vhd", Some(Image::Disk(DiskLayout::Vhd))),
            ("web.efi", Some(Image::Program)),
            ("web.yml", None),
            ("raw", None),
        ];
        for (path, want) in table {
            assert_eq!(Image::by_ending(Path::new(path)), want, "{path}");
        }
    }

    #[test]
    fn bytes_tell_if_no_ending_does() {
        for (offset, magic, want) in MAGICS {
            let mut bytes = vec![0; usize::try_from(offset).expect("small")];
            bytes.extend(magic);
            assert_eq!(Image::by_bytes(&mut Cursor::new(bytes)).expect("memory"), Some(want));
        }
        for text in [&b""[..], b"kernel:\n  image: a\n"] {
            assert_eq!(Image::by_bytes(&mut Cursor::new(text)).expect("memory"), None);
        }
    }

    #[test]
    fn a_partition_table_does_not_hide_the_iso_behind_it() {
        let mut bytes = vec![0; 0x9000];
        bytes[0x200..0x208].copy_from_slice(b"EFI PART");
        bytes[0x8001..0x8006].copy_from_slice(b"CD001");
        assert_eq!(Image::by_bytes(&mut Cursor::new(bytes)).expect("memory"), Some(Image::Iso));
    }
}
