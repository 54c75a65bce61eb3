//! What types cannot say of a test: names that are not there, values that mean nothing.

use std::time::Duration;

use super::{Action, ConsoleLines, Device, Disk, Step, Test};
use crate::check::{first_at, hinted};
use crate::node::shorten;
use crate::problem::Problems;
use crate::span::{Position, Spanned};

/// What steps call the network cable.
const CABLE: &str = "net";

/// What steps call the disk that the host boots from.
const BOOT: &str = "boot";

/// Most disks and hosts, and largest disk: what a machine that tests can hold.
const MOST: usize = 16;
const LARGEST_DISK: u64 = 1 << 40;
const SMALLEST_DISK: u64 = 1 << 20;

/// Add what is wrong with the meaning of a test.
pub(super) fn test(test: &Test, problems: &mut Problems<'_>) {
    let waits = test.timeout.iter().chain(&test.budget.boot_time);
    for wait in waits.filter(|wait| wait.0 < Duration::from_secs(1)) {
        problems.add(&wait.at, "at least 1s: no machine boots in less");
    }
    if let Some(cpus) = test.cpus.as_ref().filter(|cpus| !(1..=256).contains(&cpus.value)) {
        problems.add(&cpus.at, "a machine has 1 to 256 processors");
    }
    let host_memory = test.hosts.iter().filter_map(|host| host.memory.as_ref());
    for memory in test.memory.iter().chain(&test.budget.ram).chain(host_memory) {
        if !(16 << 20..=1 << 40).contains(&memory.0) {
            hinted(
                problems,
                &memory.at,
                format!("a machine has 16M to 1024G of RAM, not {} bytes", memory.0),
                "such as 256M",
            );
        }
    }
    names("disks", test.disks.iter().map(|disk| &disk.name), problems);
    for disk in &test.disks {
        if disk.name.value == CABLE {
            problems.add(&disk.name.at, "`net` is the network cable: call the disk something else");
        }
        if disk.name.value == BOOT {
            problems.add(&disk.name.at, "`boot` is the disk that the host boots from: call this one something else");
        }
        bounded(disk, problems);
    }
    names("devices", test.devices.iter().map(|device| &device.name), problems);
    for device in &test.devices {
        loose(test, device, problems);
    }
    for text in test.never.iter().filter(|text| text.is_empty()) {
        problems.add(&text.at, "every line has no text at all: say which no line may have");
    }
    names("hosts", test.hosts.iter().map(|host| &host.name), problems);
    for step in &test.steps {
        whom(test, step, problems);
        meaning(test, step, problems);
    }
    alive(test, problems);
}

fn bounded(disk: &Disk, problems: &mut Problems<'_>) {
    if !(SMALLEST_DISK..=LARGEST_DISK).contains(&disk.size.0) {
        problems.add(&disk.size.at, "a disk has 1M to 1024G");
    }
}

/// Report a device whose name is something else's, or that names itself.
fn loose(test: &Test, device: &Device, problems: &mut Problems<'_>) {
    let name = &device.name;
    if name.value == CABLE || test.disks.iter().any(|disk| disk.name.value == name.value) {
        problems.add(&name.at, format!("`{}` is something else already: call the device another name", shorten(name)));
    }
    if device.device.split(',').any(|word| word.starts_with("id=")) {
        problems.add(&device.device.at, "its `id` is its name: leave `id=` out");
    }
}

/// Report steps that need a host that has ended, and those that start one that has not.
fn alive(test: &Test, problems: &mut Problems<'_>) {
    let mut ended: Vec<Option<&str>> = Vec::new();
    for step in &test.steps {
        let host = step.host.as_ref().map(|name| name.as_str());
        let over = ended.contains(&host);
        match &step.action {
            Action::Ends(_) if !over => ended.push(host),
            Action::PowerOn if !over => {
                hinted(problems, &step.at, "the host runs already", "`power_on` comes after a step `ends`");
            }
            Action::PowerOn | Action::Restore(_) | Action::Grow(_) => ended.retain(|other| *other != host),
            // What it said and what its disks hold is there still.
            Action::Console(_) | Action::Snapshot(_) => {}
            action if over => {
                let message = format!("the host has ended by now: {action} is not possible");
                hinted(problems, &step.at, message, "`power_on: true` starts it again");
            }
            _ => {}
        }
    }
}

/// Report names that are not plain, or not different.
fn names<'a>(what: &str, all: impl Iterator<Item = &'a Spanned<String>>, problems: &mut Problems<'_>) {
    let mut seen: Vec<&Spanned<String>> = Vec::new();
    for name in all {
        plain(name, problems);
        if let Some(first) = seen.iter().find(|first| first.value == name.value) {
            let first = first_at(&first.at, &name.at);
            problems.add(&name.at, format!("two {what} are called `{}`, the first in {first}", shorten(name)));
        }
        seen.push(name);
        if seen.len() == MOST.saturating_add(1) {
            problems.add(&name.at, format!("a test has at most {MOST} {what}"));
        }
    }
}

