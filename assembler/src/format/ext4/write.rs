//! Options to a file system, block by block.

use std::mem::offset_of;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes, big_endian, transmute};

use super::Ext4Error;
use super::layout::{
    BACKUP_INODE, BLOCK, BLOCK_BITMAP, BLOCK_BITS, BLOCKS, BlockMap, CLEAN, COMPAT, CONTINUE, CRC32C, DESCRIPTOR_LEN,
    DESCRIPTORS, DIRECTORY, DYNAMIC, Descriptor, ENTRIES_LEN, ENTRY_DIRECTORY, ENTRY_TAIL, EXTENT_MAGIC, EXTENTS,
    EXTRA, Entry, ExtentRoot, FLEX_BITS, FREE, HALF_MD4, INCOMPAT, INODE_BITMAP, INODE_BLOCKS, INODE_LEN, INODE_TABLE,
    INODES, INODES_ZEROED, Inode, JOURNAL, JOURNAL_BLOCKS, JOURNAL_INODE, JOURNAL_MAGIC, JOURNAL_SUPER, JournalBackup,
    JournalSuperBlock, LOST_FOUND, LOST_FOUND_BLOCKS, LOST_FOUND_INODE, MAGIC, MOUNT_OPTIONS, NO_CHECK, REGULAR,
    RESIZE, RESIZE_INODE, RO_COMPAT, ROOT, ROOT_INODE, SECTOR, SIGNED_HASH, SIZE, SPARE, SPARE_START, SUPER_OFFSET,
    SuperBlock, TAIL_LEN, Tail,
};
use crate::format::crc32c::crc32c;
use crate::format::sparse::Sparse;

/// Bytes of an entry of a directory whose name is `.` or `..`.
const DOT: u16 = 12;

/// What a file system is called, and when it was made.
#[derive(Debug, Clone, Copy)]
pub struct Options<'o> {
    /// Identity, in the order it is written in.
    pub uuid: [u8; 16],
    /// Name, at most 16 bytes.
    pub label: &'o str,
    /// What hashes of names in large directories start with.
    pub hash_seed: [u8; 16],
    /// Time of all there is, seconds since 1970.
    pub time: u32,
}

/// Write an empty file system of [`SIZE`] bytes.
///
/// Out: a few whole blocks; all others are holes and must read as zeros. Equal options give equal bytes.
///
/// # Errors
///
/// - [`Ext4Error::Label`]: the name is longer than 16 bytes, or has a NUL in it.
pub fn write(options: &Options<'_>) -> Result<Sparse, Ext4Error> {
    let label = label(options.label)?;
    let [block_bitmap, inode_bitmap] = [bitmap(FREE, BLOCKS), bitmap(LOST_FOUND_INODE, INODES)];
    let mut image = Sparse::new(SIZE);
    let mut put = |number: u32, mut block: Vec<u8>| {
        block.resize(BLOCK as usize, 0);
        image.put_bytes(u64::from(number) * u64::from(BLOCK), block)
    };
    put(0, [&[0; SUPER_OFFSET], super_block(options, label).as_bytes()].concat())?;
    put(DESCRIPTORS, descriptor(options, &block_bitmap, &inode_bitmap).as_bytes().to_vec())?;
    put(BLOCK_BITMAP, block_bitmap)?;
    put(INODE_BITMAP, inode_bitmap)?;
    // The rest of the table is a hole.
    put(INODE_TABLE, (1..=LOST_FOUND_INODE).flat_map(|number| summed(options, number)).collect())?;
    let root =
        [(ROOT_INODE, DOT, "."), (ROOT_INODE, DOT, ".."), (LOST_FOUND_INODE, ENTRIES_LEN - 2 * DOT, "lost+found")];
    put(ROOT, directory(options, ROOT_INODE, &root))?;
    let lost_found = [(LOST_FOUND_INODE, DOT, "."), (ROOT_INODE, ENTRIES_LEN - DOT, "..")];
    put(LOST_FOUND, directory(options, LOST_FOUND_INODE, &lost_found))?;
    for number in LOST_FOUND + 1..RESIZE {
        put(number, directory(options, LOST_FOUND_INODE, &[(0, ENTRIES_LEN, "")]))?;
    }
    put(RESIZE, spare())?;
    put(JOURNAL, journal(options).as_bytes().to_vec())?;
    Ok(image)
}

/// Pad a name with NUL.
fn label(label: &str) -> Result<[u8; 16], Ext4Error> {
    let mut padded = [0; 16];
    if label.len() > padded.len() || label.contains('\0') {
        return Err(Ext4Error::Label { label: label.to_owned() });
    }
    padded.iter_mut().zip(label.bytes()).for_each(|(place, letter)| *place = letter);
    Ok(padded)
}

