//! DHCPv6 messages: what the client says, and what is believed of what a server says.
//!
//! Options are taken apart here, one by one, and what is left is checked for sense and bounded. `dhcproto` reads whole DHCPv6 messages too,
//! but panics on a status code of less than two bytes (0.15.0); only names are given to it.
//!
//! # Source
//!
//! RFC 8415, 8 (header), 11.4 (DUID-LL), 21 (options); RFC 3646 (name servers, domains); RFC 5908 (time servers).

use std::net::Ipv6Addr;

use crate::network::dhcp::{DOMAINS_MAX, LEASE_MIN, SERVERS_MAX, domains};

/// Largest message read, in bytes.
pub(super) const MESSAGE_MAX: usize = 1500;
/// Most addresses taken from one lease.
const ADDRESSES_MAX: usize = 4;
/// Longest identifier of a server (RFC 8415, 11.1: a type and at most 128 bytes).
const DUID_MAX: usize = 130;

// Types of messages.
const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;

// Options.
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_ADDRESS: u16 = 5;
const OPTION_REQUEST: u16 = 6;
const ELAPSED_TIME: u16 = 8;
const STATUS_CODE: u16 = 13;
const DNS_SERVERS: u16 = 23;
const DOMAIN_LIST: u16 = 24;
const NTP_SERVER: u16 = 56;
/// Suboption of [`NTP_SERVER`]: one address.
const NTP_ADDRESS: u16 = 1;

/// What a server grants; holding one proves that every value makes sense on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Addresses, at least one, and for how many seconds each is good; `None` is for ever.
    pub addresses: Vec<(Ipv6Addr, Option<u32>)>,
    /// Who granted it.
    pub server: Vec<u8>,
    /// When it ends, in seconds after it began; `None` is never.
    pub lifetime: Option<u32>,
    /// When to ask the same server again, in seconds after it began.
    pub renew: u32,
    /// When to ask any server.
    pub rebind: u32,
    /// Name servers.
    pub servers: Vec<Ipv6Addr>,
    /// Time servers.
    pub time_servers: Vec<Ipv6Addr>,
    /// Domains to search, checked to be nothing but host names.
    pub search: Vec<String>,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// It would grant this.
    Advertise(Lease),
    /// It grants this.
    Grant(Lease),
    /// It has no objection.
    Fine,
    /// It refuses; who it is.
    Refusal(Vec<u8>),
}

/// What the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question<'a> {
    /// Is there a server?
    Solicit,
    /// I take the offer.
    Request(&'a Lease),
    /// May I still use these addresses, after the link was away?
    Confirm(&'a Lease),
    /// I want to keep them, and ask whom they are from.
    Renew(&'a Lease),
    /// I want to keep them, and ask anybody.
    Rebind(&'a Lease),
}

/// Who the client is: made of its hardware address.
#[must_use]
fn client_id(mac: [u8; 6]) -> Vec<u8> {
    [&[0, 3, 0, 1], &mac[..]].concat()
}

/// Number of the client's one association.
fn association(mac: [u8; 6]) -> [u8; 4] {
    [mac[2], mac[3], mac[4], mac[5]]
}

/// Encode a message of the client.
///
/// In: the interface's hardware address; `xid`, of which replies must carry the low three bytes; hundredths of a second since the exchange
/// began.
#[must_use]
pub(super) fn encode(mac: [u8; 6], xid: u32, elapsed: u16, question: Question<'_>) -> Vec<u8> {
    let (kind, lease, server) = match question {
        Question::Solicit => (SOLICIT, None, None),
        Question::Request(lease) => (REQUEST, Some(lease), Some(&lease.server)),
        Question::Confirm(lease) => (CONFIRM, Some(lease), None),
        Question::Renew(lease) => (RENEW, Some(lease), Some(&lease.server)),
        Question::Rebind(lease) => (REBIND, Some(lease), None),
    };
    let [_, xid @ ..] = xid.to_be_bytes();
    let mut bytes = vec![kind, xid[0], xid[1], xid[2]];
    put(&mut bytes, CLIENT_ID, &client_id(mac));
    if let Some(server) = server {
        put(&mut bytes, SERVER_ID, server);
    }
    put(&mut bytes, ELAPSED_TIME, &elapsed.to_be_bytes());
    // The times are the server's to choose.
    let mut ia = [&association(mac)[..], &[0; 8]].concat();
    for (address, _) in lease.iter().flat_map(|lease| &lease.addresses) {
        put(&mut ia, IA_ADDRESS, &[&address.octets()[..], &[0; 8]].concat());
    }
    put(&mut bytes, IA_NA, &ia);
    let wanted = [DNS_SERVERS, DOMAIN_LIST, NTP_SERVER].map(u16::to_be_bytes);
    put(&mut bytes, OPTION_REQUEST, wanted.as_flattened());
    bytes
}

/// Append one option; what is longer than an option can be is left out.
fn put(bytes: &mut Vec<u8>, code: u16, data: &[u8]) {
    if let Ok(len) = u16::try_from(data.len()) {
        bytes.extend([code.to_be_bytes(), len.to_be_bytes()].as_flattened());
        bytes.extend(data);
    }
}

/// Split options into code and data, as far as they go.
fn walk(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let ([a, b, c, d], rest) = bytes.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*c, *d])))?;
        bytes = rest;
        Some((u16::from_be_bytes([*a, *b]), data))
    })
}

fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    walk(bytes).find(|(code, _)| *code == wanted).map(|(_, data)| data)
}

/// Tell whether options carry a status that is no success.
fn refused(options: &[u8]) -> bool {
    find(options, STATUS_CODE).is_some_and(|status| status.first_chunk() != Some(&[0, 0]))
}

/// Decode a message of a server, if it is one for this client and makes sense.
///
/// In: the payload of a UDP datagram, from anybody.
#[must_use]
pub(super) fn decode(payload: &[u8], mac: [u8; 6], xid: u32) -> Option<Reply> {
    let ([kind, number @ ..], options) = payload.split_first_chunk::<4>()?;
    let [_, xid @ ..] = xid.to_be_bytes();
    let ours = *number == xid && find(options, CLIENT_ID) == Some(&client_id(mac));
    let server = find(options, SERVER_ID).filter(|server| (3..=DUID_MAX).contains(&server.len()))?;
    if !ours || !matches!(*kind, ADVERTISE | REPLY) {
        return None;
    }
    let own = |ia: &&[u8]| ia.get(..4) == Some(&association(mac));
    let ia = walk(options).filter(|(code, _)| *code == IA_NA).map(|(_, ia)| ia).find(own);
    let lease = ia.and_then(|ia| lease(ia, server, options));
    let refusal = refused(options) || ia.and_then(|ia| ia.get(12..)).is_some_and(refused);
    match (*kind, refusal, lease, ia) {
        (ADVERTISE, false, Some(lease), _) => Some(Reply::Advertise(lease)),
        (ADVERTISE, ..) => None,
        (_, true, ..) => Some(Reply::Refusal(server.to_vec())),
        (_, _, Some(lease), _) => Some(Reply::Grant(lease)),
        // An association of which nothing is left.
        (_, _, None, Some(_)) => Some(Reply::Refusal(server.to_vec())),
        (_, _, None, None) => Some(Reply::Fine),
    }
}

/// Make a lease of an association, if it can be one.
fn lease(ia: &[u8], server: &[u8], options: &[u8]) -> Option<Lease> {
    let inner = ia.get(12..)?;
    let addresses = walk(inner).filter(|(code, _)| *code == IA_ADDRESS).filter_map(|(_, data)| address(data));
    let addresses: Vec<(Ipv6Addr, u32)> = addresses.take(ADDRESSES_MAX).collect();
    let shortest = addresses.iter().map(|(_, seconds)| *seconds).min()?;
    let (renew, rebind) = times(number(ia, 4)?, number(ia, 8)?, shortest)?;
    let good = |seconds: u32| (seconds != u32::MAX).then_some(seconds);
    let time = walk(options).filter(|(code, _)| *code == NTP_SERVER).flat_map(|(_, data)| walk(data));
    let time = time.filter(|(code, _)| *code == NTP_ADDRESS).map(|(_, data)| data);
    Some(Lease {
        addresses: addresses.into_iter().map(|(address, seconds)| (address, good(seconds))).collect(),
        server: server.to_vec(),
        lifetime: good(shortest),
        renew,
        rebind,
        servers: machines(find(options, DNS_SERVERS).unwrap_or_default()),
        time_servers: time.flat_map(machines).take(SERVERS_MAX).collect(),
        search: find(options, DOMAIN_LIST).map(domains).unwrap_or_default().into_iter().take(DOMAINS_MAX).collect(),
    })
}

/// One address and for how many seconds it is good, if it can be that of this machine.
fn address(data: &[u8]) -> Option<(Ipv6Addr, u32)> {
    let address = Ipv6Addr::from(*data.first_chunk::<16>()?);
    let (preferred, valid) = (number(data, 16)?, number(data, 20)?);
    let sound = is_unicast(address) && !address.is_unicast_link_local() && preferred <= valid && valid >= LEASE_MIN;
    (sound && !data.get(24..).is_some_and(refused)).then_some((address, valid))
}

/// T1 and T2: the server's if they are in order, or else a half and four fifths of the lease (RFC 8415, 14.2 and 21.4).
fn times(renew: u32, rebind: u32, lifetime: u32) -> Option<(u32, u32)> {
    if renew > rebind && rebind > 0 {
        return None;
    }
    let in_order = LEASE_MIN / 2 <= renew && renew <= rebind && rebind < lifetime;
    Some(if in_order { (renew, rebind) } else { (lifetime / 2, lifetime - lifetime / 5) })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Addresses one after another, those of machines only.
fn machines(data: &[u8]) -> Vec<Ipv6Addr> {
    let (all, _) = data.as_chunks::<16>();
    all.iter().map(|octets| Ipv6Addr::from(*octets)).filter(|address| is_unicast(*address)).take(SERVERS_MAX).collect()
}

/// Tell whether an address can be that of another machine.
fn is_unicast(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}
