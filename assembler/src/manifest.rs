//! Stage 1 of 5. In: files, or standard input. Out: one manifest. Touches: those files. Does not: ask what a word means
//! outside of the manifest.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use linuxkit_yaml::{Manifest, ManifestError};

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
    /// The text is not a manifest; says where.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Read manifests and merge them left to right; `-` is standard input.
///
/// # Errors
///
/// - [`ReadError::Io`]: a file is not there.
/// - [`ReadError::Manifest`]: every problem of the first file that has one.
pub fn read(paths: &[PathBuf]) -> Result<Manifest, ReadError> {
    let mut manifests = Vec::new();
    for path in paths {
        let failed = |cause| ReadError::Io { path: path.clone(), cause };
        let (bytes, name) = if path == Path::new("-") {
            (bounded(io::stdin().lock()).map_err(failed)?, "<stdin>".to_owned())
        } else {
            (File::open(path).and_then(bounded).map_err(failed)?, path.display().to_string())
        };
        manifests.push(linuxkit_yaml::parse(&bytes, &name)?);
    }
    Ok(linuxkit_yaml::merge(manifests)?)
}

/// Read a little more than a manifest may have, so that the parser can say that it is too long.
fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(linuxkit_yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
