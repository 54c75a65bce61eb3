//! What is legal in a manifest and yet probably not what was meant.
//!
//! A rule is a function over the whole manifest, listed in [`RULES`]; what it finds has a [`Code`], whose table says what it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::error::Diagnostic;
use crate::file::File;
use crate::image::Container;
use crate::init::InitEntry;
use crate::linuxkit::{self, Treatment};
use crate::manifest::Manifest;
use crate::node::{Entry, Kind, Node, shorten};
use crate::problem::Problems;
use crate::reference::Reference;
use crate::security::{Seccomp, Security};
use crate::span::{Position, Sources, Spanned};
use crate::yaml;

/// What to look for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LintOptions {
    /// Name everything that LinuxKit would refuse, or take otherwise.
    pub portable: bool,
    /// Hullkit's init will stand in for the images that `init` names.
    pub replace_init: bool,
}

/// Warnings given for one manifest; whoever has more will not read them.
const MOST_WARNINGS: usize = 1_000;

/// Directories over which Hullkit's init mounts something at boot.
const MOUNTED: &[&str] = &["dev", "proc", "run", "sys", "tmp"];

/// Directories over which LinuxKit's init does.
const MOUNTED_BY_LINUXKIT: &[&str] = &["dev", "proc", "run", "sys", "tmp", "var"];

/// Every rule, in no order: what they find is sorted.
const RULES: &[fn(&mut Search<'_>)] =
    &[keys, hidden_files, closed_parents, duplicate_files, tags, volumes, privileged, own_values];

/// Find what a manifest says that is probably not what was meant, and volumes that are not there.
///
/// In: `manifest`, of one file or merged. Out: the files in the order they were read, the findings of each in the order of its text;
/// at most 1000.
#[must_use]
pub fn lint(manifest: &Manifest, options: LintOptions) -> Vec<Diagnostic> {
    let documents: Vec<(&str, Node)> =
        manifest.sources.files().filter_map(|(name, text)| document(name, text)).collect();
    let mut search = Search { manifest, options, documents: &documents, found: Vec::new(), seen: BTreeSet::new() };
    for rule in RULES {
        rule(&mut search);
    }
    let mut found = search.found;
    let rank = |one: &Diagnostic| manifest.sources.rank(&one.at);
    found.sort_by_key(|one| (rank(one), one.at.line, one.at.column));
    found
}

/// Read a text again, for the places of its keys. It has been parsed: it is YAML.
fn document<'a>(name: &'a str, text: &str) -> Option<(&'a str, Node)> {
    let sources = Sources::default();
    let root = yaml::read(text, name, &mut Problems::new(&sources)).ok()?;
    Some((name, root))
}

/// What the rules work on.
struct Search<'a> {
    manifest: &'a Manifest,
    options: LintOptions,
    documents: &'a [(&'a str, Node)],
    found: Vec<Diagnostic>,
    /// An anchor's text is looked at wherever it is used, and reported once.
    seen: BTreeSet<(String, u32, u32, Code)>,
}

impl Search<'_> {
    /// Tell whether LinuxKit's init will be in charge, and the tree be laid out as LinuxKit does it.
    fn linuxkit_layout(&self) -> bool {
        !self.manifest.builtin_init() && !self.options.replace_init
    }

    fn add(&mut self, code: Code, at: &Position, message: String, hint: impl Into<Option<String>>) {
        let key = (at.file.to_string(), at.line, at.column, code);
        if self.found.len() < MOST_WARNINGS && self.seen.insert(key) {
            let diagnostic = self.manifest.diagnose(at, message).with_code(code);
            self.found.push(Diagnostic { hint: hint.into(), ..diagnostic });
        }
    }
}

/// Keys LinuxKit refuses or drops; keys that do nothing.
fn keys(search: &mut Search<'_>) {
    for (file, root) in search.documents {
        if search.options.portable {
            linuxkit::strangers(root, linuxkit::MANIFEST, &mut |entry, treatment| {
                let (code, what) = match treatment {
                    Treatment::Refused => (Code::OwnKey, "is Hullkit's own key: LinuxKit refuses it"),
                    Treatment::Dropped => (Code::DroppedKey, "is accepted by LinuxKit and has no effect there"),
                };
                search.add(code, &entry.key_at.position(file), format!("`{}` {what}", shorten(&entry.key)), None);
            });
        }
        for (section, idle) in entries(root).iter().flat_map(|section| IDLE.iter().map(move |idle| (section, idle))) {
            if !idle.sections.contains(&section.key.as_str()) {
                continue;
            }
            let Kind::List(items) = &section.value.kind else { continue };
            for item in items.iter().map(entries) {
                let Some(entry) = item.iter().find(|entry| entry.key == idle.key) else { continue };
                let other = item.iter().any(|entry| entry.key == idle.other);
                if other == idle.when {
                    search.add(
                        Code::NoEffect,
                        &entry.key_at.position(file),
                        format!("`{}` {}", idle.key, idle.why),
                        None,
                    );
                }
            }
        }
        for section in entries(root).iter().filter(|section| UNWATCHED.contains(&section.key.as_str())) {
            let Kind::List(items) = &section.value.kind else { continue };
            for entry in items.iter().flat_map(entries).filter(|entry| entry.key == "healthcheck") {
                let message =
                    format!("`healthcheck` is for services: a container of `{}` runs to its end", section.key);
                search.add(Code::NoEffect, &entry.key_at.position(file), message, None);
            }
        }
        let time = entries(root).iter().find(|entry| entry.key == "time");
        if let Some(time) = time.filter(|_| search.manifest.network.is_none()) {
            let message = "`time` has no effect without `network`: nobody can be asked";
            search.add(Code::NoEffect, &time.key_at.position(file), message.to_owned(), None);
        }
        if let Some(trust) = entries(root).iter().find(|entry| entry.key == "trust") {
            let message = "`trust` has no effect: images are held to their digests";
            search.add(Code::NoEffect, &trust.key_at.position(file), message.to_owned(), None);
        }
    }
}

