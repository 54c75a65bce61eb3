//! Whether a service works, by the results of its probes over time. Pure.
//!
//! ```text
//! starting --a probe passes--> healthy <--a probe passes-- unhealthy
//!     |                           |                            ^
//!     `--`retries` failures that count, in a row --------------'
//! ```
//!
//! Docker probes a service for the first time after one interval, 30 s by default, and so long everything that depends on it
//! waits. Here the first probes come soon, at growing distances; until Docker's first one, or until the start period is over,
//! their failures do not count. So a service is healthy as soon as it works, and unhealthy no earlier than with Docker.
//!
//! # Source
//!
//! Moby, `daemon/health.go`, for what counts when.

use std::time::Duration;

use crate::contract::Health;

/// How soon after a start the first probe comes, unless `start_interval` is less; each that follows takes twice as long.
const FIRST: Duration = Duration::from_millis(250);

/// What is known of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Starting,
    /// It works.
    Healthy,
    /// It does not.
    Unhealthy,
}

/// What the watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The time of the next probe.
    Probe(Duration),
    /// The end of a probe, at most until then.
    Result(Duration),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// Start a probe; its time runs from now on.
    Probe,
    /// End the probe that runs, and take it for failed: its time is over.
    Kill,
}

/// The health of one service, from one start to its end.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    state: State,
    since: Duration,
    failures: u32,
    early: Duration,
    next: Next,
}

impl Watch {
    /// Watch a service that started at `now`.
    #[must_use]
    pub fn new(check: &Health, now: Duration) -> Self {
        let early = FIRST.min(Duration::from_millis(check.start_interval));
        Self { state: State::Starting, since: now, failures: 0, early, next: Next::Probe(now + early) }
    }

    /// What is known.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// How long the service has been running.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// When something is to be done, if nothing happens before.
    #[must_use]
    pub fn due(&self) -> Duration {
        match self.next {
            Next::Probe(at) | Next::Result(at) => at,
        }
    }

    /// Tell whether the result of a probe is waited for.
    #[must_use]
    pub fn probing(&self) -> bool {
        matches!(self.next, Next::Result(_))
    }

    /// Tell what is to be done now.
    pub fn step(&mut self, check: &Health, now: Duration) -> Option<Todo> {
        match self.next {
            Next::Probe(at) if at <= now => {
                self.next = Next::Result(now + Duration::from_millis(check.timeout));
                Some(Todo::Probe)
            }
            Next::Result(at) if at <= now => Some(Todo::Kill),
            _ => None,
        }
    }

