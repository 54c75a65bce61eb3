//! A disk, a partition or a large file as a list of what is not zero: what every format of a disk is made of, and made from.
//!
//! ```text
//!  0        4096            1 MiB                                    size
//!  | bytes  |   (a hole)    | bytes 5000.. of a file |    (a hole)    |
//! ```
//!
//! The bytes of large things stay in the files they are in. A [`Sparse`] can be put into another one, which is how a kernel gets
//! into a file system, that into a partition and that into a disk, without a byte being read; holes are neither read nor written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::tree::Contents;

/// Why something cannot be put where it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SparseError {
    /// Something is there already.
    #[error("bytes {start} to {end} are taken already")]
    Taken {
        /// First byte.
        start: u64,
        /// First byte behind it.
        end: u64,
    },
    /// It would stand behind the end.
    #[error("bytes {start} to {end} lie behind the end at {size}")]
    Outside {
        /// First byte.
        start: u64,
        /// First byte behind it.
        end: u64,
        /// Length of the whole, in bytes.
        size: u64,
    },
}

/// Where the bytes of one extent are.
#[derive(Debug, Clone)]
pub enum Data {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In a file.
    File(Arc<File>),
}

/// A run of bytes that is there.
#[derive(Debug, Clone)]
pub struct Extent {
    /// Where it starts in the whole, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// Where its bytes are.
    pub data: Data,
    /// Where they start there, in bytes.
    pub from: u64,
}

impl Extent {
    /// Give the first byte behind it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// Fill `buffer` with the bytes from `skip` on; both lie within the extent.
    fn read(&self, skip: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = self.from.saturating_add(skip);
        match &self.data {
            Data::File(file) => file.read_exact_at(buffer, from),
            Data::Bytes(bytes) => {
                let rest = usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
                let part = rest.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// Cut out the part between two places of the whole, and say where it then stands.
    fn cut(&self, start: u64, end: u64, at: u64) -> Self {
        let skip = start.saturating_sub(self.offset);
        Self { offset: at, len: end.saturating_sub(start), data: self.data.clone(), from: self.from + skip }
    }
}

/// Bytes with holes. Holding it proves: extents are sorted, do not overlap, are not empty and lie before the end.
#[derive(Debug, Clone, Default)]
pub struct Sparse {
    size: u64,
    extents: BTreeMap<u64, Extent>,
}

impl Sparse {
    /// Start with one hole of `size` bytes.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, extents: BTreeMap::new() }
    }

    /// Hold bytes without a hole.
    #[must_use]
    pub fn of_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let mut whole = Self::new(bytes.len() as u64);
        whole.add(Extent { offset: 0, len: bytes.len() as u64, data: Data::Bytes(bytes), from: 0 });
        whole
    }

    /// Hold all of a file.
    ///
    /// # Errors
    ///
    /// - Its length cannot be told.
    pub fn of_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut whole = Self::new(len);
        whole.add(Extent { offset: 0, len, data: Data::File(Arc::new(file)), from: 0 });
        Ok(whole)
    }

