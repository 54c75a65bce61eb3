//! Keys and peers of a WireGuard interface, by generic netlink. What is sent through it is the kernel's business.
//!
//! The few attributes are written here: `netlink-packet-wireguard` and `netlink-packet-generic` would do, and make PID 1 larger by what they
//! know of all others.
//!
//! # Source
//!
//! Linux, `include/uapi/linux/wireguard.h`; `Documentation/userspace-api/netlink/intro-specs.rst` for families.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use data_encoding::BASE64;
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr as KernelAddress};
use rustix::net::AddressFamily;

use crate::contract::{Cidr, Peer};
use crate::sys;

/// Bytes of a key.
const KEY: usize = 32;
/// Largest file of a key that is read, in bytes.
const FILE_MAX: u64 = 4096;
/// Family of the families, its question for one by name, and what it says of it.
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

// Commands of WireGuard.
const GET_DEVICE: u8 = 0;
const SET_DEVICE: u8 = 1;

// Attributes of an interface, of a peer, and of a network behind it.
const IF_INDEX: u16 = 1;
const PRIVATE_KEY: u16 = 3;
const PUBLIC_KEY: u16 = 4;
const FLAGS: u16 = 5;
const LISTEN_PORT: u16 = 6;
const PEERS: u16 = 8;
const PEER_PUBLIC_KEY: u16 = 1;
const PEER_FLAGS: u16 = 3;
const PEER_ENDPOINT: u16 = 4;
const PEER_KEEPALIVE: u16 = 5;
const PEER_ALLOWED: u16 = 9;
const ALLOWED_FAMILY: u16 = 1;
const ALLOWED_ADDRESS: u16 = 2;
const ALLOWED_PREFIX: u16 = 3;

/// Mark of an attribute that holds others.
const NESTED: u16 = 1 << 15;
const REPLACE_PEERS: u32 = 1;
const UPDATE_ONLY: u32 = 4;

// Of linux/netlink.h: flags of requests, types of answers, bytes of a header.
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;
/// Shortest and longest wait before a name that was not found is looked up again.
const LOOKUP_FIRST: Duration = Duration::from_secs(2);
const LOOKUP_LAST: Duration = Duration::from_secs(120);

/// Why an interface cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WireguardError {
    /// The file of the key is not there, or not yet.
    #[error("the file of its private key is not there")]
    NoKey,
    /// It cannot be read.
    #[error("could not read the file of its private key: {0}")]
    KeyFile(io::Error),
    /// It holds no key.
    #[error("the file of its private key holds no key: 44 characters of base64, as `wg genkey` prints it")]
    NotAKey,
    /// The kernel would not.
    #[error("{0}")]
    Kernel(#[from] io::Error),
}

/// Give an interface its key, its port and its peers. Out: its public key, in base64.
///
/// # Errors
///
/// [`WireguardError`]; nothing of the interface has changed if there is no key.
pub fn set_up(index: u32, file: Option<&str>, port: Option<u16>, peers: &[Peer]) -> Result<String, WireguardError> {
    let key = match file {
        Some(file) => read_key(file)?,
        None => sys::secret()?,
    };
    let mut kernel = Kernel::open()?;
    let mut device = Attributes::of(index);
    device.put(PRIVATE_KEY, &key);
    device.put(FLAGS, &REPLACE_PEERS.to_ne_bytes());
    if let Some(port) = port {
        device.put(LISTEN_PORT, &port.to_ne_bytes());
    }
    kernel.set(&device)?;
    // One by one: a message has an end, and a list of peers need not.
    for peer in peers {
        let endpoint = peer.endpoint.as_ref().and_then(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, *port)));
        let Some(mut about) = about(peer, endpoint) else { continue };
        about.put(PEER_KEEPALIVE, &peer.keepalive.to_ne_bytes());
        let mut networks = Attributes::default();
        peer.allowed.iter().for_each(|network| networks.put(NESTED, &allowed(network).0));
        about.put(PEER_ALLOWED | NESTED, &networks.0);
        kernel.set(&device_with(index, &about))?;
    }
    Ok(BASE64.encode(&kernel.public_key(index)?))
}

