//! A tree to an image.

use std::io::Write;
use std::mem::size_of;

use zerocopy::{FromZeros, IntoBytes};

use super::continuation::{Continuations, narrow};
use super::layout::{
    DIRECTORY, JOLIET, PARENT, PRIMARY, RECORD_MAX, Record, SECTOR, SELF, STANDARD, SUPPLEMENTARY, SYSTEM_SECTORS,
    TERMINATOR, VolumeDescriptor,
};
use super::name::Names;
use super::{IsoError, date, rock_ridge};
use crate::format::tree::{self, Children, Content, Contents, CopyError, Tree, shown};

/// Sectors of nothing at the end: a drive may read ahead of what it was asked for.
const END_SECTORS: u64 = 150;
/// Most directories: path tables number them in 16 bits.
const DIRECTORIES_MAX: usize = 65_535;

/// What a volume is called and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name, 1 to 32 printable ASCII characters; Joliet keeps the first 16.
    pub volume: String,
    /// Time of the volume, seconds since 1970.
    pub time: i64,
}

/// Which of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RockRidge,
    Joliet,
}

/// A directory in one of the trees.
#[derive(Debug, Clone)]
struct Directory {
    node: usize,
    name: Vec<u8>,
    /// Place in the path table of the directory it lies in.
    parent: usize,
    sector: u32,
    /// Bytes, a multiple of a sector's.
    size: u32,
}

/// One of the trees: its directories in the order of path tables, and where those tables are.
#[derive(Debug)]
struct Hierarchy {
    kind: Kind,
    directories: Vec<Directory>,
    /// Place in `directories` of a node that is one.
    places: Vec<usize>,
    table_size: u32,
    /// Sectors of the little- and the big-endian path table.
    tables: [u32; 2],
}

/// An image whose places are known and whose bytes are not yet written.
#[derive(Debug)]
pub struct Image<'t> {
    tree: &'t Tree,
    children: Children,
    links: Vec<u32>,
    options: Options,
    hierarchies: [Hierarchy; 2],
    /// First sector of a node's data.
    extents: Vec<u32>,
    first_data: u32,
    sectors: u32,
}

