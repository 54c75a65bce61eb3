//! The doors: text to [`Manifest`], to a label's [`ContainerConfig`], to any other structure.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::check;
use crate::code::Code;
use crate::decode::{Context, Dialect, decode, settle};
use crate::error::ManifestError;
use crate::file::File;
use crate::image::{Container, ContainerConfig};
use crate::init::InitEntry;
use crate::manifest::Manifest;
use crate::node::{Kind, Node};
use crate::problem::Problems;
use crate::span::{Position, Sources};
use crate::storage::StorageDisk;
use crate::volume::Volume;
use crate::yaml;

/// Longest text that is read, in bytes. LinuxKit's own manifests stay below 20 kB.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Parse a manifest.
///
/// In: `text`, UTF-8; `name`, what messages call the file. Out: the first YAML document of the text, every key and value legal.
///
/// # Errors
///
/// [`ManifestError`] with every problem found; a text that is no YAML has one.
pub fn parse(text: impl AsRef<[u8]>, name: &str) -> Result<Manifest, ManifestError> {
    parse_document(text.as_ref(), name, None)
}

/// Give the image that a package beside the manifest is built into.
///
/// In: the path behind `@pkg:`, as written. Out: its reference, or why there is none.
pub type Packages<'a> = dyn FnMut(&str) -> Result<String, String> + 'a;

/// Parse a manifest in which texts `@pkg:PATH` stand for the images of packages; [`parse`] otherwise.
///
/// As in LinuxKit, any text and any key may be one, not only images. Unlike there, a package that cannot be found is an error, and
/// other texts that begin with `@` stay as they are.
///
/// # Errors
///
/// [`ManifestError`] with every problem found, those that `packages` reports among them.
pub fn parse_with_packages(
    text: impl AsRef<[u8]>,
    name: &str,
    packages: &mut Packages<'_>,
) -> Result<Manifest, ManifestError> {
    parse_document(text.as_ref(), name, Some(packages))
}

fn parse_document(text: &[u8], name: &str, packages: Option<&mut Packages<'_>>) -> Result<Manifest, ManifestError> {
    let text = readable(text, name, "manifest")?;
    let sources = Sources::of(name, text);
    let mut problems = Problems::new(&sources);
    let mut root = document(text, name, "manifest", &mut problems)?;
    if let Some(packages) = packages {
        root.expand(packages, &mut |at, reason| {
            if let Some(diagnostic) = problems.add(&at.position(name), reason) {
                diagnostic.code = Code::Package;
            }
        });
    }
    let context = Context::new(name, Dialect::Manifest);
    let manifest = decode::<Manifest>(&root, &context, &mut problems, Some(items));
    let Some(manifest) = manifest else { return Err(problems.into_error()) };
    let mut wounded = BTreeSet::new();
    if !problems.is_empty() {
        root.wounded(&mut wounded);
    }
    check::manifest(&manifest, &wounded, &mut problems);
    if problems.is_empty() { Ok(Manifest { sources, ..manifest }) } else { Err(problems.into_error()) }
}

/// Find the problems of the lists of a manifest, item by item.
fn items(root: &Node, context: &Context<'_>, problems: &mut Problems<'_>) {
    let Kind::Map(sections) = &root.kind else { return };
    for section in sections {
        match section.key.as_str() {
            "init" => settle::<InitEntry>(&section.value, context, problems),
            "onboot" | "onshutdown" | "services" => settle::<Container>(&section.value, context, problems),
            "volumes" => settle::<Volume>(&section.value, context, problems),
            "storage" => disks(&section.value, context, problems),
            "files" => settle::<File>(&section.value, context, problems),
            _ => (),
        }
    }
}

/// Find the problems of the list of disks, item by item.
fn disks(storage: &Node, context: &Context<'_>, problems: &mut Problems<'_>) {
    let Kind::Map(keys) = &storage.kind else { return };
    for disks in keys.iter().filter(|entry| entry.key == "disks") {
        settle::<StorageDisk>(&disks.value, context, problems);
    }
}

