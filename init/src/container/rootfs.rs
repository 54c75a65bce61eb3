//! A container's root: the image itself, read-only, or an overlay over it.

use std::fs;
use std::io;
use std::path::Path;

use oci_spec::runtime::LinuxNamespaceType;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::bundle::Bundle;
use super::identity::Shift;
use super::{StartError, is_new, xattrs};
use crate::contract::Container;
use crate::sys;

/// Mount the container's root on the bundle's `rootfs`.
pub(super) fn mount(bundle: &Bundle, container: &Container) -> Result<(), StartError> {
    xattrs::apply(Path::new(&container.lower))?;
    let shift = Shift::of(&container.spec).filter(|_| is_new(&container.spec, LinuxNamespaceType::User));
    match (shift, container.readonly) {
        (None, true) => bind(bundle, &container.lower),
        (None, false) => overlay(bundle, &container.lower, ""),
        (Some(shift), readonly) => {
            // The image itself belongs to the host's users, and is shared with containers that run as those.
            overlay(bundle, &container.lower, ",metacopy=on")?;
            let target = bundle.rootfs();
            shift.apply(&target).map_err(|cause| StartError::File { path: target.clone(), cause })?;
            if readonly { seal(&target) } else { Ok(()) }
        }
    }
}

/// Make this view of a mount read-only.
fn seal(target: &Path) -> Result<(), StartError> {
    rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, c"")
        .map_err(|cause| mount_error("a read-only view", target, cause))
}

/// Bind the image, then make that view of it read-only: the first call of a bind mount ignores the flag.
fn bind(bundle: &Bundle, lower: &str) -> Result<(), StartError> {
    let target = bundle.rootfs();
    rustix::mount::mount_bind(lower, &target).map_err(|cause| mount_error(&format!("`{lower}`"), &target, cause))?;
    seal(&target)
}

/// Lay a tmpfs over the image; what the container writes lives there and counts as its memory.
fn overlay(bundle: &Bundle, lower: &str, more: &str) -> Result<(), StartError> {
    let scratch = bundle.scratch();
    rustix::mount::mount("tmpfs", &scratch, "tmpfs", MountFlags::NODEV, c"mode=755")
        .map_err(|cause| mount_error("a tmpfs", &scratch, cause))?;
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    for path in [&upper, &work] {
        fs::create_dir(path).map_err(|cause| StartError::File { path: path.clone(), cause })?;
    }
    sys::copy_owner(Path::new(lower), &upper).map_err(|cause| StartError::File { path: upper.clone(), cause })?;
    let data = format!("lowerdir={lower},upperdir={},workdir={}{more}", upper.display(), work.display());
    let data = std::ffi::CString::new(data)
        .map_err(|cause| StartError::File { path: bundle.rootfs(), cause: io::Error::from(cause) })?;
    let target = bundle.rootfs();
    match rustix::mount::mount("overlay", &target, "overlay", MountFlags::empty(), data.as_c_str()) {
        Ok(()) => Ok(()),
        Err(Errno::NODEV) => Err(StartError::NoOverlay),
        Err(cause) => Err(mount_error("an overlay", &target, cause)),
    }
}

fn mount_error(what: &str, target: &Path, cause: Errno) -> StartError {
    StartError::Mount { what: what.to_owned(), target: target.to_path_buf(), cause: cause.into() }
}