/// A key that does nothing if another one is there, or is not.
struct Idle {
    sections: &'static [&'static str],
    key: &'static str,
    other: &'static str,
    /// Whether it is the presence or the absence of `other` that counts.
    when: bool,
    why: &'static str,
}

const CONTAINERS: &[&str] = &["onboot", "onshutdown", "services"];

/// Sections of containers whose health nobody asks for.
const UNWATCHED: &[&str] = &["onboot", "onshutdown"];

const IDLE: &[Idle] = &[
    Idle {
        sections: CONTAINERS,
        key: "capabilities.add",
        other: "capabilities",
        when: true,
        why: "adds to the label's list, which `capabilities` replaces",
    },
    Idle {
        sections: CONTAINERS,
        key: "binds.add",
        other: "binds",
        when: true,
        why: "adds to the label's list, which `binds` replaces",
    },
    Idle { sections: &["files"], key: "contents", other: "symlink", when: true, why: "of a symbolic link are ignored" },
    Idle {
        sections: &["files"],
        key: "optional",
        other: "source",
        when: false,
        why: "is for files with a `source`, which may not be there",
    },
    Idle {
        sections: &["volumes"],
        key: "platforms",
        other: "format",
        when: false,
        why: "are for volumes of `format: oci`: the others hold the files of one platform",
    },
];

fn entries(node: &Node) -> &[Entry] {
    match &node.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    }
}

/// Give a file's path without what does not count: leading slashes, `.`, doubled slashes.
fn parts(file: &File) -> Vec<&str> {
    file.path.split('/').filter(|part| !matches!(*part, "" | ".")).collect()
}

fn hidden_files(search: &mut Search<'_>) {
    let mounted = if search.linuxkit_layout() { MOUNTED_BY_LINUXKIT } else { MOUNTED };
    for file in &search.manifest.files {
        // The directory itself is what the mount needs.
        if let [first, _, ..] = parts(file).as_slice()
            && mounted.contains(first)
        {
            let message =
                format!("`{}` will not be seen: something is mounted over `/{first}` at boot", shorten(&file.path));
            let hint = format!("put it elsewhere; a container can bind it below /{first}");
            search.add(Code::HiddenFile, &file.path.at, message, hint);
        }
    }
}

/// LinuxKit gives the folders above a file the file's mode, plus `x` for whoever may do anything: 0700 for the default of 0600.
fn closed_parents(search: &mut Search<'_>) {
    if !search.linuxkit_layout() {
        return;
    }
    // Folders by the number of their parent and their name: whole paths would cost the square of their length.
    let mut made: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for file in &search.manifest.files {
        let parts = parts(file);
        let (mut at, mut first) = (0, None);
        for (depth, part) in parts.iter().enumerate() {
            let next = made.len().saturating_add(1);
            at = *made.entry((at, part)).or_insert_with(|| {
                // The first file decides; the last part is the file itself.
                if depth.saturating_add(1) < parts.len() {
                    first.get_or_insert(depth);
                }
                next
            });
        }
        let first =
            first.map(|depth| parts.iter().take(depth.saturating_add(1)).copied().collect::<Vec<_>>().join("/"));
        let given = file.mode.as_ref().is_some_and(|mode| !mode.text.is_empty());
        if let Some(parent) = first.filter(|parent| !given && parent != "root" && !parent.starts_with("root/")) {
            let parent = shorten(&parent);
            let message = format!(
                "`{}` has no `mode`, so LinuxKit's layout leaves `/{parent}` to root alone (0700)",
                shorten(&file.path)
            );
            let hint =
                if file.directory == Some(true) { "give one, such as \"0755\"" } else { "give one, such as \"0644\"" };
            search.add(Code::ClosedParent, &file.path.at, message, hint.to_owned());
        }
    }
}

