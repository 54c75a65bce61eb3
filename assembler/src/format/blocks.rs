//! Blocks of a disk to packed blocks: what every compressed container of a disk does, on several threads.

use std::io;

use super::parallel::in_order;
use super::sparse::Sparse;

/// How many blocks one thread takes at once, and packs with one state.
const BATCH: usize = 16;

/// The longest block, of zeros.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Pack every block that has a byte other than zero, and hand on its number and what became of it, in order of the numbers.
///
/// In: `block`, its length in bytes, at most 65536; what of the last one lies behind the disk's end is zeros. `state` makes what `pack`
/// keeps from block to block; results must not depend on what it has seen. Out: the same calls of `each` for every number of jobs.
/// Holes are not read.
///
/// # Errors
///
/// - The disk could not be read, or `state` or `pack` failed.
/// - The first that `each` returns.
pub(super) fn pack<S, R: Send, E: From<io::Error>>(
    disk: &Sparse,
    block: usize,
    jobs: usize,
    state: impl Fn() -> io::Result<S> + Sync,
    pack: impl Fn(&mut S, &[u8]) -> io::Result<R> + Sync,
    mut each: impl FnMut(u64, R) -> Result<(), E>,
) -> Result<(), E> {
    let zeros = ZEROS.get(..block).unwrap_or(&ZEROS);
    let work = |numbers: Vec<u64>| -> io::Result<Vec<(u64, R)>> {
        let (mut state, mut bytes) = (state()?, zeros.to_vec());
        let mut packed = Vec::with_capacity(numbers.len());
        for number in numbers {
            disk.read_at(number.saturating_mul(block as u64), &mut bytes)?;
            if bytes != zeros {
                packed.push((number, pack(&mut state, &bytes)?));
            }
        }
        Ok(packed)
    };
    let mut numbers = disk.blocks(block as u64);
    let batches = std::iter::from_fn(|| {
        let batch: Vec<u64> = numbers.by_ref().take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    });
    in_order(jobs, batches, work, |batch| batch?.into_iter().try_for_each(|(number, result)| each(number, result)))
}

#[cfg(test)]
pub(in crate::format) mod fixture {
    use proptest::prelude::*;

    use super::*;

    /// Make bytes that do not shrink.
    pub(in crate::format) fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 32).to_be_bytes()
        });
        let words = next.take(len.div_ceil(4)).flat_map(|word| [word[4], word[5], word[6], word[7]]);
        words.take(len).collect()
    }

    /// Disks of up to 70 MiB with bytes anywhere: some shrink, some do not, some are zeros.
    pub(in crate::format) fn disks() -> impl Strategy<Value = Sparse> {
        let size = prop_oneof![1_u64..400, 1_u64..140_000];
        let extent = (0.0..1.0_f64, prop_oneof![1_usize..600, 1_usize..300_000], 0..3);
        (size, proptest::collection::vec(extent, 0..6)).prop_map(|(sectors, extents)| {
            let mut disk = Sparse::new(sectors * 512);
            for (place, len, kind) in extents {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "any place will do"
                )]
                let offset = (place * disk.size() as f64) as u64;
                let len = len.min(usize::try_from(disk.size() - offset).unwrap());
                let bytes = match kind {
                    0 => vec![0; len],
                    1 => noise(len),
                    _ => b"some text ".iter().copied().cycle().take(len).collect(),
                };
                // What is taken already stays as it is.
                let _ = disk.put_bytes(offset, bytes);
            }
            disk
        })
    }

    /// Read a disk block by block, and tell whether what is given for a block is equal, and what is not given zeros.
    pub(in crate::format) fn same(disk: &Sparse, block: usize, found: &[(u64, Vec<u8>)]) -> bool {
        let mut found = found.iter().peekable();
        (0..disk.size().div_ceil(block as u64)).all(|number| {
            let found = found.next_if(|(found, _)| *found == number);
            if disk.is_hole(number * block as u64, block as u64) {
                return found.is_none();
            }
            let mut bytes = vec![0; block];
            disk.read_at(number * block as u64, &mut bytes).unwrap();
            found.map_or(&ZEROS[..block], |(_, found)| found) == bytes
        }) && found.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_zeros_are_left_out() {
        let mut disk = Sparse::new(1 << 20);
        disk.put_bytes(4096 * 3 - 1, *b"ab").unwrap();
        disk.put_bytes(4096 * 7, vec![0; 5000]).unwrap();
        disk.put_bytes((1 << 20) - 1, *b"z").unwrap();
        for jobs in [1, 3] {
            let mut seen = Vec::new();
            let sum = |_: &mut (), bytes: &[u8]| Ok(bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>());
            pack(
                &disk,
                4096,
                jobs,
                || Ok(()),
                sum,
                |number, sum| {
                    seen.push((number, sum));
                    Ok::<_, io::Error>(())
                },
            )
            .unwrap();
            assert_eq!(seen, [(2, 97), (3, 98), (255, 122)]);
        }
    }
}
