//! DHCP on the interfaces whose rules ask for it: a client for each, and what becomes of their leases.

use std::io::Write;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::event::{Event, tell};
use super::{Network, dhcp, dhcp6};

/// A running DHCP client: dropping this ends it.
pub(super) struct Client {
    /// The hardware address it speaks for.
    mac: [u8; 6],
    /// Takes a word each time the link comes back.
    returned: UnboundedSender<()>,
}

impl<W: Write> Network<'_, W> {
    /// Have a DHCP client work on an interface that has a cable. In: whether it had one before.
    pub(super) async fn lease(&mut self, index: u32, had: bool, ethernet: bool) {
        if let Some(client) = self.clients6.get(&index).filter(|_| !had) {
            let _ = client.send(());
        }
        let Some(link) = self.state.links.get(&index).filter(|link| self.rules[link.rule].dhcp) else { return };
        let Some(mac) = <[u8; 6]>::try_from(&*link.identity.mac).ok().filter(|_| ethernet) else {
            let error = "DHCP needs an Ethernet interface";
            return tell(&mut self.report, &Event::Error { interface: &link.identity.name, error });
        };
        match self.clients.get(&index) {
            Some(client) if client.mac == mac && had => {}
            Some(client) if client.mac == mac => drop(client.returned.send(())),
            other => {
                // Of a bond or bridge that was given another part: to the server it is another machine.
                let replaced = other.is_some() && link.lease.is_some();
                let (returned, words) = unbounded_channel();
                let place = dhcp::Place { index, mac, host: self.host.clone() };
                tokio::spawn(dhcp::run(place, words, self.leases.clone()));
                self.clients.insert(index, Client { mac, returned });
                if replaced {
                    self.take_lease(index, dhcp::Change::Lost("the hardware address is another one")).await;
                }
            }
        }
    }

    /// Have a DHCPv6 client work on an interface, which has an address to speak from.
    pub(super) fn lease6(&mut self, index: u32) {
        let Some(link) = self.state.links.get(&index).filter(|link| self.rules[link.rule].dhcp6) else { return };
        let Ok(mac) = <[u8; 6]>::try_from(&*link.identity.mac) else { return };
        let name = link.identity.name.clone();
        self.clients6.entry(index).or_insert_with(|| {
            let (client, words) = unbounded_channel();
            tokio::spawn(dhcp6::run(dhcp6::Place { index, name, mac }, words, self.leases6.clone()));
            client
        });
    }

    pub(super) async fn take_lease(&mut self, index: u32, change: dhcp::Change) {
        let Some(link) = self.state.links.get_mut(&index) else { return };
        let interface = &link.identity.name;
        match change {
            dhcp::Change::Failed(error) => {
                return tell(&mut self.report, &Event::Error { interface, error: &error });
            }
            dhcp::Change::Bound(lease) => {
                let (address, server) = (lease.address.into(), Some(lease.server.into()));
                tell(&mut self.report, &Event::Lease { interface, address, server, seconds: lease.lifetime });
                link.lease = Some(lease);
            }
            dhcp::Change::Lost(reason) => {
                link.lease = None;
                tell(&mut self.report, &Event::Lost { interface, reason });
            }
        }
        // The file first: whoever waits for the host to be online may look a name up at once.
        self.write_resolver();
        self.settle(index).await;
    }

    pub(super) async fn take_lease6(&mut self, index: u32, change: dhcp6::Change) {
        let Some(link) = self.state.links.get_mut(&index) else { return };
        let interface = &link.identity.name;
        match change {
            dhcp6::Change::Failed(error) => {
                return tell(&mut self.report, &Event::Error { interface, error: &error });
            }
            dhcp6::Change::Bound(lease) => {
                for (address, seconds) in &lease.addresses {
                    let (address, seconds) = ((*address).into(), *seconds);
                    tell(&mut self.report, &Event::Lease { interface, address, server: None, seconds });
                }
                link.lease6 = Some(lease);
            }
            dhcp6::Change::Lost(reason) => {
                link.lease6 = None;
                tell(&mut self.report, &Event::Lost { interface, reason });
            }
        }
        self.write_resolver();
        self.settle(index).await;
    }
}
