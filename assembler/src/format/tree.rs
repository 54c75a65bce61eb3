//! A final file tree: what every image of a file system is written from.
//!
//! In: entries in the order of a stream, such as a tar, in which the last entry of a name wins. Out: one node per name, sorted,
//! parents first, hard links resolved. The bytes of files stay where they are, in [`Contents`], and are named by their place.
//!
//! Source: POSIX.1-2024, `pax`, "ustar Interchange Format", for what a later entry does to an earlier one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

use super::tar;

#[cfg(test)]
pub(super) mod fixture;
#[cfg(test)]
mod tests;

pub use super::cpio::layout::{BLOCK, CHAR, DIRECTORY, FIFO, REGULAR, SYMLINK, TYPE};

/// A socket.
pub const SOCKET: u32 = 0o140_000;

/// Longest name of one file in bytes; no file system here takes more, nor does Linux (`NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// Longest path, and longest target of a symbolic link, in bytes; Linux counts a NUL to its `PATH_MAX`.
pub const PATH_MAX: usize = 4095;

/// How many symbolic links the way to one entry may cross, as in Linux.
const HOPS: usize = 40;

/// Permission bits.
const PERMISSIONS: u32 = 0o7777;

/// Bytes that are passed on at a time.
const CHUNK: usize = 256 << 10;

/// Extended attributes of a file, name and value.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Why entries make no tree.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeError {
    /// A path that cannot be in an image.
    #[error("`{path}` {what}")]
    Path {
        /// The entry's path as it came.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A hard link to nothing.
    #[error("`{path}` is a hard link to `{target}`, which does not come before it")]
    NoTarget {
        /// The link's path.
        path: String,
        /// What it names.
        target: String,
    },
}

/// Where the bytes of files are read from.
pub trait Contents {
    /// Give a reader of the `size` bytes that start at `offset`. It gives fewer if there are fewer.
    ///
    /// # Errors
    ///
    /// - Those of the underlying file.
    fn reader(&self, offset: u64, size: u64) -> io::Result<Box<dyn Read + '_>>;
}

impl Contents for File {
    fn reader(&self, offset: u64, size: u64) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Range { file: self, offset }.take(size)))
    }
}

impl Contents for [u8] {
    fn reader(&self, offset: u64, size: u64) -> io::Result<Box<dyn Read + '_>> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        Ok(Box::new(rest.take(size)))
    }
}

impl Contents for Vec<u8> {
    fn reader(&self, offset: u64, size: u64) -> io::Result<Box<dyn Read + '_>> {
        self.as_slice().reader(offset, size)
    }
}

/// A file read at positions, so that several readers can share it.
struct Range<'f> {
    file: &'f File,
    offset: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset = self.offset.saturating_add(read as u64);
        Ok(read)
    }
}

/// Which side of a copy failed.
#[derive(Debug)]
pub enum CopyError {
    /// The bytes could not be had, or are too few.
    Read(io::Error),
    /// They were not taken.
    Write(io::Error),
}

/// Pass on exactly `size` bytes that start at `offset`.
///
/// # Errors
///
/// - [`CopyError::Read`], also if there are fewer; [`CopyError::Write`].
pub fn copy(contents: &dyn Contents, offset: u64, size: u64, out: &mut dyn Write) -> Result<(), CopyError> {
    let mut reader = contents.reader(offset, size).map_err(CopyError::Read)?;
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(CHUNK).min(CHUNK)];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..most).unwrap_or_default();
        let read = match reader.read(part) {
            Ok(0) => return Err(CopyError::Read(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        out.write_all(part.get(..read).unwrap_or_default()).map_err(CopyError::Write)?;
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}

/// What an entry or a node is, with what only that has. `Link` is what names the file of a hard link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<Link = usize> {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Where its bytes start in the [`Contents`].
        offset: u64,
        /// How many there are.
        size: u64,
    },
    /// Another name of a file: in a tree the index of the node that has the data, in an entry its path.
    HardLink(Link),
    /// A symbolic link's target.
    Symlink(Vec<u8>),
    /// A device, major and minor; the mode says whether of characters or blocks.
    Device(u32, u32),
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

/// What a file is apart from its names and content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Type and permission bits, as in `st_mode`. Of an entry's type bits only those of a block device count; the rest follow
    /// from its content.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds to add, below 1,000,000,000.
    pub nanoseconds: u32,
    /// Extended attributes, name and value; in a tree sorted by name, each name once.
    pub xattrs: Xattrs,
}

