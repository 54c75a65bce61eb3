//! Whether mounts pass between a bind and where it comes from: the words `shared`, `slave`, `private` and `unbindable` among the
//! options of a container's mounts, which libcontainer reads and leaves. Done from outside, in the container's mount namespace,
//! after its root is complete and before its program runs.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use rustix::mount::MountPropagationFlags;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{StartError, options};
use crate::contract::Mount;

/// Apply the words of every mount, in the order of the mounts.
pub(super) fn apply(pid: u32, spec: &Spec) -> Result<(), StartError> {
    let wanted = wanted(spec);
    if wanted.is_empty() {
        return Ok(());
    }
    inside(pid, || {
        wanted.into_iter().try_for_each(|(target, flags)| {
            rustix::mount::mount_change(target, flags).map_err(|cause| StartError::Mount {
                what: "what a container binds, as shared or not,".to_owned(),
                target: target.to_path_buf(),
                cause: io::Error::from(cause),
            })
        })
    })?
}

/// Do something in the mount namespace of a container's process, and come back.
pub(super) fn inside<T>(pid: u32, act: impl FnOnce() -> T) -> Result<T, StartError> {
    let namespace = |process: &str| {
        let path = PathBuf::from(format!("/proc/{process}/ns/mnt"));
        File::open(&path).map_err(|cause| StartError::File { path, cause })
    };
    let (own, other) = (namespace("self")?, namespace(&pid.to_string())?);
    let moved =
        |cause: rustix::io::Errno| StartError::File { path: PathBuf::from("/proc/self/ns/mnt"), cause: cause.into() };
    let enter = |file: &File| move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Mount)).map_err(moved);
    enter(&other)?;
    let done = act();
    enter(&own)?;
    Ok(done)
}

/// Every mount that has such a word, and what it means.
fn wanted(spec: &Spec) -> Vec<(&Path, MountPropagationFlags)> {
    let mounts = spec.mounts().iter().flatten();
    let flags = |words: &Option<Vec<String>>| {
        options::parse(&Mount { options: words.clone().unwrap_or_default(), ..Mount::default() }).propagation
    };
    mounts.filter_map(|mount| Some((mount.destination().as_path(), flags(mount.options())?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_with_a_word_for_it_are_changed() {
        let text = r#"{"ociVersion":"1.2.1","mounts":[
            {"destination":"/a","type":"bind","source":"/x","options":["rw","rbind","rshared"]},
            {"destination":"/b","type":"bind","source":"/x","options":["ro","rbind"]},
            {"destination":"/c","type":"tmpfs","source":"tmpfs"},
            {"destination":"/d","type":"bind","source":"/x","options":["private","slave"]}]}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
        assert_eq!(wanted(&spec), [(Path::new("/a"), shared), (Path::new("/d"), MountPropagationFlags::DOWNSTREAM)]);
    }
}