/// Look up the name of a peer until it is found, and tell the kernel where it is.
pub async fn look_up(index: u32, peer: Peer) {
    let Some((host, port)) = peer.endpoint.clone() else { return };
    let mut wait = LOOKUP_FIRST;
    loop {
        let found = tokio::net::lookup_host((host.as_str(), port)).await.ok().and_then(|mut all| all.next());
        if found.is_some() {
            if let Some(mut about) = about(&peer, found) {
                about.put(PEER_FLAGS, &UPDATE_ONLY.to_ne_bytes());
                // If the interface is gone, so is the question.
                let _ = Kernel::open().and_then(|mut kernel| kernel.set(&device_with(index, &about)));
            }
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOKUP_LAST);
    }
}

/// Tell whether a peer's name has to be looked up.
#[must_use]
pub fn is_named(peer: &Peer) -> bool {
    peer.endpoint.as_ref().is_some_and(|(host, _)| host.parse::<std::net::IpAddr>().is_err())
}

/// Attributes one after another, as netlink has them: length, type, data, filled up to four bytes.
#[derive(Debug, Default)]
struct Attributes(Vec<u8>);

impl Attributes {
    /// Those of an interface begin with its index.
    fn of(index: u32) -> Self {
        let mut attributes = Self::default();
        attributes.put(IF_INDEX, &index.to_ne_bytes());
        attributes
    }

    fn put(&mut self, kind: u16, data: &[u8]) {
        // The assembler bounds the one list that is part of an attribute.
        let Ok(len) = u16::try_from(data.len().saturating_add(4)) else { return };
        self.0.extend([len.to_ne_bytes(), kind.to_ne_bytes()].as_flattened());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// Find an attribute among those of an answer.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let ([a, b, c, d], _) = bytes.split_first_chunk::<4>()?;
        let (len, kind) = (usize::from(u16::from_ne_bytes([*a, *b])), u16::from_ne_bytes([*c, *d]) & !NESTED);
        if kind == wanted {
            return bytes.get(4..len);
        }
        bytes = bytes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

/// An interface and one of its peers.
fn device_with(index: u32, peer: &Attributes) -> Attributes {
    let (mut peers, mut device) = (Attributes::default(), Attributes::of(index));
    peers.put(NESTED, &peer.0);
    device.put(PEERS | NESTED, &peers.0);
    device
}

/// Who a peer is, and where.
fn about(peer: &Peer, endpoint: Option<SocketAddr>) -> Option<Attributes> {
    let mut about = Attributes::default();
    about.put(PEER_PUBLIC_KEY, &decode(peer.public_key.as_bytes())?);
    let v4 = AddressFamily::INET.as_raw().to_ne_bytes();
    let v6 = AddressFamily::INET6.as_raw().to_ne_bytes();
    match endpoint {
        // `sockaddr_in`, with eight unused bytes; `sockaddr_in6`, with its flow before the address and its scope after it.
        Some(SocketAddr::V4(at)) => {
            about.put(PEER_ENDPOINT, &[&v4[..], &at.port().to_be_bytes(), &at.ip().octets(), &[0; 8]].concat());
        }
        Some(SocketAddr::V6(at)) => {
            let scope = at.scope_id().to_ne_bytes();
            about.put(PEER_ENDPOINT, &[&v6[..], &at.port().to_be_bytes(), &[0; 4], &at.ip().octets(), &scope].concat());
        }
        None => {}
    }
    Some(about)
}

fn allowed(network: &Cidr) -> Attributes {
    let mut about = Attributes::default();
    let family = if network.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    about.put(ALLOWED_FAMILY, &family.as_raw().to_ne_bytes());
    match network.address {
        IpAddr::V4(address) => about.put(ALLOWED_ADDRESS, &address.octets()),
        IpAddr::V6(address) => about.put(ALLOWED_ADDRESS, &address.octets()),
    }
    about.put(ALLOWED_PREFIX, &[network.prefix]);
    about
}

fn read_key(path: &str) -> Result<[u8; KEY], WireguardError> {
    let file = std::fs::File::open(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => WireguardError::NoKey,
        _ => WireguardError::KeyFile(cause),
    })?;
    let mut text = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut text).map_err(WireguardError::KeyFile)?;
    decode(text.trim_ascii()).ok_or(WireguardError::NotAKey)
}

fn decode(text: &[u8]) -> Option<[u8; KEY]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// A socket to the kernel's WireGuard. The kernel answers within the call, so that waiting for it blocks nobody.
struct Kernel {
    socket: Socket,
    family: u16,
}

