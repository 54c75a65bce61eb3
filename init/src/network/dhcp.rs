//! DHCPv4 on one interface, for as long as the host runs.
//!
//! In: the interface. Out: a lease, then another, or the loss of one. Touches: a packet socket on the interface while an answer
//! is expected, and a datagram socket to renew. The crate `mozim` was tried instead: it does not hear a server's refusal
//! except after a reboot, never leaves a server that offers and then falls silent, and waits for the kernel's random numbers.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

pub(super) use client::Random;
pub use client::{Client, Output};
pub(super) use message::{DOMAINS_MAX, LEASE_MIN, SERVERS_MAX, domains};
pub use message::{Lease, is_domain};
use socket::PacketSocket;

mod client;
mod frame;
mod message;
mod socket;
#[cfg(test)]
mod tests;

/// Where the client of one interface works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index of the interface.
    pub index: u32,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// The host's name, told to the server.
    pub host: Option<String>,
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
    let mut client = Client::new(place.mac, place.host.clone(), seed(place.mac), Duration::ZERO);
    let mut sockets = Sockets { index: place.index, mac: place.mac, packet: None, datagram: None };
    loop {
        let outputs = tokio::select! {
            () = until(start, client.due()) => client.tick(start.elapsed()),
            frame = sockets.receive(client.is_listening()) => match frame {
                Ok(frame) => frame::unwrap(&frame).map(|payload| client.receive(payload, start.elapsed())).unwrap_or_default(),
                Err(cause) => {
                    let _ = out.send((place.index, Change::Failed(cause.to_string())));
                    // The interface may be down for a moment; the socket is opened anew.
                    tokio::time::sleep(Duration::from_secs(1)).await;
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
                Output::Broadcast(from, message) => sockets.broadcast(from, &message).await.err(),
                Output::Unicast(from, to, message) => sockets.unicast(from, to, &message).await.err(),
                Output::Bound(lease) => {
                    let _ = out.send((place.index, Change::Bound(lease)));
                    None
                }
                Output::Lost(reason) => {
                    let _ = out.send((place.index, Change::Lost(reason)));
                    None
                }
            };
            if let Some(cause) = change {
                let _ = out.send((place.index, Change::Failed(cause.to_string())));
            }
        }
        if out.is_closed() {
            return;
        }
    }
}

/// The sockets that are open now.
#[derive(Debug)]
struct Sockets {
    index: u32,
    mac: [u8; 6],
    packet: Option<PacketSocket>,
    /// Holds the port while a renewal is under way, so that the kernel does not tell the server that nobody listens; the
    /// answer itself is read from the packet socket.
    datagram: Option<tokio::net::UdpSocket>,
}

impl Sockets {
    fn packet(&mut self) -> std::io::Result<&PacketSocket> {
        match &mut self.packet {
            Some(socket) => Ok(socket),
            none => Ok(none.insert(PacketSocket::open(self.index)?)),
        }
    }

    /// Wait for a frame; for ever if none is expected, with no socket open.
    async fn receive(&mut self, listening: bool) -> std::io::Result<Vec<u8>> {
        if !listening {
            (self.packet, self.datagram) = (None, None);
            return std::future::pending().await;
        }
        let received = match self.packet() {
            Ok(socket) => socket.receive().await,
            Err(cause) => Err(cause),
        };
        if received.is_err() {
            self.packet = None;
        }
        received
    }

    async fn broadcast(&mut self, from: Ipv4Addr, message: &[u8]) -> std::io::Result<()> {
        let frame = frame::wrap(self.mac, from, message);
        self.packet()?.send(&frame).await
    }

    async fn unicast(&mut self, from: Ipv4Addr, to: Ipv4Addr, message: &[u8]) -> std::io::Result<()> {
        // Before the question: the answer may come at once.
        self.packet()?;
        self.datagram = None;
        let socket = tokio::net::UdpSocket::bind((from, 68)).await?;
        socket.send_to(message, (to, 67)).await?;
        self.datagram = Some(socket);
        Ok(())
    }
}

/// Wait until `due` after `start`; for ever if there is nothing to wait for.
pub(super) async fn until(start: Instant, due: Option<Duration>) {
    match due {
        Some(due) => tokio::time::sleep_until(start + due).await,
        None => std::future::pending().await,
    }
}

/// Something that differs between hosts and boots: the address, and the clock since the machine started.
pub(super) fn seed(mac: [u8; 6]) -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let address = mac.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    address.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ now.tv_nsec.unsigned_abs().rotate_left(20) ^ now.tv_sec.unsigned_abs()
}
