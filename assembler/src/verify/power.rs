//! What is done to a machine from outside, and how one ends.

use std::time::Instant;

use linuxkit_yaml::test::{Disk, End};

use super::host::Host;
use super::probe::Complaint;
use super::step::{Look, Patience, until};
use crate::vm::{Outcome, VmError};

/// Wait for a host's end.
pub(super) fn ends(host: &mut Host<'_>, wanted: End, deadline: Instant) -> Result<(), Complaint> {
    let begun = Instant::now();
    let Some(outcome) = host.vm.ended_within(deadline.saturating_duration_since(begun)) else {
        return Err(format!("the host still runs, after {:.0} s", begun.elapsed().as_secs_f64()));
    };
    let as_wanted = matches!(
        (wanted, &outcome),
        (End::PoweredOff, Outcome::PoweredOff)
            | (End::Rebooted, Outcome::Rebooted)
            | (End::Panicked, Outcome::Panicked { .. })
    );
    if as_wanted {
        host.over = true;
        return Ok(());
    }
    Err(told(&outcome))
}

/// Take the power away, make disks longer, and give it back.
pub(super) fn grow(host: &mut Host<'_>, disks: &[Disk]) -> Result<(), Complaint> {
    let _ = host.vm.stop();
    for Disk { name, size, .. } in disks {
        host.grow(name, size.0).map_err(|cause| format!("could not make `{name}` {size} long: {cause}"))?;
    }
    host.again().map_err(|error| error.to_string())
}

/// Pull something out, or plug it in again.
pub(super) fn plug(host: &mut Host<'_>, name: &str, plugged: bool, patience: Patience) -> Result<(), Complaint> {
    let failed = |error: VmError| error.to_string();
    let Some((device, id)) = host.loose(name) else { return host.vm.set_link(plugged).map_err(failed) };
    if plugged {
        return host.vm.plug(&device).map_err(failed);
    }
    host.vm.unplug(&id).map_err(failed)?;
    until(host, patience, |host| match host.vm.has_device(&id) {
        Ok(true) => Err(format!("the guest does not let go of `{name}`").into()),
        Ok(false) => Ok(()),
        Err(error) => Err(Look::Never(error.to_string())),
    })
}

/// Say how a machine ended.
pub(super) fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::PoweredOff => "it powered off".to_owned(),
        Outcome::Rebooted => "it reset itself".to_owned(),
        Outcome::Panicked { line } => format!("its kernel panicked: {line}"),
        Outcome::TimedOut => "it did not end in time".to_owned(),
        Outcome::Killed => "it was ended".to_owned(),
        Outcome::QemuFailed { stderr } => format!("QEMU failed: {stderr}"),
    }
}
