//! One container, from contract to running process. In: a [`Container`]. Out: its process id, or why there is none.
//!
//! All of it runs in a helper, a short-lived child of PID 1: libcontainer blocks, forks and waits, and PID 1 may do none of
//! that. The helper creates the container, starts it, writes one line of JSON to its report pipe and ends; the container is
//! then re-parented to PID 1, which is how its end arrives. PID 1 reaps with `wait`, and never sees a child that libcontainer
//! waits for, because those are the helper's children.

mod bundle;
mod options;
mod rootfs;
mod runtime;
mod xattrs;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use serde::{Deserialize, Serialize};

pub use bundle::{Bundle, cgroup};

use crate::contract::Container;

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
    #[error("the container asks for a seccomp profile, which this init cannot apply; remove `linux.seccomp`")]
    Seccomp,
    /// Interfaces are not moved into containers.
    #[error("the container asks for the network interface `{name}`, which this init cannot create or move")]
    Interface {
        /// Name inside the container.
        name: String,
    },
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
    #[error("could not create the container")]
    Create(#[source] Box<LibcontainerError>),
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
pub fn helper(section: Section, container: &Container, report: &OwnedFd, broken: Option<io::Error>) {
    let result = match broken {
        None => start(section, container),
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
fn start(section: Section, container: &Container) -> Result<u32, StartError> {
    refuse(container)?;
    let bundle = Bundle::new(section, &container.name)?;
    if !bundle.is_prepared() {
        bundle.clear()?;
        rootfs::mount(&bundle, container)?;
        runtime::prepare(&bundle, &container.runtime)?;
        bundle.write_spec(&container.spec)?;
    }
    bundle.forget_state()?;
    bundle::make_cgroup(section, container)?;
    let mut created = ContainerBuilder::new(bundle.id(), SyscallType::default())
        .with_root_path(bundle::STATE)
        .map_err(|cause| StartError::Create(Box::new(cause)))?
        .as_init(bundle.path())
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(|cause| StartError::Create(Box::new(cause)))?;
    let pid = created.pid().and_then(|pid| u32::try_from(pid.as_raw()).ok()).ok_or(StartError::NoProcess)?;
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
    match container.runtime.interfaces.first() {
        Some(interface) => Err(StartError::Interface { name: interface.name.clone() }),
        None => Ok(()),
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
