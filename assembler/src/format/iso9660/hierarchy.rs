//! The two trees of names, and where their directories are.

use super::continuation::narrow;
use super::layout::SELF;
use super::name::Names;
use crate::format::tree::{Children, Content, Tree};

/// Which of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The primary one.
    RockRidge,
    /// The one in UCS-2.
    Joliet,
}

/// A directory in one of the trees.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) node: usize,
    name: Vec<u8>,
    /// Place in the path table of the directory it lies in.
    pub(super) parent: usize,
    pub(super) sector: u32,
    /// Bytes, a multiple of a sector's.
    pub(super) size: u32,
}

/// One of the trees: its directories in the order of path tables, and where those tables are.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) kind: Kind,
    pub(super) directories: Vec<Directory>,
    /// Place in `directories` of a node that is one.
    pub(super) places: Vec<usize>,
    pub(super) table_size: u32,
    /// Sectors of the little- and the big-endian path table.
    pub(super) tables: [u32; 2],
}

impl Hierarchy {
    /// List the directories level by level, those of one level by their parents and then by name.
    ///
    /// Source: ECMA-119, 6.9.1.
    pub(super) fn new(tree: &Tree, children: &Children, kind: Kind) -> Self {
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
    pub(super) fn path_table(&self, big: bool) -> Vec<u8> {
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
pub(super) fn named(tree: &Tree, children: &Children, directory: usize, kind: Kind) -> Vec<(Vec<u8>, usize)> {
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
