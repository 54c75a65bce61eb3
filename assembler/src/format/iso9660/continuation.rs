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
    ///
    /// Every part lies behind the one that leads to it: libarchive reads an image from front to back.
    pub(super) fn fit(&mut self, entries: &[Vec<u8>], room: usize) -> Vec<u8> {
        let (mut here, mut rest) = part(entries, room);
        let first = here.concat();
        let mut before: Option<usize> = None;
        let mut link = Vec::new();
        while !rest.is_empty() {
            (here, rest) = part(rest, PLACE_MAX);
            let mut bytes = here.concat();
            // Its own link is filled in when it is known where that leads.
            let len = bytes.len();
            bytes.resize(len + if rest.is_empty() { 0 } else { LINK }, 0);
            let (at, leads) = self.put(&bytes);
            match before.and_then(|end| self.bytes.get_mut(end..end + LINK)) {
                Some(place) => place.copy_from_slice(&leads),
                None => link = leads,
            }
            before = Some(at + len);
        }
        [first, link].concat()
    }

    /// Put bytes into one sector; give their place among all, and the entry that leads to them.
    fn put(&mut self, bytes: &[u8]) -> (usize, Vec<u8>) {
        let sector = narrow(SECTOR);
        if self.bytes.len() % sector + bytes.len() > sector {
            self.bytes.resize(self.bytes.len().next_multiple_of(sector), 0);
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let place = Continuation {
            sector: self.sector.saturating_add(narrow((at / sector) as u64)).into(),
            offset: narrow::<u32>((at % sector) as u64).into(),
            length: narrow::<u32>(bytes.len() as u64).into(),
        };
        (at, entry(*b"CE", place.as_bytes()))
    }
}

/// Take as many entries as `room` has space for, with a link to the rest if there is one. An entry has at most 255 bytes, so that
/// a sector always takes some.
fn part(entries: &[Vec<u8>], room: usize) -> (&[Vec<u8>], &[Vec<u8>]) {
    if entries.iter().map(Vec::len).sum::<usize>() <= room {
        return (entries, &[]);
    }
    let mut used = LINK;
    let first = entries.iter().take_while(|entry| {
        used += entry.len();
        used <= room
    });
    entries.split_at(first.count())
}

/// Narrow a number that is known to fit.
pub(super) fn narrow<T: TryFrom<u64> + Default>(value: u64) -> T {
    T::try_from(value).unwrap_or_default()
}
