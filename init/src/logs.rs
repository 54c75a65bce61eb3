//! What containers print. In: bytes as they come. Out: lines, kept in a bounded ring per container. Pure; what is done with them
//! beside that is a child's work.

mod child;
mod files;
mod server;
mod syslog;

use std::collections::VecDeque;
use std::io::Write;

pub use child::{past, run};

use crate::boot::BootError;
use crate::host::{Host, Kind};
use crate::sys::Sys;

/// Start the child that keeps lines in files and sends them, if there is something for it to do.
///
/// # Errors
///
/// None: a host does its work without, and its lines are in memory all the same.
pub fn start<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let logs = &host.contract.logs;
    if logs.files.is_some() || !logs.forward.is_empty() {
        let position = host.add(Kind::Logs, "logs");
        host.start(position);
    }
    Ok(())
}

/// Tell PID 1's console, from a child of it.
fn say(text: &str) {
    // Nobody to tell if this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Bytes that one container's ring keeps, texts only.
pub const RING: usize = 256 << 10;

/// Longest line, in bytes; a longer one is split.
pub const LONGEST_LINE: usize = 16 << 10;

/// What a kept line costs beside its text, so that empty lines cannot fill memory.
const LINE_COST: usize = 32;

/// Which output a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the kernel started.
    pub at: u64,
    /// Where it came from.
    pub stream: Stream,
    /// Its bytes, without the line feed; foreign, not always UTF-8.
    pub text: Box<[u8]>,
}

/// The last lines of one container.
#[derive(Debug, Default)]
pub struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    partial: [Vec<u8>; 2],
    forgotten: u64,
}

impl Ring {
    /// Take bytes as they came.
    ///
    /// Out: `each` is called for every line that is now complete. A line that has no line feed yet waits for it.
    pub fn push(&mut self, at: u64, stream: Stream, bytes: &[u8], mut each: impl FnMut(&Line)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let partial = &mut self.partial[stream as usize];
            let room = LONGEST_LINE - partial.len();
            let window = &rest[..rest.len().min(room)];
            let (text, used, whole) = match window.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&window[..end], end + 1, true),
                None => (window, window.len(), window.len() == room),
            };
            partial.extend_from_slice(text);
            rest = &rest[used..];
            if whole {
                let text = std::mem::take(partial);
                self.keep(at, stream, text, &mut each);
            }
        }
    }

    /// Take what has no line feed as lines: the output has ended.
    pub fn finish(&mut self, at: u64, mut each: impl FnMut(&Line)) {
        for stream in [Stream::Out, Stream::Err] {
            let text = std::mem::take(&mut self.partial[stream as usize]);
            if !text.is_empty() {
                self.keep(at, stream, text, &mut each);
            }
        }
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> + ExactSizeIterator {
        self.lines.iter()
    }

    /// The number of the oldest line kept: how many were forgotten before it.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.forgotten
    }

    /// The number that the next line will have.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.forgotten + self.lines.len() as u64
    }

    /// A line by its number: the first that was ever kept is 0.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Line> {
        self.lines.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    fn keep(&mut self, at: u64, stream: Stream, mut text: Vec<u8>, each: &mut impl FnMut(&Line)) {
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        let line = Line { at, stream, text: text.into_boxed_slice() };
        each(&line);
        self.bytes += line.text.len() + LINE_COST;
        self.lines.push_back(line);
        while self.bytes > RING {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len() + LINE_COST;
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ring: &Ring) -> Vec<String> {
        ring.lines().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
    }

    #[test]
    fn a_line_split_over_reads_is_one_line() {
        let mut ring = Ring::default();
        for part in ["he", "llo\nwor", "ld\r\n", "tail"] {
            ring.push(1, Stream::Out, part.as_bytes(), |_| {});
        }
        assert_eq!(texts(&ring), ["hello", "world"]);
        ring.finish(2, |_| {});
        assert_eq!(texts(&ring), ["hello", "world", "tail"]);
    }

    #[test]
    fn the_two_outputs_do_not_mix_within_a_line() {
        let mut ring = Ring::default();
        ring.push(1, Stream::Out, b"o", |_| {});
        ring.push(1, Stream::Err, b"e\n", |_| {});
        ring.push(1, Stream::Out, b"k\n", |_| {});
        assert_eq!(texts(&ring), ["e", "ok"]);
    }

    #[test]
    fn a_line_without_end_is_split_at_the_limit() {
        let mut ring = Ring::default();
        ring.push(1, Stream::Out, &vec![b'x'; 2 * LONGEST_LINE + 3], |_| {});
        ring.push(1, Stream::Out, b"\n", |_| {});
        let lengths: Vec<usize> = ring.lines().map(|line| line.text.len()).collect();
        assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE, 3]);
    }

    #[test]
    fn the_ring_forgets_the_oldest_first() {
        let mut ring = Ring::default();
        for number in 0..100_000 {
            ring.push(number, Stream::Out, format!("line {number}\n").as_bytes(), |_| {});
        }
        assert!(ring.bytes <= RING);
        assert_eq!(ring.lines().next_back().map(|line| line.at), Some(99_999));
        assert!(ring.lines().len() > 5_000);
        assert_eq!(ring.get(ring.first()), ring.lines().next());
        assert_eq!((ring.next(), ring.get(0)), (100_000, None));
        assert_eq!(ring.get(99_999).map(|line| line.at), Some(99_999));
    }

    #[test]
    fn empty_lines_cannot_fill_memory() {
        let mut ring = Ring::default();
        ring.push(1, Stream::Err, &vec![b'\n'; 1 << 20], |_| {});
        assert_eq!(ring.lines().len(), RING / LINE_COST);
    }

    proptest::proptest! {
        #[test]
        fn no_byte_is_lost_or_made_up(parts in proptest::collection::vec(proptest::collection::vec(0_u8..20, 0..50), 0..20)) {
            let mut ring = Ring::default();
            let mut seen = Vec::new();
            for part in &parts {
                ring.push(0, Stream::Out, part, |line| { seen.extend_from_slice(&line.text); seen.push(b'\n'); });
            }
            ring.finish(0, |line| seen.extend_from_slice(&line.text));
            let want: Vec<u8> = parts.concat().into_iter().filter(|byte| *byte != b'\r').collect();
            seen.retain(|byte| *byte != b'\r');
            proptest::prop_assert_eq!(seen, want);
        }
    }
}
