//! A disk compressed with zstd: a frame for each piece, one behind the other, which every reader takes as one stream.
//!
//! Each frame has the length of what is in it, and a checksum. `zstd -T` makes one frame, whose bytes depend on whether there are threads.
//!
//! Source: RFC 8878, 3.1.

use std::io::{self, Write};

use zstd::bulk::Compressor;

use super::pieces::packed;
use super::sparse::Sparse;

/// Length of a piece, in bytes: four times as far as level 3 looks back.
const PIECE: usize = 8 << 20;

/// Compress a disk into `out`, with so many threads. Equal disks and levels give equal bytes.
///
/// In: `level`, 1 to 22, as of `zstd`; 3 is its default.
///
/// # Errors
///
/// - Those of the disk's files and of `out`.
pub fn write(disk: &Sparse, level: i32, jobs: usize, out: &mut impl Write) -> io::Result<()> {
    let pack = |piece: &[u8]| {
        let mut compressor = Compressor::new(level)?;
        compressor.include_checksum(true)?;
        compressor.compress(piece)
    };
    packed(disk, PIECE, jobs, pack, |frame| out.write_all(frame))?;
    if disk.size() == 0 { out.write_all(&pack(&[])?) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::disks;

    #[test]
    fn zstd_takes_it_whatever_the_number_of_threads() {
        disks::unpacks("zstd", |disk, jobs, out| write(disk, 3, jobs, out));
    }
}
