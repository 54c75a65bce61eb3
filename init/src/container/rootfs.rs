//! A container's root: the image itself, read-only, or an overlay over it.

use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::bundle::Bundle;
use super::{StartError, xattrs};
use crate::contract::Container;

/// Mount the container's root on the bundle's `rootfs`.
pub(super) fn mount(bundle: &Bundle, container: &Container) -> Result<(), StartError> {
    xattrs::apply(Path::new(&container.lower))?;
    if container.readonly { bind(bundle, &container.lower) } else { overlay(bundle, &container.lower) }
}

/// Bind the image, then make that view of it read-only: the first call of a bind mount ignores the flag.
fn bind(bundle: &Bundle, lower: &str) -> Result<(), StartError> {
    let target = bundle.rootfs();
    rustix::mount::mount_bind(lower, &target)
        .and_then(|()| rustix::mount::mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c""))
        .map_err(|cause| StartError::Mount { what: format!("`{lower}`"), target, cause: cause.into() })
}

/// Lay a tmpfs over the image; what the container writes lives there and counts as its memory.
fn overlay(bundle: &Bundle, lower: &str) -> Result<(), StartError> {
    let scratch = bundle.scratch();
    rustix::mount::mount("tmpfs", &scratch, "tmpfs", MountFlags::NODEV, c"mode=755")
        .map_err(|cause| mount_error("a tmpfs", &scratch, cause))?;
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    for path in [&upper, &work] {
        fs::create_dir(path).map_err(|cause| StartError::File { path: path.clone(), cause })?;
    }
    copy_owner(Path::new(lower), &upper).map_err(|cause| StartError::File { path: upper.clone(), cause })?;
    let data = format!("lowerdir={lower},upperdir={},workdir={}", upper.display(), work.display());
    let data = std::ffi::CString::new(data)
        .map_err(|cause| StartError::File { path: bundle.rootfs(), cause: io::Error::from(cause) })?;
    let target = bundle.rootfs();
    match rustix::mount::mount("overlay", &target, "overlay", MountFlags::empty(), data.as_c_str()) {
        Ok(()) => Ok(()),
        Err(Errno::NODEV) => Err(StartError::NoOverlay),
        Err(cause) => Err(mount_error("an overlay", &target, cause)),
    }
}

/// Give the overlay's root the owner and mode of the image's: they are taken from the upper directory.
fn copy_owner(from: &Path, to: &Path) -> io::Result<()> {
    let stat = rustix::fs::stat(from)?;
    rustix::fs::chmod(to, rustix::fs::Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let owner = rustix::process::Uid::from_raw(stat.st_uid);
    let group = rustix::process::Gid::from_raw(stat.st_gid);
    Ok(rustix::fs::chown(to, Some(owner), Some(group))?)
}

fn mount_error(what: &str, target: &Path, cause: Errno) -> StartError {
    StartError::Mount { what: what.to_owned(), target: target.to_path_buf(), cause: cause.into() }
}
