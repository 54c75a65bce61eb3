//! Work on pieces by several threads, with results in the order of the pieces: what is written does not depend on how many there are.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Do `work` on every item with so many threads, and hand each result to `each` in the order of the items.
///
/// At most twice as many items as threads are begun and not yet handed on, so that memory stays bounded.
///
/// # Errors
///
/// - The first that `each` returns; no more items are begun then.
pub fn in_order<T: Send, R: Send, E>(
    jobs: usize,
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
    mut each: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let jobs = jobs.max(1);
    let mut items = items.into_iter();
    // Each item comes with the way its result goes back, so that results can be waited for in order.
    let (give, take) = sync_channel::<(T, SyncSender<R>)>(jobs * 2);
    let take = Mutex::new(take);
    let next =
        |take: &Mutex<Receiver<(T, SyncSender<R>)>>| take.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((item, back)) = next(&take) {
                    // Nobody waits for it after a failure.
                    let _ = back.send(work(item));
                }
            });
        }
        // Moved in, so that the threads end with it.
        let give = give;
        let mut waiting = VecDeque::new();
        loop {
            while waiting.len() < jobs * 2
                && let Some(item) = items.next()
            {
                let (back, result) = sync_channel(1);
                if give.send((item, back)).is_ok() {
                    waiting.push_back(result);
                }
            }
            let Some(result) = waiting.pop_front() else { return Ok(()) };
            // A thread that panicked has no result, and the scope passes the panic on.
            if let Ok(result) = result.recv() {
                each(result)?;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for jobs in [0, 1, 3, 8] {
            let mut seen = Vec::new();
            let slow_first = |n: u64| {
                thread::sleep(std::time::Duration::from_millis(n % 3));
                n * n
            };
            in_order(jobs, 0..100, slow_first, |square| {
                seen.push(square);
                Ok::<_, ()>(())
            })
            .unwrap();
            assert_eq!(seen, (0..100).map(|n| n * n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_failure_ends_the_work() {
        let mut handed = 0;
        let result = in_order(
            2,
            0..,
            |n| n,
            |n| {
                handed += 1;
                if n == 10 { Err("enough") } else { Ok(()) }
            },
        );
        assert_eq!((result, handed), (Err("enough"), 11));
    }
}
