//! Watching a service that runs: probes are started when they are due, and what they find is told and acted upon.

use std::time::Duration;

use super::backoff::Ending;
use super::health::{State, Todo, Watch};
use crate::boot::BootError;
use crate::contract::{Container, Health, Restart};
use crate::host::{Host, Kind, Phase};
use crate::stop::{self, Stopping};
use crate::sys::Sys;

/// Do what is due for the health of a service that runs since `since`. Out: when something is due next.
///
/// # Errors
///
/// [`BootError::Container`]: the service is critical, and has never been healthy.
pub(super) fn watch<S: Sys>(
    host: &mut Host<S>,
    position: usize,
    service: &Container,
    since: Duration,
) -> Result<Option<Duration>, BootError> {
    // One that is on its way down is not asked how it is.
    let Some(check) = service.health.as_ref().filter(|_| host.units[position].stopping == Stopping::No) else {
        return Ok(None);
    };
    let life = host.units[position].life;
    let probe = life.probe.unwrap_or_else(|| host.add(Kind::Probe(position), &service.name));
    let mut watch = life.watch.unwrap_or_else(|| Watch::new(check, since));
    let (before, now) = (watch.state(), host.sys.uptime());
    let mut news = None;
    if let Phase::Ended(ending) = host.units[probe].phase.clone() {
        host.units[probe].phase = Phase::Idle;
        // Else it is that of a probe that was given up.
        if watch.probing() {
            news = watch.result(check, !ending.is_failure(), now).map(|state| (state, said(host, probe, &ending)));
        }
    }
    let busy = host.units[probe].is_alive() && !watch.probing();
    match if busy { None } else { watch.step(check, now) } {
        Some(Todo::Probe) => host.start(probe),
        Some(Todo::Kill) => {
            kill(host, probe);
            news = watch.result(check, false, now).map(|state| (state, late(check)));
        }
        None => {}
    }
    let unit = &mut host.units[position];
    (unit.life.probe, unit.life.watch) = (Some(probe), Some(watch));
    if let Some((state, said)) = news {
        tell(host, position, service, (before, state), said)?;
    }
    match host.units[probe].phase {
        // It could not be started: that is its result.
        Phase::Ended(_) => Ok(Some(now)),
        _ => Ok((!busy).then(|| watch.due())),
    }
}

/// Stop watching a service that has ended.
pub(super) fn end<S: Sys>(host: &mut Host<S>, position: usize) {
    host.units[position].life.watch = None;
    if let Some(probe) = host.units[position].life.probe {
        kill(host, probe);
    }
}

/// Kill a probe, if it runs, and all that it has started.
fn kill<S: Sys>(host: &mut Host<S>, probe: usize) {
    if let Some(pid) = host.units[probe].pid() {
        // It may have ended a moment ago; its end is on its way then.
        let _ = host.sys.kill_session(pid);
    }
}

/// Tell what is new about a service's health, and act on it: unhealthy counts as stopped if the policy is `always`.
fn tell<S: Sys>(
    host: &mut Host<S>,
    position: usize,
    service: &Container,
    (before, now): (State, State),
    said: String,
) -> Result<(), BootError> {
    let name = &service.name;
    let life = &mut host.units[position].life;
    let age = life.watch.map(|watch| watch.age(host.sys.uptime())).unwrap_or_default().as_secs_f64();
    match (before, now) {
        (_, State::Starting) => {}
        (State::Unhealthy, State::Healthy) => host.say(&format!("{name}: healthy again")),
        (_, State::Healthy) => {
            life.proven = true;
            host.say(&format!("{name}: healthy after {age:.1} s"));
        }
        (_, State::Unhealthy) if service.critical && !life.proven => {
            return Err(BootError::Container { unit: position, ending: Ending::Unhealthy(said) });
        }
        (_, State::Unhealthy) if service.restart == Restart::Always => {
            host.say(&format!("{name}: unhealthy: {said}; stopping it"));
            stop::ask(host, position);
        }
        (_, State::Unhealthy) => host.say(&format!("{name}: unhealthy: {said}")),
    }
    Ok(())
}

/// What a probe that ended has to say for itself.
fn said<S: Sys>(host: &Host<S>, probe: usize, ending: &Ending) -> String {
    host.units[probe].last_line().unwrap_or_else(|| ending.to_string())
}

/// What is said for a probe that took too long.
fn late(check: &Health) -> String {
    format!("no answer in {} s", Duration::from_millis(check.timeout).as_secs_f64())
}
