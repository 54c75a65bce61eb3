//! Where containers stand, in the protocol's words; and the events that follow when one of the words becomes another.

use super::Control;
use super::cgroup;
use crate::container::Section;
use crate::control::protocol;
use crate::control::protocol::{Health, Service, State, What};
use crate::host::{Host, Kind, Phase, Unit, millis};
use crate::services::health;
use crate::stop::Stopping;
use crate::sys::{Power, Sys};

/// Where a unit stands.
pub(super) fn state(unit: &Unit) -> State {
    match unit.phase {
        Phase::Idle => State::Created,
        Phase::Starting { .. } | Phase::Early { .. } => State::Starting,
        Phase::Running { .. } if unit.stopping == Stopping::No => State::Running,
        Phase::Running { .. } => State::Stopping,
        Phase::Waiting(_) => State::Restarting,
        Phase::Ended(_) | Phase::Left => State::Exited,
    }
}

/// What a unit's health check says, if it has one and runs.
pub(super) fn health(unit: &Unit) -> Option<Health> {
    unit.life.watch.map(|watch| match watch.state() {
        health::State::Starting => Health::Starting,
        health::State::Healthy => Health::Healthy,
        health::State::Unhealthy => Health::Unhealthy,
    })
}

/// What became of every container there is a unit of, and of those there is none of yet.
pub(super) fn services<S: Sys>(host: &mut Host<S>) -> Vec<Service> {
    let mut list: Vec<Service> = (0..host.units.len()).filter_map(|position| one(host, position)).collect();
    for section in Section::ALL {
        for container in Host::<S>::list(&host.contract, section) {
            if !list.iter().any(|one| one.section == section.name() && one.name == container.name) {
                list.push(Service {
                    name: container.name.clone(),
                    section: section.name().to_owned(),
                    image: container.image.clone(),
                    ..Service::default()
                });
            }
        }
    }
    list
}

fn one<S: Sys>(host: &mut Host<S>, position: usize) -> Option<Service> {
    let Kind::Container(section, index) = host.units[position].kind else { return None };
    let usage = cgroup::usage(host, position);
    let now = host.sys.uptime();
    let unit = &host.units[position];
    let alive = unit.is_alive();
    Some(Service {
        name: unit.name.clone(),
        section: section.name().to_owned(),
        image: Host::<S>::list(&host.contract, section).get(index)?.image.clone(),
        state: state(unit),
        pid: unit.pid(),
        age: match unit.phase {
            Phase::Running { since, .. } => Some(millis(now.saturating_sub(since))),
            _ => None,
        },
        restarts: unit.starts.saturating_sub(1),
        health: health(unit),
        ended: unit.ended.as_ref().map(ToString::to_string),
        memory: usage.memory.filter(|_| alive),
        cpu: usage.cpu,
        pids: usage.pids.filter(|_| alive),
        oom_kills: usage.oom_kills,
        lines_dropped: unit.ring.first(),
    })
}

/// What was told of a unit last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    state: State,
    health: Option<Health>,
}

/// Tell what has changed since it was told last.
pub(super) fn notice<S: Sys>(host: &mut Host<S>, control: &mut Control) {
    let now = host.sys.uptime();
    for unit in &mut host.units {
        let Kind::Container(section, _) = unit.kind else { continue };
        let told = Told { state: state(unit), health: health(unit) };
        let before = std::mem::replace(&mut unit.told, told);
        if told.state != before.state {
            let ended = unit.ended.as_ref().filter(|_| matches!(told.state, State::Exited | State::Restarting));
            control.events.push(
                now,
                What::Service {
                    service: unit.name.clone(),
                    section: section.name().to_owned(),
                    state: told.state,
                    ended: ended.map(ToString::to_string),
                },
            );
        }
        if let Some(health) = told.health.filter(|health| before.health != Some(*health)) {
            control.events.push(now, What::Health { service: unit.name.clone(), health });
        }
    }
    if let Some(power) = host.asked.filter(|_| !control.down) {
        control.down = true;
        control.events.push(now, What::Down { how: how(power) });
    }
}

pub(super) fn how(power: Power) -> protocol::How {
    match power {
        Power::Off => protocol::How::Off,
        Power::Reboot => protocol::How::Reboot,
        Power::Halt => protocol::How::Halt,
    }
}
