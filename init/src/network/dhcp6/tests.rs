use std::time::Duration;

use proptest::prelude::*;

use super::client::{Client, Output};
use super::message::{Lease, Question, Reply, decode, encode};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const SERVER: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&code.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
}

fn client_id() -> Vec<u8> {
    option(1, &[&[0, 3, 0, 1], &MAC[..]].concat())
}

fn ia_address(address: &str, preferred: u32, valid: u32) -> Vec<u8> {
    let address: std::net::Ipv6Addr = address.parse().unwrap();
    option(5, &[&address.octets()[..], &preferred.to_be_bytes(), &valid.to_be_bytes()].concat())
}

fn ia(t1: u32, t2: u32, inner: &[u8]) -> Vec<u8> {
    option(3, &[&MAC[2..], &t1.to_be_bytes(), &t2.to_be_bytes(), inner].concat())
}

/// A message of [`SERVER`].
fn message(kind: u8, xid: u32, options: &[Vec<u8>]) -> Vec<u8> {
    let xid = xid.to_be_bytes();
    [vec![kind, xid[1], xid[2], xid[3]], client_id(), option(2, SERVER), options.concat()].concat()
}

fn grant(kind: u8, xid: u32, valid: u32) -> Vec<u8> {
    let dns: std::net::Ipv6Addr = "fd09::53".parse().unwrap();
    let time = option(1, &dns.octets());
    message(
        kind,
        xid,
        &[
            ia(0, 0, &ia_address("fd09::50", valid, valid)),
            option(23, &dns.octets()),
            option(24, b"\x07example\x03org\0"),
            option(56, &time),
        ],
    )
}

const ADVERTISE: u8 = 2;
const REPLY: u8 = 7;

fn said(outputs: &[Output]) -> (u8, u32) {
    let Some(Output::Send(bytes)) = outputs.iter().find(|output| matches!(output, Output::Send(_))) else {
        panic!("nothing was sent: {outputs:?}")
    };
    (bytes[0], u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]))
}

fn bound(valid: u32) -> Client {
    let mut client = Client::new(MAC, 7, Duration::ZERO);
    let (_, xid) = said(&client.tick(Duration::ZERO));
    let (_, xid) = said(&client.receive(&grant(ADVERTISE, xid, valid), Duration::ZERO));
    let outputs = client.receive(&grant(REPLY, xid, valid), seconds(1));
    assert!(matches!(&outputs[..], [Output::Bound(_)]), "{outputs:?}");
    client
}

#[test]
fn lease_is_asked_for_and_taken() {
    let mut client = Client::new(MAC, 7, Duration::ZERO);
    let (kind, xid) = said(&client.tick(Duration::ZERO));
    assert_eq!(kind, 1);
    let outputs = client.receive(&grant(ADVERTISE, xid, 3600), seconds(1));
    let (kind, xid) = said(&outputs);
    assert_eq!(kind, 3);
    let Output::Send(request) = &outputs[0] else { panic!("{outputs:?}") };
    assert!(request.windows(SERVER.len()).any(|part| part == SERVER), "the server is named");
    let want = Lease {
        addresses: vec![("fd09::50".parse().unwrap(), Some(3600))],
        server: SERVER.to_vec(),
        lifetime: Some(3600),
        renew: 1800,
        rebind: 2880,
        servers: vec!["fd09::53".parse().unwrap()],
        time_servers: vec!["fd09::53".parse().unwrap()],
        search: vec!["example.org".to_owned()],
    };
    assert_eq!(client.receive(&grant(REPLY, xid, 3600), seconds(2)), [Output::Bound(want)]);
    // Counted from the request, not from the answer.
    assert_eq!(client.due(), Some(seconds(1801)));
}

#[test]
fn answers_to_others_and_rubbish_are_ignored() {
    let mut client = Client::new(MAC, 7, Duration::ZERO);
    let (_, xid) = said(&client.tick(Duration::ZERO));
    let good = grant(ADVERTISE, xid, 3600);
    let mut other_client = good.clone();
    other_client[12] ^= 1;
    let no_server = [&good[..4], &client_id()].concat();
    let none = message(ADVERTISE, xid, &[ia(0, 0, &option(13, &[0, 2]))]);
    let question = [&[1], &good[1..]].concat();
    for rubbish in
        [vec![], good[..20].to_vec(), other_client, no_server, none, question, grant(ADVERTISE, xid ^ 1, 3600)]
    {
        assert_eq!(client.receive(&rubbish, seconds(1)), [], "{rubbish:?}");
    }
    assert_eq!(said(&client.receive(&good, seconds(1))).0, 3);
}

#[test]
fn senseless_grants_are_no_leases() {
    let of = |address: &str, preferred, valid| {
        decode(&message(REPLY, 1, &[ia(0, 0, &ia_address(address, preferred, valid))]), MAC, 1)
    };
    for (address, preferred, valid) in [
        ("ff02::1", 60, 60),
        ("fe80::1", 60, 60),
        ("::", 60, 60),
        ("::1", 60, 60),
        ("fd09::1", 61, 60),
        ("fd09::1", 1, 9),
    ] {
        assert_eq!(
            of(address, preferred, valid),
            Some(Reply::Refusal(SERVER.to_vec())),
            "{address} {preferred} {valid}"
        );
    }
    assert!(matches!(of("fd09::1", u32::MAX, u32::MAX), Some(Reply::Grant(lease)) if lease.lifetime.is_none()));
    let out_of_order = message(REPLY, 1, &[ia(50, 40, &ia_address("fd09::1", 60, 60))]);
    assert_eq!(decode(&out_of_order, MAC, 1), Some(Reply::Refusal(SERVER.to_vec())));
    // A status code of less than its two bytes is no success either.
    for status in [&[][..], &[0], &[0, 2, b'n']] {
        let refusal = message(REPLY, 1, &[option(13, status)]);
        assert_eq!(decode(&refusal, MAC, 1), Some(Reply::Refusal(SERVER.to_vec())), "{status:?}");
    }
    let many = ia(0, 0, &ia_address("fd09::1", 60, 60).repeat(50));
    assert!(
        matches!(decode(&message(REPLY, 1, &[many]), MAC, 1), Some(Reply::Grant(lease)) if lease.addresses.len() == 4)
    );
}

