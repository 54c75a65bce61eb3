//! Paths inside a root file system: bytes, relative, without `.`, `..` or empty parts; the root is empty.

/// Why a member of a layer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {what}")]
pub struct PathError {
    /// The member's path as it stands in the layer.
    pub path: String,
    /// Why.
    pub what: &'static str,
}

impl PathError {
    pub(super) fn new(path: &[u8], what: &'static str) -> Self {
        Self { path: String::from_utf8_lossy(path).into_owned(), what }
    }
}

/// Clean a path as it stands in a layer. A leading `/` means the image's own root.
///
/// # Errors
///
/// - [`PathError`]: it holds `..`.
pub fn clean(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut clean = Vec::with_capacity(raw.len());
    for part in parts(raw) {
        if part == b".." {
            return Err(PathError::new(raw, "leaves its root by `..`"));
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(part);
    }
    Ok(clean)
}

/// List the parts of a path, empty ones and `.` left out.
pub fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

/// Split a clean path into its parent and its last part.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Put a name into a directory.
#[must_use]
pub fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}
