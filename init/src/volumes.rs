//! Volumes: what containers bind by name. In: the contract's list. Out: each is mounted where binds look for it.
//!
//! A volume is writable over what the image of the host brings: an overlay whose upper directory lies on a tmpfs of its own, or on the
//! data partition if it is persistent. One that is read-only is shown as it is, and stays so whatever a container's bind says.

use std::io;
use std::rc::Rc;

use rustix::mount::MountFlags;

use crate::boot::BootError;
use crate::contract::Volume;
use crate::data;
use crate::host::Host;
use crate::sys::{MountCall, Sys};

/// Mount every volume. It comes before the first container, whose binds name them.
///
/// # Errors
///
/// [`BootError::Volume`]: a host on which a volume is missing would write what it should keep into memory, or nowhere.
pub fn mount<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    for volume in &contract.volumes {
        let bad = |cause| BootError::Volume { name: volume.name.clone(), cause };
        if volume.name.is_empty() || volume.name.contains(['/', '\0', ',', ':']) || matches!(&*volume.name, "." | "..")
        {
            return Err(bad(io::Error::new(io::ErrorKind::InvalidInput, "it has no name that a folder can have")));
        }
        let result = if volume.readonly { show(host, volume) } else { overlay(host, volume) };
        result.map_err(bad)?;
    }
    Ok(())
}

fn show<S: Sys>(host: &mut Host<S>, volume: &Volume) -> io::Result<()> {
    host.sys.bind_readonly(&volume.lower, &Volume::merged(&volume.name))
}

/// What an overlay must not do over an image that an update replaces: keep in its upper directory what holds for that image only.
///
/// Source: Linux, `Documentation/filesystems/overlayfs.rst`, "Changes to underlying filesystems".
const KEPT: &str = ",redirect_dir=off,metacopy=off,index=off";

fn overlay<S: Sys>(host: &mut Host<S>, volume: &Volume) -> io::Result<()> {
    let (scratch, more) = if volume.persistent {
        let folder = data::folder(volume);
        for made in [data::VOLUMES, &folder] {
            host.sys.mkdir(made, 0o755)?;
        }
        (folder, KEPT)
    } else {
        let scratch = format!("{}/tmp", Volume::folder(&volume.name));
        let flags = MountFlags::empty();
        host.sys.mount(&MountCall { source: "tmpfs", target: &scratch, kind: "tmpfs", flags, data: "mode=755" })?;
        (scratch, "")
    };
    let (upper, work) = (format!("{scratch}/upper"), format!("{scratch}/work"));
    host.sys.mkdir(&work, 0o755)?;
    host.sys.make_like(&volume.lower, &upper)?;
    let (lower, target, flags) = (&volume.lower, &Volume::merged(&volume.name), MountFlags::empty());
    let data = format!("lowerdir={lower},upperdir={upper},workdir={work}{more}");
    host.sys.mount(&MountCall { source: "overlay", target, kind: "overlay", flags, data: &data })
}
