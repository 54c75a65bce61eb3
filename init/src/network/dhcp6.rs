//! DHCPv6 on one interface, for as long as the host runs: addresses that a server keeps (RFC 8415, IA_NA). Routes come from routers.
//!
//! In: an interface that has a link-local address. Out: a lease, then another, or the loss of one. Touches: a datagram socket.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use super::dhcp::{seed, until};
pub use client::{Client, Output};
pub use message::Lease;

mod client;
mod message;
#[cfg(test)]
mod tests;

/// Ports of clients and servers, and the address of all servers on the link (RFC 8415, 7.1 and 7.2).
const CLIENT: u16 = 546;
const SERVER: u16 = 547;
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Where the client of one interface works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index of the interface.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// What became of the interface's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This one is to be used.
    Bound(Lease),
    /// It is gone; the reason.
    Lost(&'static str),
    /// The client cannot work for now; the reason.
    Failed(String),
}

/// Run the client until `out` is closed.
///
/// In: `returned`, a word each time the link comes back. Out: `(index, change)`.
pub async fn run(place: Place, mut returned: UnboundedReceiver<()>, out: UnboundedSender<(u32, Change)>) {
    let start = Instant::now();
    let mut client = Client::new(place.mac, seed(place.mac), Duration::ZERO);
    let mut socket: Option<UdpSocket> = None;
    let mut bytes = vec![0; message::MESSAGE_MAX];
    loop {
        if socket.is_none() {
            match open(&place.name) {
                Ok(opened) => socket = Some(opened),
                Err(cause) => {
                    let _ = out.send((place.index, Change::Failed(format!("could not listen for DHCPv6: {cause}"))));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        let outputs = tokio::select! {
            () = until(start, client.due()) => client.tick(start.elapsed()),
            received = receive(socket.as_ref(), &mut bytes) => match received {
                Ok(len) => client.receive(bytes.get(..len).unwrap_or_default(), start.elapsed()),
                Err(_) => {
                    socket = None;
                    Vec::new()
                }
            },
            word = returned.recv() => {
                if word.is_none() {
                    return;
                }
                client.link_returned(start.elapsed());
                Vec::new()
            }
        };
        for output in outputs {
            let change = match output {
                Output::Send(message) => {
                    let servers = SocketAddrV6::new(ALL_SERVERS, SERVER, 0, place.index);
                    let Some(socket) = &socket else { continue };
                    match socket.send_to(&message, servers).await {
                        Ok(_) => continue,
                        Err(cause) => Change::Failed(format!("could not ask for an IPv6 address: {cause}")),
                    }
                }
                Output::Bound(lease) => Change::Bound(lease),
                Output::Lost(reason) => Change::Lost(reason),
            };
            let _ = out.send((place.index, change));
        }
        if out.is_closed() {
            return;
        }
    }
}

/// Open the client's port on one interface.
fn open(name: &str) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(name.as_bytes()))?;
    socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CLIENT, 0, 0).into())?;
    UdpSocket::from_std(socket.into())
}

async fn receive(socket: Option<&UdpSocket>, bytes: &mut [u8]) -> std::io::Result<usize> {
    match socket {
        Some(socket) => socket.recv(bytes).await,
        None => std::future::pending().await,
    }
}
