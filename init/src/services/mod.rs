//! Services: started all at once, and started again when they end.

pub mod backoff;

use std::rc::Rc;
use std::time::Duration;

use backoff::{Ending, Next};

use crate::boot::BootError;
use crate::container::Section;
use crate::contract::Restart;
use crate::host::{Host, Kind, Phase};
use crate::sys::Sys;

/// Start every service, without waiting for one before the next.
///
/// # Errors
///
/// None: a service that does not start is tried again; the signature is that of a stage.
pub fn start<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    for (index, container) in contract.services.iter().enumerate() {
        let position = host.add(Kind::Container(Section::Services, index), &container.name);
        host.start(position);
    }
    Ok(())
}

/// Keep the services running until somebody wants the host to go down.
pub fn supervise<S: Sys>(host: &mut Host<S>) {
    while host.asked.is_none() {
        let deadline = restart(host);
        host.turn(deadline);
    }
}

/// Decide about every unit that ended, and start those whose wait is over. Out: when the next wait is over.
pub fn restart<S: Sys>(host: &mut Host<S>) -> Option<Duration> {
    let mut next: Option<Duration> = None;
    for position in 0..host.units.len() {
        if let Phase::Ended(ending) = host.units[position].phase.clone() {
            decide(host, position, &ending);
        }
        if let Phase::Waiting(at) = host.units[position].phase {
            if at <= host.sys.uptime() {
                host.start(position);
            } else {
                next = Some(next.map_or(at, |other| other.min(at)));
            }
        }
        // A start that failed at once is decided in the next turn, which must not wait.
        if let Phase::Ended(_) = host.units[position].phase {
            next = Some(Duration::ZERO);
        }
    }
    next
}

fn decide<S: Sys>(host: &mut Host<S>, position: usize, ending: &Ending) {
    let now = host.sys.uptime();
    let unit = &mut host.units[position];
    let policy = match unit.kind {
        Kind::Container(_, index) => host.contract.services.get(index).map_or(Restart::No, |service| service.restart),
        Kind::Network => Restart::OnFailure(None),
        Kind::Fetch => Restart::No,
    };
    let next = unit.backoff.next(policy, ending, unit.ran);
    let (phase, what) = match next {
        Next::After(wait) => (Phase::Waiting(now + wait), format!("starting it again in {} s", wait.as_secs())),
        Next::Leave => (Phase::Left, "left as it is".to_owned()),
        Next::GiveUp(times) => (Phase::Left, format!("failed {times} times in a row, given up")),
    };
    unit.phase = phase;
    let text = format!("`{}` {ending}; {what}", unit.name);
    host.say(&text);
}
