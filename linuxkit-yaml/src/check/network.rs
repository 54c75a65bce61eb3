//! The `network` section: names of interfaces, and rules that refer to one another.

use std::collections::{BTreeMap, BTreeSet};

use super::hinted;
use crate::link::Wireguard;
use crate::network::{Destination, Network, NetworkRule, Route};
use crate::node::shorten;
use crate::problem::Problems;
use crate::span::Spanned;

/// Smallest packet that IPv4 can be spoken with (RFC 791, 3.2).
const MTU_MIN: u32 = 68;

/// Longest name of an interface, in bytes (`IFNAMSIZ` of linux/if.h, with the zero at its end).
const NAME_MAX: usize = 15;

/// Numbers that a VLAN can have (IEEE 802.1Q, 9.6: the others are reserved).
const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;

pub(crate) fn rules(network: &Network, problems: &mut Problems<'_>) {
    for (name, rule) in &network.rules {
        if rule.makes() {
            made(name, rule, problems);
        } else {
            matched(name, rule, problems);
        }
        if let Some(mtu) = rule.mtu.as_ref().filter(|mtu| mtu.value < MTU_MIN) {
            problems.add(&mtu.at, format!("packets of {} bytes are too small: IPv4 needs {MTU_MIN}", mtu.value));
        }
        routes(rule, problems);
    }
    references(network, problems);
}

/// Seconds between two words to a peer that has nothing to be told, as the kernel takes them.
const KEEPALIVE: std::ops::RangeInclusive<u64> = 1..=65_535;

/// Networks of one peer that fit into one message to the kernel.
const ALLOWED_MAX: usize = 1_000;

/// Check a rule that makes its interface.
fn made(name: &Spanned<String>, rule: &NetworkRule, problems: &mut Problems<'_>) {
    let kinds = [
        ("vlan", rule.vlan.is_some()),
        ("bond", rule.bond.is_some()),
        ("bridge", rule.bridge.is_some()),
        ("wireguard", rule.wireguard.is_some()),
    ];
    let mut kinds = kinds.iter().filter(|(_, given)| *given).map(|(kind, _)| kind);
    if let (Some(first), Some(second)) = (kinds.next(), kinds.next()) {
        problems.add(&name.at, format!("`{}` cannot be a {first} and a {second}", shorten(name)));
    }
    if rule.matches.is_some() {
        let hint = "leave `match` out, or give the addresses in a rule of their own";
        hinted(problems, &name.at, format!("`{}` makes its interface, and has nothing to match", shorten(name)), hint);
    }
    let legal = |c: char| !matches!(c, '/' | ':' | '*' | '?' | '[') && c.is_ascii_graphic();
    if name.is_empty() || name.len() > NAME_MAX || matches!(name.as_str(), "." | "..") || !name.chars().all(legal) {
        let message = format!("`{}` cannot be the name of an interface", shorten(name));
        hinted(problems, &name.at, message, "1 to 15 characters such as bond0");
    }
    if let Some(wireguard) = &rule.wireguard {
        tunnels(name, rule, wireguard, problems);
    }
    if let Some(id) = rule.vlan.as_ref().map(|vlan| &vlan.id).filter(|id| !VLANS.contains(&id.value)) {
        problems.add(&id.at, format!("a VLAN has a number from 1 to 4094, not {}", id.value));
    }
}

/// Check an end of tunnels.
fn tunnels(name: &Spanned<String>, rule: &NetworkRule, wireguard: &Wireguard, problems: &mut Problems<'_>) {
    if rule.dhcp || rule.dhcp6 {
        problems.add(&name.at, format!("`{}` cannot ask for addresses: WireGuard carries no DHCP", shorten(name)));
    }
    if let Some(file) = wireguard.private_key_file.as_ref().filter(|file| !file.starts_with('/')) {
        problems.add(&file.at, format!("`{}` is not an absolute path of the host", shorten(file)));
    }
    for peer in &wireguard.peers {
        if let Some(every) =
            peer.persistent_keepalive.as_ref().filter(|every| !KEEPALIVE.contains(&every.value.0.as_secs()))
        {
            problems.add(&every.at, "`persistent_keepalive` is 1s to 65535s");
        }
        if peer.allowed_ips.len() > ALLOWED_MAX {
            let message = format!("a peer has at most {ALLOWED_MAX} networks, not {}", peer.allowed_ips.len());
            problems.add(&peer.public_key.at, message);
        }
    }
}

