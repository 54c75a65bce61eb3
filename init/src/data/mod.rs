//! The data partition, on which volumes keep what is written. In: the contract's volumes. Out: it is mounted at [`FOLDER`], grown to
//! the end of its disk.
//!
//! ```text
//!  /dev/vda  | ... | root | data: ext4 |            free, since the disk is longer than the image      | table |
//!                                      `-- the table is written anew, the file system grows while mounted --'
//! ```
//!
//! It is found by its name, on the disk that the root is on: an image that is written over an older one on a disk keeps its data only
//! if that writer spares it, but an update in place finds it whatever build made it. As the root it is a loop device over the disk, so
//! that disks whose partitions the kernel cannot read serve, too.

mod ext4;

use std::io;
use std::time::Duration;

use rustix::mount::MountFlags;

use crate::boot::BootError;
use crate::contract::{DATA_NAME, Volume};
use crate::disk::Disk;
use crate::disk::gpt::grow::grow;
use crate::disk::gpt::{self, Partition, Table};
use crate::host::{Host, Waited};
use crate::root::Place;
use crate::sys::{Access, MountCall, Sys};

/// Where it is mounted.
pub const FOLDER: &str = "/run/hullkit/data";

/// Folder of what volumes keep.
pub const VOLUMES: &str = "/run/hullkit/data/volumes";

/// How long it is looked for: a disk may come late.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no place for what volumes keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No disk has the partition.
    #[error("no disk has a partition `{DATA_NAME}`, where the volume `{volume}` is kept (looked for {seconds} s)")]
    Missing {
        /// A volume that needs it.
        volume: String,
        /// How long it was looked for.
        seconds: u64,
    },
    /// There is something else in it, or nothing.
    #[error("{0} holds no ext4 file system")]
    Foreign(Place),
    /// The disk failed.
    #[error("could not read {place}")]
    Read {
        /// Where it is.
        place: Place,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// No loop device.
    #[error("could not make {place} a block device")]
    Attach {
        /// Where it is.
        place: Place,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// The kernel refused the file system.
    #[error("could not mount {place}")]
    Mount {
        /// Where it is.
        place: Place,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
}

impl DataError {
    /// What a person can try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "boot from a disk that was built with the volume (raw, qcow2 and other disks), with the whole image on it"
            }
            Self::Foreign(_) => "make an ext4 file system in the partition, or write the image to the disk again",
            Self::Read { .. } => "see what the kernel says of the disk above; it may be failing",
            Self::Attach { .. } => {
                "add the module `loop` to the image (`modules.include`), or use a kernel that has it built in"
            }
            Self::Mount { cause, .. } if cause.raw_os_error() == Some(libc::ENODEV) => {
                "add the module `ext4` to the image (`modules.include`), or use a kernel that has it built in"
            }
            Self::Mount { .. } => {
                "see what the kernel says of ext4 above; attach the disk to another machine and run `e2fsck` on the partition"
            }
        }
    }
}

/// Find the partition, let it grow, mount it. A host whose volumes keep nothing has none.
///
/// # Errors
///
/// [`BootError::Data`].
pub fn enter<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let kept = host.contract.volumes.iter().find(|volume| volume.persistent).map(|volume| volume.name.clone());
    let Some(volume) = kept else { return Ok(()) };
    let found = match host.wait_for(TIMEOUT, &format!("the partition `{DATA_NAME}`"), search) {
        Waited::Found(found) => found,
        Waited::Asked => return Ok(()),
        Waited::Late(waited) => Err(DataError::Missing { volume, seconds: waited.as_secs() })?,
    };
    Ok(mount(host, found)?)
}

/// A partition, its disk, and the table of that.
struct Found {
    path: String,
    disk: Box<dyn Disk>,
    table: Table,
    partition: Partition,
}

impl Found {
    fn place(&self) -> Place {
        let Partition { number, start, size, .. } = self.partition;
        Place { path: self.path.clone(), partition: Some(number), offset: start, room: size }
    }
}

/// Look for the partition: on the disk that the root is on, or on any if that is in memory.
fn search<S: Sys>(host: &mut Host<S>) -> Option<Found> {
    let devices = match &host.disk {
        Some(path) => vec![path.clone()],
        None => host.sys.block_devices().into_iter().map(|(path, _)| path).collect(),
    };
    let mut found = devices.into_iter().filter_map(|path| {
        let disk = host.sys.open_disk(&path).ok()?;
        let table = gpt::read(&*disk).ok()??;
        let partition = table.partitions.iter().find(|partition| partition.label == DATA_NAME)?.clone();
        Some(Found { path, disk, table, partition })
    });
    let (first, other) = (found.next()?, found.next());
    if let Some(other) = other {
        host.say(&format!("the data is on {} as well; that on {} is taken", other.place(), first.place()));
    }
    Some(first)
}

fn mount<S: Sys>(host: &mut Host<S>, mut found: Found) -> Result<(), DataError> {
    grow_partition(host, &mut found);
    let place = found.place();
    let failed = |cause| DataError::Read { place: place.clone(), cause };
    let volume =
        ext4::read(&*found.disk, place.offset).map_err(failed)?.ok_or_else(|| DataError::Foreign(place.clone()))?;
    let attach = |cause| DataError::Attach { place: place.clone(), cause };
    // Its last user is the mount, with which it goes.
    let device = host.sys.attach(&place.path, place.offset, place.room, Access::Write).map_err(attach)?;
    let failed = |cause| DataError::Mount { place: place.clone(), cause };
    host.sys.mkdir("/run/hullkit", 0o755).map_err(failed)?;
    host.sys.mkdir(FOLDER, 0o755).map_err(failed)?;
    let (source, flags) = (device.path(), MountFlags::NODEV);
    host.sys.mount(&MountCall { source, target: FOLDER, kind: "ext4", flags, data: "" }).map_err(failed)?;
    let mut size = volume.blocks.saturating_mul(volume.block);
    let blocks = place.room / volume.block;
    if blocks > volume.blocks {
        match host.sys.resize(FOLDER, blocks) {
            Ok(()) => size = blocks * volume.block,
            Err(cause) => host.say(&format!("the data on {place} could not grow: {cause}")),
        }
    }
    host.say(&format!("data: {} MiB on {place}", size >> 20));
    Ok(())
}

/// Let the partition end where its disk does. One that cannot serves as it is.
fn grow_partition<S: Sys>(host: &mut Host<S>, found: &mut Found) {
    let Found { path, disk, table, partition } = found;
    let written = grow(&**disk, table, partition.number).and_then(|growth| match growth {
        Some(growth) => host.sys.write_disk(path, &growth.writes).map(|()| growth.size),
        None => Ok(partition.size),
    });
    match written {
        Ok(size) => partition.size = size,
        Err(cause) => {
            let place = found.place();
            host.say(&format!("{place} could not grow to the end of its disk: {cause}"));
        }
    }
}

/// Where a volume keeps what is written, an absolute path.
#[must_use]
pub fn folder(volume: &Volume) -> String {
    format!("{VOLUMES}/{}", volume.name)
}
