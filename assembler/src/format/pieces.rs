//! A disk cut into pieces of equal length that are compressed side by side. The cuts do not depend on the number of threads, so
//! neither do the bytes; holes are not read, and what a piece of zeros becomes is found once.

use std::io;
use std::sync::Arc;

use super::parallel::in_order;
use super::sparse::Sparse;

/// Hand each piece of `piece` bytes to `pack`, on so many threads, and what that makes of it to `each`, in order.
///
/// At most three pieces for each thread are in memory.
///
/// # Errors
///
/// - Those of the disk's files, of `pack` and of `each`.
pub(super) fn packed<P: Send + Sync>(
    disk: &Sparse,
    piece: usize,
    jobs: usize,
    pack: impl Fn(&[u8]) -> io::Result<P> + Sync,
    mut each: impl FnMut(&P) -> io::Result<()>,
) -> io::Result<()> {
    let len = piece.max(1) as u64;
    let mut whole = 0..disk.size() / len;
    let zeros = whole.any(|number| disk.is_hole(number * len, len));
    let zeros = zeros.then(|| pack(&vec![0; piece]).map(Arc::new)).transpose()?;
    let work = |number: u64| {
        let start = number * len;
        match &zeros {
            Some(zeros) if start + len <= disk.size() && disk.is_hole(start, len) => Ok(Arc::clone(zeros)),
            _ => {
                let rest = usize::try_from(disk.size() - start).unwrap_or(usize::MAX);
                let mut bytes = vec![0; piece.min(rest)];
                disk.read_at(start, &mut bytes)?;
                pack(&bytes).map(Arc::new)
            }
        }
    };
    in_order(jobs, 0..disk.size().div_ceil(len), work, |result: io::Result<Arc<P>>| each(&*result?))
}