/// Check a rule for interfaces that are there.
fn matched(name: &Spanned<String>, rule: &NetworkRule, problems: &mut Problems<'_>) {
    let globs = match &rule.matches {
        None => [Some(name), None],
        Some(matches) => [matches.name.as_ref(), matches.driver.as_ref()],
    };
    let hints = ["a name such as eth0, or a glob such as en*", "a name such as virtio_net, or a glob such as mlx5*"];
    for (glob, hint) in globs.into_iter().zip(hints).filter_map(|(glob, hint)| Some((glob?, hint))) {
        if glob.is_empty() || glob.chars().any(|c| c == '/' || c.is_whitespace() || c.is_control()) {
            hinted(problems, &glob.at, format!("`{}` matches no interface", shorten(glob)), hint);
        }
    }
}

/// Check what rules say of one another: every name is a rule's, an interface is a part of one other and has no addresses then,
/// and nothing stands on itself.
fn references(network: &Network, problems: &mut Problems<'_>) {
    let known: BTreeMap<&str, &NetworkRule> = network.rules.iter().map(|(name, rule)| (name.as_str(), rule)).collect();
    let mut masters: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, rule) in &network.rules {
        for member in rule.members() {
            let Some(part) = rule_of(&known, member, problems) else { continue };
            if let Some(other) = masters.insert(member, name) {
                let message = format!("`{}` is a part of `{}` already", shorten(member), shorten(other));
                problems.add(&member.at, message);
            }
            if part.dhcp || part.dhcp6 || !part.addresses.is_empty() || !part.routes.is_empty() {
                let message = format!("`{}` is a part of `{}`, and has addresses", shorten(member), shorten(name));
                hinted(problems, &member.at, message, "the whole has addresses, its parts have none");
            }
        }
        if let Some(vlan) = &rule.vlan {
            rule_of(&known, &vlan.link, problems);
        }
    }
    circles(network, problems);
}

fn rule_of<'a>(
    known: &BTreeMap<&str, &'a NetworkRule>,
    name: &Spanned<String>,
    problems: &mut Problems<'_>,
) -> Option<&'a NetworkRule> {
    let found = known.get(name.as_str()).copied();
    if found.is_none() {
        let message = format!("`{}` is not a rule of `network`", shorten(name));
        hinted(problems, &name.at, message, "a rule for eth1 that asks for nothing: `eth1: {}`");
    }
    found
}

/// Report rules whose interfaces stand on one another, in a circle: what is left once all that stands on firm ground is taken away.
fn circles(network: &Network, problems: &mut Problems<'_>) {
    let below = |rule: &'_ NetworkRule| -> Vec<String> {
        let link = rule.vlan.iter().map(|vlan| &vlan.link);
        rule.members().chain(link).map(|name| name.value.clone()).collect()
    };
    let names: BTreeSet<&str> = network.rules.iter().map(|(name, _)| name.as_str()).collect();
    let mut above: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, rule) in &network.rules {
        let below: Vec<String> = below(rule).into_iter().filter(|name| names.contains(name.as_str())).collect();
        waits.insert(name, below.len());
        below.into_iter().for_each(|one| above.entry(one).or_default().push(name));
    }
    let mut firm: Vec<&str> = waits.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(name) = firm.pop() {
        waits.remove(name);
        for upper in above.remove(name).unwrap_or_default() {
            if let Some(count) = waits.get_mut(upper) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    firm.push(upper);
                }
            }
        }
    }
    if let Some((name, _)) = network.rules.iter().find(|(name, _)| waits.contains_key(name.as_str())) {
        let message = format!("the interface of `{}` stands on itself, or on one that does", shorten(name));
        problems.add(&name.at, message);
    }
}

fn routes(rule: &NetworkRule, problems: &mut Problems<'_>) {
    for Route { to, via, .. } in &rule.routes {
        let (Destination::Network(network), Some(via)) = (&to.value, via) else { continue };
        if network.address.is_ipv4() != via.0.is_ipv4() {
            problems.add(&via.at, format!("the gateway `{via}` is not of the same IP version as `{to}`"));
        }
    }
}
