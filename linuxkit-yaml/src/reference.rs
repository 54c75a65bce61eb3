//! Image references: parsed once, never again as text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::node::shorten;

/// Registry that a name without one means.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// Longest reference that is taken, in bytes; a registry allows 255 for the name alone.
const LONGEST: usize = 4096;

/// Where an image comes from. `Display` gives the canonical text; serialising gives what the user wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A name in a registry.
    Registry(RegistryReference),
    /// `oci:DIR[:tag]`: an OCI image layout.
    OciLayout {
        /// Directory, as written.
        dir: String,
        /// Which image of the layout; the only one if absent.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:tag]`: a tar of an OCI image layout.
    OciArchive {
        /// File, as written.
        file: String,
        /// Which image of the layout; the only one if absent.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:tag]`: what `docker save` writes.
    DockerArchive {
        /// File, as written.
        file: String,
        /// Which image of the archive; the only one if absent.
        tag: Option<String>,
    },
    /// `rootfs:PATH`: a directory or tar that is the image's root file system.
    Rootfs {
        /// Directory or tar, as written.
        path: String,
    },
}

/// `registry/repository[:tag][@digest]`, with Docker's defaults filled in except the tag.
#[derive(Debug, Clone)]
pub struct RegistryReference {
    /// Host and optional port; [`DEFAULT_REGISTRY`] for short names.
    pub registry: String,
    /// Path below the registry, `library/` added to Docker's short names.
    pub repository: String,
    /// Tag, if written.
    pub tag: Option<String>,
    /// Digest, if written.
    pub digest: Option<Digest>,
    /// What the user wrote.
    pub text: String,
}

/// The digest of a blob: algorithm and lower-case hexadecimal digits of the right number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest {
    /// Hash algorithm.
    pub algorithm: Algorithm,
    /// Digits, lower case.
    pub hex: String,
}

/// Hash algorithms that image digests may use (OCI image specification, descriptor.md, registered algorithms).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 64 digits.
    Sha256,
    /// SHA-512, 128 digits.
    Sha512,
}

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an image reference: {reason}", shorten(text))]
pub struct ReferenceError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl RegistryReference {
    /// Give the tag to ask a registry for: `latest` if neither tag nor digest is written.
    #[must_use]
    pub fn tag_or_latest(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, Some(_)) => None,
            (None, None) => Some("latest"),
        }
    }

    fn key(&self) -> (&str, &str, Option<&str>, Option<&Digest>) {
        (&self.registry, &self.repository, self.tag.as_deref(), self.digest.as_ref())
    }
}

impl PartialEq for RegistryReference {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for RegistryReference {}

impl PartialOrd for RegistryReference {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RegistryReference {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Reference {
    /// Give what the user wrote.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Registry(reference) => Cow::Borrowed(&reference.text),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// Tell whether this names something on the build machine rather than in a registry.
    #[must_use]
    pub fn is_local(&self) -> bool {
        !matches!(self, Self::Registry(_))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |reason: String| ReferenceError { text: text.to_owned(), reason };
        if text.len() > LONGEST {
            return Err(wrong(format!("it is longer than {LONGEST} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong("it holds a control character".to_owned()));
        }
        match text.split_once(':') {
            Some(("oci", rest)) => path_and_tag(rest).map(|(dir, tag)| Self::OciLayout { dir, tag }),
            Some(("oci-archive", rest)) => path_and_tag(rest).map(|(file, tag)| Self::OciArchive { file, tag }),
            Some(("docker-archive", rest)) => path_and_tag(rest).map(|(file, tag)| Self::DockerArchive { file, tag }),
            Some(("rootfs", "")) => Err("a path must follow the colon".to_owned()),
            Some(("rootfs", path)) => Ok(Self::Rootfs { path: path.to_owned() }),
            _ => registry(text).map(Self::Registry),
        }
        .map_err(wrong)
    }
}

/// Split `PATH[:tag]`. What follows the last colon is a tag unless it holds a slash.
fn path_and_tag(rest: &str) -> Result<(String, Option<String>), String> {
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    if path.is_empty() {
        return Err("a path must follow the colon".to_owned());
    }
    // The tag of a local image is whatever the layout's annotation says, which need not be a registry's tag.
    if tag == Some("") {
        return Err("the tag is empty".to_owned());
    }
    Ok((path.to_owned(), tag.map(str::to_owned)))
}

/// Parse a registry's name.
///
/// # Source
///
/// distribution/reference, grammar in `reference.go`; Docker's short names as LinuxKit's `cmd/util/reference.go` expands them.
fn registry(text: &str) -> Result<RegistryReference, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.starts_with('@') {
        return Err("`@pkg:` stands for a package beside the manifest, and can be used only where those can be built"
            .to_owned());
    }
    if text.contains("://") {
        return Err("an image is named without `://`".to_owned());
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
        None => (text, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(format!("`{}` is not a tag", shorten(tag)));
    }
    let (registry, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => (DEFAULT_REGISTRY, name),
    };
    if !is_host(registry) {
        return Err(format!("`{}` is not a host name", shorten(registry)));
    }
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    if let Some(part) = path.split('/').find(|part| !is_path_part(part)) {
        return Err(path_complaint(part));
    }
    let library = if registry == DEFAULT_REGISTRY && !path.contains('/') { "library/" } else { "" };
    Ok(RegistryReference {
        registry: registry.to_owned(),
        repository: format!("{library}{path}"),
        tag: tag.map(str::to_owned),
        digest,
        text: text.to_owned(),
    })
}

fn path_complaint(part: &str) -> String {
    if part.is_empty() {
        "a part of the name is empty".to_owned()
    } else if part.chars().any(|c| c.is_ascii_uppercase()) {
        format!("`{}` has upper-case letters", shorten(part))
    } else {
        format!(
            "`{}` may hold only lower-case letters, digits and single `.`, `_`, `__`, `-` between them",
            shorten(part)
        )
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let good_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let good_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let good_name = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(good_label),
    };
    good_port && good_name
}

/// One part of a repository's path: lower-case words with one separator (`.`, `_`, `__` or any number of `-`) between two.
fn is_path_part(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(word)
        && part.ends_with(word)
        && part.split(word).all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.chars().all(|c| c == '-'))
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (algorithm, hex) = text.split_once(':').ok_or_else(|| format!("`{}` is not a digest", shorten(text)))?;
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            other => return Err(format!("`{}` is not a digest algorithm: sha256 and sha512 are", shorten(other))),
        };
        let digits = algorithm.digits();
        if hex.len() != digits || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(format!("a {algorithm} digest has {digits} lower-case hexadecimal digits"));
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl Algorithm {
    /// Number of hexadecimal digits.
    #[must_use]
    pub fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path, tag) = match self {
            Self::Registry(reference) => return reference.fmt(f),
            Self::OciLayout { dir, tag } => ("oci", dir, tag.as_ref()),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag.as_ref()),
            Self::DockerArchive { file, tag } => ("docker-archive", file, tag.as_ref()),
            Self::Rootfs { path } => ("rootfs", path, None),
        };
        write!(f, "{kind}:{path}")?;
        tag.map_or(Ok(()), |tag| write!(f, ":{tag}"))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "An image: [registry/]name[:tag][@digest], oci:DIR[:tag], oci-archive:FILE[:tag], docker-archive:FILE[:tag] or rootfs:PATH."
        })
    }
}

#[cfg(test)]
mod tests;
