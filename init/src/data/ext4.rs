//! The head of an ext4 file system. In: a disk and a place on it. Out: how long the file system there is, if there is one.

use std::io;

use crate::disk::{Disk, bytes_at, u32_at};

/// Where the superblock starts, in bytes from the start of the file system.
const SUPERBLOCK: u64 = 1024;

/// Its length in bytes.
const LENGTH: usize = 1024;

/// Its magic number, and where that is.
const MAGIC: (usize, u16) = (0x38, 0xef53);

/// Blocks have 1024 bytes, doubled so many times at most.
const DOUBLED_MAX: u32 = 6;

/// Flag of a file system that counts its blocks in 64 bits, and where it is.
const WIDE: (usize, u32) = (0x60, 0x80);

/// What an ext4 file system says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Volume {
    /// Bytes of a block.
    pub(super) block: u64,
    /// How many there are.
    pub(super) blocks: u64,
}

/// Read the superblock of the file system that starts at `start`, in bytes; `None` if there is none.
///
/// # Errors
///
/// The kernel's, if the disk cannot be read.
///
/// # Source
///
/// Linux, `fs/ext4/ext4.h`: `struct ext4_super_block`.
pub(super) fn read(disk: &dyn Disk, start: u64) -> io::Result<Option<Volume>> {
    let Some(offset) = start.checked_add(SUPERBLOCK) else { return Ok(None) };
    Ok(disk.part(offset, LENGTH)?.as_deref().and_then(parse))
}

fn parse(block: &[u8]) -> Option<Volume> {
    let (at, magic) = MAGIC;
    if bytes_at(block, at).map(u16::from_le_bytes)? != magic {
        return None;
    }
    let (at, flag) = WIDE;
    let high = if u32_at(block, at)? & flag == 0 { 0 } else { u32_at(block, 0x150)? };
    let doubled = u32_at(block, 0x18).filter(|doubled| *doubled <= DOUBLED_MAX)?;
    Some(Volume { block: 1024 << doubled, blocks: u64::from(high) << 32 | u64::from(u32_at(block, 4)?) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file system of so many blocks of 4096 bytes.
    pub(crate) fn image(blocks: u64) -> Vec<u8> {
        let mut disk = vec![0; 4096];
        let block = &mut disk[1024..];
        block[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
        block[0x18] = 2;
        block[0x60] = 0x80;
        block[4..8].copy_from_slice(&blocks.to_le_bytes()[..4]);
        block[0x150..0x154].copy_from_slice(&blocks.to_le_bytes()[4..]);
        disk
    }

    #[test]
    fn its_length_is_read_and_what_is_none_is_none() {
        for blocks in [32768, 5 << 32 | 7] {
            assert_eq!(read(&image(blocks), 0).unwrap(), Some(Volume { block: 4096, blocks }));
        }
        let mut narrow = image(5 << 32 | 7);
        narrow[1024 + 0x60] = 0;
        assert_eq!(read(&narrow, 0).unwrap().map(|volume| volume.blocks), Some(7));
        let mut odd = image(7);
        odd[1024 + 0x18] = 30;
        for disk in [vec![0; 4096], vec![0; 100], odd] {
            assert_eq!(read(&disk, 0).unwrap(), None);
        }
        assert_eq!(read(&image(7), u64::MAX).unwrap(), None);
    }
}
