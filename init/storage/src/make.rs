//! Formats a volume. In: a disk or partition that may be overwritten. Out: the file system on it, whole.
//!
//! ```text
//!  | file system, through a loop device that ends here | mark |     the mark first, and gone last: what has one is begun again
//! ```

use std::fs::File;
use std::io;

use hullkit_init::contract::storage::{Format, Volume};
use hullkit_init::sys::{Access, Attached, attach_blocks};

use crate::Say;
use crate::choose::State;
use crate::crypt;
use crate::device::{Device, Writable};
use crate::error::StorageError;
use crate::marker::{Marker, TEXT};
use crate::probe::END;
use crate::tool::Tools;

/// Exit code of `blkid -p` that has found nothing.
const BLKID_NOTHING: i32 = 2;

/// Make sure that the tools find nothing on a disk that looks empty, either.
pub(crate) fn ask_blkid(device: &Device, tools: Tools<'_>, say: &mut Say<'_>) -> Result<(), StorageError> {
    let path = device.path.as_str();
    let output = tools.ask(&["blkid", "--probe", "--output", "export", path], &[], path, say)?;
    if output.status.code() == Some(BLKID_NOTHING) {
        return Ok(());
    }
    if !output.status.success() && output.text.trim().is_empty() {
        return Err(StorageError::Tool { tool: "blkid".to_owned(), path: path.to_owned(), why: output.why });
    }
    // What the table says of a partition is not on it.
    let besides = |line: &&str| line.starts_with("DEVNAME=") || line.starts_with("PART_ENTRY_");
    let found: Vec<&str> = output.text.lines().filter(|line| !besides(line)).collect();
    if found.is_empty() {
        Ok(())
    } else {
        Err(StorageError::Disputed { path: path.to_owned(), found: found.join(" ") })
    }
}

/// Mark a disk, and let nothing of what was on it be found. Out: it, and where the mark is.
pub(crate) fn begin(device: &Device, marker: Marker) -> Result<(Writable, u64), StorageError> {
    let path = device.path.as_str();
    let disk = device.open_alone().map_err(StorageError::io("take alone", path))?;
    let mark = marker.offset(device.size).ok_or_else(|| StorageError::Small { path: path.to_owned() })?;
    let cleared = || -> io::Result<()> {
        disk.put(mark, TEXT)?;
        let length = TEXT.len() as u64;
        let (head, tail) = (END.min(device.size), device.size.saturating_sub(END));
        for (from, to) in [(0, head), (tail, device.size)] {
            // All but the mark.
            disk.clear(from, to.min(mark))?;
            disk.clear(from.max(mark + length), to)?;
        }
        Ok(())
    };
    cleared().map_err(StorageError::io("erase the ends of", path))?;
    Ok((disk, mark))
}

/// Let a disk be what it has become.
pub(crate) fn finish(device: &Device, disk: &Writable, mark: u64) -> Result<(), StorageError> {
    disk.clear(mark, mark + TEXT.len() as u64).map_err(StorageError::io("finish", &device.path))
}

/// Format a disk or partition as this volume. In: the name that its mapped device gets, if it is encrypted. Out: the path of that, which is
/// open.
pub(crate) fn make(
    volume: &Volume,
    device: &Device,
    state: State,
    mapped: &str,
    tools: Tools<'_>,
    say: &mut Say<'_>,
) -> Result<Option<String>, StorageError> {
    if state == State::Empty {
        ask_blkid(device, tools, say)?;
    }
    let (disk, mark) = begin(device, Marker::End)?;
    // What is mapped wants the disk for itself.
    drop(disk);
    let path = device.path.as_str();
    let room = room(path, mark)?;
    let opened = match &volume.key {
        None => {
            format(volume, room.path(), path, tools, say)?;
            None
        }
        Some(key) => {
            crypt::format(key, &volume.label, room.path(), path, tools, say)?;
            let inner = crypt::open(key, path, mapped, path, tools, say)?;
            let length = Device::length(&inner).map_err(StorageError::io("read", &inner))?;
            // The mark is at its end, too.
            let end = length.saturating_sub(device.size - mark);
            let inner_room = self::room(&inner, end)?;
            format(volume, inner_room.path(), path, tools, say)?;
            Some(inner)
        }
    };
    // It goes with its last user; what it has written is on the disk by then.
    drop(room);
    let disk = device.open_shared().map_err(StorageError::io("write", path))?;
    finish(device, &disk, mark)?;
    Ok(opened)
}

/// Show the tools a device up to an offset.
fn room(path: &str, end: u64) -> Result<Attached, StorageError> {
    let made = || {
        let block = rustix::fs::ioctl_blksszget(File::open(path)?)?;
        attach_blocks(path, 0, end, Access::Write, block)
    };
    made().map_err(StorageError::io("make a loop device of", path))
}

/// Make the file system. In: the device for the tool, and the path for people.
fn format(volume: &Volume, device: &str, path: &str, tools: Tools<'_>, say: &mut Say<'_>) -> Result<(), StorageError> {
    let label = volume.label.as_str();
    // No tool discards what is there first: it takes its time on some disks, and cannot be seen afterwards.
    let words: &[&str] = match volume.format {
        Format::Ext4 => &["mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-L", label, device],
        Format::Xfs => &["mkfs.xfs", "-q", "-f", "-K", "-L", label, device],
        Format::Btrfs => &["mkfs.btrfs", "-q", "-f", "-K", "-L", label, device],
        // A whole disk may be one, and does not get a partition table that says so.
        Format::Vfat => &["mkfs.vfat", "-I", "--mbr=no", "-n", label, device],
        Format::Swap => &["mkswap", "-L", label, device],
    };
    tools.run(words, &[], path, say).map(drop)
}
