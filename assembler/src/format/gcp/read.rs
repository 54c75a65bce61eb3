//! A tar back to the disk in it, by reference, and to text. Bytes may be any.

use std::fmt::Write as _;

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::GcpError;
use super::layout::{BLOCK, GIB, MAX, NAME, value};
use crate::format::sparse::{Sparse, SparseError};

/// Most regions that are read.
const REGIONS: usize = 1 << 20;

/// What an archive says of the disk in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Length of the disk in bytes.
    pub size: u64,
    /// Its time, seconds since 1970.
    pub time: u64,
    /// Where the regions' data starts in the archive, in bytes.
    pub data: u64,
    /// Start and length of what is there, in bytes.
    pub regions: Vec<(u64, u64)>,
}

/// Read the first member's header and map.
///
/// # Errors
///
/// - [`GcpError::Damaged`], [`GcpError::Io`].
pub fn open(archive: &Sparse) -> Result<Map, GcpError> {
    let mut header = Header::new_old();
    archive.read_at(0, header.as_mut_bytes())?;
    let mut summed = header.clone();
    summed.set_cksum();
    let damaged = |offset, what| Err(GcpError::Damaged { offset, what });
    if summed.cksum().ok() != header.cksum().ok() {
        return damaged(0, "no header stands there");
    }
    let gnu = header.as_gnu().filter(|_| header.entry_type() == EntryType::GNUSparse);
    let Some(gnu) = gnu.filter(|_| *header.path_bytes() == *NAME.as_bytes()) else {
        return damaged(0, "the first member is not a sparse `disk.raw`");
    };
    let Some(size) = value(&gnu.realsize).filter(|size| *size <= MAX && size % GIB == 0) else {
        return damaged(483, "the disk is not a number of whole GiB");
    };
    let Some(time) = value(&gnu.mtime) else { return damaged(136, "the time is not a number") };
    let mut map = Map { size, time, data: BLOCK, regions: Vec::new() };
    let mut more = take(&gnu.sparse, &mut map)? && gnu.isextended != [0];
    while more {
        let mut block = GnuExtSparseHeader::new();
        archive.read_at(map.data, block.as_mut_bytes())?;
        map.data += BLOCK;
        more = take(&block.sparse, &mut map)? && block.isextended != [0];
    }
    Ok(map)
}

/// Give the disk in an archive.
///
/// # Errors
///
/// - [`GcpError::Damaged`], [`GcpError::Io`].
pub fn disk(archive: &Sparse) -> Result<Sparse, GcpError> {
    let map = open(archive)?;
    let (mut disk, mut at) = (Sparse::new(map.size), map.data);
    for (start, len) in map.regions {
        let put = |_: SparseError| GcpError::Damaged { offset: at, what: "regions lie over each other" };
        if at + len > archive.size() {
            return Err(GcpError::Damaged { offset: at, what: "the archive is cut short" });
        }
        disk.put(start, &archive.slice(at, len)).map_err(put)?;
        at += len.next_multiple_of(BLOCK);
    }
    Ok(disk)
}

/// List an archive: the header, and one line a region: where its data is, start and length.
///
/// # Errors
///
/// - [`GcpError::Damaged`], [`GcpError::Io`].
pub fn dump(archive: &Sparse) -> Result<String, GcpError> {
    let Map { size, time, data, regions } = open(archive)?;
    // Writing to a `String` cannot fail.
    let (mut text, mut at) = (String::new(), data);
    let _ = writeln!(text, "{:08x} {NAME} {size} t{time} regions {}", 0, regions.len());
    for (start, len) in regions {
        let _ = writeln!(text, "{at:08x} region {start:x} {len:x}");
        at += len;
    }
    let _ = writeln!(text, "{at:08x} end, archive {:x}", archive.size());
    Ok(text)
}

/// Take over the regions of one block; tells whether it is full.
fn take(places: &[GnuSparseHeader], map: &mut Map) -> Result<bool, GcpError> {
    for place in places {
        if place.offset[0] == 0 {
            return Ok(false);
        }
        let region = value(&place.offset).zip(value(&place.numbytes));
        let fits = |(start, len): &(u64, u64)| start.checked_add(*len).is_some_and(|end| end <= map.size);
        match region.filter(fits) {
            Some(region) if map.regions.len() < REGIONS => map.regions.push(region),
            _ => return Err(GcpError::Damaged { offset: map.data, what: "a region is none, or one too many" }),
        }
    }
    Ok(true)
}
