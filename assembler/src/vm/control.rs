//! Where a machine that has a name is spoken to: a socket whose other end is the virtio port of its init.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::VmError;

/// Machines of one name that may run at once, with numbers behind it.
const MOST: u32 = 1000;

/// The socket of a machine by this name. It is QEMU's to make, and goes with this value.
#[derive(Debug)]
pub struct ControlSocket(PathBuf);

impl ControlSocket {
    /// Take the name for a machine that is about to start.
    ///
    /// # Errors
    ///
    /// - [`VmError::Name`]: it is no name, or a machine has it.
    /// - [`VmError::Sockets`]: there is no safe folder for the socket.
    pub fn claim(name: &str) -> Result<Self, VmError> {
        let path = socket(name)?;
        if UnixStream::connect(&path).is_ok() {
            return Err(VmError::Name { name: name.to_owned(), what: "a machine of this name runs already" });
        }
        // Left by one whose end nobody saw.
        let _ = fs::remove_file(&path);
        Ok(Self(path))
    }

    /// Take the first free name of `base`, `base-2`, `base-3`, …
    ///
    /// # Errors
    ///
    /// - [`VmError::Sockets`]: there is no safe folder for the socket.
    pub fn claim_any(base: &str) -> Result<Self, VmError> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let base: String = base.chars().map(plain).take(32).collect();
        let base = if base.is_empty() { "machine".to_owned() } else { base };
        let mut number = 1;
        loop {
            let name = if number == 1 { base.clone() } else { format!("{base}-{number}") };
            match Self::claim(&name) {
                Err(VmError::Name { .. }) if number < MOST => number += 1,
                result => return result,
            }
        }
    }

    /// Give the name that was taken.
    #[must_use]
    pub fn name(&self) -> String {
        self.0.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Give its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // QEMU may have done so.
        let _ = fs::remove_file(&self.0);
    }
}

/// Say where the socket of a machine is.
///
/// # Errors
///
/// - [`VmError::Name`], [`VmError::Sockets`].
pub fn socket(name: &str) -> Result<PathBuf, VmError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 40 || name.starts_with('.') || !name.bytes().all(plain) {
        let what = "a machine's name is of letters, digits, `-`, `_` and `.`, at most 40 of them";
        return Err(VmError::Name { name: name.to_owned(), what });
    }
    Ok(folder()?.join(format!("{name}.sock")))
}

/// Names of the machines that run, sorted.
///
/// # Errors
///
/// - [`VmError::Sockets`].
pub fn names() -> Result<Vec<String>, VmError> {
    let folder = folder()?;
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = fs::read_dir(&folder).map_err(|cause| VmError::Sockets { path: folder.clone(), cause })?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".sock").map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// The folder of this user's sockets, made if need be: others may not be able to put theirs there.
pub(super) fn folder() -> Result<PathBuf, VmError> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|place| !place.is_empty()).map(PathBuf::from);
    let path = match runtime {
        Some(place) => place.join("hullkit"),
        None => std::env::temp_dir().join(format!("hullkit-{uid}")),
    };
    let failed = |cause| VmError::Sockets { path: path.clone(), cause };
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(failed(cause)),
        _ => {}
    }
    let metadata = fs::symlink_metadata(&path).map_err(failed)?;
    if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o022 != 0 {
        return Err(failed(io::Error::other("it is not a folder that this user alone can write")));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_the_folder() {
        for name in ["", ".", "..", "a/b", "../x", "a b", &"x".repeat(41)] {
            assert!(matches!(socket(name), Err(VmError::Name { .. })), "{name}");
        }
        assert!(socket("web-1.test").is_ok_and(|path| path.ends_with("web-1.test.sock")));
    }
}