impl<'t> Image<'t> {
    /// Give everything in a tree its place.
    ///
    /// Equal trees and options give equal images.
    ///
    /// # Errors
    ///
    /// - [`IsoError::TooLarge`], [`IsoError::Directories`], [`IsoError::Full`], [`IsoError::Volume`].
    pub fn new(tree: &'t Tree, options: Options) -> Result<Self, IsoError> {
        let name = &options.volume;
        if !(1..=32).contains(&name.len()) || !name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(IsoError::Volume { name: name.clone() });
        }
        let children = tree.children();
        let directories = [Kind::RockRidge, Kind::Joliet].map(|kind| Hierarchy::new(tree, &children, kind));
        let count = directories[0].directories.len();
        if count > DIRECTORIES_MAX {
            return Err(IsoError::Directories { count });
        }
        let mut image = Self {
            tree,
            children,
            links: tree.links(),
            options,
            hierarchies: directories,
            extents: vec![0; tree.nodes().len()],
            first_data: 0,
            sectors: 0,
        };
        image.place()?;
        Ok(image)
    }

    /// Give the length of the image in bytes, a multiple of 2048.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(self.sectors) * SECTOR
    }

    /// Write the image from front to back.
    ///
    /// # Errors
    ///
    /// - [`IsoError::Content`]: a file's bytes could not be read, or are too few; what was written is no image.
    /// - [`IsoError::Io`]: `out` refused bytes.
    pub fn write(&self, contents: &dyn Contents, out: &mut dyn Write) -> Result<(), IsoError> {
        zeros(SYSTEM_SECTORS * SECTOR, out)?;
        for hierarchy in &self.hierarchies {
            out.write_all(self.descriptor(hierarchy).as_bytes())?;
        }
        let mut end = VolumeDescriptor::new_zeroed();
        (end.kind, end.standard, end.version) = (TERMINATOR, *STANDARD, 1);
        out.write_all(end.as_bytes())?;
        for hierarchy in &self.hierarchies {
            for big in [false, true] {
                write_padded(&hierarchy.path_table(big), out)?;
            }
        }
        for hierarchy in &self.hierarchies {
            for (place, directory) in hierarchy.directories.iter().enumerate() {
                let behind = directory.sector.saturating_add(directory.size / narrow::<u32>(SECTOR));
                let mut continuations = Continuations { sector: behind, bytes: Vec::new() };
                out.write_all(&self.directory(hierarchy, place, &mut continuations))?;
                write_padded(&continuations.bytes, out)?;
            }
        }
        for (index, node) in self.tree.nodes().iter().enumerate() {
            let Content::File { offset, size } = node.content else { continue };
            tree::copy(contents, offset, size, out).map_err(|error| self.copy_error(index, size, error))?;
            zeros(size.wrapping_neg() % SECTOR, out)?;
        }
        Ok(zeros(END_SECTORS * SECTOR, out)?)
    }

    /// Decide all sectors, in the order of the image.
    fn place(&mut self) -> Result<(), IsoError> {
        // Three descriptors, then what they lead to. Numbers that wrap are found by the sum at the end.
        let mut next = SYSTEM_SECTORS + 3;
        let mut take = |bytes: u64| {
            let sector = narrow::<u32>(next);
            next = next.saturating_add(bytes.div_ceil(SECTOR));
            sector
        };
        for hierarchy in &mut self.hierarchies {
            hierarchy.table_size = narrow(hierarchy.path_table(false).len() as u64);
            hierarchy.tables = [0; 2].map(|_: u32| take(u64::from(hierarchy.table_size)));
        }
        for at in 0..self.hierarchies.len() {
            // Sizes do not depend on the places that are still missing.
            let hierarchy = &self.hierarchies[at];
            let sizes = (0..hierarchy.directories.len()).map(|place| {
                let mut continuations = Continuations { sector: 0, bytes: Vec::new() };
                let size = self.directory(hierarchy, place, &mut continuations).len() as u64;
                (size, continuations.bytes.len() as u64)
            });
            let sizes = sizes.collect::<Vec<_>>();
            for (directory, (size, behind)) in self.hierarchies[at].directories.iter_mut().zip(sizes) {
                directory.size = u32::try_from(size).map_err(|_| IsoError::Full { sectors: size / SECTOR })?;
                directory.sector = take(size);
                // Right behind their directory: who lists it reads on without seeking.
                take(behind);
            }
        }
        self.first_data = take(0);
        for (index, node) in self.tree.nodes().iter().enumerate() {
            if let Content::File { size, .. } = node.content {
                if u32::try_from(size).is_err() {
                    return Err(IsoError::TooLarge { path: shown(&node.path), size });
                }
                self.extents[index] = take(size);
            }
        }
        take(END_SECTORS * SECTOR);
        self.sectors = u32::try_from(next).map_err(|_| IsoError::Full { sectors: next })?;
        Ok(())
    }

    fn descriptor(&self, hierarchy: &Hierarchy) -> VolumeDescriptor {
        let joliet = hierarchy.kind == Kind::Joliet;
        let text = |text: &str, slot: &mut [u8]| {
            let spaces = std::iter::repeat(' ');
            let chars = text.chars().chain(spaces);
            if joliet {
                let units = chars.flat_map(|char| [0, ascii(char)]);
                slot.iter_mut().zip(units).for_each(|(slot, byte)| *slot = byte);
            } else {
                slot.iter_mut().zip(chars).for_each(|(slot, char)| *slot = ascii(char));
            }
        };
        let mut head = VolumeDescriptor::new_zeroed();
        (head.kind, head.standard, head.version) = (if joliet { SUPPLEMENTARY } else { PRIMARY }, *STANDARD, 1);
        text("LINUX", &mut head.system);
        text(&self.options.volume, &mut head.volume);
        text("HULLKIT", &mut head.application);
        text("", &mut head.names);
        text("", &mut head.files);
        if joliet {
            head.escapes[..JOLIET.len()].copy_from_slice(JOLIET);
        }
        head.sectors = self.sectors.into();
        (head.set_size, head.sequence, head.block_size) = (1.into(), 1.into(), narrow::<u16>(SECTOR).into());
        head.path_table_size = hierarchy.table_size.into();
        head.path_table_little[0] = hierarchy.tables[0].into();
        head.path_table_big[0] = hierarchy.tables[1].into();
        head.root = self.head(hierarchy, 0, SELF);
        head.root.length = narrow((size_of::<Record>() + SELF.len()) as u64);
        let time = date::long(self.options.time);
        head.times = [time, time, date::UNSET, time];
        head.structure = 1;
        head
    }

    /// Give a directory's sectors: itself, its parent, and what lies in it.
    fn directory(&self, hierarchy: &Hierarchy, place: usize, continuations: &mut Continuations) -> Vec<u8> {
        let directory = &hierarchy.directories[place];
        let mut bytes = Vec::new();
        let mut push = |record: Vec<u8>| {
            let sector: usize = narrow(SECTOR);
            if bytes.len() % sector + record.len() > sector {
                bytes.resize(bytes.len().next_multiple_of(sector), 0);
            }
            bytes.extend_from_slice(&record);
        };
        let parent = hierarchy.directories[directory.parent].node;
        for (name, node) in [(SELF, directory.node), (PARENT, parent)] {
            let mut entries = Vec::new();
            if hierarchy.kind == Kind::RockRidge {
                entries = self.attributes(node);
                if name == SELF && place == 0 {
                    entries.insert(0, rock_ridge::start());
                    entries.push(rock_ridge::identity());
                }
            }
            push(self.record(hierarchy, node, name, &entries, continuations));
        }
        for (name, node) in named(self.tree, &self.children, directory.node, hierarchy.kind) {
            let mut entries = Vec::new();
            if hierarchy.kind == Kind::RockRidge {
                entries = self.attributes(node);
                entries.extend(rock_ridge::name(self.tree.nodes()[node].name()));
            }
            push(self.record(hierarchy, node, &name, &entries, continuations));
        }
        bytes.resize(bytes.len().next_multiple_of(narrow(SECTOR)), 0);
        bytes
    }

    fn attributes(&self, node: usize) -> Vec<Vec<u8>> {
        let owner = self.tree.data(node);
        rock_ridge::attributes(&self.tree.nodes()[owner], self.links[owner], narrow(owner as u64 + 1))
    }

    fn record(
        &self,
        hierarchy: &Hierarchy,
        node: usize,
        name: &[u8],
        entries: &[Vec<u8>],
        continuations: &mut Continuations,
    ) -> Vec<u8> {
        let start = (size_of::<Record>() + name.len()).next_multiple_of(2);
        let behind = continuations.fit(entries, RECORD_MAX - start);
        let length = (start + behind.len()).next_multiple_of(2);
        let mut head = self.head(hierarchy, node, name);
        head.length = narrow(length as u64);
        let mut record = Vec::with_capacity(length);
        record.extend_from_slice(head.as_bytes());
        record.extend_from_slice(name);
        record.resize(start, 0);
        record.extend_from_slice(&behind);
        record.resize(length, 0);
        record
    }

    /// Give the fixed part of a record, but for its length.
    fn head(&self, hierarchy: &Hierarchy, node: usize, name: &[u8]) -> Record {
        let owner = self.tree.data(node);
        let file = &self.tree.nodes()[owner];
        let (extent, size, flags) = match file.content {
            Content::Directory => {
                let directory = &hierarchy.directories[hierarchy.places[node]];
                (directory.sector, directory.size, DIRECTORY)
            }
            Content::File { size, .. } => (self.extents[owner], narrow(size), 0),
            // Nothing to read, but at a place that is there.
            _ => (self.first_data, 0, 0),
        };
        Record {
            length: 0,
            attributes: 0,
            extent: extent.into(),
            size: size.into(),
            date: date::short(file.attributes.mtime),
            flags,
            interleave: [0; 2],
            sequence: 1.into(),
            name_len: narrow(name.len() as u64),
        }
    }

    fn copy_error(&self, index: usize, size: u64, error: CopyError) -> IsoError {
        match error {
            CopyError::Read(cause) => IsoError::Content { path: shown(&self.tree.nodes()[index].path), size, cause },
            CopyError::Write(cause) => IsoError::Io(cause),
        }
    }
}

