//! The network child: sets interfaces up as the manifest says, and keeps them so.
//!
//! In: the contract's rules. Out: one JSON line for every change that matters (see [`event`]), and
//! `/run/resolvconf/resolv.conf`. Touches: netlink, `/proc/sys/net`, packet sockets. PID 1 runs this in a process of its own,
//! so that whatever anybody on the link sends never meets PID 1.
//!
//! ```text
//!  netlink: links, addresses --> State --settings--> changes --kernel--> netlink
//!  dhcp: leases ---------------/     \--> resolver file, events
//! ```

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::contract::{self, Interface};
use event::{Event, tell};
use state::State;

pub mod dhcp;
pub mod event;
pub mod kernel;
pub mod resolver;
pub mod rules;
pub mod settings;
pub mod state;
#[cfg(test)]
mod tests;

/// Set up the network and keep it up; returns only if the kernel's side breaks down.
///
/// In: `rules`, the first that matches an interface applies to it, also to one that appears later; `report`, where events go.
///
/// # Errors
///
/// The kernel's, for the sockets without which nothing works.
pub fn run(rules: &[Interface], report: impl Write) -> io::Result<()> {
    run_with(rules, report, Path::new(contract::RESOLV_CONF))
}

/// As [`run`], with another place for the resolver's file.
///
/// # Errors
///
/// As [`run`].
pub fn run_with(rules: &[Interface], report: impl Write, resolver: &Path) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        // Two sockets: on one, the news of our own changes would pass for answers to our requests, whose numbers they carry.
        let (listener, _listening, mut messages) = new_multicast_connection(&groups)?;
        let (connection, handle, _) = new_connection()?;
        tokio::spawn(listener);
        tokio::spawn(connection);
        let (leases, mut changes) = unbounded_channel();
        let host = rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
        let host = host.filter(|name| dhcp::is_domain(name) && name != "localhost");
        let mut network = Network {
            rules,
            report,
            resolver,
            handle,
            host,
            leases,
            start: Instant::now(),
            state: State::default(),
            clients: BTreeMap::new(),
            written: None,
            online: false,
        };
        network.write_resolver();
        network.refresh().await?;
        network.tell_unmatched();
        loop {
            network.judge();
            let due = network.state.due(network.start.elapsed());
            tokio::select! {
                message = messages.next() => match message {
                    Some((message, _)) => network.take(message).await?,
                    None => return Err(io::Error::other("the kernel closed the netlink socket")),
                },
                change = changes.recv() => if let Some((index, change)) = change {
                    network.take_lease(index, change).await;
                },
                () = tokio::time::sleep(due.map_or(Duration::MAX, |due| due.saturating_sub(network.start.elapsed()))) => {}
            }
        }
    })
}

/// A running DHCP client: dropping this ends it.
type Client = UnboundedSender<()>;

struct Network<'a, W> {
    rules: &'a [Interface],
    report: W,
    resolver: &'a Path,
    handle: Handle,
    /// The host's name, told to DHCP servers.
    host: Option<String>,
    leases: UnboundedSender<(u32, dhcp::Change)>,
    start: Instant,
    state: State,
    clients: BTreeMap<u32, Client>,
    /// The resolver's file as last written.
    written: Option<String>,
    online: bool,
}

