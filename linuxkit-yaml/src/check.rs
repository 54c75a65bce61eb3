//! What types cannot say: names that must differ, names that become directories, keys that exclude one another.

mod network;
mod storage;

pub(crate) use network::rules;
pub(crate) use storage::disk_names;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::code::Code;
use crate::file::File;
use crate::health::Healthcheck;
use crate::logs::Logs;
use crate::manifest::Manifest;
use crate::metadata::HostMetadata;
use crate::problem::Problems;
use crate::span::{Position, Spanned};

/// Longest file name of Linux, in bytes.
const NAME_MAX: usize = 255;

/// Longest host name of Linux, in bytes (`uname(2)`).
const HOSTNAME_MAX: usize = 64;

/// Smallest size from which on a file of lines is followed by another, in bytes.
const SMALLEST_LOG: u64 = 64 << 10;
/// What a watchdog can be set to: whole seconds, in which init has time to answer, and no more than the usual devices count.
const WATCHDOG: std::ops::RangeInclusive<u64> = 2..=3600;

/// Shortest time that a health check can wait.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// How long a boot may wait for metadata.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_PATIENCE: Duration = Duration::from_secs(600);

/// Add what is wrong with the meaning of `manifest` to `problems`.
///
/// In: `wounded`, places of values beside which something wrong was left out.
pub(crate) fn manifest(manifest: &Manifest, wounded: &BTreeSet<(u32, u32)>, problems: &mut Problems<'_>) {
    for (_, container) in manifest.containers() {
        component(&container.name, problems);
        if let Some(check) = &container.config.healthcheck {
            health(check, problems);
        }
    }
    services(manifest, problems);
    volumes(manifest, problems);
    let whole = |file: &&File| !wounded.contains(&(file.path.at.line, file.path.at.column));
    for entry in manifest.files.iter().filter(whole) {
        file(entry, problems);
    }
    host(manifest, problems);
    if let Some(metadata) = &manifest.metadata {
        asked(metadata, problems);
    }
    storage::check(manifest, wounded, problems);
    if let Some(network) = &manifest.network {
        rules(network, problems);
    }
}

/// Report services that have one name; LinuxKit numbers the other containers, so theirs may repeat.
pub(crate) fn services(manifest: &Manifest, problems: &mut Problems<'_>) {
    unique("services", manifest.services.iter().map(|service| &service.name), problems);
}

/// Say where a thing was named first, briefly if it is the same file.
pub(crate) fn first_at(first: &Position, here: &Position) -> String {
    if first.file == here.file { format!("line {}", first.line) } else { first.to_string() }
}

pub(crate) fn hinted(problems: &mut Problems<'_>, at: &Position, message: impl Into<String>, hint: &str) {
    if let Some(diagnostic) = problems.add(at, message) {
        diagnostic.hint = Some(hint.to_owned());
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a Spanned<String>>, problems: &mut Problems<'_>) {
    let mut seen: BTreeMap<&str, &Position> = BTreeMap::new();
    for name in names {
        if let Some(first) = seen.get(name.as_str()) {
            let first = first_at(first, &name.at);
            let message = format!("two {what} are called `{}`, the first in {first}", name.value);
            if let Some(diagnostic) = problems.add(&name.at, message) {
                diagnostic.code = Code::Duplicate;
            }
        } else {
            seen.insert(name.as_str(), &name.at);
        }
    }
}

/// Report a container's name that cannot be a directory's. LinuxKit takes any, and `../x` leaves the bundle tree.
fn component(name: &Spanned<String>, problems: &mut Problems<'_>) {
    let hint = "the name becomes a directory: one path component";
    if matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
        hinted(problems, &name.at, format!("`{}` cannot be the name of a container", name.value), hint);
    } else if name.len() > NAME_MAX || name.chars().any(char::is_control) {
        problems
            .add(&name.at, format!("the name of a container has at most {NAME_MAX} bytes and no control characters"));
    }
}

/// Report a health check that does several things at once, or nothing ever.
fn health(check: &Healthcheck, problems: &mut Problems<'_>) {
    let probes = [
        check.test.as_ref().map(|test| ("test", &test.at)),
        check.http.as_ref().map(|http| ("http", &http.at)),
        check.tcp.as_ref().map(|tcp| ("tcp", &tcp.at)),
    ];
    let mut given = probes.into_iter().flatten();
    if let (Some((first, _)), Some((second, at))) = (given.next(), given.next()) {
        problems
            .add(at, format!("a health check is one of `test`, `http` and `tcp`: this has `{first}` and `{second}`"));
    }
    if let Some(retries) = check.retries.as_ref().filter(|retries| retries.value == 0) {
        problems.add(&retries.at, "`retries` counts from 1: the failure that makes a service unhealthy");
    }
    let waits = [("interval", &check.interval), ("timeout", &check.timeout), ("start_interval", &check.start_interval)];
    for (key, period) in waits {
        if let Some(period) = period.as_ref().filter(|period| period.value.0 < SHORTEST_WAIT) {
            problems.add(&period.at, format!("`{key}` is at least 1ms"));
        }
    }
}

fn volumes(manifest: &Manifest, problems: &mut Problems<'_>) {
    unique("volumes", manifest.volumes.iter().map(|volume| &volume.name), problems);
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    for name in manifest.volumes.iter().map(|volume| &volume.name) {
        if !name.chars().all(legal) || name.len() > NAME_MAX {
            let message = format!("`{}` cannot be the name of a volume", name.value);
            hinted(problems, &name.at, message, "lower-case letters, digits, `_` and `-`");
        }
    }
    for volume in &manifest.volumes {
        let Some(persistent) = volume.kept() else { continue };
        if volume.readonly == Some(true) {
            problems.add(&persistent.at, format!("volume `{}` is read-only, so there is nothing to keep", volume.name));
        }
    }
}

