//! What the kernel counts for a container (cgroup v2). In: the files of its cgroup. Out: numbers; what the kernel does not say is absent.

use crate::host::Host;
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
        cpu: value(&read("cpu.stat"), "usage_usec"),
        pids: read("pids.current").trim().parse().ok(),
        oom_kills: value(&read("memory.events"), "oom_kill"),
    }
}

/// The number behind a word at the start of a line.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let text = "low 0\noom 3\noom_kill 2\noom_group_kill x\n";
        assert_eq!(value(text, "oom_kill"), Some(2));
        assert_eq!(value(text, "oom"), Some(3));
        assert_eq!(value(text, "oom_group_kill"), None);
        assert_eq!(value(text, "kill"), None);
    }
}
