//! The hardware watchdog: a device that resets the machine unless it is fed in time. In: the contract's word. Out: a device that is fed
//! for as long as the event loop turns, and by nothing else.
//!
//! It stays armed on the way down, so that a host that hangs there starts again. It is let go where nobody is meant to answer: before a
//! shell, and before the processors are stopped.
//!
//! # Source
//!
//! Linux, `Documentation/watchdog/watchdog-api.rst`.

use std::time::Duration;

use crate::boot::BootError;
use crate::host::Host;
use crate::root::web;
use crate::sys::Sys;

/// A watchdog that is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog {
    /// Time between two feedings: half of what it waits.
    every: Duration,
    /// Uptime at which it is fed next.
    next: Duration,
}

/// Arm the watchdog if the host is to have one. A host without goes on.
///
/// # Errors
///
/// None; the signature is that of a stage.
pub fn arm<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    // Its driver may come with a root that is still to be fetched.
    arm_or_say(host, !web::is_wanted(host));
    Ok(())
}

/// Arm it after the last drivers have come.
///
/// # Errors
///
/// None, as with [`arm`].
pub fn arm_late<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if web::is_wanted(host) && host.watchdog.is_none() {
        arm_or_say(host, true);
    }
    Ok(())
}

fn arm_or_say<S: Sys>(host: &mut Host<S>, say: bool) {
    let Some(wanted) = host.contract.watchdog else { return };
    match host.sys.arm(wanted) {
        Ok(seconds) => {
            let every = Duration::from_secs(u64::from(seconds)) / 2;
            host.watchdog = Some(Watchdog { every, next: host.sys.uptime() + every });
            host.say(&format!("watchdog: resets this machine if init does not answer for {seconds} s"));
        }
        Err(cause) if say => host.say(&format!(
            "watchdog: none: {cause}; keep the driver of the machine's (`modules.include`), or load `softdog` (`modules.load`)"
        )),
        Err(_) => {}
    }
}

/// Feed it if it is time. Out: when it is time next.
pub fn feed<S: Sys>(host: &mut Host<S>) -> Option<Duration> {
    let now = host.sys.uptime();
    let watchdog = host.watchdog.as_mut()?;
    if watchdog.next <= now {
        host.sys.feed();
        watchdog.next = now + watchdog.every;
    }
    Some(watchdog.next)
}

/// Let it go. One that cannot be is left armed, and resets the machine.
pub fn disarm<S: Sys>(host: &mut Host<S>) {
    if host.watchdog.take().is_some()
        && let Err(cause) = host.sys.disarm()
    {
        host.say(&format!("watchdog: it stays armed: {cause}"));
    }
}
