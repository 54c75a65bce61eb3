//! What is done about the clock, given how far off it is: no socket, no clock.

use std::time::Duration;

use super::message::SECOND;

/// Up to here the kernel moves the clock bit by bit (its own bound is half a second); beyond, it is set.
const SLEW_MAX: i128 = 400_000_000;
/// On a host that has just booted nobody minds that the clock jumps.
const FIRST_SLEW_MAX: i128 = 100_000_000;
/// A clock that was right cannot be that wrong: more is believed only if it is said again and again.
const DOUBT: i128 = 1_000 * SECOND;
/// How often it has to be said, within a second.
const AGREEMENT: u32 = 4;
/// Longest way of an answer: half of it is how far off the answer can be.
const DELAY_MAX: i128 = 3 * SECOND;

/// Times between two questions, as powers of two seconds: 64 s at first, half an hour in the end.
const POLL_FIRST: u32 = 6;
const POLL_MAX: u32 = 11;
/// An offset below which a clock is so well kept that it needs less attention.
const GOOD: i128 = 20_000_000;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Set the clock forward by so many nanoseconds, or back.
    Step(i64),
    /// Move it by so many, bit by bit, over a time that suits a question every `2^poll` seconds.
    Slew(i64, u32),
    /// Nothing: this is not believed.
    Doubt,
}

/// What is known about the clock.
#[derive(Debug, Clone)]
pub struct Discipline {
    /// It has been set or confirmed.
    set: bool,
    poll: u32,
    /// Least that servers allow.
    poll_min: u32,
    /// What was not believed, and how often it was said.
    doubted: Option<(i128, u32)>,
    /// Questions without a good answer since the last.
    failures: u32,
}

impl Default for Discipline {
    fn default() -> Self {
        Self { set: false, poll: POLL_FIRST, poll_min: POLL_FIRST, doubted: None, failures: 0 }
    }
}

impl Discipline {
    /// Take in an answer. In nanoseconds: how far the clock is behind; how long the answer took.
    pub fn take(&mut self, offset: i128, delay: i128) -> Verdict {
        let by = i64::try_from(offset).ok().filter(|_| (0..=DELAY_MAX).contains(&delay));
        let Some(by) = by else {
            self.fail();
            return Verdict::Doubt;
        };
        let size = offset.abs();
        if self.set && size > DOUBT && self.said_in_a_row(offset) < AGREEMENT {
            self.fail();
            return Verdict::Doubt;
        }
        let bound = if self.set { SLEW_MAX } else { FIRST_SLEW_MAX };
        (self.set, self.doubted, self.failures) = (true, None, 0);
        if size > bound {
            self.poll = self.poll_min;
            return Verdict::Step(by);
        }
        let poll = self.poll;
        let next = if size <= GOOD { poll + 1 } else { poll.saturating_sub(1) };
        self.poll = next.clamp(self.poll_min, POLL_MAX);
        Verdict::Slew(by, poll)
    }

    /// Count how often an offset was said in a row.
    fn said_in_a_row(&mut self, offset: i128) -> u32 {
        let count = match self.doubted {
            Some((said, count)) if (said - offset).abs() <= SECOND => count.saturating_add(1),
            _ => 1,
        };
        self.doubted = Some((offset, count));
        count
    }

    /// Take in that no good answer came.
    pub fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Take in that a server wants to be asked less.
    pub fn slow_down(&mut self) {
        self.poll_min = (self.poll_min + 1).min(POLL_MAX);
        self.poll = self.poll.max(self.poll_min);
        self.fail();
    }

    /// How long to wait before the next question. In: how many servers there are, each of which is asked at once after another failed.
    #[must_use]
    pub fn pause(&self, servers: usize) -> Duration {
        if self.failures == 0 {
            return Duration::from_secs(1 << self.poll);
        }
        let rounds = u32::try_from(servers).map_or(0, |servers| self.failures.checked_div(servers).unwrap_or(1));
        let least = if self.poll_min > POLL_FIRST { self.poll_min } else { 0 };
        match (rounds, least) {
            (0, 0) => Duration::ZERO,
            (rounds, least) => Duration::from_secs(1 << rounds.saturating_sub(1).clamp(least, POLL_FIRST.max(least))),
        }
    }
}
