//! What the kernel counts for a container (cgroup v2). In: the files of its cgroup. Out: numbers; what the kernel does not say is absent.

use crate::host::Host;
use crate::memory::counter;
use crate::sys::Sys;

/// What one container uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Bytes.
    pub(super) memory: Option<u64>,
    /// Microseconds of processor time.
    pub(super) cpu: Option<u64>,
    /// Processes and threads.
    pub(super) pids: Option<u64>,
    /// Processes killed for want of memory.
    pub(super) oom_kills: Option<u64>,
}

/// Read what a unit uses.
pub(super) fn usage<S: Sys>(host: &mut Host<S>, position: usize) -> Usage {
    let Some(group) = host.cgroup(position) else { return Usage::default() };
    let mut read = |file: &str| {
        let bytes = host.sys.read(&format!("/sys/fs/cgroup{group}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Usage {
        memory: read("memory.current").trim().parse().ok(),
        cpu: counter(&read("cpu.stat"), "usage_usec"),
        pids: read("pids.current").trim().parse().ok(),
        oom_kills: counter(&read("memory.events"), "oom_kill"),
    }
}