impl<W: Write> Network<'_, W> {
    /// Read all interfaces and addresses: at the start, and if the kernel had to drop messages.
    async fn refresh(&mut self) -> io::Result<()> {
        let links: Vec<_> = self.handle.link().get().execute().try_collect().await.map_err(io::Error::other)?;
        for link in links {
            self.take_link(&link).await;
        }
        let addresses: Vec<_> = self.handle.address().get().execute().try_collect().await.map_err(io::Error::other)?;
        for message in addresses {
            self.take_address(message.header.index, kernel::read_address(&message), true);
        }
        Ok(())
    }

    fn tell_unmatched(&mut self) {
        for (position, rule) in self.rules.iter().enumerate() {
            if !self.state.links.values().any(|link| link.rule == position) {
                tell(&mut self.report, &Event::Waiting { interface: &rule.id, r#for: "interface" });
            }
        }
    }

    async fn take(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> io::Result<()> {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => self.take_link(&link).await,
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                self.clients.remove(&link.header.index);
                self.state.links.remove(&link.header.index);
                self.write_resolver();
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => {
                self.take_address(message.header.index, kernel::read_address(&message), true);
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) => {
                self.take_address(message.header.index, kernel::read_address(&message), false);
            }
            NetlinkPayload::Overrun(_) => self.refresh().await?,
            _ => {}
        }
        Ok(())
    }

    async fn take_link(&mut self, message: &LinkMessage) {
        let index = message.header.index;
        let (identity, carrier, ethernet) = kernel::read_link(message);
        if identity.loopback {
            let _ = kernel::up(&self.handle, index).await;
            return;
        }
        let had = self.state.links.get(&index).is_some_and(|link| link.carrier);
        if self.state.observe(self.rules, index, identity, carrier) {
            self.set_up(index).await;
        }
        let Some(link) = self.state.links.get(&index) else { return };
        let rule = &self.rules[link.rule];
        if !rule.dhcp || !carrier || had {
            return;
        }
        match (self.clients.get(&index), <[u8; 6]>::try_from(&*link.identity.mac)) {
            (Some(client), _) => drop(client.send(())),
            (None, Ok(mac)) if ethernet => {
                let (client, returned) = unbounded_channel();
                let place = dhcp::Place { index, mac, host: self.host.clone() };
                tokio::spawn(dhcp::run(place, returned, self.leases.clone()));
                self.clients.insert(index, client);
                tell(&mut self.report, &Event::Waiting { interface: &link.identity.name, r#for: "dhcp" });
            }
            (None, _) => {
                let error = "DHCP needs an Ethernet interface";
                tell(&mut self.report, &Event::Error { interface: &link.identity.name, error });
            }
        }
    }

    /// Give an interface what its rule says, and switch it on.
    async fn set_up(&mut self, index: u32) {
        let Some(link) = self.state.links.get(&index) else { return };
        // Before it is up: a router may answer at once.
        kernel::set_accept_ra(&link.identity.name, self.rules[link.rule].accept_ra);
        if !link.carrier {
            tell(&mut self.report, &Event::Waiting { interface: &link.identity.name, r#for: "link" });
        }
        if let Some(mtu) = self.rules[link.rule].mtu {
            self.step(index, settings::Change::Mtu(mtu)).await;
        }
        if let Err(cause) = kernel::up(&self.handle, index).await {
            self.tell_error(index, &format!("could not switch it on: {cause}"));
        }
        self.settle(index).await;
    }

    /// Make the kernel's settings what rule and lease say.
    async fn settle(&mut self, index: u32) {
        let Some(link) = self.state.links.get_mut(&index) else { return };
        let wanted = settings::settings(&self.rules[link.rule], link.lease.as_ref(), index);
        let steps = settings::changes(&link.applied, &wanted);
        link.applied = wanted;
        for step in steps {
            self.step(index, step).await;
        }
    }

    async fn step(&mut self, index: u32, change: settings::Change) {
        if let Err(cause) = kernel::apply(&self.handle, index, change).await {
            self.tell_error(index, &format!("{change:?}: {cause}"));
        }
    }

    fn tell_error(&mut self, index: u32, error: &str) {
        if let Some(link) = self.state.links.get(&index) {
            tell(&mut self.report, &Event::Error { interface: &link.identity.name, error });
        }
    }

    fn take_address(&mut self, index: u32, read: Option<(IpAddr, bool)>, exists: bool) {
        if let Some((address, usable)) = read {
            self.state.observe_address(index, address, exists.then_some(usable), self.start.elapsed());
        }
    }

    async fn take_lease(&mut self, index: u32, change: dhcp::Change) {
        let Some(link) = self.state.links.get_mut(&index) else { return };
        let interface = &link.identity.name;
        match change {
            dhcp::Change::Failed(error) => {
                return tell(&mut self.report, &Event::Error { interface, error: &error });
            }
            dhcp::Change::Bound(lease) => {
                let (address, server) = (lease.address.into(), lease.server.into());
                tell(&mut self.report, &Event::Lease { interface, address, server, seconds: lease.lifetime });
                link.lease = Some(lease);
            }
            dhcp::Change::Lost(reason) => {
                link.lease = None;
                tell(&mut self.report, &Event::Lost { interface, reason });
                tell(&mut self.report, &Event::Waiting { interface, r#for: "dhcp" });
            }
        }
        // The file first: whoever waits for the host to be online may look a name up at once.
        self.write_resolver();
        self.settle(index).await;
    }

    fn write_resolver(&mut self) {
        let (servers, search) = self.state.resolver(self.rules);
        let text = resolver::render(&servers, &search);
        if self.written.as_ref() == Some(&text) {
            return;
        }
        match resolver::write(self.resolver, &text) {
            Ok(()) => self.written = Some(text),
            Err(cause) => {
                let error = format!("could not write `{}`: {cause}", self.resolver.display());
                tell(&mut self.report, &Event::Error { interface: "", error: &error });
            }
        }
    }

    /// Tell when the host has come online.
    fn judge(&mut self) {
        let online = self.state.is_online(self.rules, self.start.elapsed());
        if online && !self.online {
            let last = self.state.links.values().rfind(|link| !link.public().is_empty());
            let (interface, addresses) = last.map_or(("", Vec::new()), |link| (&*link.identity.name, link.public()));
            tell(&mut self.report, &Event::Online { interface, addresses });
        }
        self.online = online;
    }
}
