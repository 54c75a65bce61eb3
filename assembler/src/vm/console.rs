//! What the guest wrote on its serial port, as lines, with a bound on what is kept.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of text kept; older lines are forgotten.
const KEPT: usize = 1 << 19;

/// Longest line, in bytes; what is longer becomes several lines.
const LONGEST: usize = 4096;

/// One line of the console, without its end and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Time from the guest's first instruction to the line's first byte.
    pub at: Duration,
    /// Its text; what is not UTF-8 is replaced.
    pub text: String,
}

/// Why a line was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missed {
    /// It did not appear in time.
    #[error("the line did not appear in time")]
    TimedOut,
    /// The guest is gone, and all it wrote was looked at.
    #[error("the guest ended before the line appeared")]
    Ended,
    /// The guest wrote more than is kept before the reader looked, so the line may have been missed.
    #[error("the guest wrote more than the console keeps")]
    Overrun,
}

/// The console: written by one thread, read by any.
#[derive(Debug)]
pub struct Console {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug)]
struct Lines {
    start: Instant,
    ring: VecDeque<Line>,
    /// Number of the ring's first line, counted from the start of the boot.
    first: u64,
    /// Bytes of text in the ring.
    kept: usize,
    partial: Vec<u8>,
    partial_at: Duration,
    panic: Option<String>,
    ended: bool,
}

impl Console {
    pub(super) fn new() -> Self {
        let lines = Lines {
            start: Instant::now(),
            ring: VecDeque::new(),
            first: 0,
            kept: 0,
            partial: Vec::new(),
            partial_at: Duration::ZERO,
            panic: None,
            ended: false,
        };
        Self { lines: Mutex::new(lines), more: Condvar::new() }
    }

    /// Count time from now.
    pub(super) fn restart_clock(&self) {
        self.lock().start = Instant::now();
    }

    pub(super) fn feed(&self, bytes: &[u8]) {
        self.lock().feed(bytes);
        self.more.notify_all();
    }

    pub(super) fn end(&self) {
        let mut lines = self.lock();
        lines.end_line();
        lines.ended = true;
        self.more.notify_all();
    }

    /// Wait for a line that `found` accepts, and return it.
    ///
    /// In: `from`, the number of the first line to look at, 0 for the whole boot; it is moved behind the line that was
    /// found, so that a second call goes on from there. A line that has not ended yet is looked at as far as it goes.
    ///
    /// # Errors
    ///
    /// [`Missed`] says why there is none; `from` is then unchanged.
    pub fn wait_for(&self, from: &mut u64, found: impl Fn(&str) -> bool, deadline: Instant) -> Result<Line, Missed> {
        let mut lines = self.lock();
        let mut next = *from;
        loop {
            if let Some(number) = lines.find(next, &found)? {
                *from = number + 1;
                return lines.line(number).ok_or(Missed::Overrun);
            }
            // One that was found before it ended is not found again at its end.
            next = next.max(lines.count());
            if lines.ended {
                return Err(Missed::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Missed::TimedOut);
            }
            lines = self.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Return the last `count` lines, oldest first.
    #[must_use]
    pub fn tail(&self, count: usize) -> Vec<Line> {
        let lines = self.lock();
        let partial = lines.unfinished();
        let skip = (lines.ring.len() + usize::from(partial.is_some())).saturating_sub(count);
        lines.ring.iter().cloned().chain(partial).skip(skip).collect()
    }

    /// Return the kernel's first word of its panic, if it panicked.
    #[must_use]
    pub fn panic_line(&self) -> Option<String> {
        self.lock().panic.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                self.partial_at = self.start.elapsed();
            }
            for part in piece.chunks(LONGEST) {
                self.partial.extend_from_slice(part);
                if part.ends_with(b"\n") || self.partial.len() >= LONGEST {
                    self.end_line();
                }
            }
        }
    }

    fn end_line(&mut self) {
        let Some(line) = self.unfinished() else { return };
        self.partial.clear();
        if self.panic.is_none() && is_panic(&line.text) {
            self.panic = Some(line.text.clone());
        }
        self.kept += line.text.len();
        self.ring.push_back(line);
        // Empty lines count too, or a guest could fill memory with them.
        while self.kept + self.ring.len() * size_of::<Line>() > KEPT {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.kept -= oldest.text.len();
            self.first += 1;
        }
    }

