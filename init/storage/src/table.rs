//! Partition tables. In: the partitions that are wanted. Out: a table (GPT) that has them, whose last one ends where the disk does.

use std::fmt::Write as _;

use hullkit_init::chain::chain;
use hullkit_init::contract::storage::{Format, Partition, Volume};
use hullkit_init::disk::gpt::grow::grow as growth;
use hullkit_init::disk::gpt::{self, Table};
use hullkit_init::sys::{Linux, Sys};

use crate::Say;
use crate::choose::State;
use crate::device::Device;
use crate::error::StorageError;
use crate::make;
use crate::marker::Marker;
use crate::probe::END;
use crate::tool::Tools;

/// What partitions' sizes are rounded up to, in bytes.
const MIB: u64 = 1 << 20;

/// Write a table on a disk that may be overwritten. Each of its partitions then is as empty as a new disk.
pub(crate) fn make(
    partitions: &[Partition],
    device: &Device,
    state: State,
    tools: Tools<'_>,
    say: &mut Say<'_>,
) -> Result<(), StorageError> {
    if state == State::Empty {
        make::ask_blkid(device, tools, say)?;
    }
    let path = device.path.as_str();
    let (disk, mark) = make::begin(device, Marker::Gap)?;
    // The tool wants the disk for itself, too.
    drop(disk);
    let script = script(partitions);
    tools.run(&["sfdisk", "--quiet", "--wipe", "never", path], script.as_bytes(), path, say)?;
    for number in 1..=partitions.len() {
        let partition = device.partition(number).ok_or_else(|| missing(path, number))?;
        let written = partition.open_alone().and_then(|disk| {
            disk.clear(0, END.min(partition.size))?;
            disk.clear(partition.size.saturating_sub(END), partition.size)
        });
        written.map_err(StorageError::io("erase the ends of", &partition.path))?;
    }
    let disk = device.open_alone().map_err(StorageError::io("take alone", path))?;
    make::finish(device, &disk, mark)
}

/// Say that the kernel shows no such partition.
pub(crate) fn missing(path: &str, number: usize) -> StorageError {
    StorageError::NoDevice { path: path.to_owned(), number }
}

/// What sfdisk reads.
fn script(partitions: &[Partition]) -> String {
    let mut text = "label: gpt\n".to_owned();
    for partition in partitions {
        let size = partition.size.map(|size| format!("size={}MiB, ", size.div_ceil(MIB))).unwrap_or_default();
        // Names are letters, digits, `_` and `-`: the manifest's were checked, and here only quotes would count.
        let name = partition.name.replace(['"', '\\', '\n'], "_");
        // A `String` takes all that is written.
        let _ = writeln!(text, "{size}type={}, name=\"{name}\"", kind(&partition.volume));
    }
    text
}

/// The type of a partition.
///
/// # Source
///
/// UEFI 2.10, 5.3.3; Discoverable Partitions Specification.
fn kind(volume: &Volume) -> &'static str {
    match (volume.format, &volume.key) {
        (_, Some(_)) => "CA7D7CCB-63ED-4C53-861C-1742536059CC",
        (Format::Swap, None) => "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
        (Format::Vfat, None) => "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        (Format::Ext4 | Format::Xfs | Format::Btrfs, None) => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    }
}

/// Let the last partition end where the disk does, if it is to take the rest of it. One that cannot serves as it is.
pub(crate) fn grow(partitions: &[Partition], device: &Device, tools: Tools<'_>, say: &mut Say<'_>) {
    let wanted = partitions.last().is_some_and(|last| last.size.is_none() && last.volume.grow);
    if !wanted {
        return;
    }
    let path = device.path.as_str();
    let number = partitions.len();
    let grown = write(device, number).map_err(StorageError::io("let the last partition grow on", path));
    let told = grown.and_then(|written| {
        let number = number.to_string();
        let words = ["partx", "--update", "--nr", &number, path];
        if written { tools.run(&words, &[], path, say).map(drop) } else { Ok(()) }
    });
    if let Err(error) = told {
        say(&chain(&error));
    }
}

/// Write the table anew if the last partition can grow. Out: whether it has.
fn write(device: &Device, number: usize) -> std::io::Result<bool> {
    let disk = device.open()?;
    let Some(table) = gpt::read(&*disk)? else { return Ok(false) };
    let position = |table: &Table| table.partitions.get(number.checked_sub(1)?).map(|partition| partition.number);
    let Some(own) = position(&table) else { return Ok(false) };
    let Some(growth) = growth(&*disk, &table, own)? else { return Ok(false) };
    Linux::default().write_disk(&device.path, &growth.writes)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sfdisk_reads_has_sizes_types_and_names() {
        let volume =
            |format| Volume { format, label: "x".to_owned(), mount: None, options: Vec::new(), grow: true, key: None };
        let partitions = [
            Partition { name: "swap".to_owned(), size: Some((64 << 20) + 1), volume: volume(Format::Swap) },
            Partition { name: "rest".to_owned(), size: None, volume: volume(Format::Xfs) },
        ];
        assert_eq!(
            script(&partitions),
            "label: gpt\nsize=65MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F, name=\"swap\"\n\
             type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=\"rest\"\n"
        );
    }
}
