//! Superblocks. In: the first MiB of a disk. Out: what it is formatted as. Pure; every number in it may be a lie.
//!
//! # Source
//!
//! Linux: `fs/ext4/ext4.h` (`struct ext4_super_block`), `fs/xfs/libxfs/xfs_format.h` (`struct xfs_dsb`), `fs/btrfs/ctree.h`
//! (`struct btrfs_super_block`), `Documentation/filesystems/vfat.rst`, `include/linux/swap.h` (`union swap_header`); cryptsetup,
//! `docs/on-disk-format-luks2.pdf`, 2.1; others by their magic numbers as `file(1)` has them.

use hullkit_init::contract::storage::Format;

use super::{Found, Kind};

/// Pages of machines that make swap, in bytes.
const PAGES: [u64; 3] = [4096, 16384, 65536];

/// What is known by a magic number alone: where it is, what, and its name.
const OTHERS: [(usize, &[u8], &str); 12] = [
    (0, b"LUKS\xba\xbe", "LUKS1"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (0, b"hsqs", "squashfs"),
    (1024, b"\xe2\xe1\xf5\xe0", "erofs"),
    (1024, b"\x10\x20\xf5\xf2", "f2fs"),
    (512, b"LABELONE", "an LVM physical volume"),
    (4096, b"\xfc\x4e\x2b\xa9", "a member of a RAID"),
    (0, b"\xfc\x4e\x2b\xa9", "a member of a RAID"),
    (0x8001, b"CD001", "iso9660"),
    (4120, b"\xc6\x85\x73\xf6", "bcache"),
    (3, b"-FVE-FS-", "BitLocker"),
];

/// Read what is at the start of a disk.
pub(super) fn read(head: &[u8]) -> Option<Found> {
    let readers = [luks, xfs, btrfs, ext4, swap, other, vfat, mbr];
    readers.into_iter().find_map(|read| read(head))
}

fn found(kind: Kind, label: &[u8], size: Option<u64>, block: u64) -> Found {
    let label = label.split(|byte| *byte == 0).next().unwrap_or_default();
    let label = String::from_utf8_lossy(label).chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    Found { kind, label, size, block, inodes_percent: 0 }
}

fn ext4(head: &[u8]) -> Option<Found> {
    let block = head.get(1024..2048)?;
    if u16_le(block, 0x38)? != 0xef53 {
        return None;
    }
    const EXTENTS: u32 = 0x40;
    const WIDE: u32 = 0x80;
    let incompatible = u32_le(block, 0x60)?;
    let high = if incompatible & WIDE == 0 { 0 } else { u32_le(block, 0x150)? };
    let length = u32_le(block, 0x18)
        .and_then(|doubled| 1024_u64.checked_shl(doubled))
        .filter(|length| (1024..=65536).contains(length))?;
    let blocks = u64::from(high) << 32 | u64::from(u32_le(block, 4)?);
    let kind = if incompatible & EXTENTS == 0 { Kind::Other("ext2 or ext3") } else { Kind::Format(Format::Ext4) };
    Some(found(kind, block.get(0x78..0x88)?, blocks.checked_mul(length), length))
}

fn xfs(head: &[u8]) -> Option<Found> {
    if !head.starts_with(b"XFSB") {
        return None;
    }
    let length = u64::from(u32_be(head, 4)?);
    let blocks = u64::from_be_bytes(bytes(head, 8)?);
    let found = found(Kind::Format(Format::Xfs), head.get(108..120)?, blocks.checked_mul(length), length);
    Some(Found { inodes_percent: u32::from(*head.get(127)?), ..found })
}

fn btrfs(head: &[u8]) -> Option<Found> {
    let block = head.get(64 << 10..)?.get(..4096)?;
    if block.get(0x40..0x48)? != b"_BHRfS_M" {
        return None;
    }
    // Of the device that this is, which is the file system unless it has several.
    let size = u64::from_le_bytes(bytes(block, 0xd1)?);
    Some(found(Kind::Format(Format::Btrfs), block.get(0x12b..0x22b)?, Some(size), u64::from(u32_le(block, 0x90)?)))
}

fn swap(head: &[u8]) -> Option<Found> {
    let page = PAGES.into_iter().find(|page| {
        let end = usize::try_from(*page).unwrap_or_default();
        head.get(end.saturating_sub(10)..end) == Some(b"SWAPSPACE2")
    })?;
    let pages = u64::from(u32_le(head, 1028)?).checked_add(1)?;
    Some(found(Kind::Format(Format::Swap), head.get(1052..1068)?, pages.checked_mul(page), page))
}

fn luks(head: &[u8]) -> Option<Found> {
    let is_second = head.starts_with(b"LUKS\xba\xbe") && head.get(6..8)? == [0, 2];
    is_second.then(|| found(Kind::Luks, head.get(24..72).unwrap_or_default(), None, 512))
}

/// A boot sector as FAT has it; those of partition tables and boot loaders have the same last two bytes, and no geometry.
fn vfat(head: &[u8]) -> Option<Found> {
    if head.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    let sector = u64::from(u16_le(head, 11)?);
    let (cluster, tables) = (*head.get(13)?, *head.get(16)?);
    let is_geometry =
        [512, 1024, 2048, 4096].contains(&sector) && cluster.is_power_of_two() && (1..=2).contains(&tables);
    if !is_geometry || u16_le(head, 14)? == 0 {
        return None;
    }
    let label = match (head.get(0x36..0x3b)?, head.get(0x52..0x57)?) {
        (b"FAT12" | b"FAT16", _) => head.get(0x2b..0x36)?,
        (_, b"FAT32") => head.get(0x47..0x52)?,
        _ => return None,
    };
    let sectors = match u16_le(head, 0x13)? {
        0 => u64::from(u32_le(head, 0x20)?),
        few => u64::from(few),
    };
    let mut found = found(Kind::Format(Format::Vfat), label, sectors.checked_mul(sector), sector);
    let trimmed = found.label.trim_end().len();
    found.label.truncate(trimmed);
    Some(found)
}

fn mbr(head: &[u8]) -> Option<Found> {
    let is_table = head.get(510..512)? == [0x55, 0xaa];
    is_table.then(|| found(Kind::Other("an MBR partition table or boot sector"), b"", None, 512))
}

fn other(head: &[u8]) -> Option<Found> {
    let (_, _, name) =
        OTHERS.into_iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))?;
    Some(found(Kind::Other(name), b"", None, 512))
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..)?.first_chunk().copied()
}

fn u16_le(head: &[u8], at: usize) -> Option<u16> {
    bytes(head, at).map(u16::from_le_bytes)
}

fn u32_le(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).map(u32::from_le_bytes)
}

fn u32_be(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).map(u32::from_be_bytes)
}