/// Report a file without content, or with more than one.
pub(crate) fn file(file: &File, problems: &mut Problems<'_>) {
    let given = |text: &Option<Spanned<String>>| text.as_ref().is_some_and(|text| !text.is_empty());
    let (directory, symlink) = (file.directory == Some(true), given(&file.symlink));
    let (source, metadata, contents) = (given(&file.source), file.metadata.is_some(), file.contents.is_some());
    let at = &file.path.at;
    let name = crate::node::shorten(&file.path);
    if file.path.is_empty() {
        problems.add(at, "the path of a file is empty");
    }
    if directory && contents {
        problems.add(at, format!("`{name}` is a directory and has `contents`"));
    } else if (directory || symlink || contents) && (source || metadata) {
        problems.add(at, format!("`{name}` has more than one content: `source` and `metadata` stand alone"));
    } else if source && metadata {
        problems.add(at, format!("`{name}` has both `source` and `metadata`"));
    } else if !(directory || symlink || contents || source || metadata) {
        let hint = "give one of contents, source, metadata, symlink or directory";
        hinted(problems, at, format!("`{name}` has no content"), hint);
    }
}

/// Check Hullkit's own sections about the host.
fn host(manifest: &Manifest, problems: &mut Problems<'_>) {
    if let Some(name) = &manifest.hostname {
        hostname(name, problems);
    }
    for key in manifest.sysctl.keys() {
        // The key becomes a path below /proc/sys.
        if key.split(['.', '/']).any(str::is_empty) || key.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let message = format!("`{}` cannot be a kernel parameter", crate::node::shorten(key));
            hinted(problems, &key.at, message, "dotted words such as net.ipv4.ip_forward");
        }
    }
    if let Some(stub) = manifest.boot.iter().filter_map(|boot| boot.stub.as_ref()).find(|stub| stub.is_empty()) {
        hinted(problems, &stub.at, "`stub` names no file".to_owned(), "leave it out for systemd's");
    }
    if let Some(section) = &manifest.logs {
        logs(section, manifest, problems);
    }
    for time in manifest.boot.iter().filter_map(|boot| boot.watchdog.as_ref()) {
        let whole = time.value.0.subsec_nanos() == 0;
        if !whole || !WATCHDOG.contains(&time.value.0.as_secs()) {
            hinted(problems, &time.at, format!("`watchdog` cannot be `{}`", time.value), "whole seconds, 2s to 1h");
        }
    }
    let modules = manifest.modules.iter();
    for name in modules.flat_map(|modules| modules.include.iter().flatten().chain(&modules.load)) {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            let message = format!("`{}` cannot be a kernel module", crate::node::shorten(name));
            hinted(problems, &name.at, message, "its name, without path and `.ko`");
        }
    }
}

/// Report what the lines could not be shown of, kept in or sent to.
fn logs(logs: &Logs, manifest: &Manifest, problems: &mut Problems<'_>) {
    for name in logs.console.iter().flatten() {
        if !manifest.containers().any(|(_, container)| container.name.value == name.value) {
            problems.add(&name.at, format!("there is no container `{}`", crate::node::shorten(name)));
        }
    }
    if let Some(name) = &logs.volume {
        match manifest.volumes.iter().find(|volume| volume.name.value == name.value) {
            None => {
                let message = format!("there is no volume `{}`", crate::node::shorten(name));
                hinted(problems, &name.at, message, "declare it in `volumes`");
            }
            Some(volume) if volume.readonly == Some(true) => {
                problems.add(&name.at, format!("volume `{}` is read-only", name.value));
            }
            Some(_) => {}
        }
    }
    let kept = [
        ("max_size", logs.max_size.as_ref().map(|size| (&size.at, size.value.0 < SMALLEST_LOG, "at least 64K"))),
        ("max_files", logs.max_files.as_ref().map(|files| (&files.at, files.value == 0, "at least 1"))),
    ];
    for (key, value) in kept {
        let Some((at, wrong, least)) = value else { continue };
        if wrong {
            problems.add(at, format!("`{key}` is {least}"));
        } else if logs.volume.is_none() {
            problems.add(at, format!("`{key}` means nothing without a `volume` that the files are in"));
        }
    }
}

/// Report what cannot be the name of a host.
pub(crate) fn hostname(name: &Spanned<String>, problems: &mut Problems<'_>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    if name.is_empty() || name.len() > HOSTNAME_MAX || !name.chars().all(legal) {
        let message = format!("`{}` cannot be a host name", crate::node::shorten(name));
        hinted(problems, &name.at, message, "1 to 64 letters, digits, `-`, `.` and `_`");
    }
}

/// Check who is asked for metadata, and for how long.
fn asked(metadata: &HostMetadata, problems: &mut Problems<'_>) {
    let mut seen = Vec::new();
    for provider in &metadata.providers {
        if seen.contains(&&provider.value) {
            let message = format!("`{}` is asked twice", crate::node::shorten(&provider.to_string()));
            if let Some(diagnostic) = problems.add(&provider.at, message) {
                diagnostic.code = Code::Duplicate;
            }
        }
        seen.push(&provider.value);
    }
    let range = SHORTEST_PATIENCE..=LONGEST_PATIENCE;
    if let Some(timeout) = metadata.timeout.as_ref().filter(|timeout| !range.contains(&timeout.value.0)) {
        problems.add(&timeout.at, "`timeout` is between 1s and 10m: a boot waits for it");
    }
}
