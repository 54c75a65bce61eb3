//! What is known of the interfaces, and whether that is enough to call the host online. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::dhcp::Lease;
use super::dhcp6;
use super::rules::{Identity, rule_for};
use super::settings::Settings;
use crate::contract::{self, Interface};

/// How long a rule that asks for both is held back by DHCP after IPv6 is there.
const DHCP_GRACE: Duration = Duration::from_secs(5);

/// Port of time servers (RFC 5905).
const NTP: u16 = 123;

/// One interface that a rule matches.
#[derive(Debug, Default)]
pub struct Link {
    /// What rules look at.
    pub identity: Identity,
    /// Position of its rule.
    pub rule: usize,
    /// A cable is plugged in, as it were.
    pub carrier: bool,
    /// What was asked of the kernel so far.
    pub applied: Settings,
    /// What DHCP granted.
    pub lease: Option<Lease>,
    /// What DHCPv6 granted.
    pub lease6: Option<dhcp6::Lease>,
    /// Addresses the kernel reports, and whether they can be used: a tentative one still waits for a neighbour's objection.
    pub addresses: BTreeMap<IpAddr, bool>,
    /// When an IPv6 address that is good everywhere was first usable.
    pub routable_since: Option<Duration>,
    /// Index of the bond or bridge that it was last put into.
    pub put_into: Option<u32>,
}

/// All interfaces that matter, by index.
#[derive(Debug, Default)]
pub struct State {
    /// By the kernel's index.
    pub links: BTreeMap<u32, Link>,
    /// Links that were asked for, by their rule's position, and the index of the interface below, or 0.
    made: BTreeMap<usize, u32>,
}

impl State {
    /// Take in that an interface exists or changed; tells whether it is one that was not known.
    ///
    /// An interface keeps its first rule, whatever name it gets later: half of the settings of two rules would be worse.
    pub fn observe(&mut self, rules: &[Interface], index: u32, identity: Identity, carrier: bool) -> bool {
        if let Some(link) = self.links.get_mut(&index) {
            (link.identity, link.carrier) = (identity, carrier);
            return false;
        }
        let Some(rule) = rule_for(rules, &identity) else { return false };
        self.links.insert(index, Link { identity, rule, carrier, ..Link::default() });
        true
    }

    /// Take in that an address appeared, changed, or went (`usable` is `None`).
    pub fn observe_address(&mut self, index: u32, address: IpAddr, usable: Option<bool>, now: Duration) {
        let Some(link) = self.links.get_mut(&index) else { return };
        match usable {
            Some(usable) => drop(link.addresses.insert(address, usable)),
            None => drop(link.addresses.remove(&address)),
        }
        let routable = link.usable().any(is_routable_v6);
        link.routable_since = if routable { link.routable_since.or(Some(now)) } else { None };
    }

    /// Take in that an interface is gone. Out: what was known of it.
    pub fn forget(&mut self, index: u32) -> Option<Link> {
        let link = self.links.remove(&index)?;
        self.made.remove(&link.rule);
        Some(link)
    }

    /// Say which links can be made now, each once: position of the rule, and index of the interface below, or 0.
    pub fn unmade(&mut self, rules: &[Interface]) -> Vec<(usize, u32)> {
        let below = |rule: &Interface| match rule.make.as_ref()? {
            contract::Link::Vlan { over, .. } => self.index_of(*over),
            _ => Some(0),
        };
        let is_due = |position: usize| self.index_of(position).is_none() || !self.made.contains_key(&position);
        let wanted = rules.iter().enumerate().filter(|(position, _)| is_due(*position));
        let wanted: Vec<_> = wanted.filter_map(|(position, rule)| Some((position, below(rule)?))).collect();
        wanted.into_iter().filter(|(position, below)| self.made.insert(*position, *below) != Some(*below)).collect()
    }

    /// Have a link asked for again, which could not be made.
    pub fn ask_again(&mut self, rule: usize) {
        self.made.remove(&rule);
    }

