//! A disk to a streamOptimized file.

use std::io::{self, Write};

use flate2::{Compress, Compression, FlushCompress, Status};
use zerocopy::IntoBytes;

use super::VmdkError;
use super::descriptor::{Identity, descriptor};
use super::layout::{
    AT_END, DEFLATE, END_OF_STREAM, ENTRIES, FLAG_LINE_ENDS, FLAG_MARKERS, FLAG_PACKED, FOOTER, GRAIN_DIRECTORY,
    GRAIN_SECTORS, GRAIN_TABLE, GrainMarker, Header, Marker, SECTOR, TABLE, TABLE_SECTORS, VERSION_STREAM, bytes,
    directory_sectors, tables_of,
};
use crate::format::blocks;
use crate::format::sparse::Sparse;

/// Level of deflate.
const LEVEL: u32 = 6;

/// Write a disk as a packed VMDK, from front to back. Grains without bytes are not read, and those of zeros have no place either.
///
/// In: `disk`, a multiple of 512 bytes long and not empty. The bytes do not depend on `jobs`.
///
/// # Errors
///
/// - [`VmdkError::Sector`], [`VmdkError::Empty`], [`VmdkError::TooLarge`], [`VmdkError::Name`].
/// - [`VmdkError::TooMuch`], [`VmdkError::Io`]: the file is unusable.
///
/// # Source
///
/// VMware, "Virtual Disk Format 1.1", "Stream-Optimized Compressed Sparse Extents".
pub fn stream_optimized(
    disk: &Sparse,
    identity: Identity<'_>,
    jobs: usize,
    out: &mut impl Write,
) -> Result<(), VmdkError> {
    let descriptor = descriptor(disk.size(), "streamOptimized", identity)?;
    let tables = tables_of(disk.size());
    let mut header = Header {
        directory_at: AT_END.into(),
        overhead: GRAIN_SECTORS.into(),
        compression: DEFLATE.into(),
        ..Header::new(VERSION_STREAM, FLAG_LINE_ENDS | FLAG_PACKED | FLAG_MARKERS, disk.size())
    };
    let directory = vec![0; usize::try_from(tables).map_err(|_| VmdkError::TooLarge { size: disk.size() })?];
    let mut stream = Stream { out, at: 0, directory, table: None, size: disk.allocated() };
    stream.write(&[header.as_bytes(), &descriptor])?;
    stream.write(&[&vec![0; usize::try_from((GRAIN_SECTORS - stream.at) * SECTOR).unwrap_or_default()]])?;

    // The lengths of a block and of a grain are the same number.
    let (block, state) = (1 << 16, || Ok(Compress::new(Compression::new(LEVEL), true)));
    blocks::pack(disk, block, jobs, state, deflate, |grain, packed| stream.grain(grain, &packed))?;
    stream.end_table()?;

    let directory = bytes(&stream.directory);
    stream.marker(GRAIN_DIRECTORY, directory_sectors(tables))?;
    header.directory_at = stream.at.into();
    stream.write(&[&directory])?;
    stream.marker(FOOTER, 1)?;
    stream.write(&[header.as_bytes()])?;
    stream.marker(END_OF_STREAM, 0)
}

/// Pack one grain.
fn deflate(state: &mut Compress, grain: &[u8]) -> io::Result<Vec<u8>> {
    state.reset();
    // What does not shrink grows by 5 bytes for every block of deflate, and there are few.
    let mut packed = Vec::with_capacity(grain.len() + grain.len() / 100 + 64);
    match state.compress_vec(grain, &mut packed, FlushCompress::Finish).map_err(io::Error::other)? {
        Status::StreamEnd => Ok(packed),
        _ => Err(io::Error::other("a grain could not be compressed")),
    }
}

/// A file as it is written.
struct Stream<'o, W> {
    out: &'o mut W,
    /// Where what is written next goes, in sectors.
    at: u64,
    /// Where the tables are.
    directory: Vec<u32>,
    /// The number of the table that is being filled, and its entries.
    table: Option<(u64, [u32; TABLE])>,
    /// Bytes of the disk that are not holes.
    size: u64,
}

impl<W: Write> Stream<'_, W> {
    fn grain(&mut self, grain: u64, packed: &[u8]) -> Result<(), VmdkError> {
        let number = grain / ENTRIES;
        if self.table.is_some_and(|(table, _)| table != number) {
            self.end_table()?;
        }
        let place = self.place()?;
        let (_, table) = self.table.get_or_insert((number, [0; TABLE]));
        if let Some(slot) = usize::try_from(grain % ENTRIES).ok().and_then(|slot| table.get_mut(slot)) {
            *slot = place;
        }
        let size = u32::try_from(packed.len()).map_err(io::Error::other)?;
        let marker = GrainMarker { lba: (grain * GRAIN_SECTORS).into(), size: size.into() };
        self.write(&[marker.as_bytes(), packed])
    }

    /// Write the table behind its grains.
    fn end_table(&mut self) -> Result<(), VmdkError> {
        let Some((number, table)) = self.table.take() else { return Ok(()) };
        self.marker(GRAIN_TABLE, TABLE_SECTORS)?;
        let place = self.place()?;
        if let Some(slot) = usize::try_from(number).ok().and_then(|number| self.directory.get_mut(number)) {
            *slot = place;
        }
        self.write(&[&bytes(&table)])
    }

    fn marker(&mut self, kind: u32, sectors: u64) -> Result<(), VmdkError> {
        let marker = Marker { sectors: sectors.into(), size: 0.into(), kind: kind.into(), reserved: [0; 496] };
        self.write(&[marker.as_bytes()])
    }

    fn place(&self) -> Result<u32, VmdkError> {
        u32::try_from(self.at).map_err(|_| VmdkError::TooMuch { size: self.size })
    }

    /// Write bytes, and zeros up to the end of the sector.
    fn write(&mut self, parts: &[&[u8]]) -> Result<(), VmdkError> {
        let mut len = 0;
        for part in parts {
            self.out.write_all(part)?;
            len += part.len() as u64;
        }
        let padding = usize::try_from(len.next_multiple_of(SECTOR) - len).unwrap_or_default();
        self.out.write_all([0; 512].get(..padding).unwrap_or_default())?;
        self.at += len.div_ceil(SECTOR);
        Ok(())
    }
}