/// Sum up parts as ext4 does all but the superblock: the file system's identity comes first.
fn sum(options: &Options<'_>, parts: &[&[u8]]) -> u32 {
    crc32c(&[&options.uuid, parts.concat().as_slice()].concat())
}

/// Split a number into its lower and its upper half, which stand apart.
fn halves(number: u32) -> [U16; 2] {
    transmute!(U32::new(number))
}

/// Set the bits below `used`, and those from `all` on, which stand for nothing.
fn bitmap(used: u32, all: u32) -> Vec<u8> {
    let bit = |number: u32| u8::from(!(used..all).contains(&number));
    (0..BLOCK).map(|byte| (0..8).fold(0, |bits, at| bits | bit(byte * 8 + at) << at)).collect()
}

fn super_block(options: &Options<'_>, label: [u8; 16]) -> SuperBlock {
    let time = options.time.into();
    let journal = inode(options, JOURNAL_INODE);
    let mut block = SuperBlock {
        inodes: INODES.into(),
        blocks: BLOCKS.into(),
        free_blocks: (BLOCKS - FREE).into(),
        free_inodes: (INODES - LOST_FOUND_INODE).into(),
        block_bits: BLOCK_BITS.into(),
        cluster_bits: BLOCK_BITS.into(),
        blocks_per_group: BLOCKS.into(),
        clusters_per_group: BLOCKS.into(),
        inodes_per_group: INODES.into(),
        write_time: time,
        max_mounts: NO_CHECK.into(),
        magic: MAGIC.into(),
        state: CLEAN.into(),
        errors: CONTINUE.into(),
        check_time: time,
        revision: DYNAMIC.into(),
        first_inode: LOST_FOUND_INODE.into(),
        inode_size: INODE_LEN.into(),
        compat: COMPAT.into(),
        incompat: INCOMPAT.into(),
        ro_compat: RO_COMPAT.into(),
        uuid: options.uuid,
        label,
        spare: SPARE.into(),
        journal_inode: JOURNAL_INODE.into(),
        hash_seed: options.hash_seed,
        hash: HALF_MD4,
        backup_kind: BACKUP_INODE,
        descriptor_size: DESCRIPTOR_LEN.into(),
        mount_options: MOUNT_OPTIONS.into(),
        made: time,
        backup: JournalBackup { map: journal.map, size_high: journal.size_high, size: journal.size },
        min_extra: EXTRA.into(),
        want_extra: EXTRA.into(),
        flags: SIGNED_HASH.into(),
        flex_bits: FLEX_BITS,
        sum_kind: CRC32C,
        overhead: (INODE_TABLE + INODE_BLOCKS + u32::from(JOURNAL_BLOCKS)).into(),
        ..SuperBlock::new_zeroed()
    };
    let (before, _) = block.as_bytes().split_at_checked(offset_of!(SuperBlock, sum)).unwrap_or_default();
    block.sum = crc32c(before).into();
    block
}

fn descriptor(options: &Options<'_>, block_bitmap: &[u8], inode_bitmap: &[u8]) -> Descriptor {
    let [free_blocks, _] = halves(BLOCKS - FREE);
    let [free_inodes, _] = halves(INODES - LOST_FOUND_INODE);
    let [block_bitmap_sum, block_bitmap_sum_high] = halves(sum(options, &[block_bitmap]));
    // Only what stands for inodes.
    let (inode_bits, _) = inode_bitmap.split_at_checked(INODES as usize / 8).unwrap_or_default();
    let [inode_bitmap_sum, inode_bitmap_sum_high] = halves(sum(options, &[inode_bits]));
    let mut descriptor = Descriptor {
        block_bitmap: BLOCK_BITMAP.into(),
        inode_bitmap: INODE_BITMAP.into(),
        inode_table: INODE_TABLE.into(),
        free_blocks,
        free_inodes,
        directories: 2.into(),
        // Holes are zeros, so that the kernel need not write 2 MiB of them after the first mount. Whoever puts the image onto a used
        // disk must write them: spare descriptors rely on it too, flag or not.
        flags: INODES_ZEROED.into(),
        block_bitmap_sum,
        inode_bitmap_sum,
        unused_inodes: free_inodes,
        block_bitmap_sum_high,
        inode_bitmap_sum_high,
        ..Descriptor::new_zeroed()
    };
    let group = 0_u32.to_le_bytes();
    [descriptor.sum, _] = halves(sum(options, &[&group, descriptor.as_bytes()]));
    descriptor
}

