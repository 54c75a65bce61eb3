//! The boot loader for machines without UEFI: code that loads one kernel and one initrd from one disk.
//!
//! ```text
//! 0x000500  the firmware's own
//! 0x001000  memory map (at most 128 entries of 12 bytes)
//!           stack, from 0x7c00 downwards
//! 0x007c00  boot sector (440 bytes), or first kilobyte of a CD's boot image
//! 0x008000  second stage (at most 32 KiB): code, messages, where the files lie, command line
//! 0x010000  the kernel's setup (at most 32 KiB), its heap and its stack
//! 0x01e000  command line (at most 8191 bytes and a zero)
//! 0x020000  what was read last (at most 64 KiB)
//! 0x0a0000  not memory
//! 1 MiB ..  the kernel, where it prefers to be or at the next place that is memory, and what it needs to unpack itself
//!           ..  initrd, as high as memory, 4 GiB and the kernel's own limit allow, from a multiple of 4096 on
//! ```
//!
//! The loader knows no file system. It is made after everything else has its place, and holds the sectors of the files that
//! it loads: those of a unified kernel image, so that one copy serves both firmwares. What moves that file makes the disk
//! unbootable for a BIOS, and the loader says so.
//!
//! Source: Linux, `Documentation/arch/x86/boot.rst`; BIOS Enhanced Disk Drive Specification 3.0 (EDD); El Torito 1.0;
//! ACPI 6.5, 15.1 (INT 15h, E820h).

mod disk;
mod first;
pub mod kernel;
pub mod layout;
mod memory;
mod second;
mod text;
pub mod write;

#[cfg(test)]
mod tests;

use iced_x86::IcedError;

/// Why no loader can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BiosError {
    /// Not a kernel at all, or one of another architecture.
    #[error("not a Linux kernel for x86: no `HdrS` at byte 514")]
    NotKernel,
    /// A kernel that does not say how much memory it needs.
    #[error(
        "the kernel speaks boot protocol {}.{:02}; to boot from a BIOS takes 2.10 (Linux 2.6.31) or newer",
        version >> 8,
        version & 0xff
    )]
    Old {
        /// Major in the high byte, minor in the low one.
        version: u16,
    },
    /// A zImage.
    #[error("the kernel is a zImage, which cannot be loaded above 1 MiB; make it a bzImage")]
    Low,
    /// A kernel that runs at one address only.
    #[error("the kernel was built without CONFIG_RELOCATABLE, so it cannot be placed where a BIOS leaves memory free")]
    Fixed,
    /// Numbers in the header that cannot be.
    #[error("the kernel's header is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// Less of the kernel than its header promises.
    #[error("the kernel is cut off: {len} bytes of {want}")]
    Cut {
        /// Bytes there are.
        len: u64,
        /// Bytes its header speaks of.
        want: u64,
    },
    /// No room for the kernel below 4 GiB.
    #[error("the kernel needs memory up to byte {end}, which does not lie below 4 GiB")]
    Large {
        /// First byte behind what it needs.
        end: u64,
    },
    /// More than the kernel reads.
    #[error("the command line has {len} bytes; this kernel and loader take {most}")]
    Cmdline {
        /// Its bytes.
        len: usize,
        /// Most there may be.
        most: usize,
    },
    /// What would end the command line early.
    #[error("the command line has a zero at byte {at}")]
    Zero {
        /// Where, in bytes.
        at: usize,
    },
    /// No room for the initrd between the kernel and the kernel's limit.
    #[error("the initrd has {len} bytes; from a BIOS this kernel takes at most {most}")]
    Initrd {
        /// Its bytes.
        len: u64,
        /// Most there may be.
        most: u64,
    },
    /// Too many pieces of files, together with the command line.
    #[error("the boot loader takes {size} bytes, of at most {most}: kernel and initrd lie in {pieces} pieces")]
    Pieces {
        /// Bytes of the second stage.
        size: usize,
        /// Most there may be.
        most: usize,
        /// How many pieces.
        pieces: usize,
    },
    /// Code that does not fit where it must stand; no input does this.
    #[error("the code of the boot sector takes {size} bytes, of at most {most}")]
    Code {
        /// Its bytes.
        size: usize,
        /// Most there may be.
        most: usize,
    },
    /// An instruction that the processor does not have; no input does this.
    #[error("could not assemble the boot loader")]
    Assemble(#[from] IcedError),
}

/// How instructions are written: each call appends one.
type Emit = Result<(), IcedError>;