#[test]
fn lease_is_renewed_then_asked_of_anybody_then_over() {
    let mut client = bound(1000);
    let mut now = client.due().unwrap();
    assert_eq!(now, seconds(500));
    let (mut kinds, mut lost) = (Vec::new(), None);
    while now < seconds(1010) {
        for output in client.tick(now) {
            match output {
                Output::Send(bytes) => kinds.push(bytes[0]),
                Output::Lost(reason) => lost = Some((reason, now)),
                Output::Bound(_) => panic!("by whom?"),
            }
        }
        now = client.due().unwrap();
    }
    assert_eq!(lost, Some(("it ran out", seconds(1000))));
    kinds.dedup();
    assert_eq!(kinds, [5, 6, 1]);
}

#[test]
fn renewal_extends_and_refusal_ends_the_lease() {
    let mut client = bound(1000);
    let (_, xid) = said(&client.tick(seconds(500)));
    assert!(matches!(&client.receive(&grant(REPLY, xid, 1000), seconds(501))[..], [Output::Bound(_)]));
    let (_, xid) = said(&client.tick(seconds(1000)));
    let gone = message(REPLY, xid, &[ia(0, 0, &option(13, &[0, 3]))]);
    let outputs = client.receive(&gone, seconds(1001));
    assert_eq!(outputs[0], Output::Lost("the server took it back"));
    assert_eq!(said(&outputs).0, 1);
}

#[test]
fn returned_link_is_asked_about_and_silence_is_no_objection() {
    let mut client = bound(3600);
    client.link_returned(seconds(10));
    let (kind, xid) = said(&client.tick(seconds(10)));
    assert_eq!(kind, 4);
    assert_eq!(client.receive(&message(REPLY, xid, &[option(13, &[0, 0])]), seconds(11)), []);
    assert_eq!(client.due(), Some(seconds(1800)));

    client.link_returned(seconds(20));
    let (_, xid) = said(&client.tick(seconds(20)));
    let outputs = client.receive(&message(REPLY, xid, &[option(13, &[0, 4])]), seconds(21));
    assert_eq!(outputs[0], Output::Lost("it is of another network"));

    let mut client = bound(3600);
    client.link_returned(seconds(10));
    while client.due().unwrap() < seconds(100) {
        client.tick(client.due().unwrap());
    }
    assert_eq!(client.due(), Some(seconds(1800)));
}

#[test]
fn server_that_advertises_and_falls_silent_is_left() {
    let mut client = Client::new(MAC, 7, Duration::ZERO);
    let (_, xid) = said(&client.tick(Duration::ZERO));
    client.receive(&grant(ADVERTISE, xid, 3600), seconds(1));
    let mut kinds = Vec::new();
    while client.due().unwrap() < seconds(60) {
        kinds.extend(client.tick(client.due().unwrap()).iter().map(|output| said(std::slice::from_ref(output)).0));
    }
    kinds.dedup();
    assert_eq!(kinds, [3, 1]);
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400), xid: u32) {
        let _ = decode(&bytes, MAC, xid);
    }

    #[test]
    fn no_options_break_the_reader(options in proptest::collection::vec(
        (prop_oneof![Just(3u16), Just(5), Just(13), Just(23), Just(24), Just(56), any::<u16>()], proptest::collection::vec(any::<u8>(), 0..60)),
        0..12,
    ), kind in 0u8..9) {
        let options: Vec<Vec<u8>> = options.iter().map(|(code, data)| option(*code, data)).collect();
        let _ = decode(&message(kind, 9, &options), MAC, 9);
        let _ = decode(&message(kind, 9, &[ia(0, 0, &options.concat())]), MAC, 9);
    }

    #[test]
    fn every_history_keeps_leases_and_losses_in_turn(events in proptest::collection::vec((0u64..400, 0u8..5), 0..60)) {
        let mut client = Client::new(MAC, 3, Duration::ZERO);
        let (mut now, mut held, mut xid) = (Duration::ZERO, false, 0);
        for (wait, event) in events {
            now += seconds(wait);
            let outputs = match event {
                0 => client.receive(&grant(ADVERTISE, xid, 300), now),
                1 => client.receive(&grant(REPLY, xid, 300), now),
                2 => client.receive(&message(REPLY, xid, &[option(13, &[0, 3])]), now),
                3 => { client.link_returned(now); Vec::new() }
                _ => client.tick(now),
            };
            for output in outputs {
                match output {
                    Output::Send(bytes) => xid = u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]),
                    Output::Bound(_) => held = true,
                    Output::Lost(_) => { prop_assert!(held); held = false; }
                }
            }
            prop_assert!(client.due().is_some());
        }
    }
}

#[test]
fn solicitation_is_what_a_server_expects() {
    let bytes = encode(MAC, 0x00ab_cdef, 7, Question::Solicit);
    assert_eq!(&bytes[..4], [1, 0xab, 0xcd, 0xef]);
    assert_eq!(&bytes[4..18], &client_id()[..]);
    assert_eq!(&bytes[18..24], [0, 8, 0, 2, 0, 7]);
    assert_eq!(&bytes[24..28], [0, 3, 0, 12]);
    assert!(bytes.ends_with(&[0, 6, 0, 6, 0, 23, 0, 24, 0, 56]));
}
