use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use dhcproto::Decodable as _;

use super::message::{self, Question, Reply};
use super::*;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server's message: type, server, then `options`, each code and data.
fn reply(kind: u8, xid: u32, server: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..3].copy_from_slice(&[2, 1, 6]);
    bytes[4..8].copy_from_slice(&xid.to_be_bytes());
    bytes[16..20].copy_from_slice(&ADDRESS.octets());
    bytes[28..34].copy_from_slice(&MAC);
    bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
    for (code, data) in [(53, &[kind][..]), (54, &server.octets())].iter().chain(options) {
        bytes.extend_from_slice(&[*code, u8::try_from(data.len()).unwrap()]);
        bytes.extend_from_slice(data);
    }
    bytes.push(255);
    bytes
}

/// An ordinary grant for `lease` seconds.
fn grant(kind: u8, xid: u32, lease: u32) -> Vec<u8> {
    let options: [(u8, &[u8]); 5] = [
        (1, &[255, 255, 255, 0]),
        (3, &[10, 0, 2, 2, 10, 0, 2, 3]),
        (6, &[10, 0, 2, 3]),
        (15, b"example.org"),
        (51, &lease.to_be_bytes()),
    ];
    reply(kind, xid, SERVER, &options)
}

fn lease_of(options: &[(u8, &[u8])]) -> Option<Lease> {
    let time: [(u8, &[u8]); 1] = [(51, &[0, 0, 14, 16])];
    match message::decode(&reply(ACK, 1, SERVER, &[options, &time].concat()), MAC, 1) {
        Some(Reply::Ack(lease)) => Some(lease),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// What the client said, taken apart: transaction, type, `ciaddr`.
fn said(message: &[u8]) -> (u32, u8, Ipv4Addr) {
    let four = |at: usize| <[u8; 4]>::try_from(&message[at..at + 4]).unwrap();
    let mut options = &message[240..];
    while options[0] != 53 {
        options = &options[2 + usize::from(options[1])..];
    }
    (u32::from_be_bytes(four(4)), options[2], four(12).into())
}

/// The one message among the outputs that all stations get.
fn broadcast(outputs: &[Output]) -> (u32, u8, Ipv4Addr) {
    let Some(Output::Broadcast(_, message)) = outputs.iter().find(|output| matches!(output, Output::Broadcast(..)))
    else {
        panic!("nothing was sent: {outputs:?}")
    };
    said(message)
}

fn client() -> Client {
    Client::new(MAC, Some("box".to_owned()), 7, Duration::ZERO)
}

/// A client with a lease of an hour that began at zero.
fn bound(lease: u32) -> Client {
    let mut client = client();
    let (xid, ..) = broadcast(&client.tick(Duration::ZERO));
    let (xid, ..) = broadcast(&client.receive(&grant(OFFER, xid, lease), Duration::ZERO));
    let outputs = client.receive(&grant(ACK, xid, lease), seconds(1));
    assert!(matches!(&outputs[..], [Output::Bound(_)]), "{outputs:?}");
    client
}

#[test]
fn lease_is_asked_for_and_taken() {
    let mut client = client();
    let outputs = client.tick(Duration::ZERO);
    let (xid, kind, ciaddr) = broadcast(&outputs);
    assert_eq!((kind, ciaddr), (1, Ipv4Addr::UNSPECIFIED));
    let outputs = client.receive(&grant(OFFER, xid, 3600), seconds(1));
    let Output::Broadcast(from, request) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!((*from, said(request)), (Ipv4Addr::UNSPECIFIED, (xid, 3, Ipv4Addr::UNSPECIFIED)));
    // Requested address and server identifier.
    assert!(request.windows(6).any(|part| part == [50, 4, 10, 0, 2, 15]));
    assert!(request.windows(6).any(|part| part == [54, 4, 10, 0, 2, 2]));
    let outputs = client.receive(&grant(ACK, xid, 3600), seconds(2));
    let want = Lease {
        address: ADDRESS,
        prefix: 24,
        server: SERVER,
        lifetime: Some(3600),
        renew: 1800,
        rebind: 3150,
        routes: vec![(Ipv4Addr::UNSPECIFIED, 0, SERVER)],
        servers: vec![Ipv4Addr::new(10, 0, 2, 3)],
        time_servers: Vec::new(),
        search: vec!["example.org".to_owned()],
        mtu: None,
    };
    assert_eq!(outputs, [Output::Bound(want)]);
    // Counted from the request, not from the answer.
    assert_eq!(client.due(), Some(seconds(1801)));
    assert!(!client.is_listening());
}

#[test]
fn answers_to_others_are_ignored() {
    let mut client = client();
    let (xid, ..) = broadcast(&client.tick(Duration::ZERO));
    let mut other_mac = grant(OFFER, xid, 3600);
    other_mac[30] ^= 1;
    let mut question = grant(OFFER, xid, 3600);
    question[0] = 1;
    let mut no_cookie = grant(OFFER, xid, 3600);
    no_cookie[236] = 0;
    for message in [grant(OFFER, xid ^ 1, 3600), other_mac, question, no_cookie, grant(ACK, xid, 3600), Vec::new()] {
        assert_eq!(client.receive(&message, seconds(1)), []);
    }
}

#[test]
fn silence_is_met_with_patience_without_end() {
    let (mut client, mut now, mut pauses) = (client(), Duration::ZERO, Vec::new());
    for _ in 0..50 {
        assert_eq!(broadcast(&client.tick(now)).1, 1);
        pauses.push(client.due().unwrap() - now);
        now = client.due().unwrap();
    }
    assert!(pauses[0] < Duration::from_millis(1200), "{pauses:?}");
    assert!(pauses.windows(2).take(6).all(|pair| pair[0] < pair[1]), "{pauses:?}");
    assert!(pauses[10..].iter().all(|pause| (56..=72).contains(&pause.as_secs())), "{pauses:?}");
}

#[test]
fn server_that_offers_and_falls_silent_is_left() {
    let mut client = client();
    let (xid, ..) = broadcast(&client.tick(Duration::ZERO));
    client.receive(&grant(OFFER, xid, 3600), Duration::ZERO);
    let kinds: Vec<u8> = (0..5).map(|_| broadcast(&client.tick(client.due().unwrap())).1).collect();
    assert_eq!(kinds, [3, 3, 3, 1, 1]);
}

#[test]
fn refusal_starts_over_at_once_and_then_ever_later() {
    let (mut client, mut now, mut waits) = (client(), Duration::ZERO, Vec::new());
    for _ in 0..8 {
        let asked = now;
        let mut outputs = client.tick(now);
        if outputs.is_empty() {
            now = client.due().unwrap();
            outputs = client.tick(now);
        }
        waits.push(now - asked);
        let (xid, kind, _) = broadcast(&outputs);
        assert_eq!(kind, 1);
        client.receive(&grant(OFFER, xid, 3600), now);
        let outputs = client.receive(&reply(NAK, xid, SERVER, &[]), now);
        if !outputs.is_empty() {
            // The first refusal: the next question went out with it.
            assert_eq!((outputs.len(), broadcast(&outputs).1), (1, 1));
            let (xid, ..) = broadcast(&outputs);
            client.receive(&grant(OFFER, xid, 3600), now);
            client.receive(&reply(NAK, xid, SERVER, &[]), now);
        }
    }
    assert!(waits.last().unwrap() > &seconds(30), "{waits:?}");
}

#[test]
fn refusal_by_another_server_is_ignored() {
    let mut client = client();
    let (xid, ..) = broadcast(&client.tick(Duration::ZERO));
    client.receive(&grant(OFFER, xid, 3600), Duration::ZERO);
    assert_eq!(client.receive(&reply(NAK, xid, Ipv4Addr::new(10, 0, 2, 9), &[]), Duration::ZERO), []);
    assert!(matches!(client.receive(&grant(ACK, xid, 3600), Duration::ZERO)[..], [Output::Bound(_)]));
}

#[test]
fn lease_is_renewed_by_its_server() {
    let mut client = bound(3600);
    assert_eq!(client.tick(seconds(1799)), []);
    let outputs = client.tick(seconds(1800));
    let [Output::Unicast(from, to, message)] = &outputs[..] else { panic!("{outputs:?}") };
    let (xid, kind, ciaddr) = said(message);
    assert_eq!((*from, *to, kind, ciaddr), (ADDRESS, SERVER, 3, ADDRESS));
    assert!(client.is_listening());
    assert!(matches!(client.receive(&grant(ACK, xid, 3600), seconds(1801))[..], [Output::Bound(_)]));
    assert_eq!(client.due(), Some(seconds(3600)));
}

#[test]
fn lease_nobody_extends_ends() {
    let (mut client, mut sent) = (bound(3600), Vec::new());
    let end = loop {
        let now = client.due().unwrap();
        let outputs = client.tick(now);
        match &outputs[..] {
            [Output::Unicast(..)] => sent.push('u'),
            [Output::Broadcast(from, _)] => {
                assert_eq!(*from, ADDRESS);
                sent.push('b');
            }
            [Output::Lost(_), Output::Broadcast(Ipv4Addr::UNSPECIFIED, message)] => {
                assert_eq!(said(message).1, 1);
                break now;
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, seconds(3600));
    let sent: String = sent.into_iter().collect();
    assert!(sent.starts_with("uuuu") && sent.ends_with("bbbb") && !sent.contains("bu") && sent.len() < 30, "{sent}");
}

#[test]
fn refusal_while_renewing_ends_the_lease_at_once() {
    let mut client = bound(3600);
    let outputs = client.tick(seconds(1800));
    let [Output::Unicast(_, _, message)] = &outputs[..] else { panic!("{outputs:?}") };
    let (xid, ..) = said(message);
    assert_eq!(client.receive(&reply(NAK, xid, Ipv4Addr::new(10, 0, 2, 9), &[]), seconds(1801)), []);
    let outputs = client.receive(&reply(NAK, xid, SERVER, &[]), seconds(1801));
    assert!(matches!(outputs[..], [Output::Lost(_), Output::Broadcast(..)]), "{outputs:?}");
}

#[test]
fn host_that_slept_through_its_lease_gives_it_up() {
    let outputs = bound(3600).tick(seconds(100_000));
    assert!(matches!(outputs[..], [Output::Lost(_), Output::Broadcast(..)]), "{outputs:?}");
}

#[test]
fn lease_is_confirmed_when_the_link_returns() {
    let mut client = bound(3600);
    client.link_returned(seconds(100));
    let (xid, kind, ciaddr) = broadcast(&client.tick(seconds(100)));
    assert_eq!((kind, ciaddr), (3, Ipv4Addr::UNSPECIFIED));
    assert!(matches!(client.receive(&grant(ACK, xid, 3600), seconds(101))[..], [Output::Bound(_)]));

    client.link_returned(seconds(200));
    let (xid, ..) = broadcast(&client.tick(seconds(200)));
    let outputs = client.receive(&reply(NAK, xid, SERVER, &[]), seconds(201));
    assert!(matches!(outputs[..], [Output::Lost(_), Output::Broadcast(..)]), "{outputs:?}");
}

#[test]
fn lease_stays_if_nobody_answers_when_the_link_returns() {
    let mut client = bound(3600);
    client.link_returned(seconds(100));
    for _ in 0..4 {
        assert_eq!(broadcast(&client.tick(client.due().unwrap())).1, 3);
    }
    assert_eq!(client.tick(client.due().unwrap()), []);
    assert_eq!(client.due(), Some(seconds(1800)));
}

#[test]
fn endless_lease_is_never_renewed() {
    let mut client = bound(u32::MAX);
    assert_eq!(client.due(), None);
    assert_eq!(client.tick(seconds(10_000_000)), []);
}

#[test]
fn senseless_grants_are_no_leases() {
    let message = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = grant(OFFER, 1, 3600);
        change(&mut bytes);
        message::decode(&bytes, MAC, 1)
    };
    assert!(message(&|_| {}).is_some());
    for address in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [10, 0, 2, 0], [10, 0, 2, 255]] {
        assert_eq!(message(&|bytes| bytes[16..20].copy_from_slice(&address)), None, "{address:?}");
    }
    assert_eq!(message::decode(&grant(OFFER, 1, 0), MAC, 1), None);
    assert_eq!(message::decode(&grant(OFFER, 1, 9), MAC, 1), None);
    assert_eq!(message::decode(&reply(OFFER, 1, SERVER, &[]), MAC, 1), None);
    assert_eq!(message::decode(&reply(OFFER, 1, Ipv4Addr::BROADCAST, &[(51, &[0, 0, 14, 16])]), MAC, 1), None);
    for mask in [[255, 0, 255, 0], [0; 4]] {
        assert_eq!(lease_of(&[(1, &mask)]), None, "{mask:?}");
    }
}

#[test]
fn missing_values_have_the_usual_meaning() {
    let lease = lease_of(&[]).unwrap();
    // Class A.
    assert_eq!(lease.prefix, 8);
    assert_eq!((lease.renew, lease.rebind), (1800, 3150));
    assert_eq!((lease.routes, lease.servers, lease.search, lease.mtu), (vec![], vec![], vec![], None));
    let disordered = lease_of(&[(58, &[0, 0, 14, 0]), (59, &[0, 0, 1, 0])]).unwrap();
    assert_eq!((disordered.renew, disordered.rebind), (1800, 3150));
    let own = lease_of(&[(58, &[0, 0, 1, 0]), (59, &[0, 0, 2, 0])]).unwrap();
    assert_eq!((own.renew, own.rebind), (256, 512));
    assert_eq!(lease_of(&[(1, &[255; 4])]).unwrap().prefix, 32);
}

#[test]
fn classless_routes_replace_the_router() {
    let routes = [0, 10, 0, 2, 3, 16, 192, 168, 10, 0, 2, 4, 24, 172, 16, 9, 0, 0, 0, 0];
    let lease = lease_of(&[(3, &[10, 0, 2, 2]), (121, &routes)]).unwrap();
    let want = [
        (Ipv4Addr::UNSPECIFIED, 0, Ipv4Addr::new(10, 0, 2, 3)),
        (Ipv4Addr::new(192, 168, 0, 0), 16, Ipv4Addr::new(10, 0, 2, 4)),
        (Ipv4Addr::new(172, 16, 9, 0), 24, Ipv4Addr::UNSPECIFIED),
    ];
    assert_eq!(lease.routes, want);
    // An option that makes no sense counts as absent.
    let lease = lease_of(&[(121, &[77, 1, 2, 3]), (3, &[10, 0, 2, 2])]).unwrap();
    assert_eq!(lease.routes, [(Ipv4Addr::UNSPECIFIED, 0, SERVER)]);
}

#[test]
fn nothing_but_host_names_reaches_the_resolver() {
    for name in ["a b", "x\nnameserver 6.6.6.6", "", "..", "a..b", "é.org", "a;b"] {
        assert_eq!(lease_of(&[(15, name.as_bytes())]).unwrap().search, [""; 0], "{name}");
    }
    assert_eq!(lease_of(&[(15, b"a-b.example\0")]).unwrap().search, ["a-b.example"]);
    let list = b"\x03eng\x07example\x03org\0\x02us\xc0\x04";
    assert_eq!(lease_of(&[(15, b"no.example"), (119, list)]).unwrap().search, ["eng.example.org", "us.example.org"]);
    // A pointer to itself.
    assert_eq!(lease_of(&[(119, b"\xc0\x00")]).unwrap().search, [""; 0]);
    assert_eq!(lease_of(&[(15, &[0xff, 0xfe])]).unwrap().search, [""; 0]);
}

#[test]
fn lists_are_bounded_and_hold_machines_only() {
    let many: Vec<u8> = (1..60).flat_map(|last| [9, 9, 9, last]).collect();
    assert_eq!(lease_of(&[(6, &many)]).unwrap().servers.len(), 6);
    let odd = [0, 0, 0, 0, 127, 0, 0, 1, 224, 0, 0, 1, 9, 9, 9, 9];
    assert_eq!(lease_of(&[(6, &odd)]).unwrap().servers, [Ipv4Addr::new(9, 9, 9, 9)]);
    assert_eq!(lease_of(&[(26, &[0, 68])]).unwrap().mtu, None);
    assert_eq!(lease_of(&[(26, &[5, 180])]).unwrap().mtu, Some(1460));
}

#[test]
fn malformed_option_hides_no_other() {
    let lease = lease_of(&[(1, &[255, 255]), (26, &[1]), (80, &[1, 2, 3]), (94, &[1]), (6, &[9, 9, 9, 9])]).unwrap();
    assert_eq!((lease.prefix, lease.servers), (8, vec![Ipv4Addr::new(9, 9, 9, 9)]));
}

#[test]
fn options_in_parts_and_in_the_name_fields_are_read() {
    let lease = lease_of(&[(6, &[9, 9, 9, 9]), (0, &[]), (6, &[8, 8, 8, 8])]);
    assert_eq!(lease.unwrap().servers, [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(8, 8, 8, 8)]);
    let mut message = reply(ACK, 1, SERVER, &[(52, &[3]), (51, &[0, 0, 14, 16])]);
    message[108..115].copy_from_slice(&[6, 4, 9, 9, 9, 9, 255]);
    message[44..51].copy_from_slice(&[3, 4, 10, 0, 2, 7, 255]);
    let Some(Reply::Ack(lease)) = message::decode(&message, MAC, 1) else { panic!("no lease") };
    assert_eq!(lease.servers, [Ipv4Addr::new(9, 9, 9, 9)]);
    assert_eq!(lease.routes, [(Ipv4Addr::UNSPECIFIED, 0, Ipv4Addr::new(10, 0, 2, 7))]);
}

/// A frame from a server with this payload.
fn frame_of(payload: &[u8]) -> Vec<u8> {
    let mut frame = frame::wrap(MAC, SERVER, payload);
    frame[34..38].copy_from_slice(&[0, 67, 0, 68]);
    frame
}

#[test]
fn what_is_asked_is_what_another_reader_reads() {
    let question = Question::Extend(Ipv4Addr::new(10, 0, 2, 15));
    let message = message::encode(MAC, 0x1234_5678, 9, Some("host"), question);
    let read = dhcproto::v4::Message::decode(&mut dhcproto::Decoder::new(&message)).unwrap();
    let header = (read.opcode(), read.htype(), read.hlen(), read.xid(), read.secs(), read.flags().broadcast());
    assert_eq!(header, (dhcproto::v4::Opcode::BootRequest, dhcproto::v4::HType::Eth, 6, 0x1234_5678, 9, false));
    assert_eq!((read.ciaddr(), read.giaddr()), (Ipv4Addr::new(10, 0, 2, 15), Ipv4Addr::UNSPECIFIED));
    assert_eq!(read.chaddr(), MAC);
    assert_eq!(read.opts().msg_type(), Some(dhcproto::v4::MessageType::Request));
}

#[test]
fn frames_have_right_sums_and_give_their_payload_back() {
    let payload = message::encode(MAC, 1, 0, None, Question::Discover);
    let wrapped = frame::wrap(MAC, Ipv4Addr::UNSPECIFIED, &payload);
    let sum = |bytes: &[u8]| {
        let total: u32 =
            bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
        (total & 0xffff) + (total >> 16)
    };
    // A header over which the sum is right sums up to all ones.
    assert_eq!(sum(&wrapped[14..34]), 0xffff);
    let length = u16::try_from(wrapped.len() - 34).unwrap().to_be_bytes();
    let pseudo = [&wrapped[26..34], &[0, 17], &length, &wrapped[34..]].concat();
    assert_eq!(sum(&pseudo), 0xffff);
    assert_eq!(frame::unwrap(&wrapped), None);
    assert_eq!(frame::unwrap(&frame_of(&payload)), Some(&*payload));
}

#[test]
fn frames_of_other_kinds_are_nothing() {
    let good = frame_of(b"payload");
    for (at, byte) in
        [(12, 0x86), (14, 0x65), (23, 6), (20, 0x20), (21, 1), (35, 1), (37, 1), (16, 0xff), (14, 0x4f), (38, 0xff)]
    {
        let mut bad = good.clone();
        bad[at] = byte;
        assert_eq!(frame::unwrap(&bad), None, "byte {at} as {byte:#x}");
    }
    for len in 0..good.len() {
        assert_eq!(frame::unwrap(&good[..len]), None);
    }
}

proptest! {
    #[test]
    fn foreign_frames_never_panic(frame in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = frame::unwrap(&frame);
    }

    #[test]
    fn foreign_options_never_panic(options in proptest::collection::vec(any::<u8>(), 0..600), kind in 0u8..9) {
        let mut bytes = reply(kind, 1, SERVER, &[(51, &[0, 0, 14, 16])]);
        bytes.pop();
        bytes.extend(options);
        let _ = message::decode(&bytes, MAC, 1);
    }

    #[test]
    fn known_options_with_foreign_data_never_panic(
        options in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..30),
    ) {
        let options: Vec<(u8, &[u8])> = options.iter().map(|(code, data)| (*code, &data[..])).collect();
        if let Some(Reply::Ack(lease)) = message::decode(&reply(ACK, 1, SERVER, &options), MAC, 1) {
            prop_assert!((1..=32).contains(&lease.prefix) && lease.renew < lease.rebind);
            prop_assert!(lease.search.iter().all(|name| is_domain(name)));
        }
    }

    /// Whatever happens, a lease is lost only if there was one, and the client never stops without one.
    #[test]
    fn every_history_keeps_leases_and_losses_in_turn(events in proptest::collection::vec((0u8..6, 0u64..4000), 1..80)) {
        let (mut client, mut now, mut holds, mut xid) = (client(), Duration::ZERO, false, 0);
        for (event, wait) in events {
            now += seconds(wait);
            let outputs = match event {
                0 => client.tick(now),
                1 => client.tick(client.due().unwrap_or(now).max(now)),
                2 => client.receive(&grant(OFFER, xid, 3600), now),
                3 => client.receive(&grant(ACK, xid, 3600), now),
                4 => client.receive(&reply(NAK, xid, SERVER, &[]), now),
                _ => {
                    client.link_returned(now);
                    Vec::new()
                }
            };
            for output in outputs {
                match output {
                    Output::Bound(_) => holds = true,
                    Output::Lost(_) => {
                        prop_assert!(holds);
                        holds = false;
                    }
                    Output::Broadcast(_, message) | Output::Unicast(_, _, message) => xid = said(&message).0,
                }
            }
            prop_assert!(client.due().is_some());
            prop_assert!(client.is_listening() || holds);
        }
    }
}
