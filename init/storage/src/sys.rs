//! What the kernel is asked for that has no safe wrapper, and the only unsafe code of the crate.

#![expect(unsafe_code, reason = "the few system calls that have no safe wrapper; nothing else in the crate may")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use rustix::thread::UnshareFlags;

/// Give this process namespaces of its own.
///
/// # Errors
///
/// The error of unshare(2).
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    let flags = flags.difference(UnshareFlags::FILES);
    // SAFETY: descriptors stay shared, so no thread sees another's vanish.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// `struct xfs_growfs_data`.
#[repr(C)]
struct XfsGrowth {
    blocks: u64,
    inodes_percent: u32,
    padding: u32,
}
const _: () = assert!(size_of::<XfsGrowth>() == 16);

/// Let an XFS that is mounted have so many of its blocks, of which inodes may take so much.
///
/// # Errors
///
/// The error of ioctl(2).
///
/// # Source
///
/// Linux, `fs/xfs/libxfs/xfs_fs.h`: `XFS_IOC_FSGROWFSDATA`.
pub(crate) fn grow_xfs(mounted: &File, blocks: u64, inodes_percent: u32) -> io::Result<()> {
    const GROW: libc::c_ulong = 0x4010_586e;
    let growth = XfsGrowth { blocks, inodes_percent, padding: 0 };
    // SAFETY: the command reads one `xfs_growfs_data`, which outlives the call.
    check(unsafe { libc::ioctl(mounted.as_raw_fd(), GROW as _, &raw const growth) })
}

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct BtrfsArguments {
    fd: i64,
    name: [u8; 4088],
}
const _: () = assert!(size_of::<BtrfsArguments>() == 4096);

/// Let a Btrfs that is mounted have all of its device.
///
/// # Errors
///
/// The error of ioctl(2).
///
/// # Source
///
/// Linux, `include/uapi/linux/btrfs.h`: `BTRFS_IOC_RESIZE`.
pub(crate) fn grow_btrfs(mounted: &File) -> io::Result<()> {
    const RESIZE: libc::c_ulong = 0x5000_9403;
    let mut arguments = BtrfsArguments { fd: 0, name: [0; 4088] };
    arguments.name[..3].copy_from_slice(b"max");
    // SAFETY: the command reads one `btrfs_ioctl_vol_args`, which outlives the call; its name ends in a zero byte.
    check(unsafe { libc::ioctl(mounted.as_raw_fd(), RESIZE as _, &raw const arguments) })
}

/// Use a device as swap.
///
/// # Errors
///
/// The error of swapon(2).
pub(crate) fn swap_on(path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path ends in a zero byte and outlives the call.
    check(unsafe { libc::swapon(path.as_ptr(), 0) })
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
