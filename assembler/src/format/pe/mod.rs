//! PE, the programs of UEFI; and unified kernel images, which are one program with a whole system inside.
//!
//! ```text
//!  0               headers of the stub, with sections added to its table
//!  ...             sections of the stub, a program that starts the kernel it carries
//!  a multiple of 4096
//!                  .osrel     os-release, text
//!                  .uname     version of the kernel, text
//!                  .cmdline   command line, text
//!                  .initrd
//!                  .linux     the kernel, last: see below
//! ```
//!
//! Every section that is added starts at a multiple of 4096 bytes in the file and is filled up to the next one with zeros, so
//! that a boot loader which knows nothing but sectors, of up to 4096 bytes, can read it. Its virtual size is the true one.
//!
//! The kernel is last in memory, too. A stub before systemd 252, and any stub with a kernel before 5.8, starts the kernel where it
//! lies, and it then unpacks itself over what is behind it. Room for that is made by the size of the whole image, not by the
//! section's, which signatures and measurements take for the kernel's length. Other stubs have the firmware load the kernel again,
//! elsewhere, and no room is made.
//!
//! Source: Microsoft, PE Format; UAPI Group, Unified Kernel Image (UAPI.5); Linux, `Documentation/arch/x86/boot.rst` and
//! `Documentation/arch/arm64/booting.rst`; systemd 252, `src/boot/efi/linux.c`; systemd's issue 34578 and pull request 36259.

mod kernel;
pub mod layout;
mod read;
mod uki;

#[cfg(test)]
mod tests;

use std::io;

pub use kernel::{Kernel, cmdline_max, kernel_version};
pub use layout::Machine;
pub use read::{Image, Section, dump, read};
pub use uki::{Parts, Uki, uki};

use super::sparse::SparseError;

/// Where added sections start, in the file and in memory: a multiple of this.
pub const ALIGN: u64 = 4096;

/// Why an image could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeError {
    /// What was read is no program for UEFI.
    #[error("not a 64-bit PE image, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The stub cannot be used.
    #[error("not a stub that a kernel for {} can be added to", .machine.name())]
    Stub {
        /// The machine that the image is for.
        machine: Machine,
        /// Why not.
        #[source]
        cause: Box<PeError>,
    },
    /// A program for another machine.
    #[error("this is for another machine, {found:#06x} by its header, and {:#06x} is wanted", .want.number())]
    Machine {
        /// The machine that the image is for.
        want: Machine,
        /// The number of the machine it is for.
        found: u16,
    },
    /// The stub's headers are full.
    #[error("there is room for {room} more section headers, and {want} are to be added")]
    Headers {
        /// How many would fit.
        room: u64,
        /// How many are to be added.
        want: usize,
    },
    /// The image grows beyond what its headers can say.
    #[error(
        "kernel and initrd make an image of {size} bytes; a UKI ends at 4 GiB, and what is larger belongs on a disk root"
    )]
    TooLarge {
        /// Length in bytes.
        size: u64,
    },
    /// The kernel cannot be started this way.
    #[error("UEFI cannot start this kernel on {}: {what}", .machine.name())]
    Kernel {
        /// The machine that the image is for.
        machine: Machine,
        /// Why not.
        what: &'static str,
    },
    /// A command line that the kernel would cut off.
    #[error("the kernel's command line has {len} bytes; this kernel takes at most {most}")]
    Cmdline {
        /// Its length in bytes.
        len: u64,
        /// The most the kernel takes, in bytes.
        most: u64,
    },
    /// A text with a character that it cannot have.
    #[error("`{section}` cannot hold {what}")]
    Text {
        /// Name of the section it would be in.
        section: &'static str,
        /// The character.
        what: &'static str,
    },
    /// Sections overlap, which is a bug.
    #[error("could not put the image together")]
    Place(#[from] SparseError),
    /// The kernel could not be read.
    #[error("could not read a program's headers")]
    Io(#[from] io::Error),
}