    /// Give the length in bytes, holes included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Count the bytes that are not holes.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.extents().map(|extent| extent.len).sum()
    }

    /// List what is there, in order.
    pub fn extents(&self) -> impl Iterator<Item = &Extent> {
        self.extents.values()
    }

    /// Move the end; a hole appears behind what there is. Never cuts anything off.
    ///
    /// # Errors
    ///
    /// - [`SparseError::Outside`]: there are bytes behind the new end.
    pub fn resize(&mut self, size: u64) -> Result<(), SparseError> {
        match self.extents.last_key_value() {
            Some((start, last)) if last.end() > size => {
                Err(SparseError::Outside { start: *start, end: last.end(), size })
            }
            _ => {
                self.size = size;
                Ok(())
            }
        }
    }

    /// Put bytes into a hole.
    ///
    /// # Errors
    ///
    /// - [`SparseError`]: there is none of this length at `offset`.
    pub fn put_bytes(&mut self, offset: u64, bytes: impl Into<Arc<[u8]>>) -> Result<(), SparseError> {
        self.put(offset, &Self::of_bytes(bytes))
    }

    /// Put all that is in another one into a hole; its holes stay holes and may be filled by others.
    ///
    /// # Errors
    ///
    /// - [`SparseError`]: it does not fit at `offset`; nothing was put.
    pub fn put(&mut self, offset: u64, other: &Self) -> Result<(), SparseError> {
        let outside = |end| SparseError::Outside { start: offset, end, size: self.size };
        let end = offset.checked_add(other.size).ok_or_else(|| outside(u64::MAX))?;
        if end > self.size {
            return Err(outside(end));
        }
        let taken = |extent: &&Extent| {
            let (start, end) = (extent.offset + offset, extent.end() + offset);
            self.between(start, end).next().is_some()
        };
        if let Some(extent) = other.extents().find(taken) {
            return Err(SparseError::Taken { start: extent.offset + offset, end: extent.end() + offset });
        }
        for extent in other.extents() {
            self.add(Extent { offset: extent.offset + offset, ..extent.clone() });
        }
        Ok(())
    }

    /// Put another one behind the end.
    pub fn append(&mut self, other: &Self) {
        let end = self.size;
        self.size = self.size.saturating_add(other.size);
        for extent in other.extents() {
            self.add(Extent { offset: extent.offset.saturating_add(end), ..extent.clone() });
        }
    }

    /// Put zeros behind the end up to a multiple of `align`.
    pub fn pad(&mut self, align: u64) {
        self.size = self.size.next_multiple_of(align.max(1));
    }

    /// Cut out `len` bytes that start at `offset`; what lies behind the end is a hole.
    #[must_use]
    pub fn slice(&self, offset: u64, len: u64) -> Self {
        let end = offset.saturating_add(len);
        let mut part = Self::new(len);
        for extent in self.between(offset, end) {
            let (start, end) = (extent.offset.max(offset), extent.end().min(end));
            part.add(extent.cut(start, end, start - offset));
        }
        part
    }

    /// Tell whether there is nothing but a hole in `len` bytes from `offset` on.
    #[must_use]
    pub fn is_hole(&self, offset: u64, len: u64) -> bool {
        self.between(offset, offset.saturating_add(len)).next().is_none()
    }

    /// List the numbers of blocks of `block` bytes that are not all hole, in order, each once.
    pub fn blocks(&self, block: u64) -> impl Iterator<Item = u64> {
        let block = block.max(1);
        let mut next = 0;
        self.extents().flat_map(move |extent| {
            let first = (extent.offset / block).max(next);
            next = extent.end().div_ceil(block);
            first..next
        })
    }

    /// Fill `buffer` with the bytes from `offset` on; holes, and what lies behind the end, are zeros.
    ///
    /// # Errors
    ///
    /// - A file could not be read, or has become shorter.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        let end = offset.saturating_add(buffer.len() as u64);
        for extent in self.between(offset, end) {
            let (start, end) = (extent.offset.max(offset), extent.end().min(end));
            // Within the buffer, whose length is a usize.
            let place = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or_default();
            if let Some(part) = buffer.get_mut(place(start)..place(end)) {
                extent.read(start - extent.offset, part)?;
            }
        }
        Ok(())
    }

    /// Read all of it, holes as zeros.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader { sparse: self, at: 0, end: self.size }
    }

    /// List the extents that have bytes between two places.
    fn between(&self, start: u64, end: u64) -> impl Iterator<Item = &Extent> {
        let before = self.extents.range(..start).next_back().map(|(_, extent)| extent);
        let before = before.filter(|extent| extent.end() > start && start < end);
        before.into_iter().chain(self.extents.range(start..end.max(start)).map(|(_, extent)| extent))
    }

    /// Keep an extent that was seen to fit.
    fn add(&mut self, extent: Extent) {
        if extent.len > 0 {
            self.extents.insert(extent.offset, extent);
        }
    }
}

impl Contents for Sparse {
    fn reader(&self, offset: u64, size: u64) -> io::Result<Box<dyn Read + '_>> {
        let end = offset.saturating_add(size).min(self.size);
        Ok(Box::new(Reader { sparse: self, at: offset, end }))
    }
}

/// Reads from front to back.
#[derive(Debug)]
pub struct Reader<'s> {
    sparse: &'s Sparse,
    at: u64,
    end: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let part = buffer.get_mut(..len).unwrap_or_default();
        self.sparse.read_at(self.at, part)?;
        self.at = self.at.saturating_add(len as u64);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn all(sparse: &Sparse) -> Vec<u8> {
        let mut bytes = Vec::new();
        sparse.reader().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_put_is_read_and_holes_are_zeros() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        let mut whole = Sparse::new(16);
        whole.put(8, &Sparse::of_file(file).unwrap().slice(2, 3)).unwrap();
        whole.put_bytes(1, *b"xyz").unwrap();
        assert_eq!(all(&whole), b"\0xyz\0\0\0\0cde\0\0\0\0\0");
        assert_eq!(all(&whole.slice(2, 8)), b"yz\0\0\0\0cd");
        assert_eq!(whole.allocated(), 6);
        assert_eq!(whole.blocks(4).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(whole.blocks(1).collect::<Vec<_>>(), [1, 2, 3, 8, 9, 10]);
        assert!(whole.is_hole(4, 4) && !whole.is_hole(4, 5) && !whole.is_hole(0, 2));
    }

    #[test]
    fn nothing_is_put_over_another_or_behind_the_end() {
        let mut whole = Sparse::new(10);
        whole.put_bytes(4, *b"abc").unwrap();
        for at in 2..=6 {
            assert_eq!(whole.put_bytes(at, *b"zzz"), Err(SparseError::Taken { start: at, end: at + 3 }), "{at}");
        }
        assert_eq!(whole.put_bytes(8, *b"zzz"), Err(SparseError::Outside { start: 8, end: 11, size: 10 }));
        assert!(matches!(whole.put_bytes(u64::MAX, *b"z"), Err(SparseError::Outside { .. })));
        whole.put_bytes(1, *b"zzz").unwrap();
        whole.put_bytes(7, *b"zzz").unwrap();
        assert_eq!(all(&whole), b"\0zzzabczzz");
        assert!(whole.resize(9).is_err() && whole.resize(12).is_ok());
    }

    #[test]
    fn one_may_go_into_the_hole_of_another() {
        let (mut outer, mut inner) = (Sparse::new(6), Sparse::new(6));
        outer.put_bytes(2, *b"oo").unwrap();
        inner.put_bytes(0, *b"ii").unwrap();
        inner.put_bytes(4, *b"ii").unwrap();
        outer.put(0, &inner).unwrap();
        outer.append(&inner);
        outer.pad(8);
        assert_eq!(all(&outer), b"iiooiiii\0\0ii\0\0\0\0");
    }
}