fn plain(name: &Spanned<String>, problems: &mut Problems<'_>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > 16 || !name.bytes().all(plain) {
        hinted(
            problems,
            &name.at,
            format!("`{}` cannot be a name here", shorten(name)),
            "1 to 16 letters, digits and `-`",
        );
    }
}

/// Report a step that does not say which host it means, or one that is not there.
fn whom(test: &Test, step: &Step, problems: &mut Problems<'_>) {
    let known: Vec<&str> = test.hosts.iter().map(|host| host.name.as_str()).collect();
    match &step.host {
        Some(name) if !known.contains(&name.as_str()) => {
            let hint = if known.is_empty() {
                "this test has one host: leave it out".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            hinted(problems, &name.at, format!("there is no host `{}`", shorten(name)), &hint);
        }
        None if !known.is_empty() => {
            hinted(
                problems,
                &step.at,
                "`host` is missing: which one is meant?",
                &format!("there are {}", known.join(", ")),
            );
        }
        _ => {}
    }
}

fn meaning(test: &Test, step: &Step, problems: &mut Problems<'_>) {
    match &step.action {
        Action::Http(page) => {
            port(&page.port, problems);
            if !page.path.starts_with('/') || !page.path.chars().all(|c| c.is_ascii_graphic()) {
                problems.add(&page.path.at, format!("`{}` is not a path, such as /health?x=1", shorten(&page.path)));
            }
            if !(100..=599).contains(&page.status.value) {
                problems.add(&page.status.at, "a status is 100 to 599");
            }
        }
        Action::Tcp(tcp) => port(&tcp.port, problems),
        Action::Exec(exec) if exec.command.first().is_none_or(String::is_empty) => {
            problems.add(&exec.command.at, "a command begins with a program");
        }
        Action::File(file) if !file.path.starts_with('/') => {
            problems.add(&file.path.at, format!("`{}` does not begin with `/`", shorten(&file.path)));
        }
        Action::Log(log) if log.contains.is_none() && log.never.is_none() => {
            problems.add(&step.at, "`log` needs `contains` or `never`");
        }
        Action::Console(ConsoleLines { contains, anywhere }) if contains.is_empty() && anywhere.is_empty() => {
            problems.add(&step.at, "`console` needs `contains` or `anywhere`");
        }
        Action::Ctl(ctl) if ctl.args.is_empty() => {
            problems.add(&ctl.args.at, "`hullkit ctl` without a word does nothing");
        }
        Action::Type(text) if text.is_empty() => {
            problems.add(&text.at, "no key is typed");
        }
        Action::Unplug(name) | Action::Plug(name) => {
            let known = std::iter::once(CABLE).chain(test.disks.iter().map(|disk| disk.name.as_str()));
            let known = known.chain(test.devices.iter().map(|device| device.name.as_str()));
            let known: Vec<&str> = known.collect();
            if !known.contains(&name.as_str()) {
                let hint = format!("there are {}", known.join(", "));
                hinted(problems, &name.at, format!("there is no `{}` that can be pulled out", shorten(name)), &hint);
            }
        }
        Action::Grow(disks) => {
            for disk in disks {
                bounded(disk, problems);
                if disk.name.value != BOOT && !test.disks.iter().any(|known| known.name.value == disk.name.value) {
                    let known = std::iter::once(BOOT).chain(test.disks.iter().map(|disk| disk.name.as_str()));
                    let hint = format!("there are {}", known.collect::<Vec<_>>().join(", "));
                    hinted(problems, &disk.name.at, format!("there is no disk `{}`", shorten(&disk.name)), &hint);
                }
            }
        }
        Action::Snapshot(name) => plain(name, problems),
        Action::Restore(name) => restorable(test, step, name, problems),
        _ => {}
    }
}

/// Report what is to become again what was never kept.
fn restorable(test: &Test, step: &Step, name: &Spanned<String>, problems: &mut Problems<'_>) {
    let before = |at: &Position| (at.line, at.column) < (step.at.line, step.at.column);
    let same = |other: &&Step| other.host == step.host && before(&other.at);
    let kept =
        test.steps.iter().filter(same).any(|other| matches!(&other.action, Action::Snapshot(kept) if kept == name));
    if !kept {
        problems.add(&name.at, format!("no step before this one takes a snapshot `{}`", shorten(name)));
    }
}

fn port(port: &Spanned<u16>, problems: &mut Problems<'_>) {
    if port.value == 0 {
        problems.add(&port.at, "a port is 1 to 65535");
    }
}
