//! The clock: whom to ask for the time, and what is told of it.

use std::collections::BTreeMap;
use std::io::Write;

use tokio::sync::watch;

use super::event::{Event, tell};
use super::{Network, ntp};
use crate::contract;

/// How the clock is kept.
pub(super) struct Clock<'a> {
    pub(super) time: &'a contract::Time,
    /// Tells whom to ask.
    pub(super) servers: watch::Sender<Vec<ntp::Server>>,
    pub(super) set: bool,
    /// What was told of servers that are of no use.
    pub(super) failures: BTreeMap<String, String>,
}

impl<W: Write> Network<'_, W> {
    /// Tell whom to ask for the time.
    pub(super) fn name_time_servers(&mut self) {
        let Some(clock) = &self.clock else { return };
        let servers = self.state.time_servers(clock.time);
        clock.servers.send_if_modified(|known| {
            let other = *known != servers;
            *known = servers;
            other
        });
    }

    pub(super) fn take_clock(&mut self, change: ntp::Change) {
        let Some(clock) = &mut self.clock else { return };
        match change {
            ntp::Change::Set { server, by, stepped } => {
                if stepped || !clock.set {
                    let by = by / 1_000_000;
                    tell(&mut self.report, &Event::Clock { server: &server, by, stepped });
                }
                clock.set = true;
                clock.failures.clear();
            }
            ntp::Change::Failed(server, error) => {
                if clock.failures.get(&server) != Some(&error) {
                    let told = format!("time server `{server}`: {error}");
                    tell(&mut self.report, &Event::Error { interface: "", error: &told });
                    clock.failures.insert(server, error);
                }
            }
        }
    }
}