/// One entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path as it stands in the stream; a leading `/`, `.` and empty parts are left out, `..` is refused.
    pub path: Vec<u8>,
    /// Its attributes; those of a hard link do not count.
    pub attributes: Attributes,
    /// What it is.
    pub content: Content<Vec<u8>>,
}

impl From<tar::Member> for Entry {
    /// Take a member of an archive; its data's place is that in the uncompressed archive.
    fn from(member: tar::Member) -> Self {
        let tar::Member { path, kind, mode, uid, gid, mtime, nanos, size, offset, link, device, xattrs, .. } = member;
        let (kind, content) = match kind {
            tar::Kind::File => (REGULAR, Content::File { offset, size }),
            tar::Kind::HardLink => (REGULAR, Content::HardLink(link)),
            tar::Kind::Symlink => (SYMLINK, Content::Symlink(link)),
            tar::Kind::Char => (CHAR, Content::Device(device.0, device.1)),
            tar::Kind::Block => (BLOCK, Content::Device(device.0, device.1)),
            tar::Kind::Directory => (DIRECTORY, Content::Directory),
            tar::Kind::Fifo => (FIFO, Content::Fifo),
        };
        let attributes = Attributes { mode: kind | mode & PERMISSIONS, uid, gid, mtime, nanoseconds: nanos, xattrs };
        Self { path, attributes, content }
    }
}

/// One name of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The path, relative to the root, which is empty.
    pub path: Vec<u8>,
    /// Its attributes; a hard link's are those of the node it names.
    pub attributes: Attributes,
    /// What it is.
    pub content: Content,
}

impl Node {
    /// Give the last part of the path.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        split(&self.path).1
    }
}

