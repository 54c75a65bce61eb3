//! The manifest's `network` rules, as init will apply them. Behind the feature `manifest`: for whoever reads manifests, which PID 1 does
//! not.

use std::collections::BTreeMap;

use linuxkit_yaml::{Cidr, Destination, LacpRate, Network, NetworkRule, Period, Spanned, Time};

use crate::contract;

/// Milliseconds between two looks for a cable in a bond; the kernel's default is never.
const MIIMON: u32 = 100;

/// Translate the rules, in their order.
#[must_use]
pub fn interfaces(network: &Network) -> Vec<contract::Interface> {
    let positions: BTreeMap<&str, usize> =
        network.rules.iter().enumerate().map(|(position, (id, _))| (id.as_str(), position)).collect();
    let mut masters = BTreeMap::new();
    for (position, (_, rule)) in network.rules.iter().enumerate() {
        masters.extend(rule.members().map(|member| (member.as_str(), position)));
    }
    let rule = |(id, rule): &(Spanned<String>, NetworkRule)| {
        let matches = rule.matches.as_ref();
        let master = masters.get(id.as_str()).copied();
        contract::Interface {
            id: id.value.clone(),
            name: rule.name_glob(id).filter(|_| !rule.makes()).map(str::to_owned),
            mac: matches.and_then(|matches| matches.mac.as_ref()).map(|mac| mac.value.0.clone()),
            driver: matches.and_then(|matches| matches.driver.as_ref()).map(|driver| driver.value.clone()),
            make: link(rule, &positions),
            master,
            // What brings a key may run only after the network.
            optional: rule.optional || rule.wireguard.as_ref().is_some_and(|one| one.private_key_file.is_some()),
            dhcp: rule.dhcp,
            dhcp6: rule.dhcp6,
            // A part has no addresses: the whole has them.
            accept_ra: rule.accept_ra && master.is_none(),
            addresses: rule.addresses.iter().map(|address| cidr(**address)).collect(),
            routes: rule.routes.iter().map(route).collect(),
            nameservers: rule.nameservers.iter().map(|server| server.value.0).collect(),
            search: rule.search.iter().map(|domain| domain.value.clone()).collect(),
            mtu: rule.mtu.as_ref().map(|mtu| mtu.value),
        }
    };
    network.rules.iter().map(rule).collect()
}

/// Translate by whom the clock is kept.
#[must_use]
pub fn time(time: &Time) -> contract::Time {
    let servers = time.servers.iter().map(|server| (server.host.clone(), server.port)).collect();
    contract::Time { servers, optional: time.optional }
}

/// Describe the link that a rule makes.
fn link(rule: &NetworkRule, positions: &BTreeMap<&str, usize>) -> Option<contract::Link> {
    if let Some(vlan) = &rule.vlan {
        let over = positions.get(vlan.link.as_str()).copied()?;
        return Some(contract::Link::Vlan { id: vlan.id.value, over });
    }
    if let Some(bond) = &rule.bond {
        return Some(contract::Link::Bond {
            mode: bond.mode as u8,
            miimon: bond.mii_monitor_interval.as_ref().map_or(MIIMON, |every| units(**every, 1)),
            lacp_fast: bond.lacp_rate == Some(LacpRate::Fast),
            hash: bond.transmit_hash_policy.map(|policy| policy as u8),
        });
    }
    if let Some(wireguard) = &rule.wireguard {
        let peer = |peer: &linuxkit_yaml::Peer| contract::Peer {
            public_key: peer.public_key.value.0.clone(),
            endpoint: peer.endpoint.as_ref().map(|endpoint| (endpoint.host.clone(), endpoint.port)),
            allowed: peer.allowed_ips.iter().map(|network| cidr(**network)).collect(),
            keepalive: peer
                .persistent_keepalive
                .as_ref()
                .map_or(0, |every| u16::try_from(every.0.as_secs()).unwrap_or(u16::MAX)),
        };
        return Some(contract::Link::Wireguard {
            private_key_file: wireguard.private_key_file.as_ref().map(|file| file.value.clone()),
            listen_port: wireguard.listen_port,
            peers: wireguard.peers.iter().map(peer).collect(),
        });
    }
    let bridge = rule.bridge.as_ref()?;
    let forward_delay = bridge.forward_delay.as_ref().map(|delay| units(**delay, 10));
    Some(contract::Link::Bridge { stp: bridge.stp, forward_delay })
}

/// Give a length of time in units of so many milliseconds.
/// Longer ones than the number can be are the longest.
#[must_use]
pub fn units(period: Period, millis: u128) -> u32 {
    u32::try_from(period.0.as_millis() / millis).unwrap_or(u32::MAX)
}

/// Translate one address.
fn cidr(cidr: Cidr) -> contract::Cidr {
    contract::Cidr { address: cidr.address, prefix: cidr.prefix }
}

/// Translate one route.
fn route(route: &linuxkit_yaml::Route) -> contract::Route {
    contract::Route {
        to: match *route.to {
            Destination::Default => None,
            Destination::Network(network) => Some(cidr(network)),
        },
        via: route.via.as_ref().map(|via| via.value.0),
        metric: route.metric,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_refer_to_one_another_become_positions() {
        let text = "network:\n\
                    \x20 br0: {bridge: {interfaces: [bond0], stp: true, forward_delay: 4s}, dhcp: true}\n\
                    \x20 bond0: {bond: {interfaces: [up], mode: 802.3ad, lacp_rate: fast, transmit_hash_policy: layer2+3}}\n\
                    \x20 up: {match: {driver: 'mlx5*'}}\n\
                    \x20 tag: {vlan: {id: 7, link: br0}, optional: true}\n\
                    \x20 wg0: {wireguard: {private_key_file: /run/key, peers: [{public_key: 8bdQrVLqiw3ZoHCucNh1YfH0iCWuyStniRr8t7H24Fk=, \
                    endpoint: 'a.example:7', persistent_keepalive: 25s}]}}\n";
        let manifest = linuxkit_yaml::parse(text, "test").unwrap();
        let rules = interfaces(manifest.network.as_ref().unwrap());
        let bridge = contract::Link::Bridge { stp: true, forward_delay: Some(400) };
        let bond = contract::Link::Bond { mode: 4, miimon: 100, lacp_fast: true, hash: Some(2) };
        assert_eq!((&rules[0].make, rules[0].master, rules[0].accept_ra), (&Some(bridge), None, true));
        assert_eq!((&rules[1].make, rules[1].master, rules[1].accept_ra), (&Some(bond), Some(0), false));
        assert_eq!((&rules[2].make, rules[2].master, &rules[2].driver), (&None, Some(1), &Some("mlx5*".to_owned())));
        assert_eq!((&rules[2].name, &rules[1].name), (&None, &None), "neither matches by name");
        assert_eq!((&rules[3].make, rules[3].optional), (&Some(contract::Link::Vlan { id: 7, over: 0 }), true));
        let Some(contract::Link::Wireguard { peers, .. }) = &rules[4].make else { panic!("{:?}", rules[4]) };
        assert_eq!((peers[0].keepalive, &peers[0].endpoint), (25, &Some(("a.example".to_owned(), 7))));
        assert!(rules[4].optional, "its key may come after the network");
    }
}
