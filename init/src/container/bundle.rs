//! The folder a container is started from, and the names derived from it.
//!
//! ```text
//! /run/hullkit/containers/<section>/<name>/   config.json  rootfs/  tmp/upper/  tmp/work/
//! /run/hullkit/state/<section>-<name>/        libcontainer's own
//! ```

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{LinuxBuilder, Spec};
use rustix::mount::UnmountFlags;

use super::{Section, StartError};
use crate::contract::Container;

/// Where bundles lie, an absolute path.
pub(super) const BUNDLES: &str = "/run/hullkit/containers";

/// Where libcontainer keeps the state of what it started.
pub(super) const STATE: &str = "/run/hullkit/state";

/// A container's folder; its name is a single path component.
#[derive(Debug)]
pub struct Bundle {
    section: Section,
    name: String,
    path: PathBuf,
}

impl Bundle {
    /// Name a container's folder; nothing is created.
    ///
    /// # Errors
    ///
    /// [`StartError::Name`]: the name is not a single path component.
    pub fn new(section: Section, name: &str) -> Result<Self, StartError> {
        let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
        if bad {
            return Err(StartError::Name { name: name.to_owned() });
        }
        let path = Path::new(BUNDLES).join(section.name()).join(name);
        Ok(Self { section, name: name.to_owned(), path })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The container's root, a mount point once prepared.
    #[must_use]
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// The mount point of the tmpfs that takes what a writable container writes.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The container's name for libcontainer, unique on the host.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.section.name(), self.name)
    }

    /// Tell whether an earlier start has left a complete bundle: a restart keeps what the container wrote.
    pub(super) fn is_prepared(&self) -> bool {
        self.config().exists()
    }

    /// Remove what a start that failed half-way has left, and make the folders anew.
    pub(super) fn clear(&self) -> Result<(), StartError> {
        for target in [self.rootfs(), self.scratch()] {
            // Most often there is nothing mounted.
            let _ = rustix::mount::unmount(&target, UnmountFlags::DETACH);
            fs::create_dir_all(&target).map_err(|cause| StartError::File { path: target, cause })?;
        }
        Ok(())
    }

    /// Write the OCI configuration; from then on the bundle counts as prepared.
    pub(super) fn write_spec(&self, spec: &Spec) -> Result<(), StartError> {
        let bytes =
            serde_json::to_vec(&as_libcontainer_wants(spec, self.section, &self.name)).map_err(StartError::Spec)?;
        let path = self.config();
        fs::write(&path, bytes).map_err(|cause| StartError::File { path, cause })
    }

    /// Remove libcontainer's state of an earlier run, which would otherwise refuse the name.
    pub(super) fn forget_state(&self) -> Result<(), StartError> {
        let path = Path::new(STATE).join(self.id());
        match fs::remove_dir_all(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(StartError::File { path, cause }),
            _ => Ok(()),
        }
    }

    fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }
}

/// Path of a container's cgroup below `/sys/fs/cgroup`, with a leading `/`.
#[must_use]
pub fn cgroup(section: Section, container: &Container) -> String {
    let asked = container.spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_ref());
    match asked {
        Some(path) => Path::new("/").join(path).display().to_string(),
        None => default_cgroup(section, &container.name),
    }
}

/// Where cgroups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Make the container's cgroup, and let it use every controller. libcontainer would, but takes offence if another container
/// makes a parent at the same moment; and what is there already it does not let use anything.
pub(super) fn make_cgroup(section: Section, container: &Container) -> Result<(), StartError> {
    let wanted = cgroup(section, container);
    let mut path = PathBuf::from(CGROUPS);
    let controllers = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    let mut parts = Path::new(&wanted).components().filter(|part| !matches!(part, Component::RootDir)).peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "a cgroup's path does not climb");
            return Err(StartError::File { path: PathBuf::from(wanted), cause });
        };
        path.push(name);
        match fs::create_dir(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(StartError::File { path, cause }),
            _ => {}
        }
        if parts.peek().is_some() {
            for name in controllers.split_ascii_whitespace() {
                // One that is refused is missed by whoever sets a limit with it, and says so.
                let _ = fs::write(path.join("cgroup.subtree_control"), format!("+{name}"));
            }
        }
    }
    Ok(())
}

fn default_cgroup(section: Section, name: &str) -> String {
    format!("/hullkit/{}/{name}", section.name())
}

/// Give a container that names no cgroup one of its own, and leave its rights to [`super::program`], which gives them up last.
fn as_libcontainer_wants(spec: &Spec, section: Section, name: &str) -> Spec {
    let mut spec = spec.clone();
    if let Some(process) = spec.process_mut() {
        process.set_capabilities(None);
    }
    let linux = spec.linux_mut().get_or_insert_with(|| LinuxBuilder::default().build().unwrap_or_default());
    if linux.cgroups_path().is_none() {
        linux.set_cgroups_path(Some(PathBuf::from(default_cgroup(section, name))));
    }
    // runc takes `rshared` for `shared`, and so on: a root's propagation reaches all that is below it anyway.
    let plain = linux.rootfs_propagation().as_deref().and_then(|word| word.strip_prefix('r')).map(str::to_owned);
    if plain.is_some() {
        linux.set_rootfs_propagation(plain);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_gets_a_cgroup_and_a_word_for_propagation_that_libcontainer_knows() {
        for (own, want) in [("rshared", "shared"), ("shared", "shared"), ("rslave", "slave"), ("private", "private")] {
            let text = format!(r#"{{"ociVersion":"1.2.1","linux":{{"rootfsPropagation":"{own}"}}}}"#);
            let spec = as_libcontainer_wants(&serde_json::from_str(&text).unwrap(), Section::Onboot, "a");
            let linux = spec.linux().clone().unwrap();
            assert_eq!(linux.rootfs_propagation().as_deref(), Some(want));
            assert_eq!(linux.cgroups_path().as_deref(), Some(Path::new("/hullkit/onboot/a")));
        }
    }
}
