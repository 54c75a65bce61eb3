//! A qcow2 file to the clusters of its disk: for tests of what is written, and for tests of anything.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::DeflateDecoder;
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::Qcow2Error;
use super::layout::{
    CLUSTER, CLUSTER_BITS, COMPRESSION_TYPE, DEFLATE, ENTRIES, Entry, Header, LARGEST, MAGIC, OFFSET, REFCOUNT_ORDER,
    VERSION, ZSTD,
};
use crate::format::sparse::Sparse;

/// A file whose header was seen to be one that [`super::write`] could have written.
#[derive(Debug)]
pub struct Image<'f> {
    file: &'f Sparse,
    /// The header.
    pub header: Header,
}

impl<'f> Image<'f> {
    /// Read the header.
    ///
    /// # Errors
    ///
    /// - [`Qcow2Error::Damaged`]: it is none, or says what is not read here: other versions, clusters of other lengths, encryption,
    ///   backing files, features but zstd.
    /// - [`Qcow2Error::Io`].
    pub fn open(file: &'f Sparse) -> Result<Self, Qcow2Error> {
        let mut header = Header::new_zeroed();
        file.read_at(0, header.as_mut_bytes())?;
        let entries = header.size.get().div_ceil(CLUSTER * ENTRIES);
        let wanted = match header.compression {
            DEFLATE => 0,
            ZSTD => COMPRESSION_TYPE,
            _ => return Err(damaged(0x68, "an unknown compression")),
        };
        for (offset, what, good) in [
            (0x00, "no magic number", header.magic == MAGIC),
            (0x04, "another version", header.version == VERSION),
            (0x08, "a backing file", header.backing_offset == 0),
            (0x14, "clusters that are not of 64 KiB", header.cluster_bits == CLUSTER_BITS),
            (0x18, "too large a disk", header.size <= LARGEST),
            (0x20, "encryption", header.crypt == 0),
            (0x24, "an L1 table of another length", u64::from(header.l1_entries) == entries),
            (0x48, "unknown features", header.incompatible == wanted),
            (0x60, "counts that are not of 16 bits", header.refcount_order == REFCOUNT_ORDER),
        ] {
            if !good {
                return Err(damaged(offset, what));
            }
        }
        let image = Self { file, header };
        image.within(0x28, header.l1_offset.get(), entries * 8)?;
        Ok(image)
    }

    /// List the L2 tables, each with the number of its entry in L1 and its place in the file in bytes.
    ///
    /// # Errors
    ///
    /// - [`Qcow2Error::Damaged`]: one is not in the file, or there twice.
    /// - [`Qcow2Error::Io`].
    pub fn tables(&self) -> Result<Vec<(u64, u64)>, Qcow2Error> {
        let l1 = self.header.l1_offset.get();
        let (mut tables, mut seen) = (Vec::new(), BTreeSet::new());
        for at in 0..self.header.l1_entries.get().into() {
            let place = self.number(l1 + at * 8)? & OFFSET;
            if place != 0 {
                self.within(l1 + at * 8, place, CLUSTER)?;
                if !seen.insert(place) {
                    return Err(damaged(l1 + at * 8, "a table that is there twice"));
                }
                tables.push((at, place));
            }
        }
        Ok(tables)
    }

    /// List the clusters that have a place, in the order of the disk.
    ///
    /// # Errors
    ///
    /// - As [`Image::tables`]; and [`Qcow2Error::Damaged`]: one lies behind the end of the file or of the disk.
    pub fn clusters(&self) -> Result<Vec<(u64, Entry)>, Qcow2Error> {
        let mut clusters = Vec::new();
        for (at, place) in self.tables()? {
            let mut table = vec![0; usize::try_from(CLUSTER).unwrap_or_default()];
            self.file.read_at(place, &mut table)?;
            for (index, bits) in (0..).zip(table.chunks_exact(8)) {
                let entry = Entry::from_bits(u64::from_be_bytes(bits.try_into().unwrap_or_default()));
                let (number, here) = (at * ENTRIES + index, place + index * 8);
                match entry {
                    Entry::Nothing => continue,
                    Entry::Plain { offset } => self.within(here, offset, CLUSTER)?,
                    // Its last sector may be cut off.
                    Entry::Packed { offset, .. } => self.within(here, offset, 1)?,
                }
                if number >= self.header.size.get().div_ceil(CLUSTER) {
                    return Err(damaged(here, "a cluster behind the end of the disk"));
                }
                clusters.push((number, entry));
            }
        }
        Ok(clusters)
    }

    /// Read the bytes of a cluster.
    ///
    /// # Errors
    ///
    /// - [`Qcow2Error::Damaged`]: it cannot be unpacked.
    /// - [`Qcow2Error::Io`].
    pub fn read(&self, entry: Entry) -> Result<Vec<u8>, Qcow2Error> {
        let mut cluster = vec![0; usize::try_from(CLUSTER).unwrap_or_default()];
        match entry {
            Entry::Nothing => {}
            Entry::Plain { offset } => self.file.read_at(offset, &mut cluster)?,
            Entry::Packed { offset, len } => {
                let packed = self.file.slice(offset, len);
                let unpacked = if self.header.compression == ZSTD {
                    zstd::Decoder::new(packed.reader()).and_then(|zstd| zstd.single_frame().read_exact(&mut cluster))
                } else {
                    DeflateDecoder::new(packed.reader()).read_exact(&mut cluster)
                };
                unpacked.map_err(|_| damaged(offset, "a cluster that cannot be unpacked"))?;
            }
        }
        Ok(cluster)
    }

    /// Give the number at a place that was seen to be within the file.
    fn number(&self, offset: u64) -> Result<u64, Qcow2Error> {
        let mut bytes = [0; 8];
        self.file.read_at(offset, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn within(&self, here: u64, offset: u64, len: u64) -> Result<(), Qcow2Error> {
        let end = offset.checked_add(len).filter(|end| *end <= self.file.size());
        end.map(drop).ok_or_else(|| damaged(here, "something behind the end of the file"))
    }
}

fn damaged(offset: u64, what: &'static str) -> Qcow2Error {
    Qcow2Error::Damaged { offset, what }
}
