//! The files of one image on their way into its layer: names and owners in memory, bytes in a spool file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{PackageError, io_error};
use crate::store::Store;

/// Symbolic links followed for one path, as the kernel has it.
const LINKS_MAX: usize = 40;

/// Entries of one image.
const ENTRIES_MAX: usize = 1 << 20;

/// Folders that Debian has merged into `/usr`.
///
/// Packages of Debian 12 still ship both spellings and leave the links to `usrmerge`'s script; those of Debian 13 ship only
/// the second. With the links laid first, both come out the same.
const MERGED: [&str; 7] = ["bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin"];

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(String),
    /// A regular file: its place in the spool. Two files of the same place, not empty, are hard links of each other.
    File(Span),
}

/// A run of bytes in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since 1970; absent for what no package dates.
    pub mtime: Option<u64>,
}

impl Entry {
    /// Describe a directory as nobody described it.
    fn folder() -> Self {
        Self { kind: Kind::Directory, mode: 0o755, uid: 0, gid: 0, mtime: None }
    }
}

/// Files of one image: one entry per path, parents before children, no parent that is a link.
#[derive(Debug)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
    spool: File,
    len: u64,
}

impl Tree {
    /// Start without entries, keeping the bytes of files on the disk of `store`.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Io`].
    pub fn new(store: &Store) -> Result<Self, PackageError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("spool-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = store.folder("tmp").join(name);
        let spool = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let spool = spool.map_err(io_error("create", &path))?;
        // Without a name it vanishes with the process; another process that swept it first did the same.
        let _ = fs::remove_file(&path);
        Ok(Self { entries: BTreeMap::new(), spool, len: 0 })
    }

    /// Lay the links of a merged `/usr`, before any package.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Tree`]: never, on an empty tree.
    pub fn merge_usr(&mut self) -> Result<(), PackageError> {
        for name in MERGED {
            self.lay(name, Entry { kind: Kind::Symlink(format!("usr/{name}")), mode: 0o777, ..Entry::folder() })?;
        }
        Ok(())
    }

    /// Remove the links of a merged `/usr` that lead nowhere.
    pub fn prune_merged(&mut self) {
        for name in MERGED {
            let target = format!("usr/{name}");
            let leads = |entry: &Entry| matches!(&entry.kind, Kind::Symlink(to) if *to == target);
            if !self.entries.contains_key(&target) && self.entries.get(name).is_some_and(leads) {
                self.entries.remove(name);
            }
        }
    }

    /// Give the entries, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Look a path up, after links in its parents were followed.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Put other entries in the place of all.
    pub fn replace(&mut self, entries: BTreeMap<String, Entry>) {
        self.entries = entries;
    }

    /// Give the newest time any entry has, or 0.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.entries.values().filter_map(|entry| entry.mtime).max().unwrap_or(0)
    }

    /// Find the path an entry will really have: links in its parents are followed as far as they are laid.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Tree`]: `..` in the path, a file as parent, links that never end.
    pub fn resolve(&self, path: &str) -> Result<String, PackageError> {
        let refuse = |reason| PackageError::Tree { path: path.to_owned(), reason };
        let mut left: Vec<&str> = path.split('/').rev().filter(|part| !part.is_empty() && *part != ".").collect();
        if left.contains(&"..") || path.contains('\0') {
            return Err(refuse("is not a path inside the image"));
        }
        let mut done: Vec<&str> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                // Only out of a link's target; above the root is the root.
                done.pop();
                continue;
            }
            done.push(part);
            if left.is_empty() {
                break;
            }
            match self.entries.get(&done.join("/")).map(|entry| &entry.kind) {
                Some(Kind::Symlink(target)) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(refuse("lies behind symbolic links that never end"));
                    }
                    done.pop();
                    if target.starts_with('/') {
                        done.clear();
                    }
                    left.extend(target.split('/').rev().filter(|part| !part.is_empty() && *part != "."));
                }
                Some(Kind::File(_)) => return Err(refuse("lies under a file that is not a folder")),
                Some(Kind::Directory) | None => {}
            }
        }
        Ok(done.join("/"))
    }

    /// Lay an entry, in place of what lay there; missing parents are made.
    ///
    /// In: `path` as the package or recipe has it. A directory laid on a link leaves the link.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Tree`]: the path is not legal, or a folder would become something else.
    pub fn lay(&mut self, path: &str, entry: Entry) -> Result<(), PackageError> {
        let path = self.resolve(path)?;
        if path.is_empty() {
            // The root itself is the same in every image.
            return Ok(());
        }
        let refuse = |reason| Err(PackageError::Tree { path: path.clone(), reason });
        match (self.entries.get(&path).map(|old| &old.kind), &entry.kind) {
            (Some(Kind::Symlink(_)), Kind::Directory) => return Ok(()),
            (Some(Kind::Directory), Kind::File(_) | Kind::Symlink(_)) => {
                return refuse("is a folder and something else");
            }
            (Some(Kind::File(_)), Kind::Directory) => return refuse("is a file and a folder"),
            _ => {}
        }
        for (at, _) in path.match_indices('/') {
            self.entries.entry(path[..at].to_owned()).or_insert_with(Entry::folder);
        }
        if self.entries.len() >= ENTRIES_MAX {
            return refuse("is one file too many for an image");
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Copy the bytes of one file into the spool.
    ///
    /// # Errors
    ///
    /// - [`io::Error`] of either side.
    pub fn spool(&mut self, bytes: &mut impl Read) -> io::Result<Span> {
        self.append(|_, out| io::copy(bytes, out).map(|_| ()))
    }

    /// Open the bytes of one file.
    #[must_use]
    pub fn open(&self, span: Span) -> SpanReader<'_> {
        SpanReader { file: &self.spool, span }
    }

    /// Append bytes that are made while the tree is read, and tell where they lie.
    ///
    /// # Errors
    ///
    /// - [`io::Error`] of `write`, or of the spool.
    pub fn append(&mut self, write: impl FnOnce(&Self, &mut Appender<'_>) -> io::Result<()>) -> io::Result<Span> {
        let mut out = Appender { file: &self.spool, offset: self.len };
        write(self, &mut out)?;
        let span = Span { offset: self.len, len: out.offset - self.len };
        self.len = out.offset;
        Ok(span)
    }
}

/// Reads one file out of the spool.
#[derive(Debug)]
pub struct SpanReader<'a> {
    file: &'a File,
    span: Span,
}

impl Read for SpanReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.span.len).map_or(buffer.len(), |len| len.min(buffer.len()));
        let read = self.file.read_at(&mut buffer[..want], self.span.offset)?;
        if read == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.span = Span { offset: self.span.offset + read as u64, len: self.span.len - read as u64 };
        Ok(read)
    }
}

/// Writes behind the end of the spool.
#[derive(Debug)]
pub struct Appender<'a> {
    file: &'a File,
    offset: u64,
}

impl Write for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.offset)?;
        self.offset += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
