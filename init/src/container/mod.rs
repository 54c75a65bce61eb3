//! One container, from contract to running process. In: a [`Container`]. Out: its process id, or why there is none.
//!
//! All of it runs in a helper, a short-lived child of PID 1: libcontainer blocks, forks and waits, and PID 1 may do none of
//! that. The helper creates the container, starts it, writes one line of JSON to its report pipe and ends; the container is
//! then re-parented to PID 1, which is how its end arrives. PID 1 reaps with `wait`, and never sees a child that libcontainer
//! waits for, because those are the helper's children.

mod bundle;
mod device_bind;
mod devices;
mod exec;
mod identity;
mod interfaces;
mod options;
mod points;
mod probe;
mod program;
mod propagation;
mod rootfs;
mod runtime;
mod why;
mod xattrs;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use serde::{Deserialize, Serialize};

pub use bundle::{Bundle, cgroup};
pub use exec::exec;
pub use probe::probe;

use crate::contract::{Container, Filter};

/// Which list of the contract a container stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Run before the services.
    Onboot,
    /// Kept running.
    Services,
    /// Run after the services.
    Onshutdown,
}

impl Section {
    /// Every section, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Onboot, Self::Services, Self::Onshutdown];

    /// The section's name in the manifest and in paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Onboot => "onboot",
            Self::Services => "services",
            Self::Onshutdown => "onshutdown",
        }
    }
}

/// The helper's one line to PID 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// The container runs as this process.
    Pid(u32),
    /// The container does not run: one line of text.
    Error(String),
}