impl Hierarchy {
    /// List the directories level by level, those of one level by their parents and then by name.
    ///
    /// Source: ECMA-119, 6.9.1.
    fn new(tree: &Tree, children: &Children, kind: Kind) -> Self {
        let root = Directory { node: 0, name: SELF.to_vec(), parent: 0, sector: 0, size: 0 };
        let mut directories = vec![root];
        let mut places = vec![0; tree.nodes().len()];
        let mut parent = 0;
        while let Some(directory) = directories.get(parent) {
            for (name, node) in named(tree, children, directory.node, kind) {
                if tree.nodes()[node].content == Content::Directory {
                    places[node] = directories.len();
                    directories.push(Directory { node, name, parent, sector: 0, size: 0 });
                }
            }
            parent += 1;
        }
        Self { kind, directories, places, table_size: 0, tables: [0; 2] }
    }

    /// Give a path table.
    ///
    /// Source: ECMA-119, 9.4.
    fn path_table(&self, big: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for directory in &self.directories {
            let number = narrow::<u16>(directory.parent as u64 + 1);
            bytes.extend_from_slice(&[narrow(directory.name.len() as u64), 0]);
            if big {
                bytes.extend_from_slice(&directory.sector.to_be_bytes());
                bytes.extend_from_slice(&number.to_be_bytes());
            } else {
                bytes.extend_from_slice(&directory.sector.to_le_bytes());
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&directory.name);
            if directory.name.len() % 2 == 1 {
                bytes.push(0);
            }
        }
        bytes
    }
}

