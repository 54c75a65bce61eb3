//! What a host is told when it boots. In: the contract says who is asked. Out: the host's name, its services' environment and its
//! network as it was told; files below `/run/config` ([`CONFIG`](crate::contract::metadata::CONFIG)).
//!
//! PID 1 asks nobody and reads no foreign byte: a program of its own does (`init/metadata`), once before the network, for what the
//! machine itself holds, and once with it. What that program has checked comes back as one line of JSON.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::boot::BootError;
use crate::contract::Container;
use crate::contract::metadata::{HOSTNAME_MAX, PROGRAM, Told};
use crate::host::{Host, Kind};
use crate::services;
use crate::services::backoff::Ending;
use crate::sys::{Started, Sys};

/// How long the program may take beyond the time that it gives its providers.
const SPARE: Duration = Duration::from_secs(5);

/// How long a killed program may take to be gone.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// When it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the network is set up.
    Before,
    /// With the network, if there is one.
    After,
}

impl Moment {
    /// What the program is told.
    fn word(self) -> &'static str {
        match self {
            Self::Before => "before-network",
            Self::After => "after-network",
        }
    }
}

/// Ask for what the machine itself holds.
///
/// # Errors
///
/// None of its own: a boot goes on without.
pub fn before<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    ask(host, Moment::Before)
}

/// Ask everybody who is left, unless somebody has answered.
///
/// # Errors
///
/// None of its own: a boot goes on without.
pub fn after<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    ask(host, Moment::After)
}

/// Start the program that asks.
///
/// # Errors
///
/// The kernel's; most likely the image has no such program.
pub fn start<S: Sys>(sys: &mut S, moment: Moment) -> io::Result<Started> {
    sys.program(PROGRAM, &[moment.word()])
}

fn ask<S: Sys>(host: &mut Host<S>, moment: Moment) -> Result<(), BootError> {
    let Some(metadata) = &host.contract.metadata else { return Ok(()) };
    let deadline = host.sys.uptime() + Duration::from_millis(metadata.timeout) + SPARE;
    let position = host.add(Kind::Metadata(moment), "metadata");
    host.start(position);
    let ending = match services::wait_for_end(host, position, Some(deadline))? {
        Some(ending) => ending,
        None if host.asked.is_some() => return Ok(()),
        None => {
            if let Some(pid) = host.units[position].pid() {
                // One that is gone already has ended.
                let _ = host.sys.kill(pid, libc::SIGKILL);
            }
            let gone = host.sys.uptime() + LAST_BREATH;
            services::wait_for_end(host, position, Some(gone))?;
            host.say("metadata: nothing came in time, going on without");
            return Ok(());
        }
    };
    let said = host.units[position].take_lines().into_iter().next();
    match said.map(|line| serde_json::from_slice::<Told>(&line)) {
        Some(Ok(told)) if told.provider.is_some() => take(host, moment, told),
        Some(Ok(_)) if moment == Moment::Before => {}
        Some(Ok(_)) => host.say("metadata: none, going on without"),
        Some(Err(cause)) => host.say(&format!("metadata: not understood, going on without: {cause}")),
        None => host.say(&format!("metadata: {}, going on without", failure(&ending))),
    }
    Ok(())
}

fn failure(ending: &Ending) -> String {
    format!("the program that asks {ending}")
}

/// Let the host be as it was told.
fn take<S: Sys>(host: &mut Host<S>, moment: Moment, told: Told) {
    let contract = Rc::make_mut(&mut host.contract);
    // Somebody has answered: nobody else is asked.
    contract.metadata = None;
    let mut notes = Vec::new();
    for (name, values) in &told.environment {
        match contract.services.iter_mut().find(|service| service.name == *name) {
            Some(service) => values.iter().for_each(|(name, value)| set(service, name, value)),
            None => notes.push(format!("metadata: there is no service `{name}` whose environment could be set")),
        }
    }
    if let Some(rules) = told.network {
        match (moment, serde_json::to_string(&rules)) {
            (Moment::Before, Ok(text)) => {
                contract.network = rules;
                host.rules = Some(text);
            }
            _ => notes.push("metadata: its network comes too late, the manifest's is up".to_owned()),
        }
    }
    let provider = told.provider.unwrap_or_default();
    host.say(&format!("metadata: from {provider}"));
    notes.iter().for_each(|note| host.say(note));
    if let Some(name) = told.hostname {
        rename(host, &name);
    }
}

fn rename<S: Sys>(host: &mut Host<S>, name: &str) {
    let set = if name.is_empty() || name.len() > HOSTNAME_MAX || name.contains(char::is_control) {
        Err(io::ErrorKind::InvalidInput.into())
    } else {
        host.sys.hostname(name)
    };
    match set {
        Ok(()) => host.say(&format!("metadata: the host's name is {name}")),
        Err(cause) => host.say(&format!("metadata: could not set the host name {name:?}: {cause}")),
    }
}

/// Set one variable of a container.
fn set(container: &mut Container, name: &str, value: &str) {
    let Some(process) = container.spec.process_mut() else { return };
    let environment = process.env_mut().get_or_insert_default();
    environment.retain(|known| known.split('=').next() != Some(name));
    environment.push(format!("{name}={value}"));
}
