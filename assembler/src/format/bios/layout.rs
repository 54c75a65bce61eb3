//! What stands where: in memory, in the kernel's header and in the second stage. All numbers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the boot sector that are code; the rest is the disk's signature and its partitions.
pub const BOOT_CODE: usize = 440;
/// Bytes before the second stage in a CD's boot image.
pub const CD_CODE: usize = 1024;
/// Bytes of a disk's sector.
pub const DISK_SECTOR: u16 = 512;
/// Bytes of a CD's sector.
pub const CD_SECTOR: u16 = 2048;
/// Load size to state in a CD's boot catalog, in sectors of 512 bytes: the image loads its own rest, because some firmwares
/// load no more than one sector of a CD.
pub const CD_LOAD: u16 = 4;

/// Address of the memory map, entries of three 32-bit numbers: start, end, type.
pub(super) const MAP: u16 = 0x1000;
/// Bytes of one entry.
pub(super) const MAP_ENTRY: u16 = 12;
/// Most entries, as many as the kernel asks for.
pub(super) const MAP_MOST: u16 = 128;
/// Where a firmware puts the boot sector, and the stack ends.
pub(super) const BOOT: u16 = 0x7c00;
/// Address of the second stage.
pub(super) const STAGE: u16 = 0x8000;
/// Most bytes of it.
pub(super) const STAGE_MOST: usize = 0x8000;
/// Segment of the kernel's setup.
pub(super) const SETUP_SEGMENT: u16 = 0x1000;
/// Most bytes of it.
pub(super) const SETUP_MOST: u32 = 0x8000;
/// End of the setup's heap and stack, in its segment; the command line follows.
pub(super) const HEAP_END: u16 = 0xe000;
/// Most bytes of the command line, with its zero.
pub(super) const CMDLINE_MOST: usize = 0x2000;
/// Segment that sectors are read into.
pub(super) const BOUNCE_SEGMENT: u16 = 0x2000;
/// End of the memory that is used. The last page stays free, so that ends are 32-bit numbers.
pub(super) const MEMORY_END: u32 = 0xffff_f000;
/// Bytes of a page.
pub(super) const PAGE: u32 = 4096;
/// What the second stage says behind its first jump.
pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"HULL");

/// What a kernel says of itself, from its byte 0x1f1 on.
///
/// Source: Linux, `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header".
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SetupHeader {
    /// 0x1f1: sectors of 512 bytes behind the first one that run in real mode; 0 stands for 4.
    pub setup_sects: u8,
    /// 0x1f2: whether the root is mounted read-only.
    pub root_flags: U16,
    /// 0x1f4: length of the rest, in units of 16 bytes.
    pub syssize: U32,
    /// 0x1f8: not used.
    pub ram_size: U16,
    /// 0x1fa: mode of the screen, left as it is.
    pub vid_mode: U16,
    /// 0x1fc: device of the root.
    pub root_dev: U16,
    /// 0x1fe: 0xaa55.
    pub boot_flag: U16,
    /// 0x200: a jump, where the setup is entered.
    pub jump: [u8; 2],
    /// 0x202: [`HEADER`].
    pub header: [u8; 4],
    /// 0x206: version of the protocol, major in the high byte.
    pub version: U16,
    /// 0x208: a hook.
    pub realmode_swtch: U32,
    /// 0x20c: obsolete.
    pub start_sys_seg: U16,
    /// 0x20e: place of the version's text, less 0x200.
    pub kernel_version: U16,
    /// 0x210: who loaded it; set to 0xff.
    pub type_of_loader: u8,
    /// 0x211: [`LOADED_HIGH`] and [`CAN_USE_HEAP`].
    pub loadflags: u8,
    /// 0x212: not used.
    pub setup_move_size: U16,
    /// 0x214: where the rest was loaded; set.
    pub code32_start: U32,
    /// 0x218: where the initrd is; set.
    pub ramdisk_image: U32,
    /// 0x21c: its bytes; set.
    pub ramdisk_size: U32,
    /// 0x220: obsolete.
    pub bootsect_kludge: U32,
    /// 0x224: end of heap and stack, less 0x200; set.
    pub heap_end_ptr: U16,
    /// 0x226: more of who loaded it, version and kind.
    pub ext_loader: [u8; 2],
    /// 0x228: where the command line is; set.
    pub cmd_line_ptr: U32,
    /// 0x22c: last byte that the initrd may take.
    pub initrd_addr_max: U32,
    /// 0x230: what the place of the kernel is a multiple of, in bytes.
    pub kernel_alignment: U32,
    /// 0x234: whether that place can be chosen.
    pub relocatable_kernel: u8,
    /// 0x235: logarithm of the least alignment that will do.
    pub min_alignment: u8,
    /// 0x236: more flags.
    pub xloadflags: U16,
    /// 0x238: most bytes of the command line, without its zero.
    pub cmdline_size: U32,
    /// 0x23c: kind of paravirtual machine.
    pub hardware_subarch: U32,
    /// 0x240: for that.
    pub hardware_subarch_data: U64,
    /// 0x248: place of the compressed kernel in the rest.
    pub payload_offset: U32,
    /// 0x24c: its bytes.
    pub payload_length: U32,
    /// 0x250: list of more parameters.
    pub setup_data: U64,
    /// 0x258: where the kernel prefers to be.
    pub pref_address: U64,
    /// 0x260: bytes it needs there until it knows what memory there is.
    pub init_size: U32,
}
const _: () = assert!(size_of::<SetupHeader>() == 0x264 - 0x1f1);
const _: () = assert!(header(offset_of!(SetupHeader, header)) == 0x202);
const _: () = assert!(header(offset_of!(SetupHeader, cmd_line_ptr)) == 0x228);
const _: () = assert!(header(offset_of!(SetupHeader, init_size)) == 0x260);

