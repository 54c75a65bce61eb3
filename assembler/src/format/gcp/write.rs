//! A disk to a tar that refers to its bytes.

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::GcpError;
use super::layout::{BLOCK, FIRST, GIB, MAX, MORE, NAME, RECORD, number};
use crate::format::sparse::Sparse;

/// Put what is there of a disk into a tar, as `tar --format=oldgnu --sparse` would.
///
/// In: `time`, of the file, seconds since 1970. Out: the archive, not yet compressed ([`gzip`](crate::format::gzip) does that); the
/// disk in it is padded to whole GiB. No data is read.
///
/// # Errors
///
/// - [`GcpError::TooLarge`]: the disk is longer than 64 TiB.
pub fn tar(disk: &Sparse, time: u32) -> Result<Sparse, GcpError> {
    if disk.size() > MAX {
        return Err(GcpError::TooLarge { size: disk.size() });
    }
    let size = disk.size().max(1).next_multiple_of(GIB);
    let mut regions = regions(disk);
    let stored = regions.iter().map(|(start, end)| end - start).sum();
    // An empty region tells where the file ends if that is not where the last one does.
    if regions.last().is_none_or(|(_, end)| *end < size) {
        regions.push((size, size));
    }
    let (first, more) = regions.split_at(FIRST.min(regions.len()));
    let mut blocks = header(size, stored, time, first, !more.is_empty()).as_bytes().to_vec();
    let mut left = more.chunks(MORE);
    while let Some(part) = left.next() {
        let mut block = GnuExtSparseHeader::new();
        fill(&mut block.sparse, part);
        block.isextended = [u8::from(left.len() > 0)];
        blocks.extend(block.as_bytes());
    }
    let mut archive = Sparse::of_bytes(blocks);
    for (start, end) in regions {
        archive.append(&disk.slice(start, end - start));
    }
    archive.append(&Sparse::new(2 * BLOCK));
    archive.pad(RECORD);
    Ok(archive)
}

/// List what is there of a disk, start and end in whole blocks, those that touch as one: the data of each is padded to a block.
fn regions(disk: &Sparse) -> Vec<(u64, u64)> {
    let mut regions: Vec<(u64, u64)> = Vec::new();
    for extent in disk.extents() {
        let (start, end) = (extent.offset / BLOCK * BLOCK, extent.end().next_multiple_of(BLOCK));
        match regions.last_mut() {
            Some(last) if last.1 >= start => last.1 = last.1.max(end),
            _ => regions.push((start, end)),
        }
    }
    regions
}

fn header(size: u64, stored: u64, time: u32, regions: &[(u64, u64)], more: bool) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(stored);
    header.set_mtime(u64::from(time));
    if let Some(gnu) = header.as_gnu_mut() {
        for (place, name) in [(&mut gnu.name[..], NAME), (&mut gnu.uname, "root"), (&mut gnu.gname, "root")] {
            place.iter_mut().zip(name.bytes()).for_each(|(place, letter)| *place = letter);
        }
        fill(&mut gnu.sparse, regions);
        gnu.isextended = [u8::from(more)];
        gnu.realsize = number(size);
    }
    header.set_cksum();
    header
}

fn fill(places: &mut [GnuSparseHeader], regions: &[(u64, u64)]) {
    for (place, (start, end)) in places.iter_mut().zip(regions) {
        place.offset = number(*start);
        place.numbytes = number(end - start);
    }
}
