//! Entries that do not fit into a record of 254 bytes, and where they go instead.

use std::mem::size_of;

use zerocopy::IntoBytes;

use super::layout::{Continuation, Entry, SECTOR};
use super::rock_ridge::entry;

/// Bytes of the entry that leads on.
const LINK: usize = size_of::<Entry>() + size_of::<Continuation>();
/// Most bytes in one place: Linux takes none that leaves its sector.
const PLACE_MAX: usize = 2048;

/// The continuations of a directory, in the order they were asked for.
#[derive(Debug)]
pub(super) struct Continuations {
    /// Sector that they start at.
    pub(super) sector: u32,
    /// What they hold.
    pub(super) bytes: Vec<u8>,
}

impl Continuations {
    /// Join entries to what stands behind a name in at most `room` bytes; the rest is put here, and an entry leads to it.
    pub(super) fn fit(&mut self, entries: &[Vec<u8>], room: usize) -> Vec<u8> {
        let size: usize = entries.iter().map(Vec::len).sum();
        if size <= room {
            return entries.concat();
        }
        let mut used = LINK;
        let first = entries.iter().take_while(|entry| {
            used += entry.len();
            used <= room
        });
        let (first, rest) = entries.split_at(first.count());
        let link = self.put(rest);
        [first.concat(), entry(*b"CE", link.as_bytes())].concat()
    }

    fn put(&mut self, entries: &[Vec<u8>]) -> Continuation {
        // An entry has at most 255 bytes: each place takes some of them.
        let bytes = self.fit(entries, PLACE_MAX);
        let sector = narrow(SECTOR);
        if self.bytes.len() % sector + bytes.len() > sector {
            self.bytes.resize(self.bytes.len().next_multiple_of(sector), 0);
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&bytes);
        Continuation {
            sector: self.sector.saturating_add(narrow((at / sector) as u64)).into(),
            offset: narrow::<u32>((at % sector) as u64).into(),
            length: narrow::<u32>(bytes.len() as u64).into(),
        }
    }
}

/// Narrow a number that is known to fit.
pub(super) fn narrow<T: TryFrom<u64> + Default>(value: u64) -> T {
    T::try_from(value).unwrap_or_default()
}