/// Why a container could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The contract asks for something that would leave the container's folder.
    #[error("`{name}` is not a name for a container")]
    Name {
        /// The name in the contract.
        name: String,
    },
    /// A profile that nobody would apply is worse than none.
    #[error(
        "the container asks for a seccomp profile in `linux.seccomp`, which nobody has compiled: init applies the contract's `filters`"
    )]
    Seccomp,
    /// A network interface could not be created, or moved into the container.
    #[error("could not {action} the network interface `{name}`")]
    Interface {
        /// What was tried.
        action: &'static str,
        /// Name inside the container.
        name: String,
        /// What is missing, or the kernel's error.
        #[source]
        cause: io::Error,
    },
    /// A read-only image lacks what is to be mounted over.
    #[error(
        "the image has no `{path}` to mount on, and `readonly: true` leaves no room to make one: add it to the image, or set \
         `readonly: false`"
    )]
    NoMountPoint {
        /// Path inside the container.
        path: PathBuf,
    },
    /// User namespaces need to know who is who.
    #[error("the container asks for a user namespace of its own, but not for both `uidMappings` and `gidMappings`")]
    NoMappings,
    /// The program that decides over devices was refused.
    #[error("could not restrict the container's devices")]
    Devices(#[source] io::Error),
    /// A file or directory of the container could not be made.
    #[error("could not prepare `{path}`")]
    File {
        /// Path on the host.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// A mount failed.
    #[error("could not mount {what} on `{target}`")]
    Mount {
        /// What was to be mounted.
        what: String,
        /// Path on the host.
        target: PathBuf,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// A writable root needs overlayfs.
    #[error("the kernel has no overlay file system: add the module `overlay`, or set `readonly: true`")]
    NoOverlay,
    /// `xattrs.json` is not what it should be.
    #[error("could not read the extended attributes in `{path}`")]
    Xattrs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: io::Error,
    },
    /// The OCI configuration could not be written as JSON.
    #[error("could not write the container's configuration")]
    Spec(#[source] serde_json::Error),
    /// libcontainer refused.
    #[error("could not create the container{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Create {
        /// What it logged first while it failed, if that says more than what it told.
        said: Option<String>,
        /// What it told, if nothing says more.
        #[source]
        cause: Option<Box<LibcontainerError>>,
    },
    /// The process was created and could not be let go.
    #[error("could not start the container's process")]
    Go(#[source] Box<LibcontainerError>),
    /// libcontainer succeeded and names no process.
    #[error("the container was created without a process")]
    NoProcess,
}

/// Create and start a container, and report how that went: the whole life of a helper process.
///
/// In: `broken`, what already failed while the helper was set up.
pub fn helper(
    section: Section,
    container: &Container,
    filter: Option<&Filter>,
    report: &OwnedFd,
    broken: Option<io::Error>,
) {
    let result = match broken {
        None => start(section, container, filter),
        Some(cause) => Err(StartError::File { path: PathBuf::from("/dev/null"), cause }),
    };
    let report_line = match result {
        Ok(pid) => Report::Pid(pid),
        Err(error) => Report::Error(chain(&error)),
    };
    let mut bytes = serde_json::to_vec(&report_line).unwrap_or_default();
    bytes.push(b'\n');
    // If PID 1 does not read it, it learns as much from the helper's end.
    let _ = rustix::io::write(report, &bytes);
}

/// Create and start a container.
fn start(section: Section, container: &Container, filter: Option<&Filter>) -> Result<u32, StartError> {
    refuse(container)?;
    let log = why::Log::collect();
    let bundle = Bundle::new(section, &container.name)?;
    let (spec, devices) = device_bind::part(&container.spec);
    runtime::release_namespaces(&container.runtime.bind_ns);
    if !bundle.is_prepared() {
        bundle.clear()?;
        rootfs::mount(&bundle, container)?;
        runtime::prepare(&bundle, &container.runtime)?;
        points::check(&bundle, container)?;
        bundle.write_spec(&spec)?;
    }
    bundle.forget_state()?;
    bundle::make_cgroup(section, container)?;
    devices::restrict(section, container)?;
    let refused = |cause: LibcontainerError| {
        let said = log.as_ref().and_then(why::Log::first).filter(|said| !chain(&cause).contains(said.as_str()));
        let cause = said.is_none().then(|| Box::new(cause));
        StartError::Create { said, cause }
    };
    let mut created = ContainerBuilder::new(bundle.id(), SyscallType::default())
        .with_root_path(bundle::STATE)
        .map_err(refused)?
        .with_executor(program::Program::new(&container.spec, filter))
        .as_init(bundle.path())
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(refused)?;
    let pid = created.pid().and_then(|pid| u32::try_from(pid.as_raw()).ok()).ok_or(StartError::NoProcess)?;
    if let Some(bind) = devices {
        device_bind::make(pid, &bind)?;
    }
    propagation::apply(pid, &spec)?;
    interfaces::attach(pid, &container.runtime.interfaces, is_new(&container.spec, LinuxNamespaceType::Network))?;
    runtime::bind_namespaces(pid, &container.runtime.bind_ns)?;
    created.start().map_err(|cause| StartError::Go(Box::new(cause)))?;
    Ok(pid)
}

/// Refuse what libcontainer would silently leave out.
fn refuse(container: &Container) -> Result<(), StartError> {
    let linux = container.spec.linux().as_ref();
    if linux.is_some_and(|linux| linux.seccomp().is_some()) {
        return Err(StartError::Seccomp);
    }
    if is_new(&container.spec, LinuxNamespaceType::User) && identity::Shift::of(&container.spec).is_none() {
        return Err(StartError::NoMappings);
    }
    Ok(())
}

/// Tell whether a container gets a namespace of this kind of its own, rather than the host's or one that is there already.
fn is_new(spec: &Spec, kind: LinuxNamespaceType) -> bool {
    let linux = spec.linux().as_ref();
    let mut all = linux.and_then(|linux| linux.namespaces().as_ref()).into_iter().flatten();
    all.any(|one| one.typ() == kind && one.path().is_none())
}

/// As whom the container's first process runs, in the host's numbers: user, then group.
#[must_use]
pub fn owner(container: &Container) -> (u32, u32) {
    let user = container.spec.process().as_ref().map(|process| process.user().clone()).unwrap_or_default();
    match identity::Shift::of(&container.spec).filter(|_| is_new(&container.spec, LinuxNamespaceType::User)) {
        Some(shift) => (shift.user(user.uid()).unwrap_or(0), shift.group(user.gid()).unwrap_or(0)),
        None => (user.uid(), user.gid()),
    }
}

/// One line with an error and all its causes, none twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        // libcontainer's errors often repeat their cause's text.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests;
