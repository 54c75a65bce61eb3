//! Containers that run to their end, one after another: before the services, and after them.

use std::rc::Rc;

use crate::boot::BootError;
use crate::container::Section;
use crate::host::{Host, Kind, Phase};
use crate::services::backoff::Ending;
use crate::sys::Sys;

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
    loop {
        if let Phase::Ended(ending) = host.units[position].phase.clone() {
            host.units[position].phase = Phase::Left;
            return Some((position, ending));
        }
        if section == Section::Onboot && host.asked.is_some() {
            return None;
        }
        host.turn(None);
    }
}