/// Parse an image's label `org.mobyproject.config`.
///
/// In: `text`, the label, JSON or YAML; `reference`, the image, for messages. Out: the label's keys; none if it is empty.
///
/// # Errors
///
/// [`ManifestError`] with every problem found: `name` and `image` are not legal in a label, nor is any unknown key.
pub fn parse_label(text: &str, reference: &str) -> Result<ContainerConfig, ManifestError> {
    let name = format!("label `org.mobyproject.config` of `{reference}`");
    if text.is_empty() {
        return Ok(ContainerConfig::default());
    }
    let text = readable(text.as_bytes(), &name, "label")?;
    simple(text, &name, "label", Dialect::Label)
}

/// Parse any structure with the options and messages of manifests, but LinuxKit's rules for `build.yml`.
///
/// Those are: a scalar of any type is text where text is wanted, a key without a value is absent, upper and lower case of keys do
/// not matter. In: as [`parse`]. Out: the first YAML document.
///
/// # Errors
///
/// [`ManifestError`] with every problem found.
pub fn from_yaml<T: DeserializeOwned>(text: impl AsRef<[u8]>, name: &str) -> Result<T, ManifestError> {
    let text = readable(text.as_ref(), name, "file")?;
    simple(text, name, "file", Dialect::Recipe)
}

/// Read and decode a document that needs no checks of meaning.
fn simple<T: DeserializeOwned>(text: &str, name: &str, what: &str, dialect: Dialect) -> Result<T, ManifestError> {
    let sources = Sources::of(name, text);
    let mut problems = Problems::new(&sources);
    let root = document(text, name, what, &mut problems)?;
    let value = decode(&root, &Context::new(name, dialect), &mut problems, None);
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(problems.into_error()),
    }
}

/// Read the first document of a text; one without a value is as empty as no text.
pub(crate) fn document(text: &str, name: &str, what: &str, problems: &mut Problems<'_>) -> Result<Node, ManifestError> {
    let root = yaml::read(text, name, problems).map_err(|(at, message)| problems.only(&at, message))?;
    if matches!(root.kind, Kind::Null) {
        return Err(ManifestError::whole(name, format!("the {what} is empty")));
    }
    Ok(root)
}

/// Refuse what is no text: too long, not UTF-8, with NUL bytes, or nothing but blanks and comments.
pub(crate) fn readable<'a>(bytes: &'a [u8], name: &str, what: &str) -> Result<&'a str, ManifestError> {
    if bytes.len() > MAX_BYTES {
        // Without the size: callers read no further than one byte beyond the limit.
        let most = MAX_BYTES / 1024 / 1024;
        return Err(ManifestError::whole(name, format!("the {what} is longer than {most} MiB")));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let message = format!("the {what} is not UTF-8: byte {} cannot be read", error.valid_up_to());
            return Err(at_end_of(before, bytes, name, message));
        }
    };
    if let Some(offset) = text.find('\0') {
        let before = bytes.get(..offset).unwrap_or_default();
        return Err(at_end_of(before, bytes, name, format!("the {what} holds a NUL byte")));
    }
    let bare = |line: &str| line.trim_start_matches('\u{feff}').trim().split('#').next().is_none_or(str::is_empty);
    if text.lines().all(bare) {
        return Err(ManifestError::whole(name, format!("the {what} is empty")));
    }
    Ok(text)
}

/// Report a problem just behind `before`, a part of the text that can be read.
fn at_end_of(before: &[u8], bytes: &[u8], name: &str, message: String) -> ManifestError {
    let before = String::from_utf8_lossy(before);
    let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let line = narrow(before.matches('\n').count().saturating_add(1));
    let last = before.rsplit('\n').next().unwrap_or_default();
    let column = narrow(last.chars().count().saturating_add(1));
    let at = Position { file: name.into(), line, column, width: 1 };
    Sources::of(name, &String::from_utf8_lossy(bytes)).diagnose(&at, message).with_code(Code::Syntax).into()
}
