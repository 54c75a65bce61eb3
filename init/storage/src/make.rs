//! Formats a volume. In: a disk or partition that may be overwritten. Out: the file system on it, whole.
//!
//! ```text
//!  | file system, through a loop device that ends here | mark |     the mark first, and gone last: what has one is begun again
//! ```

use std::io;

use hullkit_init::contract::storage::{Format, Key, Volume};
use hullkit_init::sys::{Access, attach_blocks};

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

/// Format a disk or partition as this volume. In: the name that its mapped device gets meanwhile, if it is encrypted.
pub(crate) fn make(
    volume: &Volume,
    device: &Device,
    state: State,
    mapped: &str,
    tools: Tools<'_>,
    say: &mut Say<'_>,
) -> Result<(), StorageError> {
    if state == State::Empty {
        ask_blkid(device, tools, say)?;
    }
    let (disk, mark) = begin(device, Marker::End)?;
    let path = device.path.as_str();
    let room = attach_blocks(path, 0, mark, Access::Write, device.sector);
    let room = room.map_err(StorageError::io("make a loop device of", path))?;
    match &volume.key {
        None => format(volume, room.path(), path, tools, say)?,
        Some(key) => encrypted(volume, key, room.path(), (mapped, path), tools, say)?,
    }
    // It goes with its last user; what it has written is on the disk by then.
    drop(room);
    finish(device, &disk, mark)
}

fn encrypted(
    volume: &Volume,
    key: &Key,
    room: &str,
    (mapped, path): (&str, &str),
    tools: Tools<'_>,
    say: &mut Say<'_>,
) -> Result<(), StorageError> {
    crypt::format(key, &volume.label, room, path, tools, say)?;
    let inner = crypt::open(key, room, mapped, path, tools, say)?;
    let made = format(volume, &inner, path, tools, say);
    crypt::close(mapped, path, tools, say)?;
    made
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