    /// Index of a rule's interface; of the first, if there are several.
    #[must_use]
    pub fn index_of(&self, rule: usize) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.rule == rule).map(|(index, _)| *index)
    }

    /// Tell whether a rule's interface is as the rule wants it made; one that is there may be somebody else's.
    #[must_use]
    pub fn is_made(&self, rules: &[Interface], rule: usize) -> bool {
        rules[rule].make.is_none() || self.made.contains_key(&rule)
    }

    /// Say which interfaces can be put into their bond or bridge now, each once: index, then the other's.
    pub fn apart(&mut self, rules: &[Interface]) -> Vec<(u32, u32)> {
        let by_rule: BTreeMap<usize, u32> = self.links.iter().map(|(index, link)| (link.rule, *index)).collect();
        let mut apart = Vec::new();
        for (index, link) in &mut self.links {
            let master = rules.get(link.rule).and_then(|rule| rule.master).and_then(|rule| by_rule.get(&rule).copied());
            if master.is_some() && link.identity.master != master && link.put_into != master {
                link.put_into = master;
                apart.extend(master.map(|master| (*index, master)));
            }
        }
        apart
    }

    /// Say what the host lacks to be online: an interface, or a rule that none matches, and what is missing there.
    ///
    /// It is online when every rule that asks for something, and is not optional, has an interface with what it asks for.
    #[must_use]
    pub fn missing(&self, rules: &[Interface], now: Duration) -> BTreeMap<String, &'static str> {
        let asks = |rule: &Interface| rule.dhcp || rule.dhcp6 || rule.accept_ra || !rule.addresses.is_empty();
        let lacks = |(position, rule): (usize, &Interface)| {
            let mut matched = self.links.values().filter(|link| link.rule == position);
            let Some(first) = matched.next() else { return Some((rule.id.clone(), "an interface")) };
            let lack = first.lacks(rule, now)?;
            let whole = matched.any(|link| link.lacks(rule, now).is_none());
            (!whole).then(|| (first.identity.name.clone(), lack))
        };
        rules.iter().enumerate().filter(|(_, rule)| asks(rule) && !rule.optional).filter_map(lacks).collect()
    }

    /// When [`State::missing`] may change although nothing happens.
    #[must_use]
    pub fn due(&self, now: Duration) -> Option<Duration> {
        let ends = self.links.values().filter_map(|link| Some(link.routable_since? + DHCP_GRACE));
        ends.filter(|end| *end > now).min()
    }

    /// Time servers: those of `time`, then those of all leases; none as long as the host has no address.
    #[must_use]
    pub fn time_servers(&self, time: &contract::Time) -> Vec<(String, u16)> {
        if self.links.values().all(|link| link.public().is_empty()) {
            return Vec::new();
        }
        let v4 = self.links.values().filter_map(|link| link.lease.as_ref()).flat_map(|lease| &lease.time_servers);
        let v6 = self.links.values().filter_map(|link| link.lease6.as_ref()).flat_map(|lease| &lease.time_servers);
        let leased = v4.map(ToString::to_string).chain(v6.map(ToString::to_string)).map(|server| (server, NTP));
        let mut servers = time.servers.clone();
        for server in leased {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers
    }

    /// Name servers and domains of the rules that have an interface, then of all leases.
    #[must_use]
    pub fn resolver(&self, rules: &[Interface]) -> (Vec<IpAddr>, Vec<String>) {
        let leases = || self.links.values().filter_map(|link| link.lease.as_ref());
        let leases6 = || self.links.values().filter_map(|link| link.lease6.as_ref());
        let applied = |position: &usize| self.links.values().any(|link| link.rule == *position);
        let rules: Vec<&Interface> =
            rules.iter().enumerate().filter(|(position, _)| applied(position)).map(|(_, rule)| rule).collect();
        let servers = rules.iter().flat_map(|rule| rule.nameservers.iter().copied());
        let search = rules.iter().flat_map(|rule| rule.search.iter().cloned());
        let servers = servers.chain(leases().flat_map(|lease| lease.servers.iter().copied().map(IpAddr::V4)));
        let servers = servers.chain(leases6().flat_map(|lease| lease.servers.iter().copied().map(IpAddr::V6)));
        let search = search.chain(leases().flat_map(|lease| lease.search.iter().cloned()));
        (servers.collect(), search.chain(leases6().flat_map(|lease| lease.search.iter().cloned())).collect())
    }
}

impl Link {
    /// Addresses that can be used.
    pub fn usable(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(|(_, usable)| **usable).map(|(address, _)| *address)
    }

    /// Addresses worth telling: those that can be used and lead beyond the link.
    #[must_use]
    pub fn public(&self) -> Vec<IpAddr> {
        self.usable().filter(|address| address.is_ipv4() || is_routable_v6(*address)).collect()
    }

    /// What the rule asks for and the interface has not: nothing, if it is as it should be.
    fn lacks(&self, rule: &Interface, now: Duration) -> Option<&'static str> {
        let fixed = rule.addresses.iter().all(|cidr| self.addresses.get(&cidr.address) == Some(&true));
        let leased = self.lease.as_ref().is_some_and(|lease| self.addresses.get(&lease.address.into()) == Some(&true));
        let dynamic = match (rule.dhcp, rule.accept_ra, self.routable_since) {
            (false, false, _) => true,
            (false, true, since) => since.is_some(),
            (true, false, _) | (true, true, None) => leased,
            (true, true, Some(since)) => leased || now >= since + DHCP_GRACE,
        };
        let usable = |(address, _): &(std::net::Ipv6Addr, _)| self.addresses.get(&(*address).into()) == Some(&true);
        let leased6 = !rule.dhcp6 || self.lease6.as_ref().is_some_and(|lease| lease.addresses.iter().all(usable));
        match (fixed && dynamic && leased6, self.carrier) {
            (true, _) => None,
            (_, false) => Some("a link"),
            _ if !fixed => Some("its addresses"),
            _ if dynamic => Some("dhcp6"),
            _ if rule.dhcp => Some("dhcp"),
            _ => Some("a router"),
        }
    }
}

/// Tell whether this is an IPv6 address that is good beyond the link.
fn is_routable_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if !v6.is_unicast_link_local() && !v6.is_loopback())
}