fn duplicate_files(search: &mut Search<'_>) {
    let mut seen: BTreeMap<String, &Position> = BTreeMap::new();
    for file in &search.manifest.files {
        let path = parts(file).join("/");
        if let Some(first) = seen.get(&path) {
            let first = crate::check::first_at(first, &file.path.at);
            let message = format!("`{}` replaces the entry of the same path in {first}", shorten(&file.path));
            search.add(Code::DuplicateFile, &file.path.at, message, None);
        }
        seen.insert(path, &file.path.at);
    }
}

fn tags(search: &mut Search<'_>) {
    for (image, at) in search.manifest.images() {
        if let Reference::Registry(name) = image
            && name.tag.is_none()
            && name.digest.is_none()
        {
            let message =
                format!("`{}` has neither tag nor digest: it is whatever `latest` is today", shorten(&name.text));
            search.add(Code::NoTag, at, message, "name:tag, or name@sha256:… for equal builds".to_owned());
        }
    }
}

/// Binds of volumes that are not there, or are read-only; mounts of volumes.
fn volumes(search: &mut Search<'_>) {
    let manifest = search.manifest;
    let volumes: BTreeMap<&str, bool> =
        manifest.volumes.iter().map(|volume| (volume.name.as_str(), volume.readonly == Some(true))).collect();
    let names = volumes.keys().copied().collect::<Vec<_>>().join(", ");
    let unknown = |name: &str| {
        let hint = if names.is_empty() { "no manifest declares one".to_owned() } else { format!("there are {names}") };
        (format!("there is no volume `{}`; a path begins with `/`", shorten(name)), hint)
    };
    for (_, Container { config, .. }) in manifest.containers() {
        for bind in config.binds.iter().chain(&config.binds_add).flatten() {
            let mut parts = bind.split(':');
            let source = parts.next().unwrap_or_default();
            if source.starts_with('/') {
                continue;
            }
            match volumes.get(source) {
                None => {
                    let (message, hint) = unknown(source);
                    search.add(Code::UnknownVolume, &bind.at, message, hint);
                }
                Some(true) if parts.nth(1) != Some("ro") => {
                    let message = format!(
                        "the volume `{source}` is read-only, and this bind does not say `ro`: LinuxKit refuses it"
                    );
                    search.add(Code::ReadonlyVolume, &bind.at, message, "add `:ro`".to_owned());
                }
                Some(_) => (),
            }
        }
        for mount in config.mounts.iter().flatten().filter(|mount| is(&mount.kind, "bind")) {
            let Some(source) = mount.source.as_ref().filter(|source| !source.starts_with('/')) else { continue };
            if !volumes.contains_key(source.as_str()) {
                let (message, hint) = unknown(source);
                search.add(Code::UnknownVolume, &source.at, message, hint);
            } else if search.options.portable {
                let message =
                    format!("LinuxKit mounts `{}` as it is written, not the volume of that name", source.value);
                search.add(Code::MountVolume, &source.at, message, "use `binds`".to_owned());
            }
        }
    }
}

fn is(word: &Option<Spanned<String>>, what: &str) -> bool {
    word.as_ref().is_some_and(|word| word.value == what)
}

/// Containers that nothing holds back, or less than it would.
fn privileged(search: &mut Search<'_>) {
    let manifest = search.manifest;
    for (_, container) in manifest.containers() {
        if let Some(at) =
            container.security.as_ref().filter(|word| word.value == Security::Privileged).map(|word| &word.at)
        {
            let message = format!("`{}` is privileged: whoever takes it over has the host", shorten(&container.name));
            let hint = "give it the `capabilities`, `devices` and paths that it needs".to_owned();
            search.add(Code::Privileged, at, message, hint);
        }
        if let Some(at) =
            container.seccomp.as_ref().filter(|word| word.value == Seccomp::Unconfined).map(|word| &word.at)
        {
            let message = format!("`{}` may make every system call of the kernel", shorten(&container.name));
            search.add(Code::Privileged, at, message, None);
        }
    }
}

/// Values that LinuxKit does not understand.
fn own_values(search: &mut Search<'_>) {
    if !search.options.portable {
        return;
    }
    let manifest = search.manifest;
    for (image, at) in manifest.images().filter(|(image, _)| image.is_local()) {
        let message = format!("`{}` is no name in a registry: LinuxKit knows no other images", shorten(&image.text()));
        search.add(Code::OwnValue, at, message, None);
    }
    for entry in manifest.init.iter().flatten().filter(|entry| entry.value == InitEntry::Builtin) {
        let message = "`builtin` is Hullkit's own init: LinuxKit looks for an image of that name".to_owned();
        search.add(Code::OwnValue, &entry.at, message, None);
    }
    if let Some(image) = manifest.kernel.as_ref().and_then(|kernel| kernel.image.as_ref())
        && manifest.init.is_none()
    {
        let message =
            "a kernel without `init` boots Hullkit's own: LinuxKit has none unless images bring it".to_owned();
        search.add(Code::OwnValue, &image.at, message, None);
    }
}
