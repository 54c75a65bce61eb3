//! What types cannot say: names that must differ, names that become directories, keys that exclude one another.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Diagnostic;
use crate::file::File;
use crate::manifest::Manifest;
use crate::network::{Destination, Network, NetworkRule, Route};
use crate::span::{Position, Sources, Spanned};

/// Longest file name of Linux, in bytes.
const NAME_MAX: usize = 255;

/// Longest host name of Linux, in bytes (`uname(2)`).
const HOSTNAME_MAX: usize = 64;

/// Smallest packet that IPv4 can be spoken with (RFC 791, 3.2).
const MTU_MIN: u32 = 68;

/// Add what is wrong with the meaning of `manifest` to `problems`.
///
/// In: `wounded`, places of values beside which something wrong was left out.
pub(crate) fn manifest(manifest: &Manifest, wounded: &BTreeSet<(u32, u32)>, problems: &mut Vec<Diagnostic>) {
    let mut report = Report { sources: &manifest.sources, problems };
    for (_, container) in manifest.containers() {
        component(&container.name, &mut report);
    }
    services(manifest, &mut report);
    volumes(manifest, &mut report);
    let whole = |file: &&File| !wounded.contains(&(file.path.at.line, file.path.at.column));
    for entry in manifest.files.iter().filter(whole) {
        file(entry, &mut report);
    }
    host(manifest, &mut report);
    if let Some(network) = &manifest.network {
        rules(network, &mut report);
    }
}

/// Report services that have one name; LinuxKit numbers the other containers, so theirs may repeat.
pub(crate) fn services(manifest: &Manifest, report: &mut Report<'_>) {
    unique("services", manifest.services.iter().map(|service| &service.name), report);
}

/// Where problems go.
pub(crate) struct Report<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) problems: &'a mut Vec<Diagnostic>,
}

impl Report<'_> {
    pub(crate) fn say(&mut self, at: &Position, message: impl Into<String>) {
        self.problems.push(self.sources.diagnose(at, message));
    }

    fn hint(&mut self, at: &Position, message: impl Into<String>, hint: &str) {
        self.problems.push(self.sources.diagnose(at, message).with_hint(hint));
    }
}

/// Say where a thing was named first, briefly if it is the same file.
pub(crate) fn first_at(first: &Position, here: &Position) -> String {
    if first.file == here.file { format!("line {}", first.line) } else { first.to_string() }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a Spanned<String>>, report: &mut Report<'_>) {
    let mut seen: BTreeMap<&str, &Position> = BTreeMap::new();
    for name in names {
        if let Some(first) = seen.get(name.as_str()) {
            let first = first_at(first, &name.at);
            report.say(&name.at, format!("two {what} are called `{}`, the first in {first}", name.value));
        } else {
            seen.insert(name.as_str(), &name.at);
        }
    }
}

/// Report a container's name that cannot be a directory's. LinuxKit takes any, and `../x` leaves the bundle tree.
fn component(name: &Spanned<String>, report: &mut Report<'_>) {
    let hint = "the name becomes a directory: one path component";
    if matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
        report.hint(&name.at, format!("`{}` cannot be the name of a container", name.value), hint);
    } else if name.len() > NAME_MAX || name.chars().any(char::is_control) {
        report.say(&name.at, format!("the name of a container has at most {NAME_MAX} bytes and no control characters"));
    }
}

fn volumes(manifest: &Manifest, report: &mut Report<'_>) {
    unique("volumes", manifest.volumes.iter().map(|volume| &volume.name), report);
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    for name in manifest.volumes.iter().map(|volume| &volume.name) {
        if !name.chars().all(legal) || name.len() > NAME_MAX {
            let message = format!("`{}` cannot be the name of a volume", name.value);
            report.hint(&name.at, message, "lower-case letters, digits, `_` and `-`");
        }
    }
}

/// Report a file without content, or with more than one.
fn file(file: &File, report: &mut Report<'_>) {
    let given = |text: &Option<Spanned<String>>| text.as_ref().is_some_and(|text| !text.is_empty());
    let (directory, symlink) = (file.directory == Some(true), given(&file.symlink));
    let (source, metadata, contents) = (given(&file.source), file.metadata.is_some(), file.contents.is_some());
    let at = &file.path.at;
    let name = crate::node::shorten(&file.path);
    if file.path.is_empty() {
        report.say(at, "the path of a file is empty");
    }
    if directory && contents {
        report.say(at, format!("`{name}` is a directory and has `contents`"));
    } else if (directory || symlink || contents) && (source || metadata) {
        report.say(at, format!("`{name}` has more than one content: `source` and `metadata` stand alone"));
    } else if source && metadata {
        report.say(at, format!("`{name}` has both `source` and `metadata`"));
    } else if !(directory || symlink || contents || source || metadata) {
        let hint = "give one of contents, source, metadata, symlink or directory";
        report.hint(at, format!("`{name}` has no content"), hint);
    }
}

/// Check Hullkit's own sections about the host.
fn host(manifest: &Manifest, report: &mut Report<'_>) {
    if let Some(name) = &manifest.hostname {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
        if name.is_empty() || name.len() > HOSTNAME_MAX || !name.chars().all(legal) {
            let message = format!("`{}` cannot be a host name", crate::node::shorten(name));
            report.hint(&name.at, message, "1 to 64 letters, digits, `-`, `.` and `_`");
        }
    }
    for key in manifest.sysctl.keys() {
        // The key becomes a path below /proc/sys.
        if key.split(['.', '/']).any(str::is_empty) || key.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let message = format!("`{}` cannot be a kernel parameter", crate::node::shorten(key));
            report.hint(&key.at, message, "dotted words such as net.ipv4.ip_forward");
        }
    }
    let modules = manifest.modules.iter();
    for name in modules.flat_map(|modules| modules.include.iter().flatten().chain(&modules.load)) {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            let message = format!("`{}` cannot be a kernel module", crate::node::shorten(name));
            report.hint(&name.at, message, "its name, without path and `.ko`");
        }
    }
}

fn rules(network: &Network, report: &mut Report<'_>) {
    for (name, rule) in &network.rules {
        let glob = rule.matches.as_ref().map_or(Some(name), |matches| matches.name.as_ref());
        if let Some(glob) = glob {
            interfaces(glob, report);
        }
        if let Some(mtu) = rule.mtu.as_ref().filter(|mtu| mtu.value < MTU_MIN) {
            report.say(&mtu.at, format!("packets of {} bytes are too small: IPv4 needs {MTU_MIN}", mtu.value));
        }
        routes(rule, report);
    }
}

fn interfaces(glob: &Spanned<String>, report: &mut Report<'_>) {
    if glob.is_empty() || glob.chars().any(|c| c == '/' || c.is_whitespace() || c.is_control()) {
        let message = format!("`{}` matches no interface", crate::node::shorten(glob));
        report.hint(&glob.at, message, "a name such as eth0, or a glob such as en*");
    }
}

fn routes(rule: &NetworkRule, report: &mut Report<'_>) {
    for Route { to, via, .. } in &rule.routes {
        let (Destination::Network(network), Some(via)) = (&to.value, via) else { continue };
        if network.address.is_ipv4() != via.0.is_ipv4() {
            report.say(&via.at, format!("the gateway `{via}` is not of the same IP version as `{to}`"));
        }
    }
}
