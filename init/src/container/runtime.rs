//! What is done on the host around a container (LinuxKit's `runtime` section).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::bundle::Bundle;
use super::{StartError, options};
use crate::contract::{Mount, Runtime};

/// Make the mounts, then the directories, then the cgroups.
///
/// # Source
///
/// LinuxKit, `pkg/init/cmd/service/prepare.go`, for the order.
pub(super) fn prepare(bundle: &Bundle, runtime: &Runtime) -> Result<(), StartError> {
    let rootfs = bundle.rootfs();
    for mount in &runtime.mounts {
        make_mount(&rootfs, mount)?;
    }
    for path in &runtime.mkdir {
        make_dir(&rootfs, path)?;
    }
    for path in &runtime.cgroups {
        make_dir(Path::new("/sys/fs/cgroup"), path.trim_start_matches('/'))?;
    }
    Ok(())
}

/// `NSFS_MAGIC` of linux/magic.h: the file system whose files are namespaces.
const NSFS: i64 = 0x6e73_6673;

/// Let go of the namespaces that an earlier start has bound, so that theirs do not outlive the container that comes now.
pub(super) fn release_namespaces(wanted: &BTreeMap<String, String>) {
    for path in wanted.values() {
        let is_namespace = || rustix::fs::statfs(path.as_str()).is_ok_and(|found| found.f_type == NSFS);
        while is_namespace() && rustix::mount::unmount(path.as_str(), UnmountFlags::DETACH).is_ok() {}
    }
}

/// Bind the container's namespaces where the contract says, so that they can be joined, and outlive it.
pub(super) fn bind_namespaces(pid: u32, wanted: &BTreeMap<String, String>) -> Result<(), StartError> {
    for (namespace, path) in wanted {
        let target = PathBuf::from(path);
        let file = |cause| StartError::File { path: target.clone(), cause };
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(file)?;
        }
        fs::write(&target, b"").map_err(file)?;
        let source = format!("/proc/{pid}/ns/{namespace}");
        let bound = match rustix::mount::mount_bind(&source, &target) {
            // A mount namespace cannot be bound where others would get to see the mount: give the file a mount of its own,
            // which nobody shares.
            Err(Errno::INVAL) => rustix::mount::mount_bind(&target, &target)
                .and_then(|()| rustix::mount::mount_change(&target, MountPropagationFlags::PRIVATE))
                .and_then(|()| rustix::mount::mount_bind(&source, &target)),
            other => other,
        };
        bound.map_err(|cause| StartError::Mount {
            what: format!("`{source}`"),
            target: target.clone(),
            cause: cause.into(),
        })?;
    }
    Ok(())
}

/// An absolute path is the host's; a relative one lies in the container's root and cannot climb out of it.
///
/// The image is a stranger's: a symbolic link on the way, in a directory that exists already, is refused.
fn place(rootfs: &Path, path: &str) -> Result<PathBuf, StartError> {
    let path = Path::new(path);
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    let mut inside = rootfs.to_path_buf();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => continue,
            _ => return Err(outside(path)),
        }
        if fs::symlink_metadata(&inside).is_ok_and(|found| found.is_symlink()) {
            return Err(outside(path));
        }
    }
    Ok(inside)
}

fn outside(path: &Path) -> StartError {
    let cause = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it leads out of the container's root");
    StartError::File { path: path.to_path_buf(), cause }
}

fn make_dir(root: &Path, path: &str) -> Result<(), StartError> {
    let path = place(root, path)?;
    fs::create_dir_all(&path).map_err(|cause| StartError::File { path, cause })
}

fn make_mount(rootfs: &Path, mount: &Mount) -> Result<(), StartError> {
    let target = place(rootfs, &mount.destination)?;
    let options = options::parse(mount);
    if !options.remount {
        make_target(&target, mount, options.bind)?;
    }
    for directory in
        mount.options.iter().filter_map(|word| word.strip_prefix("upperdir=").or_else(|| word.strip_prefix("workdir=")))
    {
        make_dir(Path::new("/"), directory)?;
    }
    apply(&target, mount, &options).map_err(|cause| StartError::Mount {
        what: format!("`{}`", if mount.source.is_empty() { &mount.kind } else { &mount.source }),
        target,
        cause: cause.into(),
    })
}

/// A file is bound on a file, everything else on a directory.
fn make_target(target: &Path, mount: &Mount, bind: bool) -> Result<(), StartError> {
    let file = |cause| StartError::File { path: target.to_path_buf(), cause };
    if bind && Path::new(&mount.source).is_file() {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(file)?;
        }
        return fs::OpenOptions::new().append(true).create(true).open(target).map(|_| ()).map_err(file);
    }
    fs::create_dir_all(target).map_err(file)
}

fn apply(target: &Path, mount: &Mount, options: &options::Options) -> rustix::io::Result<()> {
    let data = std::ffi::CString::new(options.data.as_str()).map_err(|_| rustix::io::Errno::INVAL)?;
    if options.bind {
        if options.recursive {
            rustix::mount::mount_bind_recursive(&mount.source, target)?;
        } else if !options.remount {
            rustix::mount::mount_bind(&mount.source, target)?;
        }
        if !options.flags.is_empty() {
            rustix::mount::mount_remount(target, MountFlags::BIND | options.flags, data.as_c_str())?;
        }
    } else if options.moves {
        rustix::mount::mount_move(&mount.source, target)?;
    } else if options.remount && options.propagation.is_none() {
        rustix::mount::mount_remount(target, options.flags, data.as_c_str())?;
    } else if !options.remount && !mount.kind.is_empty() {
        rustix::mount::mount(&mount.source, target, &mount.kind, options.flags, data.as_c_str())?;
    }
    match options.propagation {
        Some(flags) => rustix::mount::mount_change(target, flags),
        None => Ok(()),
    }
}
