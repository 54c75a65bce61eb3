//! The doors: text to [`Manifest`], to a label's [`ContainerConfig`], to any other structure.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::check;
use crate::decode::{Dialect, decode};
use crate::error::{Diagnostic, ManifestError};
use crate::image::ContainerConfig;
use crate::manifest::Manifest;
use crate::node::{Kind, Node, Place};
use crate::span::{Position, Sources};
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
    let (mut root, mut problems) = document(text, name, "manifest")?;
    if let Some(packages) = packages {
        let mut report = |at: Place, reason: String| problems.push(Diagnostic::new(at.position(name), text, reason));
        root.expand(packages, &mut report);
    }
    let manifest = decode::<Manifest>(&root, text, name, Dialect::Manifest, &mut problems);
    let Some(mut manifest) = manifest else { return Err(ManifestError::sorted(problems)) };
    manifest.sources = Sources::of(name, text);
    let mut wounded = BTreeSet::new();
    if !problems.is_empty() {
        root.wounded(&mut wounded);
    }
    check::manifest(&manifest, &wounded, &mut problems);
    if problems.is_empty() { Ok(manifest) } else { Err(ManifestError::sorted(problems)) }
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
    finish(text, &name, document(text, &name, "label")?, Dialect::Label)
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
    finish(text, name, document(text, name, "file")?, Dialect::Recipe)
}

/// Decode a document that needs no checks of meaning.
fn finish<T: DeserializeOwned>(
    text: &str,
    name: &str,
    (root, mut problems): (Node, Vec<Diagnostic>),
    dialect: Dialect,
) -> Result<T, ManifestError> {
    let value = decode(&root, text, name, dialect, &mut problems);
    value.filter(|_| problems.is_empty()).ok_or_else(|| ManifestError::sorted(problems))
}

/// Read the first document of a text; one without a value is as empty as no text.
fn document(text: &str, name: &str, what: &str) -> Result<(Node, Vec<Diagnostic>), ManifestError> {
    let (root, problems) = yaml::read(text, name)?;
    if matches!(root.kind, Kind::Null) {
        return Err(ManifestError::whole(name, format!("the {what} is empty")));
    }
    Ok((root, problems))
}

/// Refuse what is no text: too long, not UTF-8, with NUL bytes, or nothing but blanks and comments.
fn readable<'a>(bytes: &'a [u8], name: &str, what: &str) -> Result<&'a str, ManifestError> {
    if bytes.len() > MAX_BYTES {
        let (size, most) = (bytes.len(), MAX_BYTES / 1024 / 1024);
        return Err(ManifestError::whole(name, format!("the {what} has {size} bytes; at most {most} MiB are read")));
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
    Diagnostic::new(at, &String::from_utf8_lossy(bytes), message).into()
}
