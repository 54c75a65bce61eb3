//! A volume with metadata: found by its label, mounted read-only for as long as it is read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::Refusal;
use crate::label::{HEAD, Label, label};
use crate::machine::{Machine, read};

/// A volume that may hold metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) device: PathBuf,
    pub(crate) label: Label,
    pub(crate) is_cd: bool,
}

/// Find every volume of a known kind, sorted by its device.
pub(crate) fn volumes(machine: &Machine) -> Vec<Volume> {
    let known = |(device, is_cd): (PathBuf, bool)| {
        let mut head = Vec::with_capacity(HEAD);
        // One without a medium cannot be opened, and is nothing to tell of.
        File::open(&device).ok()?.take(HEAD as u64).read_to_end(&mut head).ok()?;
        Some(Volume { label: label(&head)?, device, is_cd })
    };
    machine.block_devices().into_iter().filter_map(known).collect()
}

/// A mounted volume; it is unmounted when this goes.
#[derive(Debug)]
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Mount a volume: no device, no program and no set-user-id of it counts, and nothing is written.
    pub(crate) fn new(volume: &Volume, machine: &Machine) -> Result<Self, Refusal> {
        let folder = machine.mount_point();
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let mount = || -> io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            Ok(rustix::mount::mount(&volume.device, &folder, volume.label.kind, flags, None)?)
        };
        let failed = |cause| Refusal::Read { path: volume.device.display().to_string(), cause };
        mount().map(|()| Self(folder.clone())).map_err(failed)
    }

    /// Read one of its files, if it is there.
    pub(crate) fn file(&self, path: &str) -> Result<Option<Vec<u8>>, Refusal> {
        file(&self.0, path)
    }
}

/// Read a file below a folder, if it is there.
fn file(folder: &Path, path: &str) -> Result<Option<Vec<u8>>, Refusal> {
    match read(&folder.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Refusal::Read { path: path.to_owned(), cause }),
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It goes at the latest with the machine.
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
    }
}
