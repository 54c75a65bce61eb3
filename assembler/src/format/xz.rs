//! A disk compressed with xz: one stream, a block for each piece, so that `xz -T` can decompress it with threads as well.
//!
//! ```text
//! 0     header (12)
//!       block: header with the lengths (12 to 28), LZMA2, zeros up to a multiple of 4, CRC-32
//!       ...
//!       index: lengths of all blocks
//! end   footer (12)
//! ```
//!
//! LZMA2 is the `lzma-rust2` crate's; what stands around it is written here, so that the block of a hole is made but once.
//!
//! Source: The .xz File Format 1.2.1.

use std::io::{self, Write};

use flate2::Crc;
use lzma_rust2::{Lzma2Options, Lzma2Writer};

use super::pieces::packed;
use super::sparse::Sparse;

/// Length of a piece, in bytes.
const PIECE: usize = 4 << 20;
/// How far back matches may lie, in bytes. A thread needs about twelve times as much memory, and twice as far saves 0.4 %.
const WINDOW: u32 = 2 << 20;
/// The same as a filter has it: `2 << (18 / 2 + 11)`.
const WINDOW_CODE: u8 = 18;
/// The level that zeros are compressed with: they come out the same, at a fraction of the time.
const ZEROS: u32 = 1;
/// Flags of the stream: blocks end with a CRC-32.
const FLAGS: [u8; 2] = [0, 1];

/// A block, and the lengths that the index has of it.
struct Block {
    bytes: Vec<u8>,
    /// Without the zeros in it.
    len: u64,
    /// Of what is in it.
    plain: u64,
}

/// Compress a disk into `out`, with so many threads. Equal disks and levels give equal bytes.
///
/// In: `level`, 0 to 9, as of `xz`, whose default is 6; whatever the level, matches lie within 2 MiB.
///
/// # Errors
///
/// - Those of the disk's files and of `out`.
pub fn write(disk: &Sparse, level: u32, jobs: usize, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"\xfd7zXZ\0")?;
    out.write_all(&FLAGS)?;
    out.write_all(&sum(&FLAGS))?;
    let (mut records, mut count) = (Vec::new(), 0_u64);
    packed(
        disk,
        PIECE,
        jobs,
        |piece| block(piece, level),
        |block| {
            number(&mut records, block.len);
            number(&mut records, block.plain);
            count += 1;
            out.write_all(&block.bytes)
        },
    )?;
    let mut index = vec![0];
    number(&mut index, count);
    index.append(&mut records);
    index.resize(index.len().next_multiple_of(4), 0);
    index.extend(sum(&index));
    // In words, one less.
    let words = u32::try_from(index.len() / 4 - 1).map_err(io::Error::other)?;
    let footer = [&words.to_le_bytes()[..], &FLAGS].concat();
    out.write_all(&index)?;
    out.write_all(&sum(&footer))?;
    out.write_all(&footer)?;
    out.write_all(b"YZ")
}

/// Compress one piece.
fn block(piece: &[u8], level: u32) -> io::Result<Block> {
    let level = if piece.iter().all(|byte| *byte == 0) { ZEROS } else { level };
    let mut options = Lzma2Options::with_preset(level);
    options.lzma_options.dict_size = WINDOW;
    let mut lzma = Lzma2Writer::new(Vec::new(), options);
    lzma.write_all(piece)?;
    let packed = lzma.finish()?;
    let plain = piece.len() as u64;
    // Its own length, one filter and both lengths, the lengths, the filter: LZMA2 with one byte.
    let mut bytes = vec![0, 0xc0];
    number(&mut bytes, packed.len() as u64);
    number(&mut bytes, plain);
    bytes.extend([0x21, 1, WINDOW_CODE]);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes[0] = u8::try_from(bytes.len() / 4).map_err(io::Error::other)?;
    bytes.extend(sum(&bytes));
    bytes.extend(&packed);
    let unpadded = bytes.len() as u64 + 4;
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(sum(piece));
    Ok(Block { bytes, len: unpadded, plain })
}

/// Append a number: seven bits a byte, the lowest first, the highest bit on all but the last.
fn number(out: &mut Vec<u8>, mut value: u64) {
    let low = |value: u64| u8::try_from(value & 0x7f).unwrap_or_default();
    while value > 0x7f {
        out.push(low(value) | 0x80);
        value >>= 7;
    }
    out.push(low(value));
}

/// Sum up bytes as the format does: CRC-32, little-endian.
fn sum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::disks;

    #[test]
    fn xz_takes_it_whatever_the_number_of_threads() {
        disks::unpacks("xz", |disk, jobs, out| write(disk, 1, jobs, out));
    }
}
