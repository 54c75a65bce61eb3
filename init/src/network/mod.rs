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

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::contract::{self, Contract, Interface};
use clock::Clock;
use event::{Event, tell};
use leases::Client;
use state::State;

mod clock;
pub mod dhcp;
pub mod dhcp6;
pub mod event;
pub mod kernel;
mod leases;
mod links;
pub mod ntp;
pub mod resolver;
pub mod rules;
pub mod settings;
pub mod state;
#[cfg(test)]
mod tests;
pub mod wireguard;

/// Time between two looks for the file of a key, or two attempts to make a link.
const PAUSE: Duration = Duration::from_secs(1);

/// Set up the network and keep it up; returns only if the kernel's side breaks down.
///
/// In: `contract`, whose first rule that matches an interface applies to it, also to one that appears later; `report`, where events go.
///
/// # Errors
///
/// The kernel's, for the sockets without which nothing works.
pub fn run(contract: &Contract, report: impl Write) -> io::Result<()> {
    // Names of time servers are looked up by way of the C library, which looks here.
    let _ = std::fs::create_dir_all("/etc")
        .and_then(|()| std::os::unix::fs::symlink(contract::RESOLV_CONF, "/etc/resolv.conf"));
    run_with(contract, report, Path::new(contract::RESOLV_CONF))
}

/// As [`run`], with another place for the resolver's file.
///
/// # Errors
///
/// As [`run`].
pub fn run_with(contract: &Contract, report: impl Write, resolver: &Path) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        // Two sockets: on one, the news of our own changes would pass for answers to our requests, whose numbers they carry.
        let (listener, _listening, mut messages) = new_multicast_connection(&groups)?;
        let (connection, handle, _) = new_connection()?;
        tokio::spawn(listener);
        tokio::spawn(connection);
        let (leases, mut changes) = unbounded_channel();
        let (leases6, mut changes6) = unbounded_channel();
        let (servers, known) = watch::channel(Vec::new());
        let (clock, mut clocks) = unbounded_channel();
        if contract.time.is_some() {
            tokio::spawn(ntp::run(known, contract.built, clock));
        }
        let host = rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
        let host = host.filter(|name| dhcp::is_domain(name) && name != "localhost");
        let mut network = Network {
            rules: &contract.network,
            report,
            resolver,
            handle,
            host,
            leases,
            leases6,
            clock: contract.time.as_ref().map(|time| Clock { time, servers, set: false, failures: BTreeMap::new() }),
            start: Instant::now(),
            state: State::default(),
            clients: BTreeMap::new(),
            keyless: BTreeSet::new(),
            failed: BTreeMap::new(),
            clients6: BTreeMap::new(),
            written: None,
            missing: None,
        };
        network.write_resolver();
        network.refresh().await?;
        let mut again = tokio::time::interval(PAUSE);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            network.build().await;
            network.name_time_servers();
            network.judge();
            let now = network.start.elapsed();
            let due = network.state.due(now).map(|due| due.saturating_sub(now));
            let waits = !network.keyless.is_empty() || !network.failed.is_empty();
            tokio::select! {
                message = messages.next() => match message {
                    Some((message, _)) => network.take(message).await?,
                    None => return Err(io::Error::other("the kernel closed the netlink socket")),
                },
                change = changes.recv() => if let Some((index, change)) = change {
                    network.take_lease(index, change).await;
                },
                change = changes6.recv() => if let Some((index, change)) = change {
                    network.take_lease6(index, change).await;
                },
                Some(change) = clocks.recv() => network.take_clock(change),
                () = tokio::time::sleep(due.unwrap_or(Duration::MAX)) => {}
                _ = again.tick(), if waits => network.try_again().await,
            }
        }
    })
}

struct Network<'a, W> {
    rules: &'a [Interface],
    report: W,
    resolver: &'a Path,
    handle: Handle,
    /// The host's name, told to DHCP servers.
    host: Option<String>,
    leases: UnboundedSender<(u32, dhcp::Change)>,
    leases6: UnboundedSender<(u32, dhcp6::Change)>,
    clock: Option<Clock<'a>>,
    start: Instant,
    state: State,
    clients: BTreeMap<u32, Client>,
    /// Ends of tunnels that wait for the file of their key.
    keyless: BTreeSet<u32>,
    /// Rules whose links could not be made, and what was told of that.
    failed: BTreeMap<usize, String>,
    /// DHCPv6 clients: a word is sent to each when its link comes back.
    clients6: BTreeMap<u32, UnboundedSender<()>>,
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
                self.clients6.remove(&link.header.index);
                self.keyless.remove(&link.header.index);
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
            if self.state.links.get(&index).is_some_and(|link| self.state.is_made(self.rules, link.rule)) {
                self.set_up(index).await;
            }
            // Name servers of a rule are there with its interface.
            self.write_resolver();
        }
        if carrier {
            self.lease(index, had, ethernet).await;
        }
    }

    fn tell_error(&mut self, index: u32, error: &str) {
        if let Some(link) = self.state.links.get(&index) {
            tell(&mut self.report, &Event::Error { interface: &link.identity.name, error });
        }
    }

    fn take_address(&mut self, index: u32, read: Option<(IpAddr, bool)>, exists: bool) {
        let Some((address, usable)) = read else { return };
        self.state.observe_address(index, address, exists.then_some(usable), self.start.elapsed());
        if exists && usable && matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
            self.lease6(index);
        }
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
        let mut missing = self.state.missing(self.rules, self.start.elapsed());
        if let Some(clock) = self.clock.as_ref().filter(|clock| !clock.set && !clock.time.optional) {
            let lack = if clock.servers.borrow().is_empty() { "a time server" } else { "the answer of a time server" };
            missing.insert("time".to_owned(), lack);
        }
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
