//! Services that are started and stopped by hand. In: calls. Out: what units are to become, and an answer once they are it.

use super::Control;
use crate::container::Section;
use crate::control::protocol::Reply;
use crate::host::{Host, Kind, Phase};
use crate::services::backoff::Backoff;
use crate::stop::{self, Stopping};
use crate::sys::Sys;

/// What is to become of a service that was asked to end by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// It stays stopped.
    Stop,
    /// It is started again at once.
    Again,
}

/// A call that is over when its service is where the caller wants it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) link: u64,
    pub(super) id: u64,
    unit: usize,
    runs: bool,
}

/// What is wanted of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    Stop,
    Restart,
}

/// Do what can be done now. Out: what the caller waits for.
pub(super) fn act<S: Sys>(
    host: &mut Host<S>,
    (link, id): (u64, u64),
    name: &str,
    wish: Wish,
) -> Result<Waiting, String> {
    let unit = service(host, name)?;
    if host.asked.is_some() && wish != Wish::Stop {
        return Err("the host is going down".to_owned());
    }
    let alive = host.units[unit].is_alive();
    match wish {
        Wish::Stop | Wish::Restart if alive => {
            host.units[unit].hand = Some(if wish == Wish::Stop { Hand::Stop } else { Hand::Again });
            stop::ask(host, unit);
        }
        Wish::Stop => host.units[unit].phase = Phase::Left,
        Wish::Start if alive => {
            if host.units[unit].stopping != Stopping::No {
                host.units[unit].hand = Some(Hand::Again);
            }
        }
        Wish::Start | Wish::Restart => {
            host.units[unit].backoff = Backoff::default();
            host.units[unit].life.over = None;
            host.start(unit);
        }
    }
    Ok(Waiting { link, id, unit, runs: wish != Wish::Stop })
}

/// Kill a service without asking it first.
pub(super) fn kill<S: Sys>(host: &mut Host<S>, name: &str) -> Result<(), String> {
    let unit = service(host, name)?;
    let pid = host.units[unit].pid().ok_or_else(|| format!("`{name}` does not run"))?;
    host.kill_group(unit);
    // It may have ended a moment ago, or with its group; its end is on its way then.
    let _ = host.sys.kill(pid, libc::SIGKILL);
    Ok(())
}

/// Answer the calls that are over.
pub(super) fn settle<S: Sys>(host: &Host<S>, control: &mut Control) {
    let Control { waiting, links, .. } = control;
    waiting.retain(|call| {
        let Some(link) = links.get_mut(&call.link) else { return false };
        let unit = &host.units[call.unit];
        let reply = match (&unit.phase, call.runs) {
            (Phase::Running { .. }, true) if unit.stopping == Stopping::No => Reply::Done { code: 0 },
            (Phase::Waiting(_) | Phase::Left, true) if unit.hand.is_none() => {
                let ending = unit.ended.as_ref().map_or_else(|| "not started".to_owned(), ToString::to_string);
                Reply::Error { message: format!("`{}` {ending}", unit.name) }
            }
            (Phase::Waiting(_) | Phase::Left | Phase::Idle, false) => Reply::Done { code: 0 },
            _ if !call.runs && unit.is_alive() && !stop::is_left(host, unit) => Reply::Error {
                message: format!("`{}` was killed and has not ended: it hangs in the kernel", unit.name),
            },
            _ => return true,
        };
        link.answer(call.id, reply);
        false
    });
}

/// Find a service's unit by its name.
fn service<S: Sys>(host: &Host<S>, name: &str) -> Result<usize, String> {
    let is_service = |kind| matches!(kind, Kind::Container(Section::Services, _));
    if let Some(position) = host.units.iter().position(|unit| is_service(unit.kind) && unit.name == name) {
        return Ok(position);
    }
    let contract = &host.contract;
    if contract.services.iter().any(|service| service.name == name) {
        return Err(format!("`{name}` cannot be asked yet: the services' turn has not come"));
    }
    if contract.onboot.iter().chain(&contract.onshutdown).any(|container| container.name == name) {
        return Err(format!("`{name}` is no service: it runs once"));
    }
    let names: Vec<&str> = contract.services.iter().map(|service| service.name.as_str()).collect();
    Err(if names.is_empty() {
        format!("there is no service `{name}`; this host has none")
    } else {
        format!("there is no service `{name}`; there are {}", names.join(", "))
    })
}
