//! Files, written so that no path leaves the host's root: every folder on the way is opened by itself, and no link is followed.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use hullkit_init::contract::metadata::Told;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, mkdirat, open, openat, renameat, symlinkat, unlinkat,
};

use crate::settle::{Content, Entry, Settled};

/// Name of a file that is not finished.
const UNFINISHED: &str = ".hullkit-new";

/// Write what was settled below `root`. Out: what PID 1 is told. A file that cannot be written costs that file alone, and is said.
pub fn write(root: &Path, settled: Settled, say: &mut dyn FnMut(&str)) -> Told {
    for entry in &settled.files {
        if let Err(cause) = place(root, entry) {
            let path = entry.path.join("/").replace(char::is_control, " ");
            say(&format!("could not write `/{path}`: {cause}"));
        }
    }
    let Settled { provider, hostname, environment, network, .. } = settled;
    Told { provider: Some(provider), hostname, environment, network }
}

fn place(root: &Path, entry: &Entry) -> io::Result<()> {
    let Some((name, folders)) = entry.path.split_last() else { return Ok(()) };
    let mut folder = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for part in folders {
        folder = enter(&folder, part)?;
    }
    match &entry.content {
        Content::Directory => {
            let made = enter(&folder, name)?;
            // What is opened for its path alone takes no mode.
            let made = openat(made, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            own(&made, entry)
        }
        Content::Symlink(target) => {
            clear(&folder)?;
            symlinkat(CString::new(target.as_str())?, &folder, UNFINISHED)?;
            Ok(renameat(&folder, UNFINISHED, &folder, name.as_str())?)
        }
        Content::File(bytes) => {
            clear(&folder)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = std::fs::File::from(openat(&folder, UNFINISHED, flags, Mode::from_raw_mode(0o600))?);
            file.write_all(bytes)?;
            own(&file, entry)?;
            // Not written over: the image may know the old file by another name, too.
            Ok(renameat(&folder, UNFINISHED, &folder, name.as_str())?)
        }
    }
}

/// Open a folder in another one, and make it if it is not there.
fn enter(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(cause) => return Err(cause.into()),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

fn clear(folder: &OwnedFd) -> io::Result<()> {
    match unlinkat(folder, UNFINISHED, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(cause) => Err(cause.into()),
    }
}

/// Give it owner and mode; the mode last, because a new owner takes away set-user-id.
fn own(file: impl AsFd, entry: &Entry) -> io::Result<()> {
    let (user, group) = entry.owner;
    if entry.owner != (0, 0) {
        fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    Ok(fchmod(&file, Mode::from_raw_mode(entry.mode))?)
}
