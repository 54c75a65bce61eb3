//! What stands on a volume that is being formatted. In: a disk. Out: whether it is marked, and where the mark is.
//!
//! A mark at the end lies behind what tools are shown of a volume; one in the gap lies between a partition table and the first partition,
//! which begins at 1 MiB.

use std::io;

use hullkit_init::disk::Disk;

/// What a mark says.
pub(crate) const TEXT: &[u8] = b"hullkit-storage: not finished\n";

/// Bytes that a mark keeps for itself.
pub(crate) const LENGTH: u64 = 4096;

/// Where the mark of a partition table is, in bytes.
const GAP: u64 = 512 << 10;

/// Which mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// At the end of a volume, where a file system is to be.
    End,
    /// Behind the partition table.
    Gap,
}

impl Marker {
    /// Where it is on a disk of this size, in bytes; nothing if the disk is too short for one.
    pub(crate) fn offset(self, size: u64) -> Option<u64> {
        let end = (size / LENGTH).checked_sub(1)? * LENGTH;
        match self {
            Self::End => Some(end),
            Self::Gap => (end > GAP).then_some(GAP),
        }
    }

    /// Tell whether a disk has it.
    ///
    /// # Errors
    ///
    /// The kernel's, if the disk cannot be read.
    pub(crate) fn is_on(self, disk: &dyn Disk) -> io::Result<bool> {
        let Some(offset) = self.offset(disk.size()) else { return Ok(false) };
        Ok(disk.part(offset, TEXT.len())?.is_some_and(|bytes| bytes == TEXT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_where_it_is_put_and_nowhere_else() {
        for marker in [Marker::End, Marker::Gap] {
            let mut disk = vec![0; (2 << 20) + 512];
            let offset = usize::try_from(marker.offset(disk.size()).unwrap()).unwrap();
            assert_eq!(offset % 4096, 0);
            assert_eq!([Marker::End, Marker::Gap].map(|one| one.is_on(&disk).unwrap()), [false, false]);
            disk[offset..][..TEXT.len()].copy_from_slice(TEXT);
            assert_eq!(
                [Marker::End, Marker::Gap].map(|one| one.is_on(&disk).unwrap() && one == marker),
                [marker == Marker::End, marker == Marker::Gap]
            );
        }
        assert_eq!((Marker::End.offset(4095), Marker::Gap.offset(512 << 10)), (None, None));
    }
}
