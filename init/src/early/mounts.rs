//! The kernel's own file systems, and what is writable on an immutable host.

use rustix::mount::MountFlags;

use crate::boot::BootError;
use crate::host::Host;
use crate::sys::{MountCall, Sys};

/// No device, no setuid, no program.
const STRICT: MountFlags = MountFlags::NODEV.union(MountFlags::NOSUID).union(MountFlags::NOEXEC);

/// Programs may run from it.
const DATA: MountFlags = MountFlags::NODEV.union(MountFlags::NOSUID);

/// One early mount.
struct Row {
    kind: &'static str,
    target: &'static str,
    mode: u32,
    flags: MountFlags,
    data: &'static str,
    /// A kernel may lack it.
    optional: bool,
}

const fn row(kind: &'static str, target: &'static str, flags: MountFlags, data: &'static str) -> Row {
    Row { kind, target, mode: 0o755, flags, data, optional: false }
}

const fn optional(kind: &'static str, target: &'static str) -> Row {
    Row { kind, target, mode: 0o755, flags: STRICT, data: "", optional: true }
}

/// In order: what lies in another must come after it.
const MOUNTS: [Row; 10] = [
    row("proc", "/proc", STRICT, ""),
    row("sysfs", "/sys", STRICT, ""),
    row("devtmpfs", "/dev", MountFlags::NOSUID, "mode=755"),
    row("devpts", "/dev/pts", MountFlags::NOSUID.union(MountFlags::NOEXEC), "gid=5,mode=620,ptmxmode=666"),
    row("tmpfs", "/dev/shm", DATA, "mode=1777"),
    row("tmpfs", "/run", DATA, "mode=755"),
    row("tmpfs", "/tmp", DATA, "mode=1777"),
    row("cgroup2", "/sys/fs/cgroup", STRICT, "nsdelegate"),
    optional("securityfs", "/sys/kernel/security"),
    optional("pstore", "/sys/fs/pstore"),
];

/// Links that programs expect in `/dev`.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Mount everything of the table, and let cgroups below the root use every controller.
///
/// # Errors
///
/// [`BootError::Mount`]: one that is not optional failed.
pub fn mount<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    for row in &MOUNTS {
        // On a read-only root the directory is there; if not, the mount says so.
        let _ = host.sys.mkdir(row.target, row.mode);
        let call = MountCall { source: row.kind, target: row.target, kind: row.kind, flags: row.flags, data: row.data };
        match host.sys.mount(&call) {
            Err(cause) if !row.optional => {
                return Err(BootError::Mount { kind: row.kind, target: row.target, cause });
            }
            _ => {}
        }
    }
    for (target, link) in LINKS {
        // The kernel or the image may have made it; a program that needs it says so itself.
        let _ = host.sys.symlink(target, link);
    }
    // Containers that mount volumes for others (LinuxKit's `rshared`) rely on a shared root.
    host.sys.share("/").map_err(|cause| BootError::Mount { kind: "shared", target: "/", cause })?;
    enable_controllers(host);
    Ok(())
}

/// Without this a container's limits would be refused; one controller that is refused must not take the others with it.
fn enable_controllers<S: Sys>(host: &mut Host<S>) {
    const FILE: &str = "/sys/fs/cgroup/cgroup.subtree_control";
    let names = host.sys.read("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let names = String::from_utf8_lossy(&names).into_owned();
    let words: Vec<String> = names.split_ascii_whitespace().map(|name| format!("+{name}")).collect();
    if words.is_empty() || host.sys.write(FILE, words.join(" ").as_bytes()).is_ok() {
        return;
    }
    for word in words {
        let _ = host.sys.write(FILE, word.as_bytes());
    }
}
