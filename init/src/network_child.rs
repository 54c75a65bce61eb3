//! The child that sets up the network and keeps it up. PID 1 runs no protocol itself.

use std::time::Duration;

use crate::boot::BootError;
use crate::host::{Host, Kind};
use crate::services;
use crate::sys::Sys;

/// How long a boot waits for the network.
const PATIENCE: Duration = Duration::from_secs(30);

/// Start the child, and wait for its word that the host is online. A boot goes on without.
///
/// # Errors
///
/// None; the signature is that of a stage.
pub fn start<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if host.contract.network.is_empty() {
        return Ok(());
    }
    let position = host.add(Kind::Network, "network");
    host.start(position);
    let deadline = host.sys.uptime() + PATIENCE;
    while !host.online && host.asked.is_none() && host.sys.uptime() < deadline {
        let next = services::restart(host).map_or(deadline, |at| at.min(deadline));
        host.turn(Some(next));
    }
    if !host.online && host.asked.is_none() {
        let rules: Vec<String> = host.contract.network.iter().map(|rule| format!("`{}`", rule.id)).collect();
        host.say(&format!("no network after {} s, going on without; rules: {}", PATIENCE.as_secs(), rules.join(", ")));
    }
    Ok(())
}
