//! The boot, top to bottom. In: the kernel has started PID 1. Out: a machine that is going down; there is no other end.

use std::io;

use crate::contract::storage::Failure;
use crate::control;
use crate::control::protocol::What;
use crate::data::{self, DataError};
use crate::early;
use crate::failure;
use crate::host::Host;
use crate::logs;
use crate::metadata;
use crate::network_child;
use crate::onboot;
use crate::pstore;
use crate::root::{self, RootError};
use crate::services;
use crate::services::backoff::Ending;
use crate::shutdown;
use crate::storage;
use crate::sys::Sys;
use crate::volumes;
use crate::watchdog;

/// One step of a boot.
pub type Stage<S> = (&'static str, fn(&mut Host<S>) -> Result<(), BootError>);

/// Why a boot stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The initial RAM file system could not be given a parent.
    #[error("could not move the root")]
    Ramfs(#[source] io::Error),
    /// A file system of the kernel's own could not be mounted.
    #[error("could not mount `{kind}` on `{target}`")]
    Mount {
        /// File system type.
        kind: &'static str,
        /// Where.
        target: &'static str,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// Without signals no child can be reaped.
    #[error("could not take over the signals")]
    Signals(#[source] io::Error),
    /// The contract is not there.
    #[error("could not read `{}`", crate::contract::PATH)]
    ContractRead(#[source] io::Error),
    /// The contract is not JSON, or not of this shape.
    #[error("`{}` is not a contract", crate::contract::PATH)]
    ContractText(#[source] serde_json::Error),
    /// The contract was written for another init.
    #[error("the contract has version {found}, and this init reads version {}", crate::contract::VERSION)]
    ContractVersion {
        /// The version it has.
        found: u32,
    },
    /// The machine is too small.
    #[error("this host needs {} MiB of memory, and the machine has {} MiB", needs.div_ceil(1 << 20), has >> 20)]
    Memory {
        /// Least that the host works with, in bytes.
        needs: u64,
        /// What the kernel has, in bytes.
        has: u64,
    },
    /// The images of the host are not there.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A disk could not be taken into use.
    #[error(transparent)]
    Storage(#[from] Box<Failure>),
    /// There is no place for what volumes keep.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A volume could not be mounted.
    #[error("could not mount the volume `{name}`")]
    Volume {
        /// Its name.
        name: String,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// A container that had to succeed did not.
    #[error("{ending}")]
    Container {
        /// Its unit's position.
        unit: usize,
        /// What became of it.
        ending: Ending,
    },
}

impl BootError {
    /// Lines that help to see what is wrong, under a title.
    #[must_use]
    pub fn details(&self) -> Option<(&'static str, &[String])> {
        match self {
            Self::Root(error) => error.details(),
            Self::Storage(failure) => Some(("disks", &failure.seen)),
            _ => None,
        }
    }

    /// What a person can try.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Ramfs(cause) | Self::ContractRead(cause) if cause.kind() == io::ErrorKind::NotFound => {
                "give the machine more memory: the initrd was not unpacked to its end, and the kernel then says `Initramfs \
                 unpacking failed`; if it does not, build the image again"
            }
            Self::Memory { .. } => {
                "give the machine more memory; an image whose root is on a disk (`--root disk`) needs less"
            }
            Self::Root(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Storage(failure) => &failure.hint,
            Self::Ramfs(_) | Self::Signals(_) => "boot this image on a supported kernel (Linux 5.14 or later)",
            Self::Mount { .. } => "use a kernel with this file system built in (proc, sysfs, devtmpfs, tmpfs, cgroup2)",
            Self::ContractRead(_) | Self::ContractText(_) | Self::ContractVersion { .. } => {
                "build the image again, with the `hullkit` this init came with"
            }
            Self::Volume { .. } => {
                "a writable volume needs the kernel's `overlay` and `tmpfs`; `readonly: true` needs neither"
            }
            Self::Container { ending: Ending::NotStarted(_), .. } => {
                "see whether the image has the program, and whether the manifest grants what the error names"
            }
            Self::Container { ending: Ending::Unhealthy(_), .. } => {
                "see what the probe says, and whether the service needs a longer `start_period`"
            }
            Self::Container { ending: Ending::OutOfMemory(..), .. } => {
                "give it more memory (`resources.memory.limit`), or the machine"
            }
            Self::Container { .. } => {
                "run the image elsewhere with the same command, or boot with `hullkit.on_failure=shell`"
            }
        }
    }
}

/// Every step, in order.
#[must_use]
pub fn stages<S: Sys>() -> Vec<Stage<S>> {
    vec![
        ("ramfs", early::ramfs::enter),
        ("mounts", early::mounts::mount),
        ("console", early::console::open),
        ("contract", early::contract::read),
        ("failure", failure::prepare),
        ("clock", early::clock::set),
        ("memory", early::memory::check),
        ("modules", early::drivers::load),
        ("control", control::open),
        ("root", root::enter),
        ("control", control::open),
        ("watchdog", watchdog::arm),
        ("name", early::name::set),
        ("metadata", metadata::before),
        ("network", network_child::start),
        ("root", root::web::enter),
        ("metadata", metadata::after),
        ("watchdog", watchdog::arm_late),
        ("buttons", buttons),
        ("storage", storage::enter),
        ("data", data::enter),
        ("volumes", volumes::mount),
        ("crash", pstore::take),
        ("logs", logs::start),
        ("metrics", control::http::start),
        ("onboot", onboot::run),
        ("services", services::start),
        ("ready", ready),
    ]
}

/// Boot, keep the services running, go down.
pub fn run<S: Sys>(host: &mut Host<S>) {
    for (name, stage) in stages() {
        if host.asked.is_some() {
            break;
        }
        host.enter(name);
        if let Err(error) = stage(host) {
            return failure::stop(host, name, &error);
        }
    }
    host.leave();
    if let Err(error) = services::supervise(host) {
        return failure::stop(host, "services", &error);
    }
    let power = host.asked.unwrap_or(crate::sys::Power::Off);
    shutdown::run(host, power);
}

fn buttons<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    host.buttons = host.sys.buttons();
    Ok(())
}

fn ready<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if let Ok(fd) = host.sys.kernel_log() {
        host.kernel.attach(fd);
    }
    host.control.tell(host.sys.uptime(), What::Ready);
    host.say("ready");
    Ok(())
}
