//! When a service that ended is started again. Pure.

use std::time::Duration;

use crate::contract::Restart;
use crate::memory::Shortage;
use crate::sys::Exit;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// A service that ran this long has recovered: its next wait is the first again.
pub const HELD: Duration = Duration::from_secs(60);

/// Why a service is not running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It ran, and its process ended.
    Ended(Exit),
    /// It ran, and its process ended, of too little memory or after another process of it did.
    OutOfMemory(Exit, Shortage),
    /// It could not be started.
    NotStarted(String),
    /// It runs, and does not work: the last thing a probe said.
    Unhealthy(String),
}

impl Ending {
    /// Tell whether this is anything but the end of a process with exit code 0.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        *self != Self::Ended(Exit::Code(0))
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(exit) => write!(f, "ended, {exit}"),
            Self::OutOfMemory(Exit::Signal(libc::SIGKILL), shortage) => write!(f, "killed: {shortage}"),
            Self::OutOfMemory(exit, shortage) => {
                write!(f, "ended, {exit}, after a process of it was killed: {shortage}")
            }
            Self::NotStarted(error) => write!(f, "not started: {error}"),
            Self::Unhealthy(said) => write!(f, "unhealthy: {said}"),
        }
    }
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start again after this time.
    After(Duration),
    /// Leave it: its policy asks for no more.
    Leave,
    /// Leave it: it failed this many times in a row.
    GiveUp(u32),
}

/// The waits of one service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
    wait: Option<Duration>,
}

impl Backoff {
    /// Decide after an ending. In: `ran`, how long the service had been running.
    pub fn next(&mut self, policy: Restart, ending: &Ending, ran: Duration) -> Next {
        if ran >= HELD {
            *self = Self::default();
        }
        let failed = ending.is_failure();
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        match policy {
            Restart::No => Next::Leave,
            Restart::OnFailure(_) if !failed => Next::Leave,
            Restart::OnFailure(Some(tries)) if self.failures > tries => Next::GiveUp(self.failures),
            Restart::Always | Restart::UnlessStopped | Restart::OnFailure(_) => Next::After(self.wait()),
        }
    }

    fn wait(&mut self) -> Duration {
        let wait = self.wait.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.wait = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Ending = Ending::Ended(Exit::Code(1));
    const DONE: Ending = Ending::Ended(Exit::Code(0));

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<Next> = (0..8).map(|_| backoff.next(Restart::Always, &FAILED, Duration::ZERO)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60].map(|seconds| Next::After(Duration::from_secs(seconds))));
    }

    #[test]
    fn a_service_that_held_starts_from_the_first_wait() {
        let mut backoff = Backoff::default();
        backoff.next(Restart::Always, &FAILED, Duration::ZERO);
        backoff.next(Restart::Always, &FAILED, Duration::from_secs(59));
        assert_eq!(backoff.next(Restart::Always, &FAILED, HELD), Next::After(FIRST));
    }

    #[test]
    fn on_failure_gives_up_after_its_tries() {
        let mut backoff = Backoff::default();
        let policy = Restart::OnFailure(Some(2));
        assert_eq!(backoff.next(policy, &FAILED, Duration::ZERO), Next::After(FIRST));
        assert_eq!(backoff.next(policy, &Ending::NotStarted(String::new()), Duration::ZERO), Next::After(FIRST * 2));
        assert_eq!(backoff.next(policy, &FAILED, Duration::ZERO), Next::GiveUp(3));
    }

    #[test]
    fn success_is_final_for_on_failure_and_no_but_not_for_always() {
        assert_eq!(Backoff::default().next(Restart::OnFailure(None), &DONE, Duration::ZERO), Next::Leave);
        assert_eq!(Backoff::default().next(Restart::No, &FAILED, Duration::ZERO), Next::Leave);
        assert_eq!(Backoff::default().next(Restart::Always, &DONE, Duration::ZERO), Next::After(FIRST));
    }
}
