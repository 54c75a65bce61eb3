//! Where machines that have a name are found: for each a socket whose other end is the virtio port of its init, and a file that says what
//! it is. Whoever runs a machine holds a lock on that file, so that a machine whose end nobody saw is told from one that runs.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::VmError;

/// Machines of one name that may run at once, with numbers behind it.
const MOST: u32 = 1000;

/// Longest file about a machine that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// Looks at a file that somebody else is looking at, and the time between them.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(5);

/// How the names of a machine's files end: of what it is, of its init's socket, of its console's.
const RECORD: &str = "json";
const SOCKET: &str = "sock";
const CONSOLE: &str = "console";

/// What a machine is, for those who did not start it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Process that runs it.
    #[serde(default)]
    pub pid: u32,
    /// Processor architecture.
    #[serde(default)]
    pub arch: String,
    /// What it boots, as the user named it.
    #[serde(default)]
    pub what: String,
    /// Ports of 127.0.0.1 that lead to it: `8080:80/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// It runs on its own, and its console can be attached to.
    #[serde(default)]
    pub detached: bool,
    /// How it ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// A name that is taken for a machine, and its socket. It is QEMU's to make, and goes with this value.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    record: File,
    kept: bool,
}

impl ControlSocket {
    /// Take the name for a machine that is about to start.
    ///
    /// # Errors
    ///
    /// - [`VmError::Name`]: it is no name, or a machine has it.
    /// - [`VmError::Sockets`]: there is no safe folder for the socket.
    pub fn claim(name: &str) -> Result<Self, VmError> {
        let path = socket(name)?;
        let failed = |cause| VmError::Sockets { path: path.clone(), cause };
        for _ in 0..LOOKS {
            let file = path.with_extension(RECORD);
            let record =
                File::options().read(true).write(true).create(true).truncate(false).open(&file).map_err(failed)?;
            if flock(&record, FlockOperation::NonBlockingLockExclusive).is_ok() && is_at(&record, &file) {
                record.set_len(0).map_err(failed)?;
                // Left by one whose end nobody saw.
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(path.with_extension(CONSOLE));
                return Ok(Self { path, record, kept: false });
            }
            thread::sleep(PAUSE);
        }
        Err(VmError::Name { name: name.to_owned(), what: "a machine of this name runs already" })
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
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Give its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Give the path of the socket of its console.
    #[must_use]
    pub fn console(&self) -> PathBuf {
        self.path.with_extension(CONSOLE)
    }

    /// Say what the machine is. One that has ended is remembered until its name is used again, or forgotten.
    ///
    /// # Errors
    ///
    /// [`VmError::Sockets`]: it could not be written.
    pub fn describe(&mut self, record: &Record) -> Result<(), VmError> {
        self.kept = record.ended.is_some();
        let text = serde_json::to_vec(record).unwrap_or_default();
        let written = self.record.set_len(0).and_then(|()| {
            io::Seek::rewind(&mut self.record)?;
            self.record.write_all(&text)
        });
        written.map_err(|cause| VmError::Sockets { path: self.path.with_extension(RECORD), cause })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // QEMU may have done so.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.console());
        if !self.kept {
            let _ = fs::remove_file(self.path.with_extension(RECORD));
        }
    }
}

/// Tell whether a path still leads to an open file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
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
    Ok(folder()?.join(format!("{name}.{SOCKET}")))
}

/// Say where the socket of a machine's console is.
///
/// # Errors
///
/// As [`socket`].
pub fn console(name: &str) -> Result<PathBuf, VmError> {
    Ok(socket(name)?.with_extension(CONSOLE))
}

/// A machine that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it is.
    pub record: Record,
    /// Whoever runs it is there.
    pub runs: bool,
}

/// List the machines that have a name, sorted by it.
///
/// # Errors
///
/// - [`VmError::Sockets`].
pub fn known() -> Result<Vec<Known>, VmError> {
    let folder = folder()?;
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = fs::read_dir(&folder).map_err(|cause| VmError::Sockets { path: folder.clone(), cause })?;
    let names = entries.filter_map(|entry| {
        Some(entry.ok()?.file_name().to_str()?.strip_suffix(RECORD)?.strip_suffix('.')?.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names.iter().filter_map(|name| find(name).ok().flatten()).collect())
}

/// Look for a machine by its name; nothing if there is none.
///
/// # Errors
///
/// - [`VmError::Name`], [`VmError::Sockets`].
pub fn find(name: &str) -> Result<Option<Known>, VmError> {
    let path = socket(name)?.with_extension(RECORD);
    let Ok(file) = File::open(path) else { return Ok(None) };
    let mut text = Vec::new();
    let _ = (&file).take(LONGEST).read_to_end(&mut text);
    let runs = flock(&file, FlockOperation::NonBlockingLockShared).is_err();
    // One that is about to start has not said what it is.
    let record: Record = serde_json::from_slice(&text).unwrap_or_default();
    Ok(Some(Known { record: Record { name: name.to_owned(), ..record }, runs }))
}

/// Forget a machine that has ended.
///
/// # Errors
///
/// - [`VmError::Name`]: there is none, or it runs.
/// - [`VmError::Sockets`].
pub fn forget(name: &str) -> Result<(), VmError> {
    match find(name)? {
        // What is taken and not kept is forgotten.
        Some(known) if !known.runs => ControlSocket::claim(name).map(drop),
        Some(_) => Err(VmError::Name { name: name.to_owned(), what: "it runs; `hullkit stop` ends it" }),
        None => Err(VmError::Name { name: name.to_owned(), what: "there is no machine of this name" }),
    }
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

    #[test]
    fn a_name_is_taken_once_and_remembered_if_it_ended() {
        let name = format!("unit-{}", std::process::id());
        let mut first = ControlSocket::claim(&name).expect("a free name");
        assert!(matches!(ControlSocket::claim(&name), Err(VmError::Name { .. })));
        assert_eq!(ControlSocket::claim_any(&name).expect("another name").name(), format!("{name}-2"));
        let record = Record { name: name.clone(), what: "web.yml".into(), ..Record::default() };
        first.describe(&record).expect("a writable folder");
        assert_eq!(find(&name).expect("a name"), Some(Known { record: record.clone(), runs: true }));
        assert!(matches!(forget(&name), Err(VmError::Name { .. })));
        let ended = Record { ended: Some("the guest powered off".into()), ..record };
        first.describe(&ended).expect("a writable folder");
        drop(first);
        assert_eq!(find(&name).expect("a name"), Some(Known { record: ended, runs: false }));
        forget(&name).expect("one that has ended");
        assert_eq!(find(&name).expect("a name"), None);
        assert!(known().expect("a folder").iter().all(|known| known.record.name != name));
    }
}
