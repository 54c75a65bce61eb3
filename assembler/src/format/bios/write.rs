//! Places of files to a loader.

use super::BiosError;
use super::first::First;
use super::kernel::Kernel;
use super::layout::{BOOT, BOOT_CODE, CD_CODE, CD_SECTOR, DISK_SECTOR, Run, STAGE};
use super::second::Second;

/// Most bytes of one run: with a sector more it is still a number of 31 bits.
const RUN_MOST: u64 = 1 << 30;

/// Where a piece of a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// First byte, from the start of the disk.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// What to load. Pieces may start and end at any byte; those of a file follow one another.
#[derive(Debug, Clone, Copy)]
pub struct Boot<'a> {
    /// The kernel's header.
    pub kernel: &'a Kernel,
    /// Where the kernel lies, all of it, setup included. More than the header speaks of is loaded as well.
    pub kernel_at: &'a [Load],
    /// Where the initrd lies; empty for none.
    pub initrd_at: &'a [Load],
    /// The command line, without a zero.
    pub cmdline: &'a str,
}

/// A loader for a hard disk, whose sectors have 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// First bytes of the disk. Behind them come the disk's signature and its partitions, and, at byte 510, 0x55 and 0xaa,
    /// without which no firmware starts it: all that is the caller's.
    pub boot_code: [u8; BOOT_CODE],
    /// What stands from the sector on that [`disk`] was told; a multiple of 512 bytes, at most 32 KiB.
    pub second_stage: Vec<u8>,
}

/// Make the loader of a hard disk.
///
/// In: `second_stage`, the sector of 512 bytes from which on the second stage will stand. Out: equal bytes for equal input.
///
/// # Errors
///
/// - [`BiosError`]: the kernel, initrd or command line cannot be booted from a BIOS.
pub fn disk(boot: &Boot<'_>, second_stage: u64) -> Result<Disk, BiosError> {
    let stage = padded(second(boot, DISK_SECTOR)?, DISK_SECTOR);
    let count = sectors(stage.len(), DISK_SECTOR);
    let first = First { lba: second_stage, count, to: STAGE, disk: true, most: BOOT_CODE }.bytes()?;
    let mut boot_code = [0; BOOT_CODE];
    boot_code.iter_mut().zip(first).for_each(|(to, from)| *to = from);
    Ok(Disk { boot_code, second_stage: stage })
}

/// Make the boot image of a CD, without emulation (El Torito).
///
/// In: `image`, the sector of 2048 bytes from which on the boot image will stand. Out: the image, a multiple of 2048 bytes; its
/// entry in the boot catalog says load segment 0 (or 0x7c0, which is the same) and load size
/// [`CD_LOAD`](super::layout::CD_LOAD). Equal bytes for equal input.
///
/// # Errors
///
/// - [`BiosError`]: the kernel, initrd or command line cannot be booted from a BIOS.
pub fn cd(boot: &Boot<'_>, image: u64) -> Result<Vec<u8>, BiosError> {
    let stage = second(boot, CD_SECTOR)?;
    let size = padded(vec![0; CD_CODE + stage.len()], CD_SECTOR).len();
    // The firmware has loaded the first sector, which holds the start of the second stage.
    let count = sectors(size, CD_SECTOR) - 1;
    let first = First { lba: image + 1, count, to: BOOT + CD_SECTOR, disk: false, most: CD_CODE };
    let mut bytes = first.bytes()?;
    bytes.extend_from_slice(&stage);
    Ok(padded(bytes, CD_SECTOR))
}

/// Make the second stage for a size of sectors.
fn second(boot: &Boot<'_>, sector: u16) -> Result<Vec<u8>, BiosError> {
    let kernel = boot.kernel;
    let len = total(boot.kernel_at);
    if len < kernel.len() {
        return Err(BiosError::Cut { len, want: kernel.len() });
    }
    let rest = len - u64::from(kernel.setup);
    let kernel = &kernel.with_rest(rest)?;
    let cmdline = boot.cmdline.as_bytes();
    if cmdline.len() > kernel.cmdline {
        return Err(BiosError::Cmdline { len: cmdline.len(), most: kernel.cmdline });
    }
    if let Some(at) = cmdline.iter().position(|byte| *byte == 0) {
        return Err(BiosError::Zero { at });
    }
    let initrd = total(boot.initrd_at);
    let too_large = BiosError::Initrd { len: initrd, most: kernel.initrd_most() };
    let (true, Ok(initrd_len)) = (initrd <= kernel.initrd_most(), u32::try_from(initrd)) else { return Err(too_large) };
    Second {
        kernel,
        sector,
        setup: runs(boot.kernel_at, 0, kernel.setup.into(), sector),
        rest: runs(boot.kernel_at, kernel.setup.into(), rest, sector),
        initrd: runs(boot.initrd_at, 0, initrd, sector),
        initrd_len,
        cmdline,
    }
    .bytes()
}

/// Count the bytes of a file.
fn total(pieces: &[Load]) -> u64 {
    pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.len))
}

/// Say in sectors where `len` bytes of a file lie that start at its byte `skip`.
fn runs(pieces: &[Load], mut skip: u64, mut len: u64, sector: u16) -> Vec<Run> {
    let mut runs = Vec::new();
    for piece in pieces {
        let left_out = skip.min(piece.len);
        skip -= left_out;
        let (mut at, mut left) = (piece.offset.saturating_add(left_out), len.min(piece.len - left_out));
        len -= left;
        while left > 0 {
            let take = left.min(RUN_MOST);
            runs.push(Run {
                lba: (at / u64::from(sector)).into(),
                // Less than a sector, which has 16 bits.
                skip: u16::try_from(at % u64::from(sector)).unwrap_or_default().into(),
                reserved: 0.into(),
                len: u32::try_from(take).unwrap_or_default().into(),
            });
            at = at.saturating_add(take);
            left -= take;
        }
    }
    runs
}

/// Put zeros behind `bytes` up to the end of a sector.
fn padded(mut bytes: Vec<u8>, sector: u16) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(sector.into()), 0);
    bytes
}

/// Count the sectors of a stage, which has at most 32 KiB and a bit.
fn sectors(bytes: usize, sector: u16) -> u16 {
    u16::try_from(bytes / usize::from(sector)).unwrap_or_default()
}
