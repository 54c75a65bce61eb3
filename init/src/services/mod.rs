//! Services: each is started the moment its dependencies allow, watched while it runs, and started again when it ends.

pub mod backoff;
pub mod health;
pub mod life;
pub mod order;
mod watch;

use std::rc::Rc;
use std::time::Duration;

use backoff::{Backoff, Ending, HELD, Next};
use order::Gate;

use crate::boot::BootError;
use crate::container::Section;
use crate::contract::{Condition, Container, Contract, Dependency, Restart};
use crate::control::Hand;
use crate::host::{Host, Kind, Phase};
use crate::stop::{self, Stopping};
use crate::sys::Sys;

/// Start every service that waits for nothing, and go on until all that the boot depends on are up.
///
/// # Errors
///
/// [`BootError::Container`]: a critical service failed. Any other that does not start is tried again.
pub fn start<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    host.services = host.units.len();
    for (index, container) in contract.services.iter().enumerate() {
        host.add(Kind::Container(Section::Services, index), &container.name);
    }
    let mut due = tend(host)?;
    let idle = |host: &Host<S>, index| host.service(index).is_some_and(|at| host.units[at].phase == Phase::Idle);
    for (index, service) in contract.services.iter().enumerate() {
        if idle(host, index) && !service.depends_on.is_empty() {
            host.say(&format!("{}: waits for {}", service.name, needs(&contract, &service.depends_on)));
        }
    }
    while host.asked.is_none() && !all_up(host, &contract) {
        host.turn(due);
        due = tend(host)?;
    }
    Ok(())
}

/// Keep the services running until somebody wants the host to go down.
///
/// # Errors
///
/// [`BootError::Container`]: a critical service failed.
pub fn supervise<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    while host.asked.is_none() {
        let due = tend(host)?;
        host.turn(due);
    }
    Ok(())
}

/// Act on what has become of every unit: decide about those that ended, start those whose time has come, watch those that run.
/// Out: when something is due next.
///
/// # Errors
///
/// [`BootError::Container`]: a critical service failed.
pub fn tend<S: Sys>(host: &mut Host<S>) -> Result<Option<Duration>, BootError> {
    let contract = Rc::clone(&host.contract);
    let mut due = Due(None);
    for position in 0..host.units.len() {
        if matches!(host.units[position].kind, Kind::Probe(_)) {
            continue;
        }
        let service = service(host, &contract, position);
        if let Phase::Ended(ending) = host.units[position].phase.clone() {
            decide(host, position, service, ending)?;
        }
        match host.units[position].phase {
            Phase::Waiting(at) if at <= host.sys.uptime() => host.start(position),
            Phase::Waiting(at) => due.at(Some(at)),
            Phase::Running { since, .. } => {
                if let Some(service) = service {
                    host.units[position].life.started = true;
                    due.at(watch::watch(host, position, service, since)?);
                }
            }
            _ => {}
        }
        if host.units[position].stopping != Stopping::No {
            due.at(stop::enforce(host, position));
        }
        // A start that failed at once is decided in the next turn, which must not wait.
        if let Phase::Ended(_) = host.units[position].phase {
            due.at(Some(Duration::ZERO));
        }
    }
    due.at(open(host, &contract)?.0);
    Ok(due.0)
}

/// Wait for the end of a child of PID 1's own, and keep everything else up. Out: `None` if the time is over, or somebody wants the
/// host to go down.
///
/// # Errors
///
/// [`BootError::Container`]: a critical service failed.
pub fn wait_for_end<S: Sys>(
    host: &mut Host<S>,
    position: usize,
    deadline: Option<Duration>,
) -> Result<Option<Ending>, BootError> {
    while host.asked.is_none() {
        if let Phase::Ended(ending) = host.units[position].phase.clone() {
            host.units[position].phase = Phase::Left;
            return Ok(Some(ending));
        }
        if deadline.is_some_and(|at| host.sys.uptime() >= at) {
            break;
        }
        let mut next = Due(tend(host)?);
        next.at(deadline);
        host.turn(next.0);
    }
    Ok(None)
}

/// The earliest of several times.
struct Due(Option<Duration>);

impl Due {
    fn at(&mut self, time: Option<Duration>) {
        self.0 = [self.0, time].into_iter().flatten().min();
    }
}

/// What the contract says of a unit, if that is a service.
fn service<'a, S: Sys>(host: &Host<S>, contract: &'a Contract, position: usize) -> Option<&'a Container> {
    match host.units[position].kind {
        Kind::Container(Section::Services, index) => contract.services.get(index),
        _ => None,
    }
}

/// Services that are started side by side. All at once would only make each wait for the others, in memory for all of them.
const AT_ONCE: usize = 4;

/// After so long a start waits for something, and others need not wait for it.
const STUCK: Duration = Duration::from_secs(2);

/// How many services are about to start.
fn starting<S: Sys>(host: &Host<S>) -> usize {
    let now = host.sys.uptime();
    let is_starting = |phase: &Phase| matches!(phase, Phase::Starting { since, .. } if *since + STUCK > now);
    host.units.iter().filter(|unit| is_starting(&unit.phase)).count()
}

