//! Going down. In: a host with running services. Out: a machine that is off, with every file system in order.

use std::rc::Rc;
use std::time::Duration;

use crate::container::Section;
use crate::host::{Host, Kind, power_word};
use crate::onboot;
use crate::services::order;
use crate::stop;
use crate::sys::{Power, Sys};
use crate::watchdog;

/// How long processes that nobody started may take.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// How long the console may take for its last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// File systems that hold nothing worth an unmount: the kernel's own, and memory.
const TRANSIENT: [&str; 12] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "tmpfs",
    "ramfs",
    "rootfs",
    "cgroup2",
    "securityfs",
    "pstore",
    "mqueue",
    "nsfs",
];

/// Stop everything and go down. Returns only if the kernel refuses, or under test.
pub fn run<S: Sys>(host: &mut Host<S>, power: Power) {
    if host.asked.is_none() {
        host.say(power_word(power));
    }
    if host.contract.onshutdown_first {
        onboot::run_last(host);
        stop_units(host);
    } else {
        stop_units(host);
        onboot::run_last(host);
    }
    stop_logs(host);
    stop_leftovers(host);
    host.sys.sync();
    unmount_all(host);
    host.say("bye");
    flush(host);
    if power == Power::Halt {
        watchdog::disarm(host);
    }
    if let Err(cause) = host.sys.power(power) {
        host.say(&format!("the kernel refused to go down: {cause}"));
        flush(host);
    }
}

/// Write what the console still has to say, for a bounded time.
pub fn flush<S: Sys>(host: &mut Host<S>) {
    let deadline = host.sys.uptime() + LAST_WORDS;
    while host.console.write() && host.sys.uptime() < deadline {
        host.turn(Some(deadline.min(host.sys.uptime() + Duration::from_millis(50))));
    }
    host.sys.drain_console();
}

/// Stop everything that runs: a service once none is left that depends on it, what does not depend on each other side by side.
///
/// So one that hangs costs the host its grace period, and those that it depends on wait for that.
fn stop_units<S: Sys>(host: &mut Host<S>) {
    let contract = Rc::clone(&host.contract);
    loop {
        let left = |at: &usize| stop::is_left(host, &host.units[*at]);
        let services = order::stoppable(&contract.services, |index| host.service(index).is_some_and(|at| left(&at)));
        let services = services.into_iter().filter_map(|index| host.service(index));
        let is_onboot = |at: &usize| matches!(host.units[*at].kind, Kind::Container(Section::Onboot, _));
        let onboot = (0..host.units.len()).rev().filter(|at| is_onboot(at) && left(at));
        let next: Vec<usize> = services.chain(onboot).collect();
        if next.is_empty() {
            return;
        }
        for position in &next {
            stop::ask(host, *position);
        }
        let due = next.iter().filter_map(|position| stop::enforce(host, *position)).min();
        host.turn(due);
    }
}

/// Let the child that keeps and sends lines have the last of them.
fn stop_logs<S: Sys>(host: &mut Host<S>) {
    host.control.finish_feed();
    let deadline = host.sys.uptime() + LEFTOVERS;
    while host.units.iter().any(|unit| unit.kind == Kind::Logs && unit.is_alive()) && host.sys.uptime() < deadline {
        host.turn(Some(deadline));
    }
}

/// End init's own children and every process that no unit accounts for.
fn stop_leftovers<S: Sys>(host: &mut Host<S>) {
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        if !host.sys.has_children() {
            return;
        }
        let _ = host.sys.kill_all(signal);
        let deadline = host.sys.uptime() + LEFTOVERS;
        while host.sys.has_children() && host.sys.uptime() < deadline {
            host.turn(Some(deadline));
        }
    }
}

/// Unmount in reverse order what reaches a disk, and what lies over it.
fn unmount_all<S: Sys>(host: &mut Host<S>) {
    // One that a mount lies on goes with that, so that what its file lies on can go, too.
    host.sys.release_loops();
    let table = host.sys.read("/proc/self/mounts").unwrap_or_default();
    for target in targets(&String::from_utf8_lossy(&table)) {
        let Err(cause) = host.sys.unmount(&target) else { continue };
        let users = host.sys.users(&target);
        let users: Vec<String> = users.into_iter().map(|(pid, name)| format!("{name} ({pid})")).collect();
        let users = if users.is_empty() { String::new() } else { format!(", held by {}", users.join(", ")) };
        let rest = match host.sys.make_readonly(&target) {
            Ok(()) => "nothing is written to it any more".to_owned(),
            Err(cause) => format!("nor is it read-only now: {cause}"),
        };
        host.say(&format!("could not unmount `{target}`: {cause}{users}; {rest}"));
    }
}

/// Mount points to unmount, last mounted first. In: the text of `/proc/self/mounts`.
fn targets(table: &str) -> Vec<String> {
    let rows = table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (_, target, kind) = (words.next()?, words.next()?, words.next()?);
        (!TRANSIENT.contains(&kind)).then(|| unescape(target))
    });
    let mut targets: Vec<String> = rows.collect();
    targets.reverse();
    targets
}

/// Undo the octal escapes of space, tab, line feed and backslash (proc(5)).
fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    for (escape, byte) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escape, byte);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_file_of_a_mount_is_named() {
        let path = format!("/dev/shm/hullkit-held-{}", std::process::id());
        let held = std::fs::File::create(&path).unwrap();
        let users = crate::sys::Linux::default().users("/dev/shm");
        std::fs::remove_file(&path).unwrap();
        drop(held);
        let own = users.iter().find(|(pid, _)| *pid == std::process::id());
        assert!(own.is_some_and(|(_, name)| !name.is_empty()), "{users:?}");
    }

    #[test]
    fn disks_and_overlays_are_unmounted_last_first() {
        let table = "none / rootfs rw 0 0\nproc /proc proc rw 0 0\n/dev/vda1 /var/my\\040data ext4 rw 0 0\n\
                     overlay /run/x overlay rw 0 0\ntmpfs /run tmpfs rw 0 0\n";
        assert_eq!(targets(table), ["/run/x", "/var/my data"]);
    }
}
