//! The root file system of one image: its layers laid over one another, without the files' contents.
//!
//! ```text
//! names    "usr/bin/perl" ---+      path to inode, sorted, "" the root
//!          "usr/bin/perl5.36" +---> inodes[17]   mode, owner, time, and where in which layer the bytes lie
//! ```
//!
//! Source: OCI image-spec 1.1, `layer.md`, "Applying Changesets"; where it is silent, what containerd does.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::path::{self, PathError};
use crate::format::cpio::layout;
use crate::format::tar::{Kind, Member};

/// Prefix of a name that removes another.
const WHITEOUT: &[u8] = b".wh.";

/// Name that removes what lower layers put into its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Prefix of what AUFS kept for itself; it is no content.
const AUFS: &[u8] = b".wh..wh.";

/// Most symbolic links followed to find a parent, as in the kernel.
const LINKS_MAX: usize = 40;

/// Most bytes of extended attributes in one image; they are the only contents kept in memory.
const XATTRS_MAX: usize = 16 << 20;

/// Extended attributes, name and value, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// The layer it comes from, counted from 0, the lowest.
    pub layer: u16,
    /// What the type needs besides.
    pub content: Content,
    /// Extended attributes; most files have none.
    pub xattrs: Option<Box<Xattrs>>,
}

/// What a type of file needs besides its mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Directories and FIFOs: nothing.
    None,
    /// Regular files: where the bytes start in the layer's uncompressed tar, and how many there are.
    Data {
        /// Offset in bytes.
        offset: u64,
        /// Length in bytes.
        size: u64,
    },
    /// Symbolic links: the target.
    Target(Box<[u8]>),
    /// Devices: major and minor number.
    Device(u32, u32),
}

impl Inode {
    /// Tell whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.mode & layout::TYPE == layout::DIRECTORY
    }

    /// A file of ours, root's, whose `size` bytes are all of a layer.
    pub(crate) fn file(layer: u16, size: u64) -> Self {
        let content = Content::Data { offset: 0, size };
        Self { mode: layout::REGULAR | 0o644, uid: 0, gid: 0, mtime: 0, layer, content, xattrs: None }
    }

    /// A directory that no layer names but some layer needs.
    fn implied(layer: u16) -> Self {
        let mode = layout::DIRECTORY | 0o755;
        Self { mode, uid: 0, gid: 0, mtime: 0, layer, content: Content::None, xattrs: None }
    }

    fn of(member: Member, layer: u16) -> Self {
        let Member { kind, mode, uid, gid, mtime, size, offset, link, device, xattrs, .. } = member;
        let (kind, content) = match kind {
            // Hard links never come here: they are names, not inodes.
            Kind::File | Kind::HardLink => (layout::REGULAR, Content::Data { offset, size }),
            Kind::Directory => (layout::DIRECTORY, Content::None),
            Kind::Fifo => (layout::FIFO, Content::None),
            Kind::Symlink => (layout::SYMLINK, Content::Target(link.into())),
            Kind::Char => (layout::CHAR, Content::Device(device.0, device.1)),
            Kind::Block => (layout::BLOCK, Content::Device(device.0, device.1)),
        };
        let xattrs = (!xattrs.is_empty()).then(|| Box::new(xattrs));
        Self { mode: kind | mode, uid, gid, mtime, layer, content, xattrs }
    }
}

/// A root file system: paths and what they lead to.
#[derive(Debug, Clone)]
pub struct Tree {
    names: BTreeMap<Box<[u8]>, u32>,
    inodes: Vec<Inode>,
    xattrs: usize,
    /// The parent last asked for, as written and as found: layers list a directory's files together.
    recent: Option<(Vec<u8>, Vec<u8>)>,
}

impl Default for Tree {
    fn default() -> Self {
        let names = BTreeMap::from([(Box::default(), 0)]);
        Self { names, inodes: vec![Inode::implied(0)], xattrs: 0, recent: None }
    }
}

impl Tree {
    /// Lay one layer over the tree.
    ///
    /// In: `layer`, its number, one more than the last; `members`, called twice, gives the layer's members in its order.
    ///
    /// # Errors
    ///
    /// - [`PathError`], turned into `E`: a member is refused; the tree is half changed.
    pub fn apply<E, M>(
        &mut self,
        layer: u16,
        mut members: impl FnMut() -> Result<M, E>,
        refuse: impl Fn(PathError) -> E,
    ) -> Result<(), E>
    where
        M: Iterator<Item = Result<Member, E>>,
    {
        // Whiteouts first, wherever they stand in the tar: they hide lower layers, never a sibling in their own (layer.md).
        for member in members()? {
            self.hide(layer, &member?.path).map_err(&refuse)?;
        }
        for member in members()? {
            self.add(layer, member?).map_err(&refuse)?;
        }
        Ok(())
    }

