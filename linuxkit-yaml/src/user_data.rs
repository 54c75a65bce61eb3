//! User data in Hullkit's own form: what a host is told at boot, in words of the manifest.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::check;
use crate::decode::{Context, Dialect, decode};
use crate::error::ManifestError;
use crate::file::File;
use crate::metadata::Allow;
use crate::network::Network;
use crate::node::{Kind, Node};
use crate::parse::{document, readable};
use crate::problem::Problems;
use crate::scalar::{Id, Scalar};
use crate::span::{Sources, Spanned};

/// What a host is told when it boots. Holding one proves that all of it is legal and allowed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserData {
    /// The host's name.
    #[serde(default)]
    pub hostname: Option<Spanned<String>>,
    /// Lines of `authorized_keys`.
    #[serde(default)]
    pub ssh_keys: Vec<Spanned<String>>,
    /// Files written before any container runs: `contents`, `symlink` or `directory`.
    #[serde(default)]
    pub files: Vec<File>,
    /// How the host's interfaces are set up, in place of the manifest's `network`.
    #[serde(default)]
    pub network: Option<Network>,
    /// Environment of services: name of the service, then name and value.
    #[serde(default)]
    pub environment: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Scalar>>,
}

/// Parse user data.
///
/// In: `text`, which a stranger wrote; `name`, what messages call it; `allow`, what this host takes.
///
/// # Errors
///
/// [`ManifestError`] with every problem found: it is used whole or not at all.
pub fn parse_user_data(text: impl AsRef<[u8]>, name: &str, allow: &[Allow]) -> Result<UserData, ManifestError> {
    let text = readable(text.as_ref(), name, "user data")?;
    let sources = Sources::of(name, text);
    let mut problems = Problems::new(&sources);
    let root = document(text, name, "user data", &mut problems)?;
    let data = decode::<UserData>(&root, &Context::new(name, Dialect::Manifest), &mut problems, None);
    allowed(&root, name, allow, &mut problems);
    match data {
        Some(data) if problems.is_empty() => {
            meaning(&data, &mut problems);
            if problems.is_empty() { Ok(data) } else { Err(problems.into_error()) }
        }
        _ => Err(problems.into_error()),
    }
}

/// Report keys that this host does not take.
fn allowed(root: &Node, name: &str, allow: &[Allow], problems: &mut Problems<'_>) {
    let Kind::Map(entries) = &root.kind else { return };
    for entry in entries {
        if Allow::ALL.iter().any(|known| known.name() == entry.key && !allow.contains(known)) {
            let message = format!("`{}` is not taken: `metadata.allow` of this host does not list it", entry.key);
            problems.add(&entry.key_at.position(name), message);
        }
    }
}

fn meaning(data: &UserData, problems: &mut Problems<'_>) {
    if let Some(name) = &data.hostname {
        check::hostname(name, problems);
    }
    for key in data.ssh_keys.iter().filter(|key| key.is_empty() || key.chars().any(char::is_control)) {
        problems.add(&key.at, "a key is one line of text");
    }
    data.files.iter().for_each(|entry| file(entry, problems));
    if let Some(network) = &data.network {
        check::rules(network, problems);
    }
    for (name, value) in data.environment.values().flatten() {
        if name.is_empty() || name.contains(['=', '\0']) || value.0.contains('\0') {
            let message = format!("`{}` cannot be a variable", crate::node::shorten(name));
            check::hinted(problems, &name.at, message, "a name without `=`, and a value without NUL");
        }
    }
}

/// Report what needs the machine that the host was built on.
fn file(file: &File, problems: &mut Problems<'_>) {
    let given = [
        ("source", file.source.as_ref().map(|source| &source.at)),
        ("metadata", file.metadata.as_ref().map(|metadata| &metadata.at)),
    ];
    for (key, at) in given {
        if let Some(at) = at {
            problems.add(at, format!("`{key}` is read when a host is built: user data has `contents`"));
            return;
        }
    }
    for id in [&file.uid, &file.gid].into_iter().flatten() {
        if let Id::Name(_) = id.value {
            problems.add(&id.at, "owners are numbers in user data");
        }
    }
    check::file(file, problems);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, allow: &[Allow]) -> String {
        parse_user_data(text, "user-data", allow).expect_err("no user data").to_string()
    }

    #[test]
    fn user_data_has_the_words_of_the_manifest() {
        let text = "#hullkit\nhostname: web-7\nssh_keys: [ssh-ed25519 AAAA me]\nfiles:\n- {path: etc/a, contents: b, mode: \"0640\"}\n\
                    network: {e*: {dhcp: true}}\nenvironment: {web: {LEVEL: debug, PORT: 80}}\n";
        let data = parse_user_data(text, "user-data", &Allow::ALL).expect("user data");
        assert_eq!(data.hostname.as_ref().map(|name| name.as_str()), Some("web-7"));
        let named = |name: &str| Spanned::unplaced(name.to_owned());
        assert_eq!(data.environment[&named("web")][&named("PORT")].0, "80");
        assert_eq!(data.files[0].mode.as_ref().map(|mode| mode.bits), Some(0o640));
        assert_eq!(data.network.expect("rules").rules.len(), 1);
    }

    #[test]
    fn what_is_not_allowed_refuses_all_of_it() {
        let text = "hostname: a\nfiles: []\n";
        parse_user_data(text, "user-data", &[Allow::Hostname, Allow::Files]).expect("user data");
        let error = refused(text, &[Allow::Hostname]);
        assert!(error.starts_with("user-data:2:1: `files` is not taken"), "{error}");
    }

    #[test]
    fn mistakes_have_their_places() {
        let cases = [
            ("hostnam: a", "user-data:1:1: `hostnam` is not a key"),
            ("hostname: a b", "user-data:1:11: `a b` cannot be a host name"),
            ("files: [{path: /etc/a, source: b}]", "user-data:1:32: `source` is read when a host is built"),
            ("files: [{path: /etc/a, contents: b, uid: db}]", "owners are numbers"),
            ("files: [{path: /etc/a}]", "`/etc/a` has no content"),
            ("environment: {web: {A=B: c}}", "user-data:1:21: `A=B` cannot be a variable"),
            ("ssh_keys: [\"a\\nb\"]", "a key is one line of text"),
            ("network: {e*: {mtu: 1}}", "too small"),
            ("- a", "found a list"),
            ("", "the user data is empty"),
        ];
        for (text, want) in cases {
            let error = refused(text, &Allow::ALL);
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
