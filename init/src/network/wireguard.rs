//! Keys and peers of a WireGuard interface, by generic netlink. What is sent through it is the kernel's business.
//!
//! # Source
//!
//! Linux, `include/uapi/linux/wireguard.h`; `Documentation/userspace-api/netlink/intro-specs.rst` for families.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::BASE64;
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlMessage};
use netlink_packet_wireguard::{
    WireguardAddressFamily, WireguardAllowedIp, WireguardAllowedIpAttr, WireguardAttribute, WireguardCmd,
    WireguardDeviceFlags, WireguardMessage, WireguardPeer, WireguardPeerAttribute, WireguardPeerFlags,
};
use netlink_sys::{Socket, SocketAddr as KernelAddress, protocols::NETLINK_GENERIC};
use rtnetlink::packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable, ParseableParametrized,
};

use crate::contract::{Cidr, Peer};
use crate::sys;

/// Bytes of a key.
const KEY: usize = 32;
/// Largest file of a key that is read, in bytes.
const FILE_MAX: u64 = 4096;
/// Family of the families.
const CONTROL: u16 = 16;
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
    let mut device = vec![
        WireguardAttribute::IfIndex(index),
        WireguardAttribute::PrivateKey(key),
        WireguardAttribute::Flags(WireguardDeviceFlags::ReplacePeers),
    ];
    device.extend(port.map(WireguardAttribute::ListenPort));
    kernel.set(device)?;
    // One by one: a message has an end, and a list of peers need not.
    for peer in peers {
        let Some(mut about) = key_of(peer) else { continue };
        if let Some(address) =
            peer.endpoint.as_ref().and_then(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, *port)))
        {
            about.push(WireguardPeerAttribute::Endpoint(address));
        }
        about.push(WireguardPeerAttribute::PersistentKeepalive(peer.keepalive));
        about.push(WireguardPeerAttribute::AllowedIps(peer.allowed.iter().map(allowed).collect()));
        kernel.set(vec![WireguardAttribute::IfIndex(index), WireguardAttribute::Peers(vec![WireguardPeer(about)])])?;
    }
    Ok(BASE64.encode(&kernel.public_key(index)?))
}

/// Look up the name of a peer until it is found, and tell the kernel where it is.
pub async fn find(index: u32, peer: Peer) {
    let Some((host, port)) = peer.endpoint.clone() else { return };
    let mut wait = LOOKUP_FIRST;
    loop {
        let found = tokio::net::lookup_host((host.as_str(), port)).await.ok().and_then(|mut all| all.next());
        if let (Some(address), Some(mut about)) = (found, key_of(&peer)) {
            about.push(WireguardPeerAttribute::Flags(WireguardPeerFlags::UpdateOnly));
            about.push(WireguardPeerAttribute::Endpoint(address));
            let device =
                vec![WireguardAttribute::IfIndex(index), WireguardAttribute::Peers(vec![WireguardPeer(about)])];
            // If the interface is gone, so is the question.
            let _ = Kernel::open().and_then(|mut kernel| kernel.set(device));
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

fn key_of(peer: &Peer) -> Option<Vec<WireguardPeerAttribute>> {
    Some(vec![WireguardPeerAttribute::PublicKey(decode(peer.public_key.as_bytes())?)])
}

fn allowed(network: &Cidr) -> WireguardAllowedIp {
    let family = if network.address.is_ipv4() { WireguardAddressFamily::Ipv4 } else { WireguardAddressFamily::Ipv6 };
    WireguardAllowedIp(vec![
        WireguardAllowedIpAttr::Family(family),
        WireguardAllowedIpAttr::IpAddr(network.address),
        WireguardAllowedIpAttr::Cidr(network.prefix),
    ])
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
        let name = GenlCtrlAttrs::FamilyName(WireguardMessage::family_name().to_owned());
        let question = GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas: vec![name] };
        let answer = kernel.ask(question, NLM_F_ACK).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => {
                io::Error::other("the kernel knows no WireGuard; add `wireguard` to `modules.include`")
            }
            _ => cause,
        })?;
        let mut told = answer.into_iter().flat_map(|answer| answer.nlas);
        let family = told.find_map(|told| if let GenlCtrlAttrs::FamilyId(id) = told { Some(id) } else { None });
        kernel.family = family.ok_or(io::ErrorKind::InvalidData)?;
        Ok(kernel)
    }

    fn set(&mut self, attributes: Vec<WireguardAttribute>) -> io::Result<()> {
        self.ask(WireguardMessage { cmd: WireguardCmd::SetDevice, attributes }, NLM_F_ACK).map(drop)
    }

    fn public_key(&mut self, index: u32) -> io::Result<[u8; KEY]> {
        let attributes = vec![WireguardAttribute::IfIndex(index)];
        let told = self.ask(WireguardMessage { cmd: WireguardCmd::GetDevice, attributes }, NLM_F_DUMP)?;
        let mut told = told.into_iter().flat_map(|told| told.attributes);
        let key = told.find_map(|told| if let WireguardAttribute::PublicKey(key) = told { Some(key) } else { None });
        key.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Send one request, and collect what is answered until the kernel says that this is all.
    fn ask<F>(&mut self, payload: F, flags: u16) -> io::Result<Vec<F>>
    where
        F: GenlFamily
            + Emitable
            + Clone
            + std::fmt::Debug
            + PartialEq
            + Eq
            + ParseableParametrized<[u8], netlink_packet_generic::GenlHeader>,
        GenlMessage<F>: NetlinkSerializable + NetlinkDeserializable,
    {
        let mut message = GenlMessage::from_payload(payload);
        message.set_resolved_family_id(self.family);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let message = NetlinkMessage::<GenlMessage<F>>::deserialize(rest).map_err(io::Error::other)?;
                let len = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
                rest = rest.get(len.max(16)..).unwrap_or_default();
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer.payload),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answers),
                    _ => {}
                }
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