    /// Take in the result of a probe. Out: what is known now, if that is new.
    pub fn result(&mut self, check: &Health, passed: bool, now: Duration) -> Option<State> {
        let counts = self.since + Duration::from_millis(check.start_period.max(check.interval));
        let (before, early) = (self.state, self.state == State::Starting && now < counts);
        if passed {
            (self.state, self.failures) = (State::Healthy, 0);
        } else if !early {
            self.failures = self.failures.saturating_add(1);
            if self.failures >= check.retries {
                self.state = State::Unhealthy;
            }
        }
        self.next = Next::Probe(if early && !passed {
            self.early = (self.early * 2).min(Duration::from_millis(check.start_interval));
            counts.min(now + self.early)
        } else {
            now + Duration::from_millis(check.interval)
        });
        (self.state != before).then_some(self.state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::contract::Probe;

    fn check() -> Health {
        let probe = Probe::Exec(vec!["true".to_owned()]);
        Health { probe, interval: 30_000, timeout: 30_000, retries: 3, start_period: 0, start_interval: 5_000 }
    }

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// Run a watch whose probes take no time. Out: when each began, with what became known by it.
    fn run(check: &Health, until: u64, passes: impl Fn(u64) -> bool) -> Vec<(u64, Option<State>)> {
        let mut watch = Watch::new(check, Duration::ZERO);
        let mut seen = Vec::new();
        while watch.due() <= ms(until) {
            let now = watch.due();
            assert_eq!(watch.step(check, now), Some(Todo::Probe));
            let millis = u64::try_from(now.as_millis()).unwrap();
            seen.push((millis, watch.result(check, passes(millis), now)));
        }
        seen
    }

    #[test]
    fn first_probes_come_soon_and_a_service_that_never_works_is_unhealthy_when_docker_says_so() {
        let seen = run(&check(), 100_000, |_| false);
        let times: Vec<u64> = seen.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [250, 750, 1750, 3750, 7750, 12750, 17750, 22750, 27750, 30000, 60000, 90000],);
        let news: Vec<_> = seen.iter().filter_map(|(at, news)| news.map(|news| (*at, news))).collect();
        assert_eq!(news, [(90_000, State::Unhealthy)]);
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_and_its_first_success_ends_it() {
        let check = Health { start_period: 60_000, interval: 10_000, retries: 1, ..check() };
        let news = |passes: fn(u64) -> bool| {
            let seen = run(&check, 90_000, passes);
            seen.into_iter().filter_map(|(at, news)| news.map(|news| (at, news))).collect::<Vec<_>>()
        };
        assert_eq!(news(|_| false), [(60_000, State::Unhealthy)]);
        assert_eq!(news(|at| at == 1750)[..], [(1750, State::Healthy), (11_750, State::Unhealthy)]);
        let recovers = news(|at| at > 60_000);
        assert_eq!(recovers, [(60_000, State::Unhealthy), (70_000, State::Healthy)]);
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let check = Health { interval: 1000, start_interval: 1000, retries: 2, ..check() };
        let seen = run(&check, 60_000, |at| at % 2000 < 1000);
        assert!(seen.iter().all(|(_, news)| *news != Some(State::Unhealthy)), "{seen:?}");
    }

    #[test]
    fn a_probe_that_takes_too_long_is_killed_and_has_failed() {
        let check = Health { interval: 1, retries: 1, timeout: 100, ..check() };
        let mut watch = Watch::new(&check, ms(1000));
        assert_eq!((watch.due(), watch.step(&check, ms(1249))), (ms(1250), None));
        assert_eq!(watch.step(&check, ms(1250)), Some(Todo::Probe));
        assert_eq!((watch.due(), watch.step(&check, ms(1349)), watch.probing()), (ms(1350), None, true));
        assert_eq!(watch.step(&check, ms(1350)), Some(Todo::Kill));
        assert_eq!(watch.result(&check, false, ms(1350)), Some(State::Unhealthy));
        assert_eq!((watch.due(), watch.probing()), (ms(1351), false));
    }

    proptest! {
        #[test]
        fn it_never_waits_for_nothing_and_says_nothing_twice(
            interval in 1_u64..5_000, timeout in 1_u64..5_000, retries in 1_u32..5, start_period in 0_u64..20_000,
            start_interval in 1_u64..5_000, results in prop::collection::vec((any::<bool>(), 0_u64..10_000), 1..60)
        ) {
            let check = Health { interval, timeout, retries, start_period, start_interval, ..check() };
            let mut watch = Watch::new(&check, Duration::ZERO);
            let (mut now, mut last, mut failures) = (Duration::ZERO, State::Starting, 0);
            for (passed, takes) in results {
                let at = watch.due();
                prop_assert!(at > now && at - now <= ms(interval.max(start_interval)));
                now = at;
                prop_assert_eq!(watch.step(&check, now), Some(Todo::Probe));
                let late = takes >= timeout;
                now += ms(takes.min(timeout));
                prop_assert_eq!(watch.step(&check, now), late.then_some(Todo::Kill));
                let passed = passed && !late;
                failures = if passed { 0 } else { failures + 1 };
                let news = watch.result(&check, passed, now);
                prop_assert!(news.is_none_or(|news| news != last));
                last = watch.state();
                prop_assert!(!passed || last == State::Healthy);
                prop_assert!(last != State::Unhealthy || failures >= retries);
            }
        }
    }
}
