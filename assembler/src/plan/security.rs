//! How far a container is confined where its other keys do not say.
//!
//! # Source
//!
//! Docker Engine 28: the paths are its defaults, and `privileged` is its `--privileged`.

use linuxkit_yaml::{Container, Seccomp, Security};

use super::resources::Rule;
use super::spec::mounts::Mounts;

/// What of the kernel's a container does not see.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What of the kernel's a container does not write.
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What holds a container back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confinement {
    /// What its keys say, and nothing else: what LinuxKit does.
    Keys,
    /// What its keys say, else what Docker does.
    Docker,
    /// What the manifest says of just this, and nothing else.
    Privileged,
}

impl Confinement {
    /// Tell what holds a container back. In: `confined`, whether Docker's defaults are meant where nothing is said.
    pub(super) fn of(entry: &Container, confined: bool) -> Self {
        match entry.security.as_ref().map(|word| word.value) {
            Some(Security::Privileged) => Self::Privileged,
            Some(Security::Default) => Self::Docker,
            None if confined => Self::Docker,
            None => Self::Keys,
        }
    }

    /// Choose the manifest's value if the key is there, else the label's, which a privileged container is not held to.
    pub(super) fn pick<'a, T>(self, entry: &'a Option<T>, label: &'a Option<T>) -> Option<&'a T> {
        entry.as_ref().or(label.as_ref().filter(|_| self != Self::Privileged))
    }

    /// Tell whether programs gain no rights by set-user-id if nobody says so.
    pub(super) fn no_new_privileges(self) -> bool {
        self == Self::Docker
    }

    /// The paths that are hidden, and those that are read-only, if nobody says which.
    pub(super) fn paths(self) -> (Vec<String>, Vec<String>) {
        match self {
            Self::Docker => (MASKED.map(str::to_owned).to_vec(), READONLY.map(str::to_owned).to_vec()),
            Self::Keys | Self::Privileged => (Vec::new(), Vec::new()),
        }
    }

    /// Tell whether Docker's list of system calls holds.
    pub(super) fn seccomp(self, entry: &Container) -> bool {
        match entry.seccomp.as_ref().map(|word| word.value) {
            Some(word) => word == Seccomp::Default,
            None => self == Self::Docker,
        }
    }

    /// Close or open what every container has mounted: the kernel's switches in `/sys`, the cgroups.
    pub(super) fn shape(self, mounts: &mut Mounts) {
        match self {
            Self::Keys => {}
            Self::Docker => mounts.set_readonly("/sys", true),
            Self::Privileged => mounts.set_readonly("/sys/fs/cgroup", false),
        }
    }

    /// The rule about devices that comes before all others.
    pub(super) fn devices(self) -> Option<Rule> {
        let all = Rule { allow: true, kind: "a".to_owned(), access: "rwm".to_owned(), ..Rule::default() };
        (self == Self::Privileged).then_some(all)
    }
}