/// A file tree. Holding it proves: nodes are sorted by the bytes of their paths and each path is there once; the first is the
/// root; every parent is there and is a directory; a hard link names an earlier node that is neither a link nor a directory;
/// type bits follow from contents; names, paths and targets are within their limits and without NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Make a tree of entries in the order of their stream.
    ///
    /// The last entry of a name wins: a directory over a directory gives it new attributes and keeps its children, anything else
    /// over a directory takes its children away. A hard link is another name of what its path names at that point of the stream.
    /// Symbolic links on the way to an entry are followed inside the tree, as whoever unpacks the stream would.
    ///
    /// In: `mtime`, seconds since 1970, for directories that no entry makes; they are root's, 0755.
    ///
    /// # Errors
    ///
    /// - [`TreeError::Path`]: a path or target that cannot be in an image.
    /// - [`TreeError::NoTarget`]: a hard link to nothing.
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>, mtime: i64) -> Result<Self, TreeError> {
        let mut growing = Growing::new(mtime);
        for entry in entries {
            growing.add(entry)?;
        }
        Ok(growing.finish())
    }

    /// Give the nodes, sorted by path; the first is the root.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Give the index of the node that has the data of node `index`: itself, but for hard links.
    #[must_use]
    pub fn data(&self, index: usize) -> usize {
        match self.nodes.get(index).map(|node| &node.content) {
            Some(Content::HardLink(target)) => *target,
            _ => index,
        }
    }

    /// Count the links of each node that has data: the names of a file; of a directory its subdirectories and two. Zero for hard links.
    #[must_use]
    pub fn links(&self) -> Vec<u32> {
        let mut links = vec![0_u32; self.nodes.len()];
        let mut add = |index: usize, by: u32| {
            if let Some(count) = links.get_mut(index) {
                *count = count.saturating_add(by);
            }
        };
        for (index, node) in self.nodes.iter().enumerate() {
            match node.content {
                Content::Directory => {
                    add(index, 2);
                    if index > 0 {
                        add(self.index(split(&node.path).0), 1);
                    }
                }
                _ => add(self.data(index), 1),
            }
        }
        links
    }

    /// Give the children of every directory.
    #[must_use]
    pub fn children(&self) -> Children {
        let parents = self.nodes.iter().map(|node| self.index(split(&node.path).0)).collect::<Vec<_>>();
        // Counted, then placed: two numbers a node, whatever the shape of the tree.
        let mut starts = vec![0_usize; self.nodes.len() + 1];
        for parent in parents.iter().skip(1) {
            starts[parent + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut items = vec![0; self.nodes.len().saturating_sub(1)];
        for (child, parent) in parents.iter().enumerate().skip(1) {
            items[next[*parent]] = child;
            next[*parent] += 1;
        }
        Children { parents, starts, items }
    }

    /// Find a path that is known to be there.
    fn index(&self, path: &[u8]) -> usize {
        self.nodes.binary_search_by(|node| node.path.as_slice().cmp(path)).unwrap_or_default()
    }
}

/// Which nodes lie in which directory.
#[derive(Debug, Clone)]
pub struct Children {
    parents: Vec<usize>,
    starts: Vec<usize>,
    items: Vec<usize>,
}

impl Children {
    /// List the nodes in directory `index`, sorted by name; none for anything else.
    #[must_use]
    pub fn of(&self, index: usize) -> &[usize] {
        match self.starts.get(index..) {
            Some([start, end, ..]) => self.items.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Give the directory of node `index`; the root is its own.
    #[must_use]
    pub fn parent(&self, index: usize) -> usize {
        self.parents.get(index).copied().unwrap_or_default()
    }
}

/// A tree that entries are still added to.
#[derive(Debug)]
pub struct Growing {
    mtime: i64,
    /// Files, each once, whatever it is called; those without a name are left out at the end.
    files: Vec<(Attributes, Content<()>)>,
    names: BTreeMap<Vec<u8>, usize>,
    /// A parent as it was named last, and the directory that it is: most entries lie beside the one before.
    last: Option<(Vec<u8>, Vec<u8>)>,
}

impl Growing {
    /// Start with a root alone, root's, 0755, changed at `mtime`, as all directories that no entry makes.
    #[must_use]
    pub fn new(mtime: i64) -> Self {
        let mut growing = Self { mtime, files: Vec::new(), names: BTreeMap::new(), last: None };
        growing.make(Vec::new());
        growing
    }

    /// Add the next entry of the stream.
    ///
    /// # Errors
    ///
    /// - As [`Tree::from_entries`].
    pub fn add(&mut self, entry: Entry) -> Result<(), TreeError> {
        let Entry { path: raw, attributes, content } = entry;
        let path = self.place(&raw)?;
        if path.is_empty() && content != Content::Directory {
            return Err(refused(&raw, "is the root and must be a directory"));
        }
        let (kind, content) = match content {
            Content::HardLink(target) => return self.link(&raw, path, &target),
            Content::Directory => (DIRECTORY, Content::Directory),
            Content::File { offset, size } => (REGULAR, Content::File { offset, size }),
            Content::Symlink(target) if target.is_empty() || target.len() > PATH_MAX || target.contains(&0) => {
                return Err(refused(
                    &raw,
                    "is a symbolic link whose target is empty, longer than 4095 bytes or holds a NUL",
                ));
            }
            Content::Symlink(target) => (SYMLINK, Content::Symlink(target)),
            Content::Device(major, minor) => {
                let kind = if attributes.mode & TYPE == BLOCK { BLOCK } else { CHAR };
                (kind, Content::Device(major, minor))
            }
            Content::Fifo => (FIFO, Content::Fifo),
            Content::Socket => (SOCKET, Content::Socket),
        };
        let mode = kind | attributes.mode & PERMISSIONS;
        let xattrs = sorted(attributes.xattrs);
        let file = (Attributes { mode, xattrs, ..attributes }, content);
        if kind == DIRECTORY
            && let Some(index) = self.directory(&path)
        {
            self.files[index] = file;
            return Ok(());
        }
        self.remove(&path);
        self.names.insert(path, self.files.len());
        self.files.push(file);
        Ok(())
    }

    /// End the stream.
    #[must_use]
    pub fn finish(self) -> Tree {
        let Self { files, names, .. } = self;
        let mut files = files.into_iter().map(Some).collect::<Vec<_>>();
        let mut owners = vec![0; files.len()];
        let mut nodes: Vec<Node> = Vec::with_capacity(names.len());
        for (path, file) in names {
            let node = match files[file].take() {
                Some((attributes, content)) => {
                    owners[file] = nodes.len();
                    Node { path, attributes, content: content.with_link(0) }
                }
                None => {
                    let owner = owners[file];
                    // Extended attributes are with the owner alone: they are the only large part.
                    let attributes = Attributes { xattrs: Vec::new(), ..nodes[owner].attributes };
                    Node { path, attributes, content: Content::HardLink(owner) }
                }
            };
            nodes.push(node);
        }
        Tree { nodes }
    }

    /// Make one more name for what `target` names.
    fn link(&mut self, raw: &[u8], path: Vec<u8>, target: &[u8]) -> Result<(), TreeError> {
        let found = self.place(target)?;
        let Some(file) = self.names.get(&found).copied() else {
            return Err(TreeError::NoTarget { path: shown(raw), target: shown(target) });
        };
        if self.files[file].1 == Content::Directory {
            return Err(refused(raw, "is a hard link to a directory"));
        }
        if found != path {
            self.remove(&path);
            self.names.insert(path, file);
        }
        Ok(())
    }

    /// Tell where an entry goes: its own name, in the directory that the rest of its path leads to. That is made if it is missing.
    fn place(&mut self, raw: &[u8]) -> Result<Vec<u8>, TreeError> {
        if raw.contains(&0) {
            return Err(refused(raw, "holds a NUL"));
        }
        if parts(raw).any(|part| part == b"..") {
            return Err(refused(raw, "leaves the image's root by `..`"));
        }
        if parts(raw).any(|part| part.len() > NAME_MAX) {
            return Err(refused(raw, "has a name of more than 255 bytes"));
        }
        let mut before = parts(raw).collect::<Vec<_>>();
        let Some(name) = before.pop() else { return Ok(Vec::new()) };
        let parent = before.join(&b'/');
        let mut path = match &self.last {
            Some((named, found)) if *named == parent => found.clone(),
            _ => {
                let found = self.follow(raw, &parent)?;
                self.last = Some((parent, found.clone()));
                found
            }
        };
        push(&mut path, name);
        if path.len() > PATH_MAX {
            return Err(refused(raw, "is longer than 4095 bytes"));
        }
        Ok(path)
    }

    /// Follow a path to a directory, through symbolic links, and make what is missing.
    fn follow(&mut self, raw: &[u8], parent: &[u8]) -> Result<Vec<u8>, TreeError> {
        let mut at = Vec::new();
        let mut hops = 0;
        // Parts still to walk, the next one last.
        let mut ahead = parts(parent).rev().map(<[u8]>::to_vec).collect::<Vec<_>>();
        while let Some(part) = ahead.pop() {
            if part == b".." {
                at.truncate(split(&at).0.len());
                continue;
            }
            let before = at.len();
            push(&mut at, &part);
            if at.len() > PATH_MAX || part.len() > NAME_MAX {
                return Err(refused(raw, "leads to a directory whose path is too long"));
            }
            match self.names.get(&at).map(|file| &self.files[*file].1) {
                None => self.make(at.clone()),
                Some(Content::Directory) => {}
                Some(Content::Symlink(target)) => {
                    hops += 1;
                    if hops > HOPS {
                        return Err(refused(raw, "lies behind more than 40 symbolic links"));
                    }
                    at.truncate(if target.starts_with(b"/") { 0 } else { before });
                    ahead.extend(parts(target).rev().map(<[u8]>::to_vec));
                }
                Some(_) => return Err(refused(raw, "lies below something that is not a directory")),
            }
        }
        Ok(at)
    }

    fn make(&mut self, path: Vec<u8>) {
        let attributes = Attributes { mode: DIRECTORY | 0o755, mtime: self.mtime, ..Attributes::default() };
        self.names.insert(path, self.files.len());
        self.files.push((attributes, Content::Directory));
    }

    /// Find the file that `path` names if it is a directory.
    fn directory(&self, path: &[u8]) -> Option<usize> {
        self.names.get(path).copied().filter(|file| self.files[*file].1 == Content::Directory)
    }

    /// Take a name away, and all below it.
    fn remove(&mut self, path: &[u8]) {
        if self.directory(path).is_some() {
            // `0` is the byte after `/`: all that starts with the path and a slash lies between them.
            let (from, to) = ([path, b"/"].concat(), [path, b"0"].concat());
            let below = self.names.range(from..to).map(|(name, _)| name.clone()).collect::<Vec<_>>();
            for name in below {
                self.names.remove(&name);
            }
        }
        if self.names.remove(path).is_some() {
            self.last = None;
        }
    }
}

impl Content<()> {
    fn with_link(self, link: usize) -> Content {
        match self {
            Self::Directory => Content::Directory,
            Self::File { offset, size } => Content::File { offset, size },
            Self::HardLink(()) => Content::HardLink(link),
            Self::Symlink(target) => Content::Symlink(target),
            Self::Device(major, minor) => Content::Device(major, minor),
            Self::Fifo => Content::Fifo,
            Self::Socket => Content::Socket,
        }
    }
}

/// Sort attributes by name; of equal names the last stays.
fn sorted(xattrs: Xattrs) -> Xattrs {
    if xattrs.is_sorted_by(|before, after| before.0 < after.0) {
        return xattrs;
    }
    xattrs.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}

/// List the parts of a path, empty ones and `.` left out.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

/// Split a path into its parent and its last part.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Go one name down.
pub(super) fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn refused(path: &[u8], what: &'static str) -> TreeError {
    TreeError::Path { path: shown(path), what }
}

/// Show a path that may not be text.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
