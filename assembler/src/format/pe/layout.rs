//! What stands where. All integers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What every program starts with.
pub const DOS_MAGIC: [u8; 2] = *b"MZ";
/// Where the offset of [`Coff`] is, in bytes: four of them.
pub const COFF_POINTER: u64 = 0x3c;
/// What [`Coff::signature`] says.
pub const PE_MAGIC: [u8; 4] = *b"PE\0\0";
/// What [`Optional::magic`] says of 64-bit programs.
pub const PE32_PLUS: u16 = 0x20b;
/// Place of signatures among the data directories.
pub const SECURITY: u64 = 4;
/// Bytes of a data directory.
pub const DIRECTORY: u64 = 8;

/// Bit of [`SectionHeader::characteristics`]: code.
pub const CODE: u32 = 0x20;
/// Bit of [`SectionHeader::characteristics`]: data that is in the file.
pub const DATA: u32 = 0x40;
/// Bit of [`SectionHeader::characteristics`]: may be run.
pub const EXECUTE: u32 = 0x2000_0000;
/// Bit of [`SectionHeader::characteristics`]: may be read.
pub const READ: u32 = 0x4000_0000;

/// A machine that programs are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// x86, 64 bit.
    X64,
    /// Arm, 64 bit.
    Arm64,
}

impl Machine {
    /// Give the number that headers have for it.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::X64 => 0x8664,
            Self::Arm64 => 0xaa64,
        }
    }

    /// Give the name that Linux has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

/// COFF header with the signature before it, 24 bytes.
///
/// Source: PE Format, "COFF File Header".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Coff {
    /// 0x00: [`PE_MAGIC`].
    pub signature: [u8; 4],
    /// 0x04: [`Machine::number`].
    pub machine: U16,
    /// 0x06: number of sections.
    pub sections: U16,
    /// 0x08: time, seconds since 1970.
    pub time: U32,
    /// 0x0c: offset of the symbol table in the file; 0 for none.
    pub symbols: U32,
    /// 0x10: number of symbols.
    pub symbol_count: U32,
    /// 0x14: bytes of [`Optional`] and the data directories.
    pub optional: U16,
    /// 0x16: flags.
    pub characteristics: U16,
}
const _: () = assert!(size_of::<Coff>() == 24);

/// The header behind [`Coff`], of 64-bit programs: 112 bytes, then data directories of 8 bytes each.
///
/// Source: PE Format, "Optional Header".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Optional {
    /// 0x00: [`PE32_PLUS`].
    pub magic: U16,
    /// 0x02: version of the linker.
    pub linker: [u8; 2],
    /// 0x04: bytes of sections that are [`CODE`].
    pub code: U32,
    /// 0x08: bytes of sections that are [`DATA`].
    pub data: U32,
    /// 0x0c: bytes of sections that are not in the file.
    pub zeros: U32,
    /// 0x10: address of the first instruction.
    pub entry: U32,
    /// 0x14: address of the code.
    pub code_base: U32,
    /// 0x18: address it would like to be loaded at.
    pub image_base: U64,
    /// 0x20: what addresses of sections are a multiple of.
    pub section_align: U32,
    /// 0x24: what offsets of sections in the file are a multiple of.
    pub file_align: U32,
    /// 0x28: version of the system, then of the image, then of the subsystem; major and minor each.
    pub versions: [U16; 6],
    /// 0x34: zero.
    pub reserved: U32,
    /// 0x38: bytes in memory, headers included.
    pub image: U32,
    /// 0x3c: bytes of all headers in the file.
    pub headers: U32,
    /// 0x40: sum over the file, or zero; UEFI does not look.
    pub checksum: U32,
    /// 0x44: 10, a program for UEFI.
    pub subsystem: U16,
    /// 0x46: flags.
    pub flags: U16,
    /// 0x48: bytes of stack and heap, reserved and committed.
    pub memory: [U64; 4],
    /// 0x68: zero.
    pub loader: U32,
    /// 0x6c: number of data directories.
    pub directories: U32,
}
const _: () = assert!(size_of::<Optional>() == 112);
const _: () = assert!(offset_of!(Optional, image) == 0x38);

