//! Partition tables: GPT with its protective MBR, and the plain MBR of machines that know no other.
//!
//! ```text
//!  0       code of a boot sector (440 bytes), disk signature (4), four entries at 446, 55 aa
//!  512     GPT header
//!  1024    its 128 entries of 128 bytes
//!  17408   first byte that a partition may have
//!          ...
//!  -16896  the entries again
//!  -512    header of the copy
//! ```
//!
//! The `gpt` crate makes the bytes of GPT; it is given the two ends of the disk, and nothing else of it. Equal tables give equal bytes.
//! An ISO image gets the same table: its first 32 KiB are free for it.
//!
//! Source: UEFI 2.10, 5.2 and 5.3.

mod ends;
mod mbr;
mod write;

#[cfg(test)]
mod tests;

pub use mbr::{Entry, Mbr, mbr_only};
pub use uuid::Uuid;
pub use write::{Partition, Table, write};

use super::sparse::SparseError;

/// Bytes of a sector; disks with other sectors are not made.
pub const SECTOR: u64 = 512;
/// Bytes before the first partition, at least.
pub const HEAD: u64 = 34 * SECTOR;
/// Bytes behind the last partition, at least.
pub const TAIL: u64 = 33 * SECTOR;
/// Entries of a table.
pub const PARTITIONS_MAX: usize = 128;

/// Types of partitions.
///
/// Source: UEFI 2.10, 5.3.3; The Discoverable Partitions Specification (UAPI.2); GRUB's manual, "BIOS installation".
pub mod kind {
    use uuid::{Uuid, uuid};

    /// An EFI system partition.
    pub const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    /// The second stage of a BIOS boot loader; no file system.
    pub const BIOS_BOOT: Uuid = uuid!("21686148-6449-6e6f-744e-656564454649");
    /// Root file system for x86-64.
    pub const ROOT_X86_64: Uuid = uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
    /// Root file system for 64-bit Arm.
    pub const ROOT_ARM64: Uuid = uuid!("b921b045-1df0-41c3-af44-4c6f280d3fae");
    /// A file system of Linux's for no given use.
    pub const LINUX: Uuid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");
    /// `/var`; systemd mounts it only if its GUID derives from the machine's id.
    pub const VAR: Uuid = uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d");
    /// A file system that Windows reads, too.
    pub const BASIC_DATA: Uuid = uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7");
}

/// Attributes of partitions, to be combined.
///
/// Source: UEFI 2.10, 5.3.3; The Discoverable Partitions Specification (UAPI.2), "Partition Attribute Flags".
pub mod attribute {
    /// The machine needs it.
    pub const REQUIRED: u64 = 1;
    /// Firmware shall not look into it.
    pub const NO_BLOCK_IO: u64 = 1 << 1;
    /// BIOSes that know GPT boot from it.
    pub const LEGACY_BOOT: u64 = 1 << 2;
    /// May be grown to fill the disk, with the file system in it.
    pub const GROW: u64 = 1 << 59;
    /// Not to be written to.
    pub const READ_ONLY: u64 = 1 << 60;
    /// Not to be mounted because of its type.
    pub const NO_AUTO: u64 = 1 << 63;
}

/// Types of entries of an MBR.
pub mod mbr_kind {
    /// Nothing; with the active flag, what some BIOSes want to see before they boot a disk.
    pub const NONE: u8 = 0x00;
    /// FAT32, addressed by sector numbers.
    pub const FAT32: u8 = 0x0c;
    /// FAT16, addressed by sector numbers.
    pub const FAT16: u8 = 0x0e;
    /// A file system of Linux's.
    pub const LINUX: u8 = 0x83;
    /// The whole disk, which has a GPT.
    pub const PROTECTIVE: u8 = 0xee;
    /// An EFI system partition.
    pub const ESP: u8 = 0xef;
}

/// Make a GUID of bytes that are as good as random, such as part of a digest: version 8, for uses of one's own.
///
/// Source: RFC 9562, 5.8.
#[must_use]
pub fn guid(bytes: [u8; 16]) -> Uuid {
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Why a table cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GptError {
    /// The disk has half a sector.
    #[error("a disk of {size} bytes is no whole number of sectors of 512 bytes")]
    Size {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// A partition starts or ends within a sector, or is empty.
    #[error("partition `{name}`, {len} bytes from {start} on, is not made of whole sectors of 512 bytes")]
    Unaligned {
        /// The partition's name.
        name: String,
        /// First byte.
        start: u64,
        /// Length in bytes.
        len: u64,
    },
    /// A partition lies where the table is, or behind the end.
    #[error(
        "partition `{name}`, {len} bytes from {start} on, is not within bytes {first} to {end}, which partitions may take"
    )]
    Outside {
        /// The partition's name.
        name: String,
        /// First byte.
        start: u64,
        /// Length in bytes.
        len: u64,
        /// First byte that partitions may take.
        first: u64,
        /// First byte that they may not take.
        end: u64,
    },
    /// Two partitions share bytes.
    #[error("partitions `{one}` and `{other}` overlap at byte {at}")]
    Overlap {
        /// The one that starts first.
        one: String,
        /// The other.
        other: String,
        /// The first byte they share.
        at: u64,
    },
    /// Two partitions share a GUID.
    #[error("partitions `{one}` and `{other}` have the same GUID, {guid}")]
    SameGuid {
        /// The one.
        one: String,
        /// The other.
        other: String,
        /// What they share.
        guid: Uuid,
    },
    /// A name that does not fit.
    #[error("`{name}` cannot name a partition: it is longer than 36 characters, or holds a NUL")]
    Name {
        /// The name.
        name: String,
    },
    /// More partitions than entries.
    #[error("{count} partitions are more than the {most} that the table has entries for")]
    Many {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// More than an MBR's 32-bit sector numbers reach.
    #[error("{len} bytes from {start} on lie behind the 2 TiB that an MBR can number")]
    TooFar {
        /// First byte.
        start: u64,
        /// Length in bytes.
        len: u64,
    },
    /// Something stands where the table goes.
    #[error("could not put the partition table onto the disk")]
    Place(#[from] SparseError),
    /// The crate refused.
    #[error("could not make the partition table")]
    Crate(#[from] gpt::GptError),
}