/// Start the services whose dependencies allow it; leave those for which they never will. Out: when to ask again, if not at the next
/// event.
fn open<S: Sys>(host: &mut Host<S>, contract: &Contract) -> Result<Due, BootError> {
    let (mut again, mut due, mut starting) = (true, Due(None), starting(host));
    // One that is left may be the last that others wait for.
    while std::mem::take(&mut again) {
        for (index, service) in contract.services.iter().enumerate() {
            let Some(position) = host.service(index).filter(|at| host.units[*at].phase == Phase::Idle) else {
                continue;
            };
            let standing = |other| host.service(other).map(|at| host.units[at].life.standing());
            match order::gate(&service.depends_on, standing) {
                // The end of a start is an event, after which this is asked again.
                Gate::Open if starting >= AT_ONCE => due.at(Some(host.sys.uptime() + STUCK)),
                Gate::Open => {
                    host.start(position);
                    match host.units[position].phase {
                        Phase::Ended(_) => due.at(Some(Duration::ZERO)),
                        _ => starting += 1,
                    }
                }
                Gate::Closed => {}
                Gate::Shut(needed) => {
                    let text = format!("it waits for {}, which will not happen", needs(contract, &[needed]));
                    settle(host, position, Some(service), Ending::NotStarted(text), Phase::Left, LEFT)?;
                    again = true;
                }
            }
        }
    }
    Ok(due)
}

/// Decide what becomes of a unit that ended.
fn decide<S: Sys>(
    host: &mut Host<S>,
    position: usize,
    service: Option<&Container>,
    ending: Ending,
) -> Result<(), BootError> {
    watch::end(host, position);
    let now = host.sys.uptime();
    let unit = &mut host.units[position];
    match unit.hand.take() {
        Some(Hand::Stop) => {
            unit.phase = Phase::Left;
            let text = format!("`{}` {ending}; stopped by hand", unit.name);
            host.say(&text);
            return Ok(());
        }
        Some(Hand::Again) => {
            unit.backoff = Backoff::default();
            unit.phase = Phase::Waiting(now);
            let text = format!("`{}` {ending}; starting it again, as asked", unit.name);
            host.say(&text);
            return Ok(());
        }
        None => {}
    }
    unit.life.started |= matches!(ending, Ending::Ended(_) | Ending::OutOfMemory(..));
    unit.life.proven |= unit.ran >= HELD;
    let policy = match unit.kind {
        Kind::Network | Kind::Logs | Kind::Metrics => Restart::OnFailure(None),
        Kind::Fetch | Kind::Metadata(_) | Kind::Storage => Restart::No,
        _ => service.map_or(Restart::No, |service| service.restart),
    };
    let next = unit.backoff.next(policy, &ending, unit.ran);
    // Tries that are counted are all had; others might go on for ever, and the boot would never be over.
    let patient = unit.life.proven || matches!(policy, Restart::OnFailure(Some(_)));
    let hopeless = service.is_some_and(|service| service.critical) && ending.is_failure() && !patient;
    let (phase, what) = match next {
        Next::After(wait) if !hopeless => {
            (Phase::Waiting(now + wait), format!("starting it again in {} s", wait.as_secs()))
        }
        Next::After(_) | Next::Leave => (Phase::Left, LEFT.to_owned()),
        Next::GiveUp(times) => (Phase::Left, format!("failed {times} times in a row, given up")),
    };
    settle(host, position, service, ending, phase, &what)
}

/// What is said of a unit that is not started again.
const LEFT: &str = "left as it is";

/// Say how a unit ended and what follows. The boot fails with a critical service that is left for failed.
fn settle<S: Sys>(
    host: &mut Host<S>,
    position: usize,
    service: Option<&Container>,
    ending: Ending,
    phase: Phase,
    what: &str,
) -> Result<(), BootError> {
    let unit = &mut host.units[position];
    let left = phase == Phase::Left;
    unit.life.over = left.then_some(!ending.is_failure());
    unit.phase = phase;
    let text = format!("`{}` {ending}; {what}", unit.name);
    host.say(&text);
    let fatal = left && ending.is_failure() && service.is_some_and(|service| service.critical);
    if fatal { Err(BootError::Container { unit: position, ending }) } else { Ok(()) }
}

/// Tell whether everything that the boot depends on is up: it runs, is healthy if it has a health check, or has done its work.
fn all_up<S: Sys>(host: &Host<S>, contract: &Contract) -> bool {
    let mut critical = contract.services.iter().enumerate().filter(|(_, service)| service.critical);
    critical.all(|(index, service)| {
        let condition = if service.health.is_some() { Condition::Healthy } else { Condition::Started };
        let need = [Dependency { service: index, condition }];
        let standing = |other| host.service(other).map(|at| host.units[at].life.standing());
        // One that failed for good has failed the boot.
        order::gate(&need, standing) != Gate::Closed
    })
}

/// Say what is waited for: `db to be healthy, seed to complete`.
fn needs(contract: &Contract, list: &[Dependency]) -> String {
    let one = |need: &Dependency| {
        let name = contract.services.get(need.service).map_or("a service that is not there", |service| &service.name);
        let what = match need.condition {
            Condition::Started => "to start",
            Condition::Healthy => "to be healthy",
            Condition::Completed => "to complete",
        };
        format!("{name} {what}")
    };
    list.iter().map(one).collect::<Vec<_>>().join(", ")
}
