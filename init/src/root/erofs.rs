//! The head of an EROFS file system. In: a disk and a place on it. Out: how the file system there names itself, if there is one.
//!
//! Nothing more is read of it: what is in it is at places that the contract says, and each of those the kernel checks itself.

use std::io;

use crate::disk::{Disk, bytes_at, printable, u32_at, uuid_text};

/// Where the superblock starts, in bytes from the start of the file system.
const SUPERBLOCK: u64 = 1024;

/// Bytes of the superblock that every version has.
const LENGTH: usize = 128;

/// Its first four bytes.
const MAGIC: u32 = 0xe0f5_e1e2;

/// What an EROFS file system says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its identity, lower case with hyphens.
    pub uuid: String,
    /// Its name, often empty.
    pub label: String,
}

/// Read the superblock of the file system that starts at `start`, in bytes; `None` if there is none.
///
/// # Errors
///
/// The kernel's, if the disk cannot be read.
///
/// # Source
///
/// Linux, `fs/erofs/erofs_fs.h`: `struct erofs_super_block`.
pub fn read(disk: &dyn Disk, start: u64) -> io::Result<Option<Volume>> {
    let Some(offset) = start.checked_add(SUPERBLOCK) else { return Ok(None) };
    Ok(disk.part(offset, LENGTH)?.as_deref().and_then(parse))
}

fn parse(superblock: &[u8]) -> Option<Volume> {
    if u32_at(superblock, 0)? != MAGIC {
        return None;
    }
    let label: [u8; 16] = bytes_at(superblock, 0x40)?;
    let label = label.split(|byte| *byte == 0).next().unwrap_or_default();
    let label = printable(&String::from_utf8_lossy(label));
    Some(Volume { uuid: uuid_text(bytes_at(superblock, 0x30)?), label })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file system of 8 KiB with nothing in it but its names.
    pub(crate) fn image(uuid: u8, label: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 8192];
        image[1024..1028].copy_from_slice(&MAGIC.to_le_bytes());
        image[1024 + 0x30..][..16].fill(uuid);
        image[1024 + 0x40..][..label.len()].copy_from_slice(label);
        image
    }

    #[test]
    fn a_file_system_tells_its_names() {
        let found = read(&image(0x5a, b"hullkit-root"), 0).unwrap().unwrap();
        assert_eq!(found.uuid, "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a");
        assert_eq!(found.label, "hullkit-root");
        assert_eq!(read(&image(1, b"0123456789abcdef"), 0).unwrap().unwrap().label, "0123456789abcdef");
        assert_eq!(read(&image(1, b"a\x1b[2J"), 0).unwrap().unwrap().label, "a?[2J");
    }

    #[test]
    fn another_magic_or_too_short_a_disk_is_no_file_system() {
        let mut other = image(1, b"");
        other[1024] ^= 1;
        assert_eq!(read(&other, 0).unwrap(), None);
        assert_eq!(read(&image(1, b"")[..1100].to_vec(), 0).unwrap(), None);
        assert_eq!(read(&image(1, b""), u64::MAX).unwrap(), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2048), start: u64) {
            let _ = read(&bytes, start);
            let _ = read(&bytes, start % 2048);
            let _ = parse(&bytes);
        }
    }
}
