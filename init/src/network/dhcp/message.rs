//! DHCP messages: what the client says, and what is believed of what a server says.
//!
//! Options are taken apart one by one, and only those that were asked for reach the decoder: a server is anybody on the
//! link, and one malformed option must not hide the others. What is left is checked for sense, and bounded.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, DhcpOptions, MAGIC, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};

/// Bytes before the options: the fixed header and the magic cookie.
const HEADER: usize = 240;
/// Shortest lease taken, in seconds; less would be a way to keep the host busy.
pub(in crate::network) const LEASE_MIN: u32 = 10;
/// Most routes, name and time servers, and domains taken from one lease.
const ROUTES_MAX: usize = 64;
pub(in crate::network) const SERVERS_MAX: usize = 6;
pub(in crate::network) const DOMAINS_MAX: usize = 8;
/// Largest DHCP message we can take, in bytes: one Ethernet frame.
const MESSAGE_MAX: u16 = 1472;

/// Options asked for, and the only ones read from a reply beside the type and the server.
const WANTED: [OptionCode; 11] = [
    OptionCode::SubnetMask,
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::DomainName,
    OptionCode::InterfaceMtu,
    OptionCode::NtpServers,
    OptionCode::AddressLeaseTime,
    OptionCode::Renewal,
    OptionCode::Rebinding,
    OptionCode::DomainSearch,
    OptionCode::ClasslessStaticRoute,
];

/// What a server grants; holding one proves that every value makes sense on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The interface's address, a unicast one.
    pub address: Ipv4Addr,
    /// Length of the network prefix, 1 to 32.
    pub prefix: u8,
    /// The server that granted it.
    pub server: Ipv4Addr,
    /// When it ends, in seconds after it began; `None` is never.
    pub lifetime: Option<u32>,
    /// When to ask the same server again, in seconds after it began.
    pub renew: u32,
    /// When to ask any server, in seconds after it began.
    pub rebind: u32,
    /// Destination, its prefix length, and gateway; `0.0.0.0` as a gateway is the link itself. Routers are among them.
    pub routes: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    /// Name servers.
    pub servers: Vec<Ipv4Addr>,
    /// Time servers.
    pub time_servers: Vec<Ipv4Addr>,
    /// Domains to search, checked to be nothing but host names.
    pub search: Vec<String>,
    /// Largest packet, in bytes.
    pub mtu: Option<u16>,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// It would grant this.
    Offer(Lease),
    /// It grants this.
    Ack(Lease),
    /// It refuses; its address, if it told.
    Nak(Option<Ipv4Addr>),
}

/// What the client says; the fields that differ between RFC 2131's states (4.3.6, table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Is there a server?
    Discover,
    /// I take the offer: server, then address.
    Select(Ipv4Addr, Ipv4Addr),
    /// May I still use this address, after the link was away?
    Confirm(Ipv4Addr),
    /// I want to keep this address.
    Extend(Ipv4Addr),
}

