//! From what a provider answered to what is done. In: an [`Answer`] and the [`Order`]. Out: [`Settled`], of which every name and path
//! was checked. Pure.
//!
//! User data is kept as it came. It is read in two forms: Hullkit's own, whose first line is `#hullkit`, and LinuxKit's JSON. Anything
//! else (a script, another program's configuration) is for whoever looks for it.

use std::collections::BTreeMap;

use hullkit_init::contract::Interface;
use hullkit_init::contract::metadata::HOSTNAME_MAX;
use hullkit_init::manifest::interfaces;
use linuxkit_yaml::{Allow, File, Id, UserData, parse_user_data};

use crate::answer::Answer;
use crate::linuxkit;
use crate::order::Order;

/// First line of user data in Hullkit's own form.
const MARK: &str = "#hullkit";

/// Where files of user data may lie, relative to the root of the host: not where its own programs, images and kernel interfaces are.
const PLACES: [&str; 7] = ["etc", "home", "opt", "root", "run/config", "srv", "var"];

/// What is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Who answered.
    pub provider: String,
    /// Name of the host.
    pub hostname: Option<String>,
    /// Environment of services.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
    /// Network interfaces.
    pub network: Option<Vec<Interface>>,
    /// What is written, in order; a later one replaces an earlier one.
    pub files: Vec<Entry>,
}

/// Something that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Parts of its path below the host's root; none is empty, `.` or `..`, or has a `/` or NUL in it.
    pub path: Vec<String>,
    /// What it is.
    pub content: Content,
    /// Permission bits; mean nothing for links.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink(String),
}

/// Decide what is done with an answer.
pub fn settle(answer: Answer, order: &Order, say: &mut dyn FnMut(&str)) -> Settled {
    let allows = |what| order.allow.contains(&what);
    let mut settled = Settled { provider: answer.provider.clone(), ..Settled::default() };
    let mut keys = if allows(Allow::SshKeys) { answer.ssh_keys } else { Vec::new() };
    let mut hostname = answer.hostname.filter(|_| allows(Allow::Hostname));
    for (name, text) in answer.facts {
        settled.files.push(config(name, text.into_bytes(), 0o644));
    }
    settled.files.push(config("provider", answer.provider.into_bytes(), 0o644));
    let userdata = answer.userdata.unwrap_or_default();
    if !userdata.is_empty() {
        settled.files.push(config("userdata", userdata.clone(), 0o644));
    }
    let mut more = Vec::new();
    if is_own(&userdata) {
        match own(&userdata, order, &format!("user data of {}", settled.provider)) {
            Ok(data) => {
                hostname = data.hostname.map(|name| name.value).or(hostname);
                keys.extend(data.ssh_keys.into_iter().map(|key| key.value));
                settled.network = data.network.as_ref().map(interfaces);
                settled.environment = environment(data.environment);
                more = data.files.iter().filter_map(entry).collect();
            }
            Err(lines) => {
                lines.iter().for_each(|line| say(line));
                say("the user data is not used");
            }
        }
    } else if allows(Allow::Files) {
        more = linuxkit::files(&userdata, say);
        if let Some(name) = linuxkit::hostname(&more).filter(|_| allows(Allow::Hostname)) {
            hostname = Some(name);
        }
    }
    settled.hostname = hostname.and_then(|name| legal(&name, say));
    if let Some(name) = &settled.hostname {
        settled.files.push(config("hostname", name.clone().into_bytes(), 0o644));
    }
    if !keys.is_empty() {
        settled.files.push(config("ssh/authorized_keys", (keys.join("\n") + "\n").into_bytes(), 0o600));
    }
    settled.files.extend(more);
    settled
}

/// A file of `/run/config`.
fn config(name: &str, bytes: Vec<u8>, mode: u32) -> Entry {
    let path = ["run", "config"].into_iter().chain(name.split('/')).map(str::to_owned).collect();
    Entry { path, content: Content::File(bytes), mode, owner: (0, 0) }
}

fn is_own(userdata: &[u8]) -> bool {
    let first = userdata.split(|byte| *byte == b'\n').next().unwrap_or_default();
    first.trim_ascii_end() == MARK.as_bytes()
}

/// Read user data in Hullkit's own form; all of it is right, or lines say what is wrong.
fn own(userdata: &[u8], order: &Order, name: &str) -> Result<UserData, Vec<String>> {
    let data = parse_user_data(userdata, name, &order.allow)
        .map_err(|error| error.to_string().lines().map(printable).collect::<Vec<_>>())?;
    let services = data.environment.keys().filter(|service| !order.services.contains(service.as_str()));
    let services = services.map(|service| format!("{}: there is no service `{}`", service.at, service.value));
    let misplaced = data.files.iter().filter(|file| entry(file).is_none());
    let misplaced = misplaced.map(|file| {
        format!("{}: `{}`: files of user data lie below {}", file.path.at, file.path.value, PLACES.join(", "))
    });
    let wrong: Vec<String> = services.chain(misplaced).map(|line| printable(&line)).collect();
    if wrong.is_empty() { Ok(data) } else { Err(wrong) }
}

fn printable(line: &str) -> String {
    line.replace(char::is_control, " ")
}

/// What a file of user data is; nothing if it lies where none may.
fn entry(file: &File) -> Option<Entry> {
    let path: Vec<&str> = file.path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let inside = |place: &&str| {
        let place: Vec<&str> = place.split('/').collect();
        path.len() > place.len() && path.starts_with(&place)
    };
    let legal = path.iter().all(|part| *part != ".." && part.len() <= linuxkit::NAME_MAX && !part.contains('\0'));
    if !legal || !PLACES.iter().any(inside) {
        return None;
    }
    let content = match (&file.symlink, &file.contents) {
        _ if file.directory == Some(true) => Content::Directory,
        (Some(target), _) if !target.is_empty() && !target.contains('\0') => Content::Symlink(target.value.clone()),
        (_, contents) => Content::File(contents.iter().flat_map(|text| text.bytes()).collect()),
    };
    let usual = if content == Content::Directory { 0o700 } else { 0o600 };
    let mode = file.mode.as_ref().filter(|mode| !mode.text.is_empty()).map_or(usual, |mode| mode.bits);
    let number = |id: &Option<linuxkit_yaml::Spanned<Id>>| match id.as_ref().map(|id| &id.value) {
        Some(Id::Number(number)) => *number,
        _ => 0,
    };
    let path = path.into_iter().map(str::to_owned).collect();
    Some(Entry { path, content, mode, owner: (number(&file.uid), number(&file.gid)) })
}

fn environment(
    written: BTreeMap<linuxkit_yaml::Spanned<String>, BTreeMap<linuxkit_yaml::Spanned<String>, linuxkit_yaml::Scalar>>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let values = |values: BTreeMap<linuxkit_yaml::Spanned<String>, linuxkit_yaml::Scalar>| {
        values.into_iter().map(|(name, value)| (name.value, value.0)).collect()
    };
    written.into_iter().map(|(service, own)| (service.value, values(own))).collect()
}

/// Give the name of a host as the kernel takes it; the first part of one that is too long.
fn legal(name: &str, say: &mut dyn FnMut(&str)) -> Option<String> {
    let name = name.trim();
    let first = name.split('.').next().unwrap_or_default();
    let name = if name.len() > HOSTNAME_MAX { first } else { name };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || name.len() > HOSTNAME_MAX || !name.chars().all(fits) {
        let shown: String = name.chars().take(HOSTNAME_MAX).collect();
        say(&format!("{shown:?} cannot be a host name, and is not used"));
        return None;
    }
    Some(name.to_owned())
}