/// Give an inode without its sum.
fn inode(options: &Options<'_>, number: u32) -> Inode {
    match number {
        ROOT_INODE => file(options, DIRECTORY | 0o755, 3, extent(ROOT, 1), 1),
        LOST_FOUND_INODE => {
            let map = extent(LOST_FOUND, LOST_FOUND_BLOCKS);
            file(options, DIRECTORY | 0o700, 2, map, LOST_FOUND_BLOCKS)
        }
        JOURNAL_INODE => file(options, REGULAR | 0o600, 1, extent(JOURNAL, JOURNAL_BLOCKS), JOURNAL_BLOCKS),
        RESIZE_INODE => {
            let map = transmute!(BlockMap { doubly: RESIZE.into(), ..BlockMap::new_zeroed() });
            // As long as a file can be that ends with the blocks of that kind, whatever of it is there.
            let listed = u64::from(BLOCK / 4);
            let [size, size_high] = transmute!(U64::new((listed * listed + listed + 12) * u64::from(BLOCK)));
            Inode { size, size_high, flags: U32::ZERO, ..file(options, REGULAR | 0o600, 1, map, SPARE + 1) }
        }
        // Reserved, and no file.
        _ => Inode { extra: EXTRA.into(), ..Inode::new_zeroed() },
    }
}

/// Give an inode of a file with this many blocks, all of its data.
fn file(options: &Options<'_>, mode: u16, links: u16, map: [U32; 15], blocks: u16) -> Inode {
    let time = options.time.into();
    // 32 bits are signed: from 2038 on they need another that counts 2^32 seconds.
    let extra = u32::from(options.time > i32::MAX.unsigned_abs()).into();
    Inode {
        mode: mode.into(),
        size: (u32::from(blocks) * BLOCK).into(),
        accessed: time,
        changed: time,
        modified: time,
        links: links.into(),
        sectors: (u32::from(blocks) * (BLOCK / SECTOR)).into(),
        flags: EXTENTS.into(),
        map,
        extra: EXTRA.into(),
        changed_extra: extra,
        modified_extra: extra,
        accessed_extra: extra,
        made: time,
        made_extra: extra,
        ..Inode::new_zeroed()
    }
}

/// Say that a file's data lies in blocks that follow each other.
fn extent(start: u32, len: u16) -> [U32; 15] {
    transmute!(ExtentRoot {
        magic: EXTENT_MAGIC.into(),
        count: 1.into(),
        max: 4.into(),
        len: len.into(),
        start: start.into(),
        ..ExtentRoot::new_zeroed()
    })
}

/// Give an inode as it stands in the table.
fn summed(options: &Options<'_>, number: u32) -> [u8; INODE_LEN as usize] {
    let mut inode = inode(options, number);
    [inode.sum, inode.sum_high] =
        halves(sum(options, &[&number.to_le_bytes(), inode.generation.as_bytes(), inode.as_bytes()]));
    transmute!(inode)
}

/// Give a block of a directory: inode, length and name of each entry. Lengths add up to [`ENTRIES_LEN`].
fn directory(options: &Options<'_>, number: u32, entries: &[(u32, u16, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (inode, len, name) in entries {
        let [name_len, ..] = name.len().to_le_bytes();
        let kind = if *inode == 0 { 0 } else { ENTRY_DIRECTORY };
        let end = block.len() + usize::from(*len);
        block.extend_from_slice(Entry { inode: (*inode).into(), len: (*len).into(), name_len, kind }.as_bytes());
        block.extend_from_slice(name.as_bytes());
        block.resize(end, 0);
    }
    let generation = 0_u32.to_le_bytes();
    let entry = Entry { len: TAIL_LEN.into(), kind: ENTRY_TAIL, ..Entry::new_zeroed() };
    let sum = sum(options, &[&number.to_le_bytes(), &generation, &block]).into();
    block.extend_from_slice(Tail { entry, sum }.as_bytes());
    block
}

/// List the blocks that wait to become descriptors. The place of each is its number among blocks of descriptors, so that the one of
/// number 1024 stands at the start. Each would list its copies in other groups, and is a hole: there are no other groups.
fn spare() -> Vec<u8> {
    let last = BLOCK_BITMAP - 1;
    std::iter::once(last).chain(SPARE_START..last).flat_map(u32::to_le_bytes).collect()
}

fn journal(options: &Options<'_>) -> JournalSuperBlock {
    JournalSuperBlock {
        magic: JOURNAL_MAGIC.into(),
        kind: JOURNAL_SUPER.into(),
        block: BLOCK.into(),
        blocks: u32::from(JOURNAL_BLOCKS).into(),
        first: big_endian::U32::new(1),
        sequence: big_endian::U32::new(1),
        uuid: options.uuid,
        users: big_endian::U32::new(1),
        ..JournalSuperBlock::new_zeroed()
    }
}
