//! Containers that run to their end, one after another: before the services, and after them.

use std::rc::Rc;
use std::time::Duration;

use crate::boot::BootError;
use crate::container::Section;
use crate::host::{Host, Kind, Phase};
use crate::services::backoff::Ending;
use crate::stop;
use crate::sys::Sys;

/// How long an `onshutdown` container may take before it is stopped as a service is (systemd's time for the same).
const LONGEST_LAST: Duration = Duration::from_secs(90);

/// Run the `onboot` containers. One that fails stops the boot; a request to go down ends it early.
///
/// # Errors
///
/// [`BootError::Container`].
pub fn run<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    for index in 0..host.contract.onboot.len() {
        let ending = run_one(host, Section::Onboot, index);
        if host.asked.is_some() {
            return Ok(());
        }
        if let Some((position, ending)) = ending.filter(|(_, ending)| ending.is_failure()) {
            return Err(BootError::Container { unit: position, ending });
        }
    }
    Ok(())
}

/// Run the `onshutdown` containers; one that fails is named, and the others run.
pub fn run_last<S: Sys>(host: &mut Host<S>) {
    for index in 0..host.contract.onshutdown.len() {
        let ending = run_one(host, Section::Onshutdown, index);
        if let Some((position, ending)) = ending.filter(|(_, ending)| ending.is_failure()) {
            let name = host.units[position].name.clone();
            host.say(&format!("onshutdown `{name}` {ending}"));
        }
    }
}

/// Start one container and wait for its end. Out: its unit and its ending; nothing if it was interrupted on the way up.
fn run_one<S: Sys>(host: &mut Host<S>, section: Section, index: usize) -> Option<(usize, Ending)> {
    let contract = Rc::clone(&host.contract);
    let container = Host::<S>::list(&contract, section).get(index)?;
    host.say(&format!("{} {}", section.name(), container.name));
    let position = host.add(Kind::Container(section, index), &container.name);
    host.start(position);
    let patience = (section == Section::Onshutdown).then(|| host.sys.uptime() + LONGEST_LAST);
    let mut hurried = false;
    loop {
        if let Phase::Ended(ending) = host.units[position].phase.clone() {
            host.units[position].phase = Phase::Left;
            return Some((position, ending));
        }
        if section == Section::Onboot && host.asked.is_some() {
            return None;
        }
        let mut due = patience;
        if patience.is_some_and(|at| at <= host.sys.uptime()) {
            if !std::mem::replace(&mut hurried, true) {
                let (name, time) = (&container.name, LONGEST_LAST.as_secs());
                host.say(&format!("onshutdown `{name}` has not ended in {time} s: stopping it"));
                stop::ask(host, position);
            }
            due = stop::enforce(host, position);
            if !stop::is_left(host, &host.units[position]) {
                // It hangs in the kernel.
                return None;
            }
        }
        host.turn(due);
    }
}
