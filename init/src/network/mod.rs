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
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
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
            missing: None,
        };
        network.write_resolver();
        network.refresh().await?;
        loop {
            network.build().await;
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
struct Client {
    /// The hardware address it speaks for.
    mac: [u8; 6],
    /// Takes a word each time the link comes back.
    returned: UnboundedSender<()>,
}

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
    /// What the host lacks to be online, as last told.
    missing: Option<BTreeMap<String, &'static str>>,
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

    async fn take(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> io::Result<()> {
        match message.payload {
            // What a bridge says of its ports is about the ports, not about the interfaces.
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewLink(LinkMessage { header, .. })
                | RouteNetlinkMessage::DelLink(LinkMessage { header, .. }),
            ) if header.interface_family == AddressFamily::Bridge => {}
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => self.take_link(&link).await,
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                self.clients.remove(&link.header.index);
                if let Some(gone) = self.state.forget(link.header.index) {
                    tell(&mut self.report, &Event::Gone { interface: &gone.identity.name });
                }
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
        let (mut identity, carrier, ethernet) = kernel::read_link(message);
        if identity.loopback {
            let _ = kernel::up(&self.handle, index).await;
            return;
        }
        let known = self.state.links.get(&index);
        let had = known.is_some_and(|link| link.carrier);
        if known.is_none() {
            identity.driver = kernel::driver(&identity.name);
        }
        if self.state.observe(self.rules, index, identity, carrier) {
            self.set_up(index).await;
            // Name servers of a rule are there with its interface.
            self.write_resolver();
        }
        if carrier {
            self.lease(index, had, ethernet).await;
        }
    }

    /// Have a DHCP client work on an interface that has a cable. In: whether it had one before.
    async fn lease(&mut self, index: u32, had: bool, ethernet: bool) {
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
                let replaced = other.is_some();
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

    /// Make the links that rules ask for, as soon as what they stand on is there, and put interfaces into those they are part of.
    async fn build(&mut self) {
        for (position, below) in self.state.unmade(self.rules) {
            let rule = &self.rules[position];
            let Some(link) = &rule.make else { continue };
            if let Err(cause) = kernel::make(&self.handle, &rule.id, link, below).await {
                let error = format!("could not make this {}: {cause}", link.kind());
                tell(&mut self.report, &Event::Error { interface: &rule.id, error: &error });
            }
        }
        for (index, master) in self.state.apart(self.rules) {
            if let Err(cause) = kernel::join(&self.handle, index, master).await {
                let whole = self.state.links.get(&master).map_or("", |link| &*link.identity.name).to_owned();
                self.tell_error(index, &format!("could not make it a part of `{whole}`: {cause}"));
            }
        }
    }

    /// Give an interface what its rule says, and switch it on.
    async fn set_up(&mut self, index: u32) {
        let Some(link) = self.state.links.get(&index) else { return };
        // Before it is up: a router may answer at once.
        kernel::set_accept_ra(&link.identity.name, self.rules[link.rule].accept_ra);
        let rule = &self.rules[link.rule];
        if let Some(mtu) = rule.mtu {
            self.step(index, settings::Change::Mtu(mtu)).await;
        }
        // A part is switched on once it is in its place.
        if rule.master.is_some() {
            return;
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

    /// Tell when the host has come online, and until then what it lacks.
    fn judge(&mut self) {
        let missing = self.state.missing(self.rules, self.start.elapsed());
        if self.missing.as_ref() == Some(&missing) {
            return;
        }
        if missing.is_empty() {
            let last = self.state.links.values().rfind(|link| !link.public().is_empty());
            let (interface, addresses) = last.map_or(("", Vec::new()), |link| (&*link.identity.name, link.public()));
            tell(&mut self.report, &Event::Online { interface, addresses });
        } else {
            tell(&mut self.report, &Event::Waiting { r#for: &missing });
        }
        self.missing = Some(missing);
    }
}
