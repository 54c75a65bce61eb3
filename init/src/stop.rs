//! Stopping one container: its signal, its grace period, then the end of all that is left in its cgroup.
//!
//! In: a unit, again and again until it has ended. Out: when it is to be looked at again. Nothing here waits.

use std::time::Duration;

use crate::contract::Stop;
use crate::host::{Host, Kind, Unit};
use crate::sys::Sys;

/// How long the kernel may take to end what was killed. What takes longer hangs in the kernel, and nobody waits for it.
const KILLED: Duration = Duration::from_secs(1);

/// How far the stopping of a unit is; times are uptimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopping {
    /// Nobody wants it to end.
    No,
    /// It is to end until then, and has not had its signal: it does not run yet.
    Asked(Duration),
    /// It had its signal, and may take until then.
    Signalled(Duration),
    /// It was killed, and should be gone by then.
    Killed(Duration),
}

/// Ask a unit's container to end; asking again changes nothing.
pub fn ask<S: Sys>(host: &mut Host<S>, position: usize) {
    let deadline = host.sys.uptime() + Duration::from_millis(settings(host, position).grace);
    if let Some(unit) = host.units.get_mut(position).filter(|unit| unit.stopping == Stopping::No) {
        unit.stopping = Stopping::Asked(deadline);
    }
}

/// Do what is due for a unit that was asked to end. Out: when something is due next, if it has a process that may still end.
pub fn enforce<S: Sys>(host: &mut Host<S>, position: usize) -> Option<Duration> {
    let unit = host.units.get(position).filter(|unit| unit.is_alive())?;
    let (now, pid) = (host.sys.uptime(), unit.pid());
    let stop = settings(host, position);
    match (host.units[position].stopping, pid) {
        (Stopping::Asked(at) | Stopping::Signalled(at), _) if at <= now => {
            let name = host.units[position].name.clone();
            let grace = Duration::from_millis(stop.grace).as_secs_f64();
            host.say(&format!("`{name}` did not stop in {grace} s: killed"));
            host.kill_group(position);
            if let Some(pid) = pid {
                let _ = host.sys.kill(pid, libc::SIGKILL);
            }
            host.units[position].stopping = Stopping::Killed(now + KILLED);
        }
        (Stopping::Asked(at), Some(pid)) => {
            // It may have ended a moment ago; its end is on its way then.
            let _ = host.sys.kill(pid, stop.signal);
            host.units[position].stopping = Stopping::Signalled(at);
        }
        _ => {}
    }
    match host.units[position].stopping {
        Stopping::Asked(at) | Stopping::Signalled(at) => Some(at),
        Stopping::Killed(at) => Some(at).filter(|at| *at > now),
        Stopping::No => None,
    }
}

/// Tell whether a unit still has a process that may end.
pub fn is_left<S: Sys>(host: &Host<S>, unit: &Unit) -> bool {
    let hangs = matches!(unit.stopping, Stopping::Killed(at) if at <= host.sys.uptime());
    unit.is_alive() && !hangs
}

/// How the contract wants a unit to be stopped.
fn settings<S: Sys>(host: &Host<S>, position: usize) -> Stop {
    match host.units.get(position).map(|unit| unit.kind) {
        Some(Kind::Container(section, index)) => {
            Host::<S>::list(&host.contract, section).get(index).map(|container| container.stop).unwrap_or_default()
        }
        _ => Stop::default(),
    }
}
