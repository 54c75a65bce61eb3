//! The directories that a list of paths makes, and which clusters all of it gets.

use std::collections::BTreeMap;
use std::ops::Range;

use super::geometry::{Kind, Need};
use super::layout::ENTRY;
use super::{ALIGN, FatError, name};
use crate::format::sparse::Sparse;

/// Most entries of a directory: readers keep its length in 21 bits.
const ENTRIES_MAX: u64 = 65_536;

/// What a name stands for, by its place in the list of its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Directory(usize),
    File(usize),
}

/// A directory. The first one is the root, its own parent.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: String,
    pub(super) parent: usize,
    /// Names and what they stand for, by what FAT compares.
    pub(super) names: BTreeMap<String, (String, Node)>,
}

/// All that goes into a volume.
#[derive(Debug)]
pub(super) struct Tree {
    /// Parents before what is in them.
    pub(super) directories: Vec<Directory>,
    /// Length of each file in bytes, in the order they were given.
    pub(super) sizes: Vec<u64>,
    /// Whether the root has an entry for the volume's name.
    labelled: bool,
    /// Bytes that stay free.
    reserve: u64,
}

/// The clusters of everything; the first one has the number 2.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) directories: Vec<Range<u64>>,
    pub(super) files: Vec<Range<u64>>,
    /// The cluster behind the last one that is taken.
    pub(super) end: u64,
}

impl Tree {
    /// Make the directories that lie on the way to files.
    pub(super) fn new(files: &[(&str, &Sparse)], labelled: bool, reserve: u64) -> Result<Self, FatError> {
        let root = Directory { path: String::new(), parent: 0, names: BTreeMap::new() };
        let mut tree = Self { directories: vec![root], sizes: Vec::new(), labelled, reserve };
        for (index, (path, contents)) in files.iter().enumerate() {
            let size = contents.size();
            if u32::try_from(size).is_err() {
                return Err(FatError::FileTooLarge { path: (*path).to_owned(), size });
            }
            tree.sizes.push(size);
            let mut directory = 0;
            let mut rest = *path;
            while let Some((part, behind)) = rest.split_once('/') {
                directory = tree.directory(path, directory, part)?;
                rest = behind;
            }
            tree.add(path, directory, rest, Node::File(index))?;
        }
        for index in 0..tree.directories.len() {
            let entries = tree.entries(index);
            if entries > ENTRIES_MAX {
                return Err(FatError::Directory { path: tree.directories[index].path.clone(), entries });
            }
        }
        Ok(tree)
    }

    /// Find a directory in another one, or make it.
    fn directory(&mut self, path: &str, parent: usize, part: &str) -> Result<usize, FatError> {
        match self.directories[parent].names.get(&name::folded(part)) {
            Some((known, Node::Directory(index))) if known == part => Ok(*index),
            _ => {
                let index = self.directories.len();
                self.add(path, parent, part, Node::Directory(index))?;
                let path = joined(&self.directories[parent].path, part);
                self.directories.push(Directory { path, parent, names: BTreeMap::new() });
                Ok(index)
            }
        }
    }

    /// Put a name into a directory.
    fn add(&mut self, path: &str, directory: usize, part: &str, node: Node) -> Result<(), FatError> {
        name::check(part).map_err(|what| FatError::Name { path: path.to_owned(), name: part.to_owned(), what })?;
        let directory = &mut self.directories[directory];
        let folded = name::folded(part);
        if let Some((known, _)) = directory.names.get(&folded) {
            let (one, other) = (joined(&directory.path, known), joined(&directory.path, part));
            return Err(FatError::Same { one, other });
        }
        directory.names.insert(folded, (part.to_owned(), node));
        Ok(())
    }

    /// Count the entries of a directory.
    fn entries(&self, index: usize) -> u64 {
        // `.` and `..`, or the volume's name.
        let first = if index > 0 { 2 } else { u64::from(self.labelled) };
        first + self.directories[index].names.values().map(|(part, _)| name::entries(part)).sum::<u64>()
    }

    /// Give everything its clusters: directories, the root first if it has any, then files in the order they were given.
    pub(super) fn places(&self, kind: Kind, cluster: u64) -> Places {
        let mut end = 2;
        let mut take = |bytes: u64, align: u64| {
            // The first cluster lies at a multiple of ALIGN, and has the number 2.
            let start = if bytes > 0 { (end - 2_u64).next_multiple_of((align / cluster).max(1)) + 2 } else { end };
            end = start + bytes.div_ceil(cluster);
            start..end
        };
        let mut directories = Vec::with_capacity(self.directories.len());
        for index in 0..self.directories.len() {
            let entries = if index == 0 && kind != Kind::Fat32 { 0 } else { self.entries(index).max(1) };
            directories.push(take(entries * ENTRY, 0));
        }
        let files = self.sizes.iter().map(|size| take(*size, ALIGN)).collect();
        Places { directories, files, end }
    }
}

impl Need for Tree {
    fn clusters(&self, kind: Kind, cluster: u64) -> u64 {
        // What fills the reserve wants to be aligned, too.
        let reserve = if self.reserve > 0 { self.reserve.next_multiple_of(ALIGN) + ALIGN } else { 0 };
        self.places(kind, cluster).end - 2 + reserve.div_ceil(cluster)
    }

    fn root(&self) -> u64 {
        self.entries(0)
    }
}

fn joined(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}
