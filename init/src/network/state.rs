//! What is known of the interfaces, and whether that is enough to call the host online. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::dhcp::Lease;
use super::rules::{Identity, rule_for};
use super::settings::Settings;
use crate::contract::Interface;

/// How long a rule that asks for both is held back by DHCP after IPv6 is there.
const DHCP_GRACE: Duration = Duration::from_secs(5);

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
    /// Addresses the kernel reports, and whether they can be used: a tentative one still waits for a neighbour's objection.
    pub addresses: BTreeMap<IpAddr, bool>,
    /// When an IPv6 address that is good everywhere was first usable.
    pub routable_since: Option<Duration>,
}

/// All interfaces that matter, by index.
#[derive(Debug, Default)]
pub struct State {
    /// By the kernel's index.
    pub links: BTreeMap<u32, Link>,
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

    /// Tell whether every rule that asks for an address has an interface with what it asks for.
    #[must_use]
    pub fn is_online(&self, rules: &[Interface], now: Duration) -> bool {
        let asks = |rule: &Interface| rule.dhcp || rule.accept_ra || !rule.addresses.is_empty();
        rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| asks(rule))
            .all(|(position, rule)| self.links.values().any(|link| link.rule == position && link.satisfies(rule, now)))
    }

    /// When [`State::is_online`] may change although nothing happens.
    #[must_use]
    pub fn due(&self, now: Duration) -> Option<Duration> {
        let ends = self.links.values().filter_map(|link| Some(link.routable_since? + DHCP_GRACE));
        ends.filter(|end| *end > now).min()
    }

    /// Name servers and domains of all rules, then of all leases.
    #[must_use]
    pub fn resolver(&self, rules: &[Interface]) -> (Vec<IpAddr>, Vec<String>) {
        let leases = || self.links.values().filter_map(|link| link.lease.as_ref());
        let servers = rules.iter().flat_map(|rule| rule.nameservers.iter().copied());
        let search = rules.iter().flat_map(|rule| rule.search.iter().cloned());
        let servers = servers.chain(leases().flat_map(|lease| lease.servers.iter().copied().map(IpAddr::V4)));
        (servers.collect(), search.chain(leases().flat_map(|lease| lease.search.iter().cloned())).collect())
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

    fn satisfies(&self, rule: &Interface, now: Duration) -> bool {
        let fixed = rule.addresses.iter().all(|cidr| self.addresses.get(&cidr.address) == Some(&true));
        let leased = self.lease.as_ref().is_some_and(|lease| self.addresses.get(&lease.address.into()) == Some(&true));
        let dynamic = match (rule.dhcp, rule.accept_ra, self.routable_since) {
            (false, false, _) => true,
            (false, true, since) => since.is_some(),
            (true, false, _) | (true, true, None) => leased,
            (true, true, Some(since)) => leased || now >= since + DHCP_GRACE,
        };
        fixed && dynamic
    }
}

/// Tell whether this is an IPv6 address that is good beyond the link.
fn is_routable_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if !v6.is_unicast_link_local() && !v6.is_loopback())
}
