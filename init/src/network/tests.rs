use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::dhcp::Lease;
use super::rules::{Identity, rule_for};
use super::settings::{Change, Path as RoutePath, Settings, changes, settings};
use super::*;
use crate::contract::{Cidr, Route};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cidr(address: &str, prefix: u8) -> Cidr {
    Cidr { address: ip(address), prefix }
}

fn card(name: &str) -> Identity {
    Identity { name: name.to_owned(), mac: vec![0x52, 0x54, 0, 0xab, 0, 1], ..Identity::default() }
}

fn named(name: &str) -> Interface {
    Interface { id: name.to_owned(), name: Some(name.to_owned()), ..Interface::default() }
}

fn lease() -> Lease {
    Lease {
        address: Ipv4Addr::new(10, 0, 2, 15),
        prefix: 24,
        server: Ipv4Addr::new(10, 0, 2, 2),
        lifetime: Some(3600),
        renew: 1800,
        rebind: 3150,
        routes: vec![(Ipv4Addr::UNSPECIFIED, 0, Ipv4Addr::new(10, 0, 2, 2))],
        servers: vec![Ipv4Addr::new(10, 0, 2, 3)],
        time_servers: vec![Ipv4Addr::new(10, 0, 2, 4)],
        search: vec!["lease.example".to_owned()],
        mtu: Some(1460),
    }
}

