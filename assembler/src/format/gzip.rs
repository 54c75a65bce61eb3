//! One gzip member made by several threads: the stream is cut into pieces of equal length that are deflated side by side.
//!
//! Each piece but the last ends at a byte boundary with an empty block, so that the pieces can be joined; whoever reads sees
//! one member. The cuts do not depend on the number of threads, so neither do the bytes.
//!
//! Source: RFC 1952, 2.3; RFC 1951, 3.2.4 (the empty block); zlib manual, `Z_SYNC_FLUSH`.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress};

use super::parallel::in_order;
use super::pieces::packed;
use super::sparse::Sparse;

/// Length of a piece, in bytes.
const PIECE: usize = 1 << 20;

/// Header of a member without name and time, from an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compress a disk into `out` as one member, with so many threads; holes are not read.
///
/// Out: the bytes that a [`Writer`] would write of the same disk.
///
/// # Errors
///
/// - Those of the disk's files and of `out`.
pub fn write(disk: &Sparse, level: Compression, jobs: usize, out: &mut impl Write) -> io::Result<()> {
    let pack = |piece: &[u8]| {
        let mut crc = Crc::new();
        crc.update(piece);
        Ok((deflate(piece, level, FlushCompress::Sync)?, crc))
    };
    let mut whole = Crc::new();
    out.write_all(&HEADER)?;
    packed(disk, PIECE, jobs, pack, |(bytes, crc)| {
        whole.combine(crc);
        out.write_all(bytes)
    })?;
    out.write_all(&deflate(&[], level, FlushCompress::Finish)?)?;
    out.write_all(&whole.sum().to_le_bytes())?;
    out.write_all(&whole.amount().to_le_bytes())
}

/// A gzip member being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    level: Compression,
    jobs: usize,
    /// What is not compressed yet: less than a piece for each thread.
    waiting: Vec<u8>,
    crc: Crc,
    begun: bool,
}

impl<W: Write> Writer<W> {
    /// Start a member in `out`, with so many threads.
    pub fn new(out: W, level: Compression, jobs: usize) -> Self {
        Self { out, level, jobs: jobs.max(1), waiting: Vec::new(), crc: Crc::new(), begun: false }
    }

    /// End the member and give `out` back.
    ///
    /// # Errors
    ///
    /// - Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.pass(true)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    /// Compress what waits; at the end of the stream an empty piece ends it.
    fn pass(&mut self, last: bool) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.out.write_all(&HEADER)?;
        }
        let (level, out) = (self.level, &mut self.out);
        let deflated = |piece| deflate(piece, level, FlushCompress::Sync);
        in_order(self.jobs, self.waiting.chunks(PIECE), deflated, |piece| out.write_all(&piece?))?;
        self.waiting.clear();
        if last {
            self.out.write_all(&deflate(&[], level, FlushCompress::Finish)?)?;
        }
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (self.jobs * PIECE).saturating_sub(self.waiting.len());
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.waiting.extend_from_slice(taken);
        self.crc.update(taken);
        if taken.len() == room {
            self.pass(false)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Deflate one piece, to its end.
fn deflate(piece: &[u8], level: Compression, flush: FlushCompress) -> io::Result<Vec<u8>> {
    let mut state = Compress::new(level, false);
    // Deflate adds five bytes to a block that does not shrink, and a few at the end.
    let mut packed = Vec::with_capacity(piece.len() + piece.len() / 1000 + 1024);
    state.compress_vec(piece, &mut packed, flush).map_err(io::Error::other)?;
    if state.total_in() == piece.len() as u64 && packed.len() < packed.capacity() { Ok(packed) } else { Err(broken()) }
}

fn broken() -> io::Error {
    io::Error::other("a piece could not be compressed")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::format::disks;

    fn member(bytes: &[u8], jobs: usize) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), Compression::new(6), jobs);
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn one_member_comes_back_whatever_its_length() {
        let mut random = 1_u32;
        let mut noise = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        });
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let bytes: Vec<u8> = if len % 2 == 0 { vec![7; len] } else { noise.by_ref().take(len).collect() };
            let one = member(&bytes, 1);
            assert_eq!(one, member(&bytes, 3), "{len}");
            let mut plain = Vec::new();
            // Not a decoder of several members: there must be but one.
            GzDecoder::new(one.as_slice()).read_to_end(&mut plain).unwrap();
            assert!(plain == bytes, "{len}");
        }
    }

    #[test]
    fn gzip_takes_a_disk_whatever_the_number_of_threads() {
        disks::unpacks("gzip", |disk, jobs, out| write(disk, Compression::new(6), jobs, out));
    }

    #[test]
    fn a_disk_becomes_what_its_bytes_become() {
        for (name, disk) in disks::odd().into_iter().take(5) {
            let (mut bytes, mut found) = (Vec::new(), Vec::new());
            disk.reader().read_to_end(&mut bytes).unwrap();
            write(&disk, Compression::new(6), 2, &mut found).unwrap();
            assert!(found == member(&bytes, 2), "{name}");
        }
    }
}
