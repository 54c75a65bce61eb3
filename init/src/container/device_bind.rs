//! A bind over `/dev`, as LinuxKit's `format` and `mount` have it. libcontainer makes its links in whatever is there, and takes offence
//! if they are there already, as they are in the host's `/dev`. So it is not told of such a bind, and the bind is made from outside,
//! after the container's root is complete and before its program runs.

use std::borrow::Cow;
use std::path::Path;

use oci_spec::runtime::Spec;
use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};

use super::{StartError, options, propagation};
use crate::contract::Mount;

/// Where devices are in a container.
const PLACE: &str = "/dev";

/// Take the bind out of a configuration. Out: what is left, and the bind, the last if there are several.
pub(super) fn part(spec: &Spec) -> (Cow<'_, Spec>, Option<oci_spec::runtime::Mount>) {
    let is_bind = |mount: &oci_spec::runtime::Mount| {
        let words = mount.options().iter().flatten();
        mount.destination() == Path::new(PLACE) && words.into_iter().any(|word| word == "bind" || word == "rbind")
    };
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let bind = mounts.iter().rev().find(|mount| is_bind(mount)).cloned();
    if bind.is_none() {
        return (Cow::Borrowed(spec), None);
    }
    // What libcontainer makes there lies below the bind in the end; without a mount it would lie in the image.
    let mut below = Some(transient());
    if mounts.iter().any(|mount| mount.destination() == Path::new(PLACE) && !is_bind(mount)) {
        below = None;
    }
    let replaced = mounts.iter().filter_map(|mount| if is_bind(mount) { below.take() } else { Some(mount.clone()) });
    let mut rest = spec.clone();
    rest.set_mounts(Some(replaced.collect()));
    (Cow::Owned(rest), bind)
}

/// The usual file system of a container's devices.
fn transient() -> oci_spec::runtime::Mount {
    let mut mount = oci_spec::runtime::Mount::default();
    mount.set_destination(PLACE.into());
    mount.set_typ(Some("tmpfs".to_owned()));
    mount.set_source(Some("tmpfs".into()));
    mount.set_options(Some(["nosuid", "strictatime", "mode=755", "size=65536k"].map(str::to_owned).to_vec()));
    mount
}

/// Make the bind in a container's mount namespace.
pub(super) fn make(pid: u32, bind: &oci_spec::runtime::Mount) -> Result<(), StartError> {
    let failed = |cause: rustix::io::Errno| StartError::Mount {
        what: "the host's devices".to_owned(),
        target: PLACE.into(),
        cause: cause.into(),
    };
    let source = bind.source().as_deref().unwrap_or(Path::new(PLACE));
    let words = bind.options().clone().unwrap_or_default();
    let readonly = words.iter().any(|word| word == "ro");
    let propagation = options::parse(&Mount { options: words, ..Mount::default() }).propagation;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, source, flags).map_err(failed)?;
    propagation::inside(pid, || {
        rustix::mount::move_mount(&tree, "", CWD, PLACE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        if readonly {
            rustix::mount::mount_remount(PLACE, MountFlags::BIND | MountFlags::RDONLY, c"")?;
        }
        // Unless it says otherwise, what the container mounts there is its own.
        rustix::mount::mount_change(
            PLACE,
            propagation.unwrap_or(MountPropagationFlags::PRIVATE | MountPropagationFlags::REC),
        )
    })?
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bind_over_the_devices_is_taken_out() {
        let text = r#"{"ociVersion":"1.2.1","mounts":[
            {"destination":"/dev","type":"tmpfs","source":"tmpfs"},
            {"destination":"/dev","type":"bind","source":"/dev","options":["rw","rbind"]},
            {"destination":"/run","type":"bind","source":"/run","options":["rbind"]}]}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        let (rest, bind) = part(&spec);
        let kinds: Vec<_> = rest.mounts().as_ref().unwrap().iter().map(|mount| mount.typ().clone().unwrap()).collect();
        assert_eq!(kinds, ["tmpfs", "bind"]);
        assert_eq!(bind.unwrap().source().as_deref(), Some(Path::new("/dev")));
        assert_eq!(part(&rest), (rest.clone(), None));

        let text = r#"{"ociVersion":"1.2.1","mounts":[
            {"destination":"/dev","type":"bind","source":"/dev","options":["rw","rbind"]},
            {"destination":"/dev/pts","type":"devpts","source":"devpts"}]}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        let (rest, bind) = part(&spec);
        let kinds: Vec<_> = rest.mounts().as_ref().unwrap().iter().map(|mount| mount.typ().clone().unwrap()).collect();
        assert_eq!(kinds, ["tmpfs", "devpts"]);
        assert!(bind.is_some());
    }
}
