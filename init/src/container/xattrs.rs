//! Extended attributes of an image that came in a cpio archive, which cannot carry them.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::StartError;
use crate::contract::{XATTRS_FILE, Xattrs};

/// Where it is noted which images are done.
const DONE: &str = "/run/hullkit/xattrs";

/// Set the attributes of an image at its first use. Two containers may do so at once: the result is the same.
pub(super) fn apply(lower: &Path) -> Result<(), StartError> {
    let Some(image) = lower.parent() else { return Ok(()) };
    let path = image.join(XATTRS_FILE);
    let done = Path::new(DONE).join(image.file_name().unwrap_or_default());
    if !path.exists() || done.exists() {
        return Ok(());
    }
    let bytes = fs::read(&path).map_err(|cause| StartError::Xattrs { path: path.clone(), cause })?;
    let xattrs: Xattrs = serde_json::from_slice(&bytes)
        .map_err(|cause| StartError::Xattrs { path: path.clone(), cause: cause.into() })?;
    for (file, attributes) in &xattrs {
        let target = inside(lower, file).ok_or_else(|| bad(&path, file))?;
        for (name, value) in attributes {
            set(&target, name, value).map_err(|cause| StartError::File { path: target.clone(), cause })?;
        }
    }
    let note = fs::create_dir_all(DONE).and_then(|()| fs::write(&done, b""));
    note.map_err(|cause| StartError::File { path: done, cause })
}

/// Join, refusing every way out; the last component may be a link, which is then itself the target.
fn inside(lower: &Path, file: &str) -> Option<PathBuf> {
    let mut path = lower.to_path_buf();
    for part in Path::new(file).components() {
        match part {
            Component::CurDir => {}
            // A link here would lead out of the image, or at least to another file than the one named.
            Component::Normal(_) if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) => return None,
            Component::Normal(name) => path.push(name),
            _ => return None,
        }
    }
    Some(path)
}

/// The initial root may be a file system without the attributes of ordinary users (`user.*`): those are left out.
fn set(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    match rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) if name.starts_with("user.") => Ok(()),
        other => Ok(other?),
    }
}

fn bad(path: &Path, file: &str) -> StartError {
    let cause = io::Error::new(io::ErrorKind::InvalidData, format!("`{file}` leads out of the image"));
    StartError::Xattrs { path: path.to_path_buf(), cause }
}
