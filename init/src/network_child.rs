//! The child that sets up the network and keeps it up. PID 1 runs no protocol itself.
//!
//! In: one JSON line from the child for every change that matters. Out: a line on the console, and whether the host is online.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::boot::BootError;
use crate::contract::RESOLV_CONF;
use crate::host::{Host, Kind};
use crate::services;
use crate::sys::Sys;

/// How long a boot waits for the network, if the manifest does not say.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the child says, as far as PID 1 uses it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Said {
    /// Every rule that asks for an address has one.
    Online {
        /// The interface that came last.
        interface: String,
        /// Its addresses.
        #[serde(default)]
        addresses: Vec<String>,
    },
    /// Something is missing.
    Waiting {
        /// All of it: interfaces, or rules, and what each lacks.
        r#for: BTreeMap<String, String>,
    },
    /// An interface is there no more.
    Gone {
        /// The interface.
        interface: String,
    },
    /// An address was lost.
    Lost {
        /// The interface.
        interface: String,
        /// Why.
        reason: String,
    },
    /// An end of tunnels has its key.
    Key {
        /// The interface.
        interface: String,
        /// What its peers have to know.
        public_key: String,
    },
    /// The clock was set.
    Clock {
        /// The time server that said so.
        server: String,
        /// By how many milliseconds.
        by: i64,
        /// It jumped.
        stepped: bool,
    },
    /// Something did not work.
    Error {
        /// The interface.
        interface: String,
        /// What, and why.
        error: String,
    },
    /// What PID 1 has no use for.
    #[serde(other)]
    Other,
}

/// Take in one line of the child.
pub fn hear<S: Sys>(host: &mut Host<S>, line: &[u8]) {
    match serde_json::from_slice(line) {
        Ok(Said::Online { interface, addresses }) => {
            host.online = true;
            host.waits_for.clear();
            host.say(&format!("network: {interface} {}", addresses.join(" ")));
        }
        Ok(Said::Waiting { r#for }) => host.waits_for = r#for,
        Ok(Said::Gone { interface }) => host.say(&format!("network: {interface} is gone")),
        Ok(Said::Lost { interface, reason }) => host.say(&format!("network: {interface} lost its address: {reason}")),
        Ok(Said::Key { interface, public_key }) => {
            host.say(&format!("network: {interface} has the public key {public_key}"))
        }
        Ok(Said::Clock { server, by, stepped }) => {
            let done = if stepped { "set forward by" } else { "right but for" };
            let (sign, seconds, millis) =
                (if by < 0 { "-" } else { "" }, by.unsigned_abs() / 1000, by.unsigned_abs() % 1000);
            host.say(&format!("clock: {done} {sign}{seconds}.{millis:03} s, as {server} says"));
        }
        Ok(Said::Error { interface, error }) if interface.is_empty() => host.say(&format!("network: {error}")),
        Ok(Said::Error { interface, error }) => host.say(&format!("network: {interface}: {error}")),
        Ok(Said::Other) | Err(_) => {}
    }
}

/// Start the child, and wait for its word that the host is online. A boot goes on without.
///
/// # Errors
///
/// None of its own: no service has been started yet.
pub fn start<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if let Err(cause) = host.sys.loopback() {
        host.say(&format!("network: the loopback interface stays off: {cause}"));
    }
    // Containers bind this file, also on a host without a network.
    let resolver = host.sys.mkdir("/run/resolvconf", 0o755).and_then(|()| host.sys.touch(RESOLV_CONF));
    if let Err(cause) = resolver {
        host.say(&format!("could not create `{RESOLV_CONF}`: {cause}"));
    }
    if host.contract.network.is_empty() {
        return Ok(());
    }
    let position = host.add(Kind::Network, "network");
    host.start(position);
    let patience = host.contract.wait_online.map_or(PATIENCE, Duration::from_millis);
    let deadline = host.sys.uptime().saturating_add(patience);
    while !host.online && host.asked.is_none() && host.sys.uptime() < deadline {
        let next = services::tend(host)?.map_or(deadline, |at| at.min(deadline));
        host.turn(Some(next));
    }
    if !host.online && host.asked.is_none() && !patience.is_zero() {
        let waits: Vec<String> = host.waits_for.iter().map(|(who, what)| format!("`{who}` lacks {what}")).collect();
        let waits = if waits.is_empty() { "nothing was heard of it".to_owned() } else { waits.join(", ") };
        let patience = patience.as_secs_f32();
        host.say(&format!("network: not online after {patience} s, going on without: {waits}"));
    }
    Ok(())
}