/// Where [`SetupHeader`] starts in a kernel, in bytes.
pub const SETUP_HEADER: usize = 0x1f1;
/// What it says at byte 0x202.
pub const HEADER: &[u8; 4] = b"HdrS";
/// Bit of its flags: the rest is loaded at 1 MiB or above.
pub const LOADED_HIGH: u8 = 1;
/// Bit of its flags: `heap_end_ptr` was set.
pub const CAN_USE_HEAP: u8 = 0x80;

/// Give the place in the kernel of a field at `offset` of [`SetupHeader`].
pub(super) const fn header(offset: usize) -> usize {
    SETUP_HEADER + offset
}

/// What INT 13h, AH=42h is told.
///
/// Source: EDD 3.0, 3.2, "Disk Address Packet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Packet {
    /// 0x00: 16.
    pub(super) size: u8,
    /// 0x01: zero.
    pub(super) reserved: u8,
    /// 0x02: sectors to read, at most 127.
    pub(super) count: U16,
    /// 0x04: where to, offset.
    pub(super) offset: U16,
    /// 0x06: where to, segment.
    pub(super) segment: U16,
    /// 0x08: first sector.
    pub(super) lba: U64,
}
const _: () = assert!(size_of::<Packet>() == 16);

/// Start of the second stage: what it works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Work {
    /// 0x00: a near jump to the code, three bytes.
    pub(super) jump: [u8; 4],
    /// 0x04: [`MAGIC`].
    pub(super) magic: U32,
    /// 0x08: number of the drive, as the firmware gave it.
    pub(super) drive: u8,
    /// 0x09: failures of one sector that are left.
    pub(super) tries: u8,
    /// 0x0a: sectors to read at once.
    pub(super) most: U16,
    /// 0x0c: reads until the next dot.
    pub(super) countdown: U16,
    /// 0x0e: end of the memory map.
    pub(super) map_end: U16,
    /// 0x10: see [`Packet`].
    pub(super) packet: Packet,
    /// 0x20: descriptors: none, and 4 GiB of data from 0 on.
    pub(super) gdt: [U64; 2],
    /// 0x30: bytes of those, less one.
    pub(super) gdt_limit: U16,
    /// 0x32: their address.
    pub(super) gdt_base: U32,
    /// 0x36: what the drive said of the last failure.
    pub(super) status: U16,
    /// 0x38: where the kernel is.
    pub(super) kernel: U32,
    /// 0x3c: end of what it needs.
    pub(super) kernel_end: U32,
    /// 0x40: where the initrd is.
    pub(super) initrd: U32,
    /// 0x44: entry of the firmware's memory map: start and length, 64 bits each, and type.
    pub(super) entry: [U32; 5],
    /// 0x58: reads per dot.
    pub(super) dots: U16,
    /// 0x5a: zero.
    pub(super) reserved: [u8; 6],
}
const _: () = assert!(size_of::<Work>() == 0x60);
const _: () = assert!(offset_of!(Work, packet) == 0x10);
const _: () = assert!(offset_of!(Work, gdt_limit) == 0x30);

/// A run of bytes on the disk. A run of length 0 ends a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Run {
    /// 0x00: first sector.
    pub(super) lba: U64,
    /// 0x08: bytes of it to leave out.
    pub(super) skip: U16,
    /// 0x0a: zero.
    pub(super) reserved: U16,
    /// 0x0c: bytes.
    pub(super) len: U32,
}
const _: () = assert!(size_of::<Run>() == 16);
