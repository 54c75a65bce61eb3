//! The clock of a machine with a dead battery. In: when the host was built. Out: a clock that is not before that.
//!
//! It is done before anything runs: certificates, logs and files have times. The right time comes with the network.

use crate::boot::BootError;
use crate::host::Host;
use crate::sys::Sys;

/// Set a clock that is before the build of the host to that time.
///
/// # Errors
///
/// None; the signature is that of a stage.
pub fn set<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let (now, built) = (host.sys.clock().as_secs(), host.contract.built);
    if now >= built {
        return Ok(());
    }
    match host.sys.set_clock(built) {
        Ok(()) => {
            let days = (built - now) / 86_400;
            host.say(&format!("clock: it was {days} days before the build of this host, and is set to that"));
        }
        Err(cause) => host.say(&format!("clock: could not set it to the time of the build: {cause}")),
    }
    Ok(())
}