/// One section, 40 bytes; the table follows the data directories.
///
/// Source: PE Format, "Section Table".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SectionHeader {
    /// 0x00: name, filled with zeros.
    pub name: [u8; 8],
    /// 0x08: bytes in memory.
    pub virtual_size: U32,
    /// 0x0c: address, from the start of the image.
    pub address: U32,
    /// 0x10: bytes in the file.
    pub size: U32,
    /// 0x14: offset in the file.
    pub offset: U32,
    /// 0x18: relocations and line numbers, which images do not have.
    pub unused: [u8; 12],
    /// 0x24: [`CODE`] and others.
    pub characteristics: U32,
}
const _: () = assert!(size_of::<SectionHeader>() == 40);
const _: () = assert!(offset_of!(SectionHeader, offset) == 0x14);

/// The part of an x86 kernel's setup header that is looked at; it starts at 0x1fe.
///
/// Source: Linux, `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SetupHeader {
    /// 0x1fe: 55 aa.
    pub boot_flag: [u8; 2],
    /// 0x200: a jump.
    pub jump: [u8; 2],
    /// 0x202: `HdrS`.
    pub header: [u8; 4],
    /// 0x206: version of the protocol, 0x0202 for 2.2.
    pub version: U16,
    /// 0x208: of no interest.
    pub skipped: [u8; 6],
    /// 0x20e: offset of the version's text, less 0x200.
    pub kernel_version: U16,
    /// 0x210: of no interest.
    pub skipped2: [u8; 0x20],
    /// 0x230: what the kernel's address must be a multiple of.
    pub alignment: U32,
    /// 0x234: whether it may lie elsewhere.
    pub relocatable: u8,
    /// 0x235: the least alignment, as a power of two.
    pub min_alignment: u8,
    /// 0x236: [`XLF_KERNEL_64`] and others.
    pub xloadflags: U16,
    /// 0x238: most bytes of the command line, the NUL not counted.
    pub cmdline_size: U32,
    /// 0x23c: of no interest.
    pub skipped3: [u8; 0x24],
    /// 0x260: bytes that the kernel needs where it lies.
    pub init_size: U32,
    /// 0x264: offset of the entry point of EFI handover.
    pub handover: U32,
}
const _: () = assert!(size_of::<SetupHeader>() == 0x268 - 0x1fe);
const _: () = assert!(offset_of!(SetupHeader, cmdline_size) == 0x238 - 0x1fe);

/// Where [`SetupHeader`] starts, in bytes.
pub const SETUP_HEADER: u64 = 0x1fe;
/// Bit of [`SetupHeader::xloadflags`]: a 64-bit kernel.
pub const XLF_KERNEL_64: u16 = 1;
/// Bit of [`SetupHeader::xloadflags`]: it has the entry point of EFI handover for 64 bits.
pub const XLF_EFI_HANDOVER_64: u16 = 1 << 3;

/// Head of an arm64 kernel, 64 bytes.
///
/// Source: Linux, `Documentation/arch/arm64/booting.rst`, "Call the kernel image".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Arm64Header {
    /// 0x00: code; of a kernel that is a program for UEFI, its first bytes are [`DOS_MAGIC`].
    pub code: [u8; 8],
    /// 0x08: where it would like to lie.
    pub text_offset: U64,
    /// 0x10: bytes that the kernel needs where it lies.
    pub image_size: U64,
    /// 0x18: flags and reserved fields.
    pub reserved: [u8; 32],
    /// 0x38: `ARM\x64`.
    pub magic: [u8; 4],
    /// 0x3c: as [`COFF_POINTER`].
    pub coff: U32,
}
const _: () = assert!(size_of::<Arm64Header>() == 64);
const _: () = assert!(offset_of!(Arm64Header, magic) == 0x38);
