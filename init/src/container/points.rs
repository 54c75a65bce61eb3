//! Places in a read-only image over which something is to be mounted. They cannot be made where nothing can be written, and
//! libcontainer's error does not name the one that is missing.

use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::StartError;
use super::bundle::Bundle;
use crate::contract::Container;

/// Make sure that every mount of a read-only container has a place.
pub(super) fn check(bundle: &Bundle, container: &Container) -> Result<(), StartError> {
    if !container.readonly {
        return Ok(());
    }
    let mounts = container.spec.mounts().iter().flatten();
    let places: Vec<&Path> = mounts.map(|mount| mount.destination().as_path()).collect();
    match missing(&bundle.rootfs(), &places) {
        Some(path) => Err(StartError::NoMountPoint { path }),
        None => Ok(()),
    }
}

/// Find the first place that the root lacks. What lies in a place mounted before it is made there.
fn missing(root: &Path, places: &[&Path]) -> Option<PathBuf> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Without the root itself there is nothing to look into; whoever mounts says so.
    let root = rustix::fs::open(root, flags, Mode::empty()).ok()?;
    let lacks = |place: &Path| {
        let found = rustix::fs::openat2(
            &root,
            place,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        );
        matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
    };
    let mut before: Vec<&Path> = Vec::new();
    for place in places {
        if !before.iter().any(|other| place.starts_with(other)) && lacks(place) {
            return Some(place.to_path_buf());
        }
        before.push(place);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_missing_unless_it_lies_in_the_root_or_in_an_earlier_mount() {
        let root = std::env::temp_dir().join(format!("hullkit-points-{}", std::process::id()));
        std::fs::create_dir_all(root.join("dev")).unwrap();
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("config")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.join("dangling")).unwrap();
        let cases: [(&[&str], Option<&str>); 5] = [
            (&["/dev", "/dev/pts"], None),
            (&["/config", "/etc"], None),
            (&["/dev/pts"], Some("/dev/pts")),
            (&["/dev", "/var/run"], Some("/var/run")),
            (&["/dangling"], Some("/dangling")),
        ];
        for (places, want) in cases {
            let places: Vec<&Path> = places.iter().map(Path::new).collect();
            assert_eq!(missing(&root, &places).as_deref(), want.map(Path::new), "{places:?}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}