impl Kernel {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&KernelAddress::new(0, 0))?;
        let mut kernel = Self { socket, family: CONTROL };
        let mut name = Attributes::default();
        name.put(FAMILY_NAME, b"wireguard\0");
        let answer = kernel.ask(GET_FAMILY, ACK, &name).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => {
                io::Error::other("the kernel knows no WireGuard; add `wireguard` to `modules.include`")
            }
            _ => cause,
        })?;
        let id = attribute(&answer, FAMILY_ID).and_then(|id| id.first_chunk()).ok_or(io::ErrorKind::InvalidData)?;
        kernel.family = u16::from_ne_bytes(*id);
        Ok(kernel)
    }

    fn set(&mut self, device: &Attributes) -> io::Result<()> {
        self.ask(SET_DEVICE, ACK, device).map(drop)
    }

    fn public_key(&mut self, index: u32) -> io::Result<[u8; KEY]> {
        let answer = self.ask(GET_DEVICE, DUMP, &Attributes::of(index))?;
        let key = attribute(&answer, PUBLIC_KEY).and_then(|key| key.try_into().ok());
        key.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Send one request, and wait until the kernel says that this is all. Out: the attributes of its first answer.
    fn ask(&mut self, command: u8, flags: u16, attributes: &Attributes) -> io::Result<Vec<u8>> {
        let len = u32::try_from(HEADER + 4 + attributes.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend([self.family.to_ne_bytes(), (REQUEST | flags).to_ne_bytes()].as_flattened());
        // A number and a sender, which matter to those who ask several things at once; the command, its version, two unused bytes.
        bytes.extend([[0; 4], [0; 4], [command, 1, 0, 0]].as_flattened());
        bytes.extend(&attributes.0);
        self.socket.send(&bytes, 0)?;
        let mut first = None;
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = &datagram[..];
            while let Some((header, _)) = rest.split_first_chunk::<HEADER>() {
                let len =
                    usize::try_from(u32::from_ne_bytes([header[0], header[1], header[2], header[3]])).unwrap_or(0);
                let body = rest.get(HEADER..len).ok_or(io::ErrorKind::InvalidData)?;
                match u16::from_ne_bytes([header[4], header[5]]) {
                    ERROR | DONE => {
                        let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                        let done = if code < 0 { Err(io::Error::from_raw_os_error(-code)) } else { Ok(()) };
                        return done.map(|()| first.unwrap_or_default());
                    }
                    _ => drop(first.get_or_insert_with(|| body.get(4..).unwrap_or_default().to_vec())),
                }
                rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_from_its_file_and_nothing_else_is() {
        let path = std::env::temp_dir().join(format!("hullkit-key-{}", std::process::id()));
        let name = path.to_str().unwrap().to_owned();
        assert!(matches!(read_key(&name), Err(WireguardError::NoKey)));
        std::fs::write(&path, "6PBXq5VQbeYl5s7fG5d0s8j2Z3rB3hL2L0QyC1VYq1U=\n").unwrap();
        assert_eq!(read_key(&name).unwrap()[0], 0xe8);
        for wrong in ["", "short", "6PBXq5VQbeYl5s7fG5d0s8j2Z3rB3hL2L0QyC1VYq1U", "-----BEGIN PRIVATE KEY-----"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(read_key(&name), Err(WireguardError::NotAKey)), "{wrong}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn attributes_are_filled_up_and_found_again() {
        let mut attributes = Attributes::of(7);
        attributes.put(FLAGS, &[1, 2, 3]);
        attributes.put(PEERS | NESTED, &[9; 5]);
        assert_eq!(attributes.0.len(), 8 + 8 + 12);
        assert_eq!(attribute(&attributes.0, FLAGS), Some(&[1, 2, 3][..]));
        assert_eq!(attribute(&attributes.0, PEERS), Some(&[9; 5][..]));
        assert_eq!(attribute(&attributes.0, PUBLIC_KEY), None);
        for rubbish in [&[][..], &[0; 3], &[0; 4], &[255; 9], &[2, 0, 1, 0, 1, 0, 5, 0]] {
            assert_eq!(attribute(rubbish, FLAGS).filter(|found| !found.is_empty()), None, "{rubbish:?}");
        }
    }

    #[test]
    fn only_names_are_looked_up() {
        let peer = |host: &str| Peer {
            public_key: String::new(),
            endpoint: Some((host.to_owned(), 1)),
            allowed: Vec::new(),
            keepalive: 0,
        };
        assert!(is_named(&peer("vpn.example.org")) && !is_named(&peer("10.0.0.1")) && !is_named(&peer("fd00::1")));
    }
}
