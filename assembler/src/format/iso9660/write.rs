//! A tree to an image.

use std::io;

use zerocopy::IntoBytes;

use super::IsoError;
use super::boot::{self, Boot, Place};
use super::continuation::{Continuations, narrow};
use super::descriptor::terminator;
use super::hierarchy::{Hierarchy, Kind};
use super::layout::{SECTION_MAX, SECTOR, SYSTEM_SECTORS};
use crate::format::sparse::Sparse;
use crate::format::tree::{Children, Content, Tree, shown};

/// Sectors of nothing behind the files: a drive may read ahead of what it was asked for.
const END_SECTORS: u64 = 150;
/// Most directories: path tables number them in 16 bits.
const DIRECTORIES_MAX: usize = 65_535;
/// Most bytes of a file: Linux follows a hundred sections.
///
/// Source: Linux, `fs/isofs/inode.c`, `isofs_read_level3_size`.
const FILE_MAX: u64 = 100 * SECTION_MAX;

/// What a volume is called, when it was made, and what starts from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name, 1 to 32 printable ASCII characters; Joliet keeps the first 16.
    pub volume: String,
    /// Name of the program that makes it, at most 128 printable ASCII characters; Joliet keeps the first 64.
    pub application: String,
    /// Who prepares it, at most 128 printable ASCII characters; Joliet keeps the first 64.
    pub preparer: String,
    /// Time of the volume, seconds since 1970. `blkid` and GRUB make the volume's UUID of it.
    pub time: i64,
    /// Where files that are not empty may start: at sectors of 2048 bytes that are a multiple of this, at least 1.
    pub align: u32,
    /// Bytes to leave empty at the very end, behind the 150 sectors: where the second copy of a GPT goes.
    pub tail: u64,
    /// What firmware starts.
    pub boot: Boot,
}

impl Options {
    /// Name a volume that starts nothing.
    #[must_use]
    pub fn new(volume: String, time: i64) -> Self {
        let (application, preparer) = ("HULLKIT".to_owned(), String::new());
        Self { volume, application, preparer, time, align: 1, tail: 0, boot: Boot::default() }
    }

    fn check(&self) -> Result<(), IsoError> {
        let printable = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let name = &self.volume;
        if !(1..=32).contains(&name.len()) || !printable(name) {
            return Err(IsoError::Volume { name: name.clone() });
        }
        for (what, name) in [("program", &self.application), ("preparer", &self.preparer)] {
            if name.len() > 128 || !printable(name) {
                return Err(IsoError::Name { what, name: name.clone() });
            }
        }
        Ok(())
    }
}

/// An image whose places are known and whose bytes are not yet there.
#[derive(Debug)]
pub struct Image<'t> {
    pub(super) tree: &'t Tree,
    pub(super) children: Children,
    pub(super) links: Vec<u32>,
    pub(super) options: Options,
    hierarchies: [Hierarchy; 2],
    /// Sector of the boot catalog, if there is one.
    catalog: Option<u32>,
    /// First sector of a node's data.
    pub(super) extents: Vec<u32>,
    pub(super) first_data: u32,
    pub(super) sectors: u32,
}

