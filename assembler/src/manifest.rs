//! Stage 1 of 5. In: files, standard input, web addresses. Out: one manifest. Touches: those, and the recipes that `@pkg:`
//! names. Does not: ask what a word means outside of the manifest.

mod ssh_keys;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use linuxkit_yaml::{Code, Diagnostic, Manifest, ManifestError};

use crate::package::{recipe, tag};
use crate::pull::{PullError, Registries, without_login};

pub use ssh_keys::add as add_ssh_keys;

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file could not be read.
    #[error("could not read the manifest `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A manifest could not be fetched.
    #[error(transparent)]
    Fetch(PullError),
    /// Standard input is named twice, and can be read once; or a web address, where no network may be used.
    #[error("could not read the manifest `{name}`: {reason}")]
    Refused {
        /// The manifest, as it was named.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A file of SSH keys is none.
    #[error("could not take the keys in `{path}`: {what}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The text is not a manifest, or several things are wrong; says where.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Read manifests and merge them left to right; `-` is standard input, `http://` and `https://` are fetched.
///
/// In: `web`, how to fetch; nothing if no network may be used.
///
/// # Errors
///
/// - [`ReadError`]: the only thing that is wrong, or as [`ReadError::Manifest`] all that is wrong with any of the files.
pub fn read(paths: &[PathBuf], web: Option<&Registries>) -> Result<Manifest, ReadError> {
    let (manifests, mut errors) = load(paths, web);
    match linuxkit_yaml::merge(manifests) {
        Ok(manifest) if errors.is_empty() => return Ok(manifest),
        Ok(_) => {}
        Err(error) => errors.push(error.into()),
    }
    match errors.pop() {
        Some(only) if errors.is_empty() => Err(only),
        last => {
            let diagnostics = errors.into_iter().chain(last).flat_map(ReadError::diagnostics).collect();
            Err(ManifestError { diagnostics }.into())
        }
    }
}

/// What reading manifests brought, for whoever wants to know all that is wrong with them.
#[derive(Debug)]
pub struct Examined {
    /// Those that are right, merged; nothing if they do not merge.
    pub manifest: Option<Manifest>,
    /// What is wrong with the others, file by file.
    pub problems: Vec<Diagnostic>,
}

/// Read manifests as [`read`] does, and tell everything that is wrong with any of them.
#[must_use]
pub fn examine(paths: &[PathBuf], web: Option<&Registries>) -> Examined {
    let (manifests, errors) = load(paths, web);
    let mut problems: Vec<Diagnostic> = errors.into_iter().flat_map(ReadError::diagnostics).collect();
    let merged = linuxkit_yaml::merge(manifests);
    let manifest = merged.map_err(|error| problems.extend(error.diagnostics)).ok();
    Examined { manifest, problems }
}

/// Read each manifest. Out: those that are right, and what is wrong with each of the others.
fn load(paths: &[PathBuf], web: Option<&Registries>) -> (Vec<Manifest>, Vec<ReadError>) {
    let (mut manifests, mut errors) = (Vec::new(), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        let again = path == Path::new("-") && paths.iter().take(index).any(|earlier| earlier == path);
        let one = if again {
            let reason = "it is read once; name it once";
            Err(ReadError::Refused { name: "-".to_owned(), reason })
        } else {
            one(path, web)
        };
        match one {
            Ok(manifest) => manifests.push(manifest),
            Err(error) => errors.push(error),
        }
    }
    (manifests, errors)
}

/// Read one manifest.
fn one(path: &Path, web: Option<&Registries>) -> Result<Manifest, ReadError> {
    let failed = |cause| ReadError::Io { path: path.to_owned(), cause };
    if let Some(url) = path.to_str().filter(|text| is_address(text)) {
        let Some(web) = web else {
            let reason = "no network may be used";
            return Err(ReadError::Refused { name: without_login(url), reason });
        };
        let bytes = web.text(url, linuxkit_yaml::MAX_BYTES as u64).map_err(ReadError::Fetch)?;
        // Without packages: what lies beside a web address is not on this machine.
        return Ok(linuxkit_yaml::parse(bytes, &without_login(url))?);
    }
    let (bytes, name, folder) = if path == Path::new("-") {
        (bounded(io::stdin().lock()).map_err(failed)?, "<stdin>".to_owned(), Path::new(""))
    } else {
        let bytes = File::open(path).and_then(bounded).map_err(failed)?;
        (bytes, path.display().to_string(), path.parent().unwrap_or(Path::new("")))
    };
    // Asked once each: git takes its time.
    let mut known: BTreeMap<String, Result<String, String>> = BTreeMap::new();
    let mut packages =
        |package: &str| known.entry(package.to_owned()).or_insert_with(|| image_of(&folder.join(package))).clone();
    Ok(linuxkit_yaml::parse_with_packages(bytes, &name, &mut packages)?)
}

/// Tell whether a manifest is to be fetched.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Name the image that `pkg build` makes of a recipe folder.
fn image_of(folder: &Path) -> Result<String, String> {
    let file = folder.join(recipe::FILE);
    if !file.is_file() {
        return Err(format!("there is no `{}`; the path is relative to the manifest", file.display()));
    }
    let recipe = recipe::load(folder).map_err(|error| in_one_line(&error))?;
    let name = tag::name(&recipe, None, None).map_err(|error| in_one_line(&error))?;
    Ok(tag::canonical(&name))
}

/// Write an error and its causes on one line; of a text with an excerpt below it, the first line.
fn in_one_line(error: &dyn Error) -> String {
    let first = |error: &dyn Error| error.to_string().lines().next().unwrap_or_default().to_owned();
    let mut text = first(error);
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {}", first(cause));
        next = cause.source();
    }
    text
}

impl ReadError {
    /// Give what is wrong as problems with places.
    #[must_use]
    pub fn diagnostics(self) -> Vec<Diagnostic> {
        let whole = |file: &str, message: String| vec![Diagnostic::of_file(Code::Unreadable, file, message)];
        match self {
            Self::Manifest(error) => error.diagnostics,
            Self::Io { path, cause } => whole(&path.display().to_string(), format!("cannot be read: {cause}")),
            Self::Key { path, what } => whole(&path.display().to_string(), what),
            Self::Refused { name, reason } => whole(&name, format!("cannot be read: {reason}")),
            Self::Fetch(error) => {
                let file = if let PullError::Web { url, .. } = &error { url.clone() } else { "<web>".to_owned() };
                whole(&file, in_one_line(&error))
            }
        }
    }
}

/// Read a little more than a manifest may have, so that the parser can say that it is too long.
fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(linuxkit_yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
