//! Records of directories: a name, the file's place, and what Rock Ridge says of it.

use std::mem::size_of;

use zerocopy::IntoBytes;

use super::continuation::{Continuations, narrow};
use super::date;
use super::hierarchy::{Hierarchy, Kind, named};
use super::layout::{DIRECTORY, MULTI_EXTENT, PARENT, RECORD_MAX, Record, SECTION_MAX, SECTOR, SELF};
use super::rock_ridge;
use super::write::Image;
use crate::format::tree::Content;

impl Image<'_> {
    /// Give a directory's sectors: itself, its parent, and what lies in it.
    pub(super) fn directory(&self, hierarchy: &Hierarchy, place: usize, continuations: &mut Continuations) -> Vec<u8> {
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
            push(record(self.head(hierarchy, node, name), name, &entries, continuations));
        }
        for (name, node) in named(self.tree, &self.children, directory.node, hierarchy.kind) {
            let mut entries = Vec::new();
            if hierarchy.kind == Kind::RockRidge {
                entries = self.attributes(node);
                entries.extend(rock_ridge::name(self.tree.nodes()[node].name()));
            }
            for head in self.sections(hierarchy, node, &name) {
                push(record(head, &name, &entries, continuations));
            }
        }
        bytes.resize(bytes.len().next_multiple_of(narrow(SECTOR)), 0);
        bytes
    }

    fn attributes(&self, node: usize) -> Vec<Vec<u8>> {
        let owner = self.tree.data(node);
        rock_ridge::attributes(&self.tree.nodes()[owner], self.links[owner], narrow(owner as u64 + 1))
    }

    /// Give the records of a name: one, but for a file of which one record cannot say the length.
    ///
    /// Source: ECMA-119, 6.5.1 and 9.1.6.
    fn sections(&self, hierarchy: &Hierarchy, node: usize, name: &[u8]) -> Vec<Record> {
        let head = self.head(hierarchy, node, name);
        let Content::File { size, .. } = self.tree.nodes()[self.tree.data(node)].content else { return vec![head] };
        let count = size.div_ceil(SECTION_MAX).max(1);
        let sections = (0..count).map(|at| {
            let skip = at * SECTION_MAX;
            Record {
                extent: head.extent.little.get().saturating_add(narrow(skip / SECTOR)).into(),
                size: narrow::<u32>((size - skip).min(SECTION_MAX)).into(),
                flags: if at + 1 < count { head.flags | MULTI_EXTENT } else { head.flags },
                ..head
            }
        });
        sections.collect()
    }

    /// Give the fixed part of a record, but for its length; of a file without its size.
    pub(super) fn head(&self, hierarchy: &Hierarchy, node: usize, name: &[u8]) -> Record {
        let owner = self.tree.data(node);
        let file = &self.tree.nodes()[owner];
        let (extent, size, flags) = match file.content {
            Content::Directory => {
                let directory = &hierarchy.directories[hierarchy.places[node]];
                (directory.sector, directory.size, DIRECTORY)
            }
            Content::File { .. } => (self.extents[owner], 0, 0),
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
}

/// Put a record together; what does not fit into it goes to the continuations.
fn record(mut head: Record, name: &[u8], entries: &[Vec<u8>], continuations: &mut Continuations) -> Vec<u8> {
    let start = (size_of::<Record>() + name.len()).next_multiple_of(2);
    let behind = continuations.fit(entries, RECORD_MAX - start);
    let length = (start + behind.len()).next_multiple_of(2);
    head.length = narrow(length as u64);
    let mut record = Vec::with_capacity(length);
    record.extend_from_slice(head.as_bytes());
    record.extend_from_slice(name);
    record.resize(start, 0);
    record.extend_from_slice(&behind);
    record.resize(length, 0);
    record
}
