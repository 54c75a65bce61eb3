//! Mounts, and lets file systems grow. In: a device with a file system on it. Out: it is mounted where PID 1 is.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use hullkit_init::contract::storage::{Format, Volume};
use hullkit_init::sys::{Linux, MountCall, Sys};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;

use crate::probe::Found;
use crate::sys;

/// A file system that lacks less than this of its device is as long as it can be.
const LEAST_GROWTH: u64 = 1 << 20;

/// Options that are flags of the kernel's: what is set, and what is not.
const FLAGS: [(&str, MountFlags, bool); 17] = [
    ("ro", MountFlags::RDONLY, true),
    ("rw", MountFlags::RDONLY, false),
    ("noatime", MountFlags::NOATIME, true),
    ("nodiratime", MountFlags::NODIRATIME, true),
    ("relatime", MountFlags::RELATIME, true),
    ("strictatime", MountFlags::STRICTATIME, true),
    ("lazytime", MountFlags::LAZYTIME, true),
    ("sync", MountFlags::SYNCHRONOUS, true),
    ("async", MountFlags::SYNCHRONOUS, false),
    ("dirsync", MountFlags::DIRSYNC, true),
    ("noexec", MountFlags::NOEXEC, true),
    ("exec", MountFlags::NOEXEC, false),
    ("nosuid", MountFlags::NOSUID, true),
    ("suid", MountFlags::NOSUID, false),
    ("nodev", MountFlags::NODEV, true),
    ("dev", MountFlags::NODEV, false),
    ("defaults", MountFlags::empty(), true),
];

/// Mount a file system. Neither device nodes nor set-user-id programs on it count unless the options say so.
pub(crate) fn mount(volume: &Volume, device: &str, target: &str) -> io::Result<()> {
    let folder = folder(target)?;
    let (flags, data) = options(&volume.options);
    // The folder that was walked to, and not what its path means by now.
    let target = format!("/proc/self/fd/{}", folder.as_raw_fd());
    Linux::default().mount(&MountCall {
        source: device,
        target: &target,
        kind: volume.format.name(),
        flags,
        data: &data,
    })
}

fn options(options: &[String]) -> (MountFlags, String) {
    let mut flags = MountFlags::NODEV | MountFlags::NOSUID;
    let mut data = Vec::new();
    for option in options {
        match FLAGS.iter().find(|(name, ..)| name == option) {
            Some((_, flag, on)) => flags.set(*flag, *on),
            None => data.push(option.as_str()),
        }
    }
    (flags, data.join(","))
}

/// Walk to a folder from the root, and make what is missing. No link is followed: files of user data may be such.
fn folder(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = rustix::fs::open("/", flags, Mode::empty())?;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if matches!(part, "." | "..") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match rustix::fs::mkdirat(&here, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(cause) => return Err(cause.into()),
        }
        here = rustix::fs::openat(&here, part, flags, Mode::empty())?;
    }
    Ok(here)
}

/// Tell whether a file system could be longer. In: the room there is for it, in bytes.
pub(crate) fn is_short(found: &Found, room: u64) -> bool {
    found.size.is_some_and(|size| size.saturating_add(LEAST_GROWTH) <= room)
}

/// Let a mounted file system have the room that there is. Out: whether its format can.
pub(crate) fn grow(volume: &Volume, found: &Found, target: &str, room: u64) -> io::Result<bool> {
    let blocks = room.checked_div(found.block).unwrap_or_default();
    match volume.format {
        Format::Ext4 => Linux::default().resize(target, blocks)?,
        Format::Xfs => sys::grow_xfs(&File::open(target)?, blocks, found.inodes_percent)?,
        Format::Btrfs => sys::grow_btrfs(&File::open(target)?)?,
        Format::Vfat | Format::Swap => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_flags_or_stay_words() {
        let read = |words: &[&str]| options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let closed = MountFlags::NODEV | MountFlags::NOSUID;
        assert_eq!(read(&[]), (closed, String::new()));
        assert_eq!(
            read(&["noatime", "subvol=x", "discard"]),
            (closed | MountFlags::NOATIME, "subvol=x,discard".into())
        );
        assert_eq!(read(&["dev", "suid", "ro"]), (MountFlags::RDONLY, String::new()));
    }
}
