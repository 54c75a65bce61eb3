//! Pack a folder into a tar: equal trees give equal bytes.
//!
//! Entries are sorted by name, times are zero, owners are numbers. What belongs to the user who builds belongs to root in
//! the image: the same tree, checked out by two people, is the same image.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::memo::{Looks, changed, describe};
use crate::digest::Hashing;
use crate::pull::error::PullError;

/// Deepest folder that is entered.
const DEPTH_MAX: usize = 256;

/// Longest extended attribute, in bytes; the kernel's own limit.
const XATTR_MAX: usize = 64 << 10;

/// Attributes that mean the same on every machine; labels and access lists of this one stay here.
const XATTRS: [&str; 2] = ["security.capability", "user."];

/// Look at every file of a folder without reading any.
pub(super) fn looks(root: &Path) -> Result<Looks, PullError> {
    let mut out = Hashing::new(io::sink());
    let mut latest = i128::MIN;
    walk(root, &mut |path, metadata| {
        latest = latest.max(changed(metadata));
        out.write_all(path.as_os_str().as_bytes())?;
        out.write_all(&[0])?;
        out.write_all(describe(metadata).as_bytes())?;
        out.write_all(&[0])
    })?;
    let (_, digest, _) = out.finish();
    Ok(Looks { digest, latest })
}

/// Pack a folder.
pub(super) fn pack(root: &Path, out: impl Write) -> Result<(), PullError> {
    let mut tar = Builder::new(out);
    // Device and inode of every file with several names, and the first of them.
    let mut linked: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    walk(root, &mut |path, metadata| {
        let name = path.strip_prefix(root).unwrap_or(path);
        if name.as_os_str().is_empty() {
            return Ok(());
        }
        if metadata.nlink() > 1 && !metadata.is_dir() {
            let first = linked.entry((metadata.dev(), metadata.ino())).or_insert_with(|| name.to_owned());
            if first != name {
                return tar.append_link(&mut header(metadata, EntryType::Link), name, first);
            }
        }
        entry(&mut tar, path, name, metadata)
    })?;
    let finished = tar.into_inner().and_then(|mut out| out.flush());
    finished.map_err(|cause| PullError::Source { action: "pack", path: root.to_owned(), cause })
}

/// Visit a folder and all in it, parents first, names sorted.
fn walk(root: &Path, visit: &mut dyn FnMut(&Path, &Metadata) -> io::Result<()>) -> Result<(), PullError> {
    let mut pending = vec![(root.to_owned(), 0)];
    while let Some((path, depth)) = pending.pop() {
        let trouble = |cause| PullError::Source { action: "read", path: path.clone(), cause };
        let metadata = fs::symlink_metadata(&path).map_err(trouble)?;
        visit(&path, &metadata).map_err(trouble)?;
        if metadata.is_dir() {
            if depth == DEPTH_MAX {
                return Err(trouble(io::Error::other("folders are nested too deeply")));
            }
            #[expect(clippy::disallowed_methods, reason = "sorted on the next lines")]
            let children = fs::read_dir(&path).map_err(trouble)?;
            let mut children: Vec<PathBuf> =
                children.map(|child| child.map(|child| child.path())).collect::<io::Result<_>>().map_err(trouble)?;
            children.sort_unstable_by(|a, b| b.cmp(a));
            pending.extend(children.into_iter().map(|child| (child, depth + 1)));
        }
    }
    Ok(())
}

/// Append one file, folder, link or device.
fn entry(tar: &mut Builder<impl Write>, path: &Path, name: &Path, metadata: &Metadata) -> io::Result<()> {
    attributes(tar, path)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        return tar.append_data(&mut header(metadata, EntryType::Directory), name, io::empty());
    }
    if kind.is_symlink() {
        let target = fs::read_link(path)?;
        return tar.append_link(&mut header(metadata, EntryType::Symlink), name, target);
    }
    if kind.is_file() {
        let mut header = header(metadata, EntryType::Regular);
        header.set_size(metadata.len());
        // No more is taken than the header says; a file that shrank meanwhile is caught below.
        let mut data = Hashing::new(File::open(path)?.take(metadata.len()));
        tar.append_data(&mut header, name, &mut data)?;
        return if data.len() == metadata.len() {
            Ok(())
        } else {
            Err(io::Error::other("it changed while it was read"))
        };
    }
    let special = if kind.is_char_device() {
        EntryType::Char
    } else if kind.is_block_device() {
        EntryType::Block
    } else if kind.is_fifo() {
        EntryType::Fifo
    } else {
        return Err(io::Error::other("a socket cannot be part of an image"));
    };
    let mut header = header(metadata, special);
    header.set_device_major(rustix::fs::major(metadata.rdev()))?;
    header.set_device_minor(rustix::fs::minor(metadata.rdev()))?;
    tar.append_data(&mut header, name, io::empty())
}

/// Make a header with all but name and length.
fn header(metadata: &Metadata, kind: EntryType) -> Header {
    let ours = |id: u32, mine: u32| if id == mine { 0 } else { u64::from(id) };
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(ours(metadata.uid(), rustix::process::geteuid().as_raw()));
    header.set_gid(ours(metadata.gid(), rustix::process::getegid().as_raw()));
    header.set_mtime(0);
    header.set_size(0);
    header
}

/// Append the extended attributes of what follows, if it has any.
///
/// Source: star(1), `SCHILY.xattr.`, as GNU tar and every container tool write it.
fn attributes(tar: &mut Builder<impl Write>, path: &Path) -> io::Result<()> {
    let mut names = vec![0; XATTR_MAX];
    let len = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    let mut names: Vec<&[u8]> = names[..len].split(|byte| *byte == 0).filter(|name| wanted(name)).collect();
    names.sort_unstable();
    let mut records = Vec::new();
    for name in names {
        let mut value = vec![0; XATTR_MAX];
        let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..])?;
        record(&mut records, &[b"SCHILY.xattr.", name].concat(), &value[..len]);
    }
    if records.is_empty() {
        return Ok(());
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_path("pax")?;
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(records.len() as u64);
    header.set_cksum();
    tar.append(&header, records.as_slice())
}

fn wanted(name: &[u8]) -> bool {
    XATTRS
        .iter()
        .any(|want| if want.ends_with('.') { name.starts_with(want.as_bytes()) } else { name == want.as_bytes() })
}

/// Append one record, whose length counts its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + rest.to_string().len();
    if len.to_string().len() > rest.to_string().len() {
        len = rest + len.to_string().len();
    }
    records.extend_from_slice(format!("{len} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}
