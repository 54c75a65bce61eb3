//! What an interface is to have, from its rule and its lease, and the difference between that and what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::dhcp::Lease;
use super::dhcp6;
use crate::contract::{Cidr, Interface, Route};

/// Priority of a route that DHCP brings: after static ones, and of two interfaces the first comes first.
const DHCP_METRIC: u32 = 1024;

/// Addresses and routes of one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Address and prefix length, and for how many seconds it is good; `None` is for ever.
    pub addresses: BTreeMap<(IpAddr, u8), Option<u32>>,
    /// Routes by way of the interface.
    pub routes: BTreeSet<Path>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
}

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Destination, its prefix length, host bits cleared.
    pub to: (IpAddr, u8),
    /// Gateway; the link itself if absent.
    pub via: Option<IpAddr>,
    /// The gateway is a neighbour although no address of the interface says so.
    pub onlink: bool,
    /// Priority; the kernel's default if absent.
    pub metric: Option<u32>,
    /// DHCP brought it.
    pub dhcp: bool,
}

/// One step from one [`Settings`] to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Set the largest packet.
    Mtu(u32),
    /// Add an address, or set how long it is good.
    AddAddress(IpAddr, u8, Option<u32>),
    /// Remove a route.
    RemoveRoute(Path),
    /// Add a route, or replace the one to the same place with the same priority.
    AddRoute(Path),
    /// Remove an address.
    RemoveAddress(IpAddr, u8),
}

/// What `rule` and leases ask of the interface with this index.
#[must_use]
pub fn settings(rule: &Interface, lease: Option<&Lease>, lease6: Option<&dhcp6::Lease>, index: u32) -> Settings {
    let mut wanted = Settings::default();
    wanted.addresses.extend(rule.addresses.iter().map(|Cidr { address, prefix }| ((*address, *prefix), None)));
    if let Some(lease) = lease {
        wanted.addresses.entry((lease.address.into(), lease.prefix)).or_insert(lease.lifetime);
    }
    // A server keeps addresses and knows no networks: those are the routers' to tell.
    for (address, seconds) in lease6.iter().flat_map(|lease| &lease.addresses) {
        wanted.addresses.entry(((*address).into(), 128)).or_insert(*seconds);
    }
    let networks: Vec<(IpAddr, u8)> = wanted.addresses.keys().copied().collect();
    wanted.routes.extend(rule.routes.iter().map(|route| fixed(route, &networks)));
    if let Some(lease) = lease {
        wanted.routes.extend(lease.routes.iter().map(|(to, prefix, via)| {
            let via = (!via.is_unspecified()).then_some(IpAddr::V4(*via));
            let metric = Some(DHCP_METRIC.saturating_add(index));
            Path { to: masked((*to).into(), *prefix), via, onlink: far(via, &networks), metric, dhcp: true }
        }));
    }
    // IPv6 needs 1280 bytes: a server must not switch it off on an interface that is to have it.
    let floor = if rule.accept_ra { 1280 } else { 576 };
    let offered = lease.and_then(|lease| lease.mtu).map(u32::from).filter(|mtu| *mtu >= floor);
    wanted.mtu = rule.mtu.or(offered);
    wanted
}

fn fixed(route: &Route, networks: &[(IpAddr, u8)]) -> Path {
    let to = match (route.to, route.via) {
        (Some(Cidr { address, prefix }), _) => masked(address, prefix),
        (None, Some(IpAddr::V6(_))) => (IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 0),
        (None, _) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    };
    Path { to, via: route.via, onlink: far(route.via, networks), metric: route.metric, dhcp: false }
}

/// Tell whether a gateway lies outside every network of the interface. A link-local one never does.
fn far(via: Option<IpAddr>, networks: &[(IpAddr, u8)]) -> bool {
    match via {
        None => false,
        Some(IpAddr::V6(address)) if address.is_unicast_link_local() => false,
        Some(via) => !networks.iter().any(|&(network, prefix)| masked(via, prefix) == masked(network, prefix)),
    }
}

/// Clear the host bits.
fn masked(address: IpAddr, prefix: u8) -> (IpAddr, u8) {
    let address = match address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & !u32::MAX.checked_shr(prefix.into()).unwrap_or(0)).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::MAX.checked_shr(prefix.into()).unwrap_or(0)).into()),
    };
    (address, prefix)
}

/// Steps from `old` to `new`, in an order in which none needs what a later one brings, and the host keeps an address as long
/// as it can.
///
/// An address that has an end is set again even if nothing else changed: the end moves.
#[must_use]
pub fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let mut steps = Vec::new();
    steps.extend(new.mtu.filter(|_| new.mtu != old.mtu).map(Change::Mtu));
    for (&(address, prefix), &lifetime) in &new.addresses {
        if lifetime.is_some() || old.addresses.get(&(address, prefix)) != Some(&lifetime) {
            steps.push(Change::AddAddress(address, prefix, lifetime));
        }
    }
    steps.extend(old.routes.difference(&new.routes).copied().map(Change::RemoveRoute));
    // Routes on the link first: a gateway may be reached by way of one.
    let mut added: Vec<Path> = new.routes.difference(&old.routes).copied().collect();
    added.sort_by_key(|path| path.via.is_some());
    steps.extend(added.into_iter().map(Change::AddRoute));
    let gone = old.addresses.keys().filter(|key| !new.addresses.contains_key(key));
    steps.extend(gone.map(|&(address, prefix)| Change::RemoveAddress(address, prefix)));
    steps
}
