//! What the network child tells PID 1: one JSON object a line.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;

use serde::Serialize;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event<'a> {
    /// Every rule that asks for an address has one that can be used; said again after it was lost in between.
    Online {
        /// The interface that came last.
        interface: &'a str,
        /// Its addresses that can be used.
        addresses: Vec<IpAddr>,
    },
    /// What the host still lacks to be online, all of it; said when it changes.
    Waiting {
        /// Interfaces, or rules that no interface matches, and what each lacks.
        r#for: &'a BTreeMap<String, &'static str>,
    },
    /// An interface that a rule matched is there no more.
    Gone {
        /// Its name.
        interface: &'a str,
    },
    /// DHCP granted or extended an address.
    Lease {
        /// The interface.
        interface: &'a str,
        /// The address.
        address: IpAddr,
        /// Who granted it; absent with DHCPv6, whose servers have no address.
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<IpAddr>,
        /// For how many seconds; absent for ever.
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<u32>,
    },
    /// DHCP took an address away, or it ran out.
    Lost {
        /// The interface.
        interface: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// An end of tunnels has its key.
    Key {
        /// The interface.
        interface: &'a str,
        /// What its peers have to know, in base64.
        public_key: &'a str,
    },
    /// The clock was set, or for the first time found right.
    Clock {
        /// The time server that said so.
        server: &'a str,
        /// By how many milliseconds.
        by: i64,
        /// It jumped; else it is being moved bit by bit.
        stepped: bool,
    },
    /// Something did not work; it is tried again if that can help.
    Error {
        /// The interface.
        interface: &'a str,
        /// What, and why.
        error: &'a str,
    },
}

/// Write one event. That nobody reads it any more is no reason to give up the network.
pub fn tell(report: &mut impl Write, event: &Event<'_>) {
    if let Ok(mut line) = serde_json::to_vec(event) {
        line.push(b'\n');
        let _ = report.write_all(&line).and_then(|()| report.flush());
    }
}