fn lacks(all: &[(&str, &'static str)]) -> BTreeMap<String, &'static str> {
    all.iter().map(|(who, what)| ((*who).to_owned(), *what)).collect()
}

#[test]
fn first_rule_that_matches_wins() {
    let by_mac = Interface { mac: Some("52:54:00:AB:00:01".to_owned()), ..Interface::default() };
    let rules = [named("wl*"), named("eth?"), by_mac, Interface::default()];
    let made = |name| Identity { made: true, mac: vec![1], ..card(name) };
    for (link, want) in [
        (card("wlan0"), Some(0)),
        (card("eth0"), Some(1)),
        (card("eth10"), Some(2)),
        (Identity { mac: vec![2], ..card("ens3") }, Some(3)),
        (made("veth12ab"), None),
        (made("eth1"), Some(1)),
        (Identity { loopback: true, ..card("lo") }, None),
    ] {
        assert_eq!(rule_for(&rules, &link), want, "{link:?}");
    }
}

#[test]
fn driver_of_a_rule_is_a_glob_and_a_made_link_is_its_own_rules() {
    let by_driver = Interface { driver: Some("virtio_*".to_owned()), ..Interface::default() };
    let bond = Interface { id: "bond0".to_owned(), make: Some(BRIDGE), ..Interface::default() };
    let by_mac = Interface { mac: Some("52:54:00:ab:00:01".to_owned()), ..Interface::default() };
    let rules = [by_driver, named("b*"), bond, by_mac];
    let virtio = Identity { driver: Some("virtio_net".to_owned()), ..card("eth0") };
    let made = |name| Identity { made: true, ..card(name) };
    for (link, want) in [
        (virtio, Some(0)),
        (Identity { driver: Some("e1000".to_owned()), ..card("eth0") }, Some(3)),
        (made("bond0"), Some(2)),
        (made("bond1"), Some(1)),
        // It has the address of the card that it runs over.
        (made("eth0.7"), None),
    ] {
        assert_eq!(rule_for(&rules, &link), want, "{link:?}");
    }
}

/// A link that needs no other.
const BRIDGE: contract::Link = contract::Link::Bridge { stp: false, forward_delay: None };

#[test]
fn links_are_made_once_what_they_stand_on_is_there_and_again_when_it_comes_back() {
    let rules = [
        Interface {
            id: "tagged".to_owned(),
            make: Some(contract::Link::Vlan { id: 7, over: 2 }),
            ..Interface::default()
        },
        Interface { id: "br0".to_owned(), make: Some(BRIDGE), ..Interface::default() },
        Interface { master: Some(1), ..named("eth0") },
    ];
    let made = |name| Identity { made: true, ..card(name) };
    let mut state = State::default();
    assert_eq!(state.unmade(&rules), [(1, 0)]);
    assert_eq!(state.unmade(&rules), [], "asked for once");
    state.observe(&rules, 2, card("eth0"), false);
    assert_eq!((state.unmade(&rules), state.apart(&rules)), (vec![(0, 2)], vec![]));
    state.observe(&rules, 3, made("br0"), false);
    state.observe(&rules, 4, made("tagged"), false);
    assert_eq!((state.apart(&rules), state.apart(&rules)), (vec![(2, 3)], vec![]));
    state.observe(&rules, 2, Identity { master: Some(3), ..card("eth0") }, true);
    assert_eq!((state.unmade(&rules), state.apart(&rules)), (vec![], vec![]));
    // The card is unplugged, which takes its VLAN along, and another takes its place.
    assert!(state.forget(2).is_some() && state.forget(4).is_some());
    assert_eq!(state.unmade(&rules), []);
    state.observe(&rules, 5, card("eth0"), true);
    assert_eq!((state.unmade(&rules), state.apart(&rules)), (vec![(0, 5)], vec![(5, 3)]));
    assert!(state.forget(3).is_some());
    assert_eq!(state.unmade(&rules), [(1, 0)]);
    // One that was there first is made what it should be.
    let mut state = State::default();
    state.observe(&rules, 2, made("br0"), false);
    assert!(!state.is_made(&rules, 1));
    assert_eq!((state.unmade(&rules), state.unmade(&rules)), (vec![(1, 0)], vec![]));
    assert!(state.is_made(&rules, 1));
}

#[test]
fn what_is_missing_is_named_unless_the_rule_is_optional() {
    let rules = [
        Interface { dhcp: true, ..named("eth0") },
        Interface { accept_ra: true, ..named("eth1") },
        Interface { addresses: vec![cidr("192.0.2.5", 24)], ..named("late") },
        Interface { dhcp: true, optional: true, ..named("wlan0") },
    ];
    let mut state = State::default();
    state.observe(&rules, 2, card("eth0"), false);
    state.observe(&rules, 3, card("eth1"), true);
    let want = [("eth0", "a link"), ("eth1", "a router"), ("late", "an interface")];
    assert_eq!(state.missing(&rules, Duration::ZERO), lacks(&want));
    state.observe(&rules, 2, card("eth0"), true);
    assert_eq!(state.missing(&rules, Duration::ZERO).get("eth0"), Some(&"dhcp"));
}

#[test]
fn static_settings_are_complete() {
    let rule = Interface {
        addresses: vec![cidr("192.0.2.5", 24), cidr("2001:db8::5", 64)],
        routes: vec![
            Route { to: None, via: Some(ip("192.0.2.1")), metric: None },
            Route { to: None, via: Some(ip("fe80::1")), metric: Some(5) },
            Route { to: Some(cidr("198.51.100.77", 24)), via: None, metric: None },
            Route { to: Some(cidr("203.0.113.0", 24)), via: Some(ip("198.18.0.1")), metric: None },
        ],
        mtu: Some(9000),
        ..Interface::default()
    };
    let got = settings(&rule, None, None, 2);
    assert_eq!(got.addresses, BTreeMap::from([((ip("192.0.2.5"), 24), None), ((ip("2001:db8::5"), 64), None)]));
    let path = |to: &str, prefix, via: Option<&str>, onlink, metric| RoutePath {
        to: (ip(to), prefix),
        via: via.map(ip),
        onlink,
        metric,
        dhcp: false,
    };
    let want = [
        path("0.0.0.0", 0, Some("192.0.2.1"), false, None),
        path("::", 0, Some("fe80::1"), false, Some(5)),
        path("198.51.100.0", 24, None, false, None),
        path("203.0.113.0", 24, Some("198.18.0.1"), true, None),
    ];
    assert_eq!(got.routes, want.into());
    assert_eq!(got.mtu, Some(9000));
}

#[test]
fn lease_adds_to_the_rule_and_does_not_override_it() {
    let rule = Interface { dhcp: true, ..Interface::default() };
    let got = settings(&rule, Some(&lease()), None, 3);
    assert_eq!(got.addresses, BTreeMap::from([((ip("10.0.2.15"), 24), Some(3600))]));
    let route = *got.routes.first().unwrap();
    assert_eq!((route.via, route.onlink, route.metric, route.dhcp), (Some(ip("10.0.2.2")), false, Some(1027), true));
    assert_eq!(got.mtu, Some(1460));

    let fixed = Interface { mtu: Some(1500), addresses: vec![cidr("10.0.2.15", 24)], ..rule.clone() };
    let got = settings(&fixed, Some(&lease()), None, 3);
    assert_eq!((got.mtu, got.addresses), (Some(1500), BTreeMap::from([((ip("10.0.2.15"), 24), None)])));

    let small = Lease { mtu: Some(600), prefix: 32, ..lease() };
    let got = settings(&Interface { accept_ra: true, ..rule.clone() }, Some(&small), None, 3);
    assert_eq!(got.mtu, None);
    // A cloud that grants a single address: the gateway is in no network of ours.
    assert!(got.routes.first().unwrap().onlink);
    assert_eq!(settings(&rule, Some(&small), None, 3).mtu, Some(600));
}

#[test]
fn new_address_comes_before_the_old_one_goes() {
    let rule = Interface { dhcp: true, ..Interface::default() };
    let old = settings(&rule, Some(&lease()), None, 2);
    let moved = Lease { address: Ipv4Addr::new(10, 0, 2, 16), routes: vec![], ..lease() };
    let steps = changes(&old, &settings(&rule, Some(&moved), None, 2));
    let want = [
        Change::AddAddress(ip("10.0.2.16"), 24, Some(3600)),
        Change::RemoveRoute(*old.routes.first().unwrap()),
        Change::RemoveAddress(ip("10.0.2.15"), 24),
    ];
    assert_eq!(steps, want);
}

#[test]
fn extended_lease_moves_the_end_of_the_address_and_touches_nothing_else() {
    let rule = Interface { dhcp: true, addresses: vec![cidr("192.0.2.5", 24)], ..Interface::default() };
    let same = settings(&rule, Some(&lease()), None, 2);
    assert_eq!(changes(&same, &same), [Change::AddAddress(ip("10.0.2.15"), 24, Some(3600))]);
}

#[test]
fn resolver_lists_each_once_and_not_too_many() {
    let search = ["a.example", "b.example", "a.example"].map(str::to_owned);
    let text = resolver::render(&[ip("10.0.0.1"), ip("fd00::1"), ip("10.0.0.1")], &search);
    assert_eq!(text, "search a.example b.example\nnameserver 10.0.0.1\nnameserver fd00::1\n");
    let many: Vec<IpAddr> = (0..50).map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))).collect();
    assert_eq!(resolver::render(&many, &[]).lines().count(), 6);
    assert_eq!(resolver::render(&[], &[]), "");
}