    fn unfinished(&self) -> Option<Line> {
        let text = |bytes| String::from_utf8_lossy(bytes).chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        (!self.partial.is_empty()).then(|| Line { at: self.partial_at, text: text(&self.partial) })
    }

    /// Count the finished lines of the whole boot.
    fn count(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    fn line(&self, number: u64) -> Option<Line> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.ring.get(place).cloned().or_else(|| self.unfinished())
    }

    fn find(&self, from: u64, found: impl Fn(&str) -> bool) -> Result<Option<u64>, Missed> {
        if from < self.first {
            return Err(Missed::Overrun);
        }
        let numbered = (self.first..).zip(&self.ring);
        let whole = numbered.skip_while(|(number, _)| *number < from).find(|(_, line)| found(&line.text));
        let partial =
            || self.unfinished().filter(|line| from <= self.count() && found(&line.text)).map(|_| self.count());
        Ok(whole.map(|(number, _)| number).or_else(partial))
    }
}

/// Tell whether a line is the kernel's announcement of a panic, and not a program's talk of one.
fn is_panic(text: &str) -> bool {
    let message = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((stamp, message)) if stamp.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => message,
        _ => text,
    };
    message.starts_with("Kernel panic - not syncing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(text: &[u8]) -> Console {
        let console = Console::new();
        console.feed(text);
        console
    }

    fn texts(console: &Console) -> Vec<String> {
        console.tail(usize::MAX).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_lose_their_ends_and_control_characters() {
        let console = console(b"one\r\n\x1b[0mtwo\tx\nthr");
        console.feed(b"ee\xff\n\nlast");
        assert_eq!(texts(&console), ["one", "[0mtwo\tx", "three\u{fffd}", "", "last"]);
        assert_eq!(console.tail(2).len(), 2);
    }

    #[test]
    fn a_line_is_found_in_order_and_only_once() {
        let console = console(b"a 1\nb\na 2\nlogin: ");
        let (mut from, now) = (0, Instant::now());
        let a = |text: &str| text.starts_with('a');
        assert_eq!(console.wait_for(&mut from, a, now).expect("first").text, "a 1");
        assert_eq!(console.wait_for(&mut from, a, now).expect("second").text, "a 2");
        assert_eq!(console.wait_for(&mut from, a, now), Err(Missed::TimedOut));
        assert_eq!(console.wait_for(&mut from, |text| text == "login: ", now).expect("prompt").text, "login: ");
        assert_eq!(console.wait_for(&mut from, |text| text == "login: ", now), Err(Missed::TimedOut));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                console.feed(b"root\r\nlogin: ");
            });
            let soon = now + Duration::from_secs(5);
            let again = console.wait_for(&mut from, |text| text.starts_with("login: "), soon);
            assert_eq!(
                again.expect("the second prompt").text,
                "login: ",
                "the first is one line, now that it is whole"
            );
        });
    }

    #[test]
    fn what_was_written_before_the_end_is_still_found() {
        let console = console(b"last words");
        console.end();
        let (mut from, now) = (0, Instant::now());
        assert_eq!(console.wait_for(&mut from, |text| text == "last words", now).expect("there").text, "last words");
        assert_eq!(console.wait_for(&mut from, |_| true, now), Err(Missed::Ended));
    }

    #[test]
    fn a_flood_is_bounded_and_said_to_be_missed() {
        let console = Console::new();
        for _ in 0..50 {
            console.feed(&[b'x'; 1 << 16]);
            console.feed(&[b'\n'; 1 << 12]);
        }
        let lines = console.lock();
        assert!(lines.kept + lines.ring.len() * size_of::<Line>() <= KEPT, "{}", lines.kept);
        assert!(lines.ring.iter().all(|line| line.text.len() <= LONGEST));
        drop(lines);
        assert_eq!(console.wait_for(&mut 0, |_| true, Instant::now()), Err(Missed::Overrun));
    }

    #[test]
    fn only_the_kernels_own_panic_counts() {
        let table = [
            ("[    1.234567] Kernel panic - not syncing: VFS", true),
            ("Kernel panic - not syncing: early", true),
            ("web | Kernel panic - not syncing: a joke", false),
            ("[notice] Kernel panic - not syncing: a joke", false),
        ];
        for (text, want) in table {
            assert_eq!(is_panic(text), want, "{text}");
        }
    }
}
