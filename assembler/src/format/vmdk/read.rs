//! A VMDK to the grains of its disk: for tests of what is written, and for tests of anything.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::ZlibDecoder;
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout};

use super::VmdkError;
use super::layout::{
    AT_END, DEFLATE, ENTRIES, FLAG_PACKED, FOOTER, GRAIN, GRAIN_SECTORS, GrainMarker, Header, LARGEST, MAGIC, Marker,
    SECTOR, TABLE, TABLE_SECTORS, tables_of,
};
use crate::format::sparse::Sparse;

/// A file whose header was seen to be one that could have been written here.
#[derive(Debug)]
pub struct Image<'f> {
    file: &'f Sparse,
    /// The header, or the footer if that is where the directory's place is.
    pub header: Header,
}

impl<'f> Image<'f> {
    /// Read the header, and the footer if there is one.
    ///
    /// # Errors
    ///
    /// - [`VmdkError::Damaged`]: it is none, or says what is not read here: grains or tables of other lengths.
    /// - [`VmdkError::Io`].
    pub fn open(file: &'f Sparse) -> Result<Self, VmdkError> {
        let mut image = Self { file, header: Header::new_zeroed() };
        image.header = image.structure(0, 0)?;
        let mut at = 0;
        if image.header.directory_at == AT_END {
            // Before the last marker, and behind its own.
            at = file.size().saturating_sub(2 * SECTOR);
            let marker: Marker = image.structure(0x38, at.saturating_sub(SECTOR))?;
            if marker.kind != FOOTER || marker.size != 0 {
                return Err(damaged(at, "no footer"));
            }
            image.header = image.structure(0x38, at)?;
        }
        let head = &image.header;
        let size = head.capacity.get().saturating_mul(SECTOR);
        for (offset, what, good) in [
            (0x00, "no magic number", head.magic == MAGIC),
            (0x04, "another version", (1..=3).contains(&head.version.get())),
            (0x0c, "too large a disk", size <= LARGEST),
            (0x14, "grains that are not of 64 KiB", head.grain == GRAIN_SECTORS),
            (0x2c, "tables of another length", u64::from(head.entries) == ENTRIES),
            (0x4d, "an unknown compression", !image.packed() || head.compression == DEFLATE),
        ] {
            if !good {
                return Err(damaged(at + offset, what));
            }
        }
        image.within(at + 0x38, head.directory_at.get(), tables_of(size) * 4)?;
        Ok(image)
    }

    /// Give the length of the disk in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        // At most LARGEST.
        self.header.capacity.get() * SECTOR
    }

    /// Tell whether grains are packed.
    #[must_use]
    pub fn packed(&self) -> bool {
        self.header.flags.get() & FLAG_PACKED != 0
    }

    /// List the tables, each with its number and its place in sectors.
    ///
    /// # Errors
    ///
    /// - [`VmdkError::Damaged`]: one is not in the file, or there twice.
    /// - [`VmdkError::Io`].
    pub fn tables(&self) -> Result<Vec<(u64, u64)>, VmdkError> {
        let start = self.header.directory_at.get() * SECTOR;
        let (mut tables, mut seen) = (Vec::new(), BTreeSet::new());
        for number in 0..tables_of(self.size()) {
            let here = start + number * 4;
            let mut place = [0; 4];
            self.file.read_at(here, &mut place)?;
            let place = u64::from(u32::from_le_bytes(place));
            if place != 0 {
                self.within(here, place, TABLE_SECTORS * SECTOR)?;
                if !seen.insert(place) {
                    return Err(damaged(here, "a table that is there twice"));
                }
                tables.push((number, place));
            }
        }
        Ok(tables)
    }

    /// List the grains that have a place, in the order of the disk, with their places in sectors.
    ///
    /// # Errors
    ///
    /// - As [`Image::tables`]; and [`VmdkError::Damaged`]: one lies behind the end of the file or of the disk.
    pub fn grains(&self) -> Result<Vec<(u64, u64)>, VmdkError> {
        let mut grains = Vec::new();
        for (number, place) in self.tables()? {
            let mut table = [0; TABLE * 4];
            self.file.read_at(place * SECTOR, &mut table)?;
            for (index, place_of) in (0..).zip(table.chunks_exact(4)) {
                let here = place * SECTOR + index * 4;
                let at = u64::from(u32::from_le_bytes(place_of.try_into().unwrap_or_default()));
                if at == 0 {
                    continue;
                }
                let grain = number * ENTRIES + index;
                if grain * GRAIN >= self.size() {
                    return Err(damaged(here, "a grain behind the end of the disk"));
                }
                self.within(here, at, if self.packed() { SECTOR } else { GRAIN })?;
                grains.push((grain, at));
            }
        }
        Ok(grains)
    }

    /// Read what stands before a packed grain.
    ///
    /// # Errors
    ///
    /// - [`VmdkError::Damaged`]: it lies behind the end of the file.
    /// - [`VmdkError::Io`].
    pub fn marker(&self, place: u64) -> Result<GrainMarker, VmdkError> {
        let offset = place.saturating_mul(SECTOR);
        self.structure(offset, offset)
    }

    /// Read the bytes of a grain at a place in sectors.
    ///
    /// # Errors
    ///
    /// - [`VmdkError::Damaged`]: it cannot be unpacked, or is another one.
    /// - [`VmdkError::Io`].
    pub fn read(&self, grain: u64, place: u64) -> Result<Vec<u8>, VmdkError> {
        let mut bytes = vec![0; usize::try_from(GRAIN).unwrap_or_default()];
        let offset = place.saturating_mul(SECTOR);
        if !self.packed() {
            self.file.read_at(offset, &mut bytes)?;
            return Ok(bytes);
        }
        let marker = self.marker(place)?;
        if Some(marker.lba.get()) != grain.checked_mul(GRAIN_SECTORS) {
            return Err(damaged(offset, "a grain of another place"));
        }
        let packed = self.file.slice(offset + size_of::<GrainMarker>() as u64, marker.size.get().into());
        let unpacked = ZlibDecoder::new(packed.reader()).read_exact(&mut bytes);
        unpacked.map_err(|_| damaged(offset, "a grain that cannot be unpacked"))?;
        Ok(bytes)
    }

    fn structure<T: FromBytes + IntoBytes + KnownLayout + Immutable>(
        &self,
        here: u64,
        offset: u64,
    ) -> Result<T, VmdkError> {
        let mut structure = T::new_zeroed();
        let end = offset.saturating_add(size_of::<T>() as u64);
        if end > self.file.size() {
            return Err(damaged(here, "something behind the end of the file"));
        }
        self.file.read_at(offset, structure.as_mut_bytes())?;
        Ok(structure)
    }

    fn within(&self, here: u64, place: u64, len: u64) -> Result<(), VmdkError> {
        let end = place.checked_mul(SECTOR).and_then(|offset| offset.checked_add(len));
        let end = end.filter(|end| *end <= self.file.size());
        end.map(drop).ok_or_else(|| damaged(here, "something behind the end of the file"))
    }
}

fn damaged(offset: u64, what: &'static str) -> VmdkError {
    VmdkError::Damaged { offset, what }
}
