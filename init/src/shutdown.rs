//! Going down. In: a host with running services. Out: a machine that is off, with every file system in order.

use std::rc::Rc;
use std::time::Duration;

use crate::container::Section;
use crate::contract::Container;
use crate::host::{Host, Kind, Phase, power_word};
use crate::onboot;
use crate::sys::{Power, Sys, signal_number};

/// How long a service may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long processes that nobody started may take.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// How long the console may take for its last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Annotation that carries an image's `STOPSIGNAL`.
///
/// # Source
///
/// OCI image-spec, conversion.md, "Annotation Fields".
const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";

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
    stop_leftovers(host);
    host.sys.sync();
    unmount_all(host);
    host.say("bye");
    flush(host);
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

/// Signal everything that runs, the last started first, and kill what is left after the grace period.
///
/// Services know no order among themselves yet, so they stop side by side as they started: one that hangs costs the host one
/// grace period, not one for each.
fn stop_units<S: Sys>(host: &mut Host<S>) {
    let contract = Rc::clone(&host.contract);
    for position in (0..host.units.len()).rev() {
        let unit = &host.units[position];
        let signal = match unit.kind {
            Kind::Container(section, index) => {
                Host::<S>::list(&contract, section).get(index).map_or(libc::SIGTERM, stop_signal)
            }
            Kind::Network | Kind::Fetch => continue,
        };
        match unit.phase {
            Phase::Running { pid, .. } => {
                // It may have ended a moment ago; its end is on its way then.
                let _ = host.sys.kill(pid, signal);
            }
            // A helper at work is let finish; what it starts is killed with its cgroup below.
            _ if unit.is_alive() => {}
            _ => continue,
        }
    }
    let deadline = host.sys.uptime() + GRACE;
    wait(host, deadline, alive);
    for position in alive(host) {
        let name = host.units[position].name.clone();
        host.say(&format!("`{name}` did not stop in {} s: killed", GRACE.as_secs()));
        host.kill_group(position);
        if let Some(pid) = host.units[position].pid() {
            let _ = host.sys.kill(pid, libc::SIGKILL);
        }
    }
    let deadline = host.sys.uptime() + LEFTOVERS;
    wait(host, deadline, alive);
}

/// Containers that still have a process.
fn alive<S: Sys>(host: &Host<S>) -> Vec<usize> {
    let others = |kind| matches!(kind, Kind::Container(Section::Onshutdown, _) | Kind::Network | Kind::Fetch);
    let units = host.units.iter().enumerate();
    units.filter(|(_, unit)| unit.is_alive() && !others(unit.kind)).map(|(position, _)| position).collect()
}

fn wait<S: Sys>(host: &mut Host<S>, deadline: Duration, left: impl Fn(&Host<S>) -> Vec<usize>) {
    while !left(host).is_empty() && host.sys.uptime() < deadline {
        host.turn(Some(deadline));
    }
}

fn stop_signal(container: &Container) -> i32 {
    let annotations = container.spec.annotations().as_ref();
    let text = annotations.and_then(|annotations| annotations.get(STOP_SIGNAL));
    text.and_then(|text| signal_number(text)).unwrap_or(libc::SIGTERM)
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
    let table = host.sys.read("/proc/self/mounts").unwrap_or_default();
    for target in targets(&String::from_utf8_lossy(&table)) {
        if let Err(cause) = host.sys.unmount(&target) {
            host.say(&format!("could not unmount `{target}`: {cause}"));
        }
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
    fn disks_and_overlays_are_unmounted_last_first() {
        let table = "none / rootfs rw 0 0\nproc /proc proc rw 0 0\n/dev/vda1 /var/my\\040data ext4 rw 0 0\n\
                     overlay /run/x overlay rw 0 0\ntmpfs /run tmpfs rw 0 0\n";
        assert_eq!(targets(table), ["/run/x", "/var/my data"]);
    }

    #[test]
    fn a_stop_signal_may_be_a_name_or_a_number() {
        for (text, want) in [("SIGQUIT", Some(3)), ("QUIT", Some(3)), ("9", Some(9)), ("0", None), ("SIGFOO", None)] {
            assert_eq!(signal_number(text), want, "{text}");
        }
        assert_eq!(signal_number("SIGRTMIN+3"), Some(libc::SIGRTMIN() + 3));
    }
}