    /// Remove what a whiteout names; any other path does nothing.
    fn hide(&mut self, layer: u16, raw: &[u8]) -> Result<(), PathError> {
        let clean = path::clean(raw)?;
        let (parent, name) = path::split(&clean);
        if name == OPAQUE {
            if let Some(parent) = self.parent(parent, layer, raw, false)? {
                self.remove_below(&parent);
            }
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT).filter(|_| !name.starts_with(AUFS)) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(PathError::new(raw, "is a whiteout of nothing"));
            }
            if let Some(parent) = self.parent(parent, layer, raw, false)? {
                self.remove(&path::join(&parent, hidden));
            }
        }
        Ok(())
    }

    /// Put a member in its place; whiteouts are passed over.
    fn add(&mut self, layer: u16, member: Member) -> Result<(), PathError> {
        let raw = member.path.clone();
        let clean = path::clean(&raw)?;
        if clean.split(|byte| *byte == b'/').any(|part| part.starts_with(WHITEOUT)) {
            return Ok(());
        }
        if clean.is_empty() {
            return self.set_root(layer, member);
        }
        let (parent, name) = path::split(&clean);
        // The parents are made if missing, so there is always one.
        let Some(parent) = self.parent(parent, layer, &raw, true)? else { return Ok(()) };
        let place = path::join(&parent, name);
        let inode = match member.kind {
            Kind::HardLink => self.link_target(layer, &member)?,
            _ => self.insert_inode(layer, member)?,
        };
        let directory = self.inode(inode).is_some_and(Inode::is_directory);
        let old = self.names.get(place.as_slice()).copied();
        if old == Some(inode) {
            return Ok(());
        }
        // A directory over a directory changes its attributes and keeps what is in it; all else replaces.
        if old.is_some_and(|old| !directory || !self.inode(old).is_some_and(Inode::is_directory)) {
            self.remove(&place);
        }
        self.names.insert(place.into(), inode);
        Ok(())
    }

    fn set_root(&mut self, layer: u16, member: Member) -> Result<(), PathError> {
        if member.kind != Kind::Directory {
            return Err(PathError::new(&member.path, "stands in the root's place and is not a directory"));
        }
        let inode = self.insert_inode(layer, member)?;
        self.names.insert(Box::default(), inode);
        Ok(())
    }

    fn insert_inode(&mut self, layer: u16, member: Member) -> Result<u32, PathError> {
        self.xattrs += member.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let full = |what| PathError::new(&member.path, what);
        if self.xattrs > XATTRS_MAX {
            return Err(full("brings the image's extended attributes over 16 MiB"));
        }
        let number = u32::try_from(self.inodes.len()).map_err(|_| full("is one file too many"))?;
        self.inodes.push(Inode::of(member, layer));
        Ok(number)
    }

    /// Find the inode a hard link names. Its parents may be links of lower layers, the target itself is not followed.
    fn link_target(&mut self, layer: u16, member: &Member) -> Result<u32, PathError> {
        let refuse = |what| PathError::new(&member.path, what);
        let clean = path::clean(&member.link).map_err(|_| refuse("is a hard link that leaves the root"))?;
        let (parent, name) = path::split(&clean);
        let missing = || refuse("is a hard link to a file that is not there");
        let parent = self.parent(parent, layer, &member.path, false)?.ok_or_else(missing)?;
        let found = *self.names.get(path::join(&parent, name).as_slice()).ok_or_else(missing)?;
        match self.inode(found) {
            Some(inode) if !inode.is_directory() => Ok(found),
            _ => Err(refuse("is a hard link to a directory")),
        }
    }

    /// Find the directory that the clean path `wanted` leads to, following links of lower layers within the root.
    ///
    /// With `make`, directories that are missing, or in whose place another kind of file stands, are made. Without, they
    /// are `None`.
    ///
    /// Links of the same layer are refused: no tool that walks a root file system writes through one, and a layer that
    /// does is trying something. Links of lower layers are followed as containerd does: `lib/x` of one layer lands
    /// in `usr/lib` if a lower layer made `lib` a link to it.
    fn parent(&mut self, wanted: &[u8], layer: u16, raw: &[u8], make: bool) -> Result<Option<Vec<u8>>, PathError> {
        if let Some((asked, found)) = &self.recent
            && asked == wanted
        {
            return Ok(Some(found.clone()));
        }
        let mut parts: Vec<Vec<u8>> = path::parts(wanted).rev().map(<[u8]>::to_vec).collect();
        let mut place = Vec::new();
        let mut links = 0;
        while let Some(part) = parts.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." if place.is_empty() => {
                    return Err(PathError::new(raw, "has a parent that is a link out of the root"));
                }
                b".." => {
                    place = path::split(&place).0.to_vec();
                    continue;
                }
                _ => {}
            }
            let next = path::join(&place, &part);
            match self.names.get(next.as_slice()).and_then(|inode| self.inode(*inode)) {
                Some(inode) if inode.is_directory() => place = next,
                Some(Inode { content: Content::Target(target), layer: from, .. }) => {
                    links += 1;
                    if *from == layer {
                        return Err(PathError::new(raw, "has a parent that is a symbolic link of the same layer"));
                    }
                    if links > LINKS_MAX {
                        return Err(PathError::new(raw, "has a parent that is a symbolic link to itself"));
                    }
                    if target.starts_with(b"/") {
                        place.clear();
                    }
                    parts.extend(path::parts(target).rev().map(<[u8]>::to_vec));
                }
                _ if !make => return Ok(None),
                _ => {
                    self.remove(&next);
                    self.make_directory(layer, &next);
                    place = next;
                }
            }
        }
        self.recent = Some((wanted.to_vec(), place.clone()));
        Ok(Some(place))
    }

    fn make_directory(&mut self, layer: u16, place: &[u8]) {
        if let Ok(number) = u32::try_from(self.inodes.len()) {
            self.inodes.push(Inode::implied(layer));
            self.names.insert(place.into(), number);
        }
    }

    /// Take away what stands at a clean path, and everything below it.
    pub fn remove(&mut self, place: &[u8]) {
        self.recent = None;
        if self.names.remove(place).is_some() {
            self.remove_below(place);
        }
    }

    /// Remove everything below a directory, not the directory itself.
    fn remove_below(&mut self, place: &[u8]) {
        self.recent = None;
        let start = if place.is_empty() { Vec::new() } else { [place, b"/"].concat() };
        let below = self.names.range::<[u8], _>((Bound::Excluded(start.as_slice()), Bound::Unbounded));
        let below = below.take_while(|(path, _)| path.starts_with(&start));
        let below: Vec<Box<[u8]>> = below.map(|(path, _)| path.clone()).collect();
        for path in below {
            self.names.remove(&path);
        }
    }

    /// Give an inode by its number, as [`Tree::iter`] lists it.
    #[must_use]
    pub fn inode(&self, number: u32) -> Option<&Inode> {
        self.inodes.get(usize::try_from(number).ok()?)
    }

    /// Give what stands at exactly this clean path, links not followed.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<&Inode> {
        self.inode(*self.names.get(path)?)
    }

    /// Find the regular file a path leads to, links followed and kept within the root as in a container.
    #[must_use]
    pub fn file(&self, wanted: &[u8]) -> Option<&Inode> {
        let mut parts: Vec<&[u8]> = path::parts(wanted).rev().collect();
        let mut place = Vec::new();
        let mut links = 0;
        while let Some(part) = parts.pop() {
            if part == b".." {
                place = path::split(&place).0.to_vec();
                continue;
            }
            let next = path::join(&place, part);
            match &self.get(&next)?.content {
                Content::Target(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        place.clear();
                    }
                    parts.extend(path::parts(target).rev());
                }
                _ => place = next,
            }
        }
        self.get(&place).filter(|inode| matches!(inode.content, Content::Data { .. }))
    }

    /// List every path with its inode's number, sorted: parents come before what is in them. The root is `""`.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u32, &Inode)> {
        self.names.iter().filter_map(|(path, number)| Some((&**path, *number, self.inode(*number)?)))
    }

    /// Count the names of each inode.
    #[must_use]
    pub fn links(&self) -> Vec<u32> {
        let mut links = vec![0_u32; self.inodes.len()];
        for number in self.names.values() {
            if let Some(count) = links.get_mut(*number as usize) {
                *count += 1;
            }
        }
        links
    }

    /// Take out what lies below a directory, its own attributes included, as a tree of its own; hard links stay within each.
    pub(crate) fn take(&mut self, place: &[u8]) -> Option<Self> {
        let root = *self.names.get(place)?;
        let start = [place, b"/"].concat();
        let below = self.names.range::<[u8], _>((Bound::Excluded(start.as_slice()), Bound::Unbounded));
        let below = below.take_while(|(path, _)| path.starts_with(&start));
        let mut names: BTreeMap<Box<[u8]>, u32> =
            below.map(|(path, number)| (path[start.len()..].into(), *number)).collect();
        names.insert(Box::default(), root);
        self.remove(place);
        Some(Self { names, inodes: self.inodes.clone(), xattrs: self.xattrs, recent: None })
    }

    /// Put an entry of our own into the tree, in the place of what was there; parents are made.
    pub fn put(&mut self, place: &[u8], inode: Inode) {
        let (parent, _) = path::split(place);
        if !parent.is_empty() && !self.get(parent).is_some_and(Inode::is_directory) {
            self.put(parent, Inode::implied(inode.layer));
        }
        self.remove(place);
        if let Ok(number) = u32::try_from(self.inodes.len()) {
            self.inodes.push(inode);
            self.names.insert(place.into(), number);
        }
    }
}

#[cfg(test)]
mod tests;