impl<'t> Image<'t> {
    /// Give everything in a tree its place. Only the lengths of files count here: their bytes may still depend on the places.
    ///
    /// Equal trees and options give equal images.
    ///
    /// # Errors
    ///
    /// - [`IsoError::TooLarge`], [`IsoError::Directories`], [`IsoError::Full`], [`IsoError::Volume`], [`IsoError::Name`],
    ///   [`IsoError::Boot`].
    pub fn new(tree: &'t Tree, options: Options) -> Result<Self, IsoError> {
        options.check()?;
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
            catalog: None,
            extents: vec![0; tree.nodes().len()],
            first_data: 0,
            sectors: 0,
        };
        image.lay_out()?;
        image.boot_catalog()?;
        Ok(image)
    }

    /// Give the length of the image in bytes, a multiple of 2048. It is also that of the volume.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(self.sectors) * SECTOR
    }

    /// Tell where a file's bytes are, all in one piece; nothing for what is not a file.
    #[must_use]
    pub fn place(&self, path: &[u8]) -> Option<Place> {
        let nodes = self.tree.nodes();
        let index = nodes.binary_search_by(|node| node.path.as_slice().cmp(path)).ok()?;
        let owner = self.tree.data(index);
        match nodes.get(owner)?.content {
            Content::File { size, .. } => Some(Place { sector: *self.extents.get(owner)?, len: size }),
            _ => None,
        }
    }

    /// Put an image together. The first 32768 bytes and what [`Options::tail`] asks for are holes, for whoever makes partitions.
    ///
    /// In: `contents`, where the tree says that its files' bytes are. None are read.
    ///
    /// # Errors
    ///
    /// - [`IsoError::Content`]: the contents end before a file does.
    pub fn sparse(&self, contents: &Sparse) -> Result<Sparse, IsoError> {
        let mut image = Sparse::new(self.size());
        image.put_bytes(SYSTEM_SECTORS * SECTOR, self.descriptors()?)?;
        for hierarchy in &self.hierarchies {
            for (sector, big) in hierarchy.tables.into_iter().zip([false, true]) {
                image.put_bytes(u64::from(sector) * SECTOR, hierarchy.path_table(big))?;
            }
            for (place, directory) in hierarchy.directories.iter().enumerate() {
                let behind = directory.sector.saturating_add(directory.size / narrow::<u32>(SECTOR));
                let mut continuations = Continuations { sector: behind, bytes: Vec::new() };
                let mut bytes = self.directory(hierarchy, place, &mut continuations);
                bytes.append(&mut continuations.bytes);
                image.put_bytes(u64::from(directory.sector) * SECTOR, bytes)?;
            }
        }
        for (node, sector) in self.tree.nodes().iter().zip(&self.extents) {
            let Content::File { offset, size } = node.content else { continue };
            if offset.checked_add(size).is_none_or(|end| end > contents.size()) {
                let cause = io::ErrorKind::UnexpectedEof.into();
                return Err(IsoError::Content { path: shown(&node.path), size, cause });
            }
            image.put(u64::from(*sector) * SECTOR, &contents.slice(offset, size))?;
        }
        Ok(image)
    }

    /// Decide all sectors, in the order of the image.
    fn lay_out(&mut self) -> Result<(), IsoError> {
        // Three descriptors, then what they lead to. Numbers that wrap are found by the sum at the end.
        let mut next = SYSTEM_SECTORS + 3;
        if self.options.boot != Boot::default() {
            self.catalog = Some(narrow(next + 1));
            next += 2;
        }
        let mut take = |bytes: u64, align: u64| {
            next = next.checked_next_multiple_of(align).unwrap_or(u64::MAX);
            let sector = narrow::<u32>(next);
            next = next.saturating_add(bytes.div_ceil(SECTOR));
            sector
        };
        for hierarchy in &mut self.hierarchies {
            hierarchy.table_size = narrow(hierarchy.path_table(false).len() as u64);
            hierarchy.tables = [0; 2].map(|_: u32| take(u64::from(hierarchy.table_size), 1));
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
                directory.sector = take(size, 1);
                // Right behind their directory: who lists it reads on without seeking.
                take(behind, 1);
            }
        }
        self.first_data = take(0, 1);
        for (node, extent) in self.tree.nodes().iter().zip(&mut self.extents) {
            if let Content::File { size, .. } = node.content {
                if size > FILE_MAX {
                    return Err(IsoError::TooLarge { path: shown(&node.path), size });
                }
                *extent = take(size, if size > 0 { u64::from(self.options.align.max(1)) } else { 1 });
            }
        }
        take(END_SECTORS * SECTOR, 1);
        take(self.options.tail, 1);
        self.sectors = u32::try_from(next).map_err(|_| IsoError::Full { sectors: next })?;
        Ok(())
    }

    /// Give the sectors of all descriptors, and the boot catalog behind them.
    fn descriptors(&self) -> Result<Vec<u8>, IsoError> {
        let [primary, joliet] = self.hierarchies.each_ref().map(|hierarchy| self.descriptor(hierarchy));
        let mut bytes = primary.as_bytes().to_vec();
        if let Some(sector) = self.catalog {
            bytes.extend_from_slice(boot::record(sector).as_bytes());
        }
        bytes.extend_from_slice(joliet.as_bytes());
        bytes.extend_from_slice(terminator().as_bytes());
        if self.catalog.is_some() {
            bytes.extend_from_slice(&self.boot_catalog()?);
        }
        Ok(bytes)
    }

    fn boot_catalog(&self) -> Result<Vec<u8>, IsoError> {
        let refused = |path: &[u8], what| IsoError::Boot { path: shown(path), what };
        let file = |path: &[u8]| match self.place(path) {
            None => Err(refused(path, "is not a file of the tree")),
            Some(Place { len: 0, .. }) => Err(refused(path, "is empty")),
            Some(place) => Ok(place),
        };
        let Boot { bios, efi } = &self.options.boot;
        let bios = bios.as_ref().map(|bios| {
            let place = file(&bios.path)?;
            match u64::from(bios.load) * 512 {
                0 => Err(refused(&bios.path, "is not to be loaded at all")),
                size if size > place.len.next_multiple_of(512) => {
                    Err(refused(&bios.path, "is shorter than what is to be loaded"))
                }
                _ => Ok((place, bios.load)),
            }
        });
        Ok(boot::catalog(bios.transpose()?, efi.as_ref().map(|path| file(path)).transpose()?))
    }
}