/// Encode a message of the client.
///
/// In: the interface's hardware address; `xid`, which replies must carry; `secs` since the client began; the host's name.
#[must_use]
pub(super) fn encode(mac: [u8; 6], xid: u32, secs: u16, host: Option<&str>, question: Question) -> Vec<u8> {
    let mut options = DhcpOptions::new();
    let kind = if question == Question::Discover { MessageType::Discover } else { MessageType::Request };
    options.insert(DhcpOption::MessageType(kind));
    match question {
        Question::Select(server, address) => {
            options.insert(DhcpOption::ServerIdentifier(server));
            options.insert(DhcpOption::RequestedIpAddress(address));
        }
        Question::Confirm(address) => drop(options.insert(DhcpOption::RequestedIpAddress(address))),
        Question::Discover | Question::Extend(_) => {}
    }
    options.insert(DhcpOption::ParameterRequestList(WANTED.to_vec()));
    options.insert(DhcpOption::MaxMessageSize(MESSAGE_MAX));
    // RFC 2132, 9.14: the hardware type, then the address.
    options.insert(DhcpOption::ClientIdentifier([&[1], &mac[..]].concat()));
    if let Some(host) = host {
        options.insert(DhcpOption::Hostname(host.to_owned()));
    }
    let ciaddr = match question {
        Question::Extend(address) => address,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let mut bytes = header(mac, xid, secs, ciaddr);
    bytes.extend(options.to_vec().unwrap_or_default());
    // RFC 1542, 2.1: some relays drop what is shorter than a BOOTP message.
    bytes.resize(bytes.len().max(300), 0);
    bytes
}

/// Write down what stands before the options.
///
/// The crate's own message takes a random number before it takes ours, and for that waits, on a machine without a source of such numbers for
/// ever: in a static program its `/dev/random` is polled, for which the kernel gathers nothing.
///
/// # Source
///
/// RFC 2131, figure 1.
fn header(mac: [u8; 6], xid: u32, secs: u16, ciaddr: Ipv4Addr) -> Vec<u8> {
    // BOOTREQUEST, Ethernet, its addresses' length, no relay.
    let mut bytes = vec![1, 1, 6, 0];
    bytes.extend(xid.to_be_bytes());
    bytes.extend(secs.to_be_bytes());
    // No broadcast flag: replies to an address that is not ours yet arrive at the packet socket all the same.
    bytes.extend([0, 0]);
    bytes.extend(ciaddr.octets());
    // Addresses that servers and relays fill in.
    bytes.extend([0; 12]);
    bytes.extend(mac);
    // The rest of the hardware address, and names of a server and of a file.
    bytes.resize(HEADER - MAGIC.len(), 0);
    bytes.extend(MAGIC);
    bytes
}

/// Decode a message of a server, if it is one for this client and makes sense.
///
/// In: the payload of a UDP datagram, from anybody.
#[must_use]
pub(super) fn decode(payload: &[u8], mac: [u8; 6], xid: u32) -> Option<Reply> {
    // op BOOTREPLY, Ethernet with addresses of 6 bytes, our transaction, our address, the cookie.
    let ours = payload.get(..3)? == [2, 1, 6]
        && payload.get(4..8)? == xid.to_be_bytes()
        && payload.get(28..34)? == mac
        && payload.get(236..HEADER)? == MAGIC;
    if !ours {
        return None;
    }
    let options = options(payload);
    let server = match options.get(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => Some(*server),
        _ => None,
    };
    match options.msg_type()? {
        MessageType::Nak => Some(Reply::Nak(server)),
        MessageType::Offer => Some(Reply::Offer(lease(payload, server?, &options)?)),
        MessageType::Ack => Some(Reply::Ack(lease(payload, server?, &options)?)),
        _ => None,
    }
}

/// Decode every option by itself; the parts of one that was split are joined (RFC 3396), and the fields for names are read
/// as options if the message says that they are (RFC 2132, 9.3).
fn options(payload: &[u8]) -> DhcpOptions {
    let mut raw = BTreeMap::new();
    walk(payload.get(HEADER..).unwrap_or_default(), &mut raw);
    let overload = raw.get(&u8::from(OptionCode::OptionOverload)).and_then(|data| data.first().copied()).unwrap_or(0);
    for (bit, field) in [(1, 108..236), (2, 44..108)] {
        if overload & bit != 0 {
            walk(payload.get(field).unwrap_or_default(), &mut raw);
        }
    }
    let mut options = DhcpOptions::default();
    let taken = WANTED.into_iter().chain([OptionCode::MessageType, OptionCode::ServerIdentifier]);
    for code in taken {
        let Some(data) = raw.get(&code.into()) else { continue };
        let Ok(len) = u8::try_from(data.len()) else { continue };
        let alone = [&[code.into(), len], &data[..]].concat();
        if let Ok(option) = DhcpOption::decode(&mut Decoder::new(&alone)) {
            options.insert(option);
        }
    }
    options
}

/// Split options into code and data, as far as they go.
fn walk(mut bytes: &[u8], raw: &mut BTreeMap<u8, Vec<u8>>) {
    loop {
        bytes = match bytes {
            [0, rest @ ..] => rest,
            [255, ..] | [] | [_] => return,
            [code, len, rest @ ..] => {
                let Some((data, rest)) = rest.split_at_checked(usize::from(*len)) else { return };
                raw.entry(*code).or_default().extend_from_slice(data);
                rest
            }
        }
    }
}

/// Make a lease of a message, if it can be one.
fn lease(payload: &[u8], server: Ipv4Addr, options: &DhcpOptions) -> Option<Lease> {
    let address = Ipv4Addr::from(*payload.get(16..)?.first_chunk::<4>()?);
    let prefix = match options.get(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => prefix_length(*mask)?,
        _ => classful(address),
    };
    if !is_host(address, prefix) || !is_unicast(server) {
        return None;
    }
    let Some(&DhcpOption::AddressLeaseTime(seconds)) = options.get(OptionCode::AddressLeaseTime) else { return None };
    if seconds < LEASE_MIN {
        return None;
    }
    let (renew, rebind) = times(seconds, options);
    Some(Lease {
        address,
        prefix,
        server,
        // All ones means for ever (RFC 2131, 3.3).
        lifetime: (seconds != u32::MAX).then_some(seconds),
        renew,
        rebind,
        routes: routes(options),
        servers: match options.get(OptionCode::DomainNameServer) {
            Some(DhcpOption::DomainNameServer(all)) => unicast(all).take(SERVERS_MAX).collect(),
            _ => Vec::new(),
        },
        time_servers: match options.get(OptionCode::NtpServers) {
            Some(DhcpOption::NtpServers(all)) => unicast(all).take(SERVERS_MAX).collect(),
            _ => Vec::new(),
        },
        search: search(options),
        mtu: match options.get(OptionCode::InterfaceMtu) {
            Some(&DhcpOption::InterfaceMtu(mtu)) if mtu >= 576 => Some(mtu),
            _ => None,
        },
    })
}

/// T1 and T2: the server's if they are in order, or else a half and seven eighths of the lease (RFC 2131, 4.4.5).
fn times(seconds: u32, options: &DhcpOptions) -> (u32, u32) {
    let defaults = (seconds / 2, seconds - seconds / 8);
    let (Some(&DhcpOption::Renewal(renew)), Some(&DhcpOption::Rebinding(rebind))) =
        (options.get(OptionCode::Renewal), options.get(OptionCode::Rebinding))
    else {
        return defaults;
    };
    if LEASE_MIN / 2 <= renew && renew < rebind && rebind < seconds { (renew, rebind) } else { defaults }
}

/// Classless routes, or else the first router: a client that understands the former ignores the latter (RFC 3442).
fn routes(options: &DhcpOptions) -> Vec<(Ipv4Addr, u8, Ipv4Addr)> {
    if let Some(DhcpOption::ClasslessStaticRoute(all)) = options.get(OptionCode::ClasslessStaticRoute)
        && !all.is_empty()
    {
        let usable = |gateway: &Ipv4Addr| gateway.is_unspecified() || is_unicast(*gateway);
        let routes = all.iter().filter(|(_, gateway)| usable(gateway));
        return routes.map(|(to, gateway)| (to.network(), to.prefix_len(), *gateway)).take(ROUTES_MAX).collect();
    }
    match options.get(OptionCode::Router) {
        Some(DhcpOption::Router(all)) => {
            unicast(all).take(1).map(|router| (Ipv4Addr::UNSPECIFIED, 0, router)).collect()
        }
        _ => Vec::new(),
    }
}

/// Domains of option 119, or else that of option 15.
fn search(options: &DhcpOptions) -> Vec<String> {
    let names = match (options.get(OptionCode::DomainSearch), options.get(OptionCode::DomainName)) {
        (Some(DhcpOption::DomainSearch(all)), _) => all.iter().map(ToString::to_string).collect(),
        (_, Some(DhcpOption::DomainName(name))) => vec![name.clone()],
        _ => Vec::new(),
    };
    sound(&names)
}

/// Read a list of domains (RFC 1035, 3.1; both versions of DHCP have it so), those that are nothing but host names.
pub(in crate::network) fn domains(list: &[u8]) -> Vec<String> {
    let Ok(len) = u8::try_from(list.len()) else { return Vec::new() };
    let option = [&[OptionCode::DomainSearch.into(), len], list].concat();
    match DhcpOption::decode(&mut Decoder::new(&option)) {
        Ok(DhcpOption::DomainSearch(all)) => sound(&all.iter().map(ToString::to_string).collect::<Vec<_>>()),
        _ => Vec::new(),
    }
}

fn sound(names: &[String]) -> Vec<String> {
    let names = names.iter().map(|name| name.trim_end_matches(['.', '\0']).to_owned());
    names.filter(|name| is_domain(name)).take(DOMAINS_MAX).collect()
}

/// Tell whether a name can stand in a resolver's configuration: nothing but letters, digits, `-`, `_` and dots.
#[must_use]
pub fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn unicast(all: &[Ipv4Addr]) -> impl Iterator<Item = Ipv4Addr> {
    all.iter().copied().filter(|address| is_unicast(*address))
}

/// Tell whether an address can be that of another machine.
fn is_unicast(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first != 127 && first < 224
}

/// Tell whether an address can be that of a machine in a network of this prefix.
fn is_host(address: Ipv4Addr, prefix: u8) -> bool {
    let host = u32::from(address) & u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    let all = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    is_unicast(address) && prefix > 0 && (prefix > 30 || (host != 0 && host != all))
}

/// Length of a mask without holes; 0 is none.
fn prefix_length(mask: Ipv4Addr) -> Option<u8> {
    let mask = u32::from(mask);
    let length = mask.leading_ones();
    (mask.count_ones() == length && length > 0).then(|| u8::try_from(length).ok()).flatten()
}

/// Prefix of a server that names none, by the address's class (RFC 791).
fn classful(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        192.. => 24,
    }
}