/// Name what lies in a directory as one of the trees does, sorted as it sorts.
///
/// Computed whenever it is asked for: names of all files at once would be the largest part of what is kept.
fn named(tree: &Tree, children: &Children, directory: usize, kind: Kind) -> Vec<(Vec<u8>, usize)> {
    let mut names = Names::default();
    let mut named = children.of(directory).iter().map(|node| {
        let file = &tree.nodes()[*node];
        let name = match kind {
            Kind::RockRidge => names.primary(file.name(), file.content == Content::Directory),
            Kind::Joliet => names.joliet(file.name()),
        };
        (name, *node)
    });
    let mut named = named.by_ref().collect::<Vec<_>>();
    named.sort_unstable();
    if kind == Kind::RockRidge {
        // Sorted without it: a version is compared apart, and last (ECMA-119, 9.3).
        for (name, node) in &mut named {
            if tree.nodes()[*node].content != Content::Directory {
                name.extend_from_slice(b";1");
            }
        }
    }
    named
}

fn write_padded(bytes: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
    out.write_all(bytes)?;
    zeros((bytes.len() as u64).wrapping_neg() % SECTOR, out)
}

fn zeros(count: u64, out: &mut dyn Write) -> std::io::Result<()> {
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), count), &mut &mut *out).map(drop)
}

/// Give a character that was checked to be one byte.
fn ascii(char: char) -> u8 {
    u8::try_from(char).unwrap_or(b'_')
}