#[test]
fn resolver_file_keeps_its_inode() {
    use std::os::unix::fs::MetadataExt;
    let folder = std::env::temp_dir().join(format!("hullkit-resolver-{}", std::process::id()));
    let path = folder.join("deep/resolv.conf");
    resolver::write(&path, "nameserver 10.0.0.1\nnameserver 10.0.0.2\n").unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    for text in ["nameserver 10.0.0.3\n", "", "search example.org\nnameserver 10.0.0.4\n"] {
        resolver::write(&path, text).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn host_is_online_when_every_rule_that_asks_has_what_it_asks_for() {
    let rules = [
        Interface { dhcp: true, ..named("eth0") },
        Interface { addresses: vec![cidr("fd00::2", 64)], ..named("eth1") },
        named("eth2"),
    ];
    let (mut state, now) = (State::default(), Duration::from_secs(1));
    assert!(!state.missing(&rules, now).is_empty());
    assert!(state.observe(&rules, 2, card("eth0"), true));
    assert!(state.observe(&rules, 3, card("eth1"), true));
    assert!(!state.observe(&rules, 2, card("eth0"), true));
    assert!(!state.observe(&rules, 9, card("other"), true));
    state.observe_address(2, ip("10.0.2.15"), Some(true), now);
    state.observe_address(3, ip("fd00::2"), Some(false), now);
    state.links.get_mut(&2).unwrap().lease = Some(lease());
    assert_eq!(state.missing(&rules, now), lacks(&[("eth1", "its addresses")]), "the address is tentative");
    state.observe_address(3, ip("fd00::2"), Some(true), now);
    assert!(state.missing(&rules, now).is_empty());
    state.observe_address(2, ip("10.0.2.15"), None, now);
    assert!(!state.missing(&rules, now).is_empty());
}

#[test]
fn rule_that_asks_for_both_waits_for_dhcp_a_while() {
    let rules = [Interface { dhcp: true, accept_ra: true, ..named("eth0") }];
    let mut state = State::default();
    state.observe(&rules, 2, card("eth0"), true);
    state.observe_address(2, ip("fe80::1"), Some(true), Duration::from_secs(1));
    assert_eq!(state.due(Duration::from_secs(1)), None);
    state.observe_address(2, ip("fec0::1"), Some(true), Duration::from_secs(2));
    assert!(!state.missing(&rules, Duration::from_secs(6)).is_empty());
    assert_eq!(state.due(Duration::from_secs(6)), Some(Duration::from_secs(7)));
    assert!(state.missing(&rules, Duration::from_secs(7)).is_empty());
    let alone = [Interface { dhcp: false, ..rules[0].clone() }];
    assert!(state.missing(&alone, Duration::from_secs(2)).is_empty());
}

#[test]
fn servers_of_rules_come_before_those_of_leases() {
    let rules =
        [Interface { nameservers: vec![ip("9.9.9.9")], search: vec!["rule.example".to_owned()], ..named("eth0") }];
    let mut state = State::default();
    state.observe(&rules, 2, card("eth0"), true);
    state.links.get_mut(&2).unwrap().lease = Some(lease());
    let (servers, search) = state.resolver(&rules);
    assert_eq!(servers, [ip("9.9.9.9"), ip("10.0.2.3")]);
    assert_eq!(search, ["rule.example", "lease.example"]);
    assert!(state.forget(2).is_some());
    assert_eq!(state.resolver(&rules), (vec![], vec![]), "both go with the interface");
}

#[test]
fn time_servers_of_the_manifest_come_first_and_nobody_is_asked_without_an_address() {
    let rules = [Interface { dhcp: true, ..named("eth0") }];
    let named = |name: &str| (name.to_owned(), 123);
    let time = contract::Time { servers: vec![named("time.example"), named("10.0.2.4")], optional: false };
    let mut state = State::default();
    state.observe(&rules, 2, card("eth0"), true);
    state.links.get_mut(&2).unwrap().lease =
        Some(Lease { time_servers: vec![[10, 0, 2, 4].into(), [10, 0, 2, 5].into()], ..lease() });
    assert_eq!(state.time_servers(&time), []);
    state.observe_address(2, ip("10.0.2.15"), Some(true), Duration::ZERO);
    assert_eq!(state.time_servers(&time), [named("time.example"), named("10.0.2.4"), named("10.0.2.5")]);
}

#[test]
fn events_are_one_json_object_a_line() {
    let mut out = Vec::new();
    tell(&mut out, &Event::Waiting { r#for: &lacks(&[("eth0", "dhcp")]) });
    tell(&mut out, &Event::Online { interface: "eth0", addresses: vec![ip("10.0.2.15"), Ipv6Addr::LOCALHOST.into()] });
    let want = "{\"event\":\"waiting\",\"for\":{\"eth0\":\"dhcp\"}}\n\
                {\"event\":\"online\",\"interface\":\"eth0\",\"addresses\":[\"10.0.2.15\",\"::1\"]}\n";
    assert_eq!(String::from_utf8(out).unwrap(), want);
}

prop_compose! {
    fn any_settings()(
        addresses in proptest::collection::btree_map((0u8..4, 20u8..24), proptest::option::of(0u32..3), 0..4),
        routes in proptest::collection::btree_set((0u8..4, proptest::option::of(0u8..4)), 0..4),
        mtu in proptest::option::of(1280u32..1283),
    ) -> Settings {
        let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let path = |(to, via): (u8, Option<u8>)| {
            RoutePath { to: (address(to), 24), via: via.map(address), onlink: false, metric: None, dhcp: false }
        };
        Settings {
            addresses: addresses.into_iter().map(|((last, prefix), life)| ((address(last), prefix), life)).collect(),
            routes: routes.into_iter().map(path).collect(),
            mtu,
        }
    }
}

proptest! {
    #[test]
    fn changes_lead_from_any_settings_to_any_other(old in any_settings(), new in any_settings()) {
        let mut now = old.clone();
        for change in changes(&old, &new) {
            match change {
                Change::Mtu(mtu) => now.mtu = Some(mtu),
                Change::AddAddress(address, prefix, life) => drop(now.addresses.insert((address, prefix), life)),
                Change::RemoveAddress(address, prefix) => prop_assert!(now.addresses.remove(&(address, prefix)).is_some()),
                Change::AddRoute(path) => prop_assert!(now.routes.insert(path)),
                Change::RemoveRoute(path) => prop_assert!(now.routes.remove(&path)),
            }
        }
        prop_assert_eq!(now.mtu, new.mtu.or(old.mtu));
        prop_assert_eq!((now.addresses, now.routes), (new.addresses, new.routes));
    }
}
