//! System calls, and the only unsafe code of the crate.

#![expect(unsafe_code, reason = "the few system calls that have no safe wrapper; nothing else in the crate may")]

use rustix::net::addr::SocketAddrStorage;
use rustix::net::{AddressFamily, SocketAddrAny};

/// Address of a packet socket: one interface, one Ethernet protocol (`ETH_P_...`, host byte order).
///
/// # Source
///
/// Linux, `packet(7)`: `struct sockaddr_ll`, 20 bytes; the protocol is in network byte order.
#[must_use]
pub fn packet_address(index: u32, protocol: u16) -> SocketAddrAny {
    let mut storage = [0u8; size_of::<SocketAddrStorage>()];
    storage[..2].copy_from_slice(&AddressFamily::PACKET.as_raw().to_ne_bytes());
    storage[2..4].copy_from_slice(&protocol.to_be_bytes());
    storage[4..8].copy_from_slice(&index.to_ne_bytes());
    // SAFETY: the pointer is to as many initialised bytes as the storage has, more than the 20 that are read; they begin
    // with an address family; `read` copies without asking for alignment.
    unsafe { SocketAddrAny::read(storage.as_ptr().cast(), 20) }
}
