//! A packet socket that hears DHCP replies and nothing else.

use std::io;

use rustix::net::bind;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::net::UdpSocket;

use crate::sys;

/// `ETH_P_IP` of `linux/if_ether.h`.
const IPV4: u16 = 0x0800;
/// Largest frame read, in bytes.
const FRAME_MAX: usize = 1514;

/// Bound to one interface.
#[derive(Debug)]
pub(super) struct PacketSocket(UdpSocket);

impl PacketSocket {
    /// Open it on the interface with this index.
    ///
    /// # Errors
    ///
    /// The kernel's: no such interface, or no right to.
    pub(super) fn open(index: u32) -> io::Result<Self> {
        // Without a protocol it hears nothing until it is bound, so nothing slips in ahead of the filter.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        socket.attach_filter(&filter())?;
        socket.set_nonblocking(true)?;
        bind(&socket, &sys::packet_address(index, IPV4))?;
        // The runtime drives any socket in this wrapper; only `send` and `recv` are used, which know no addresses.
        UdpSocket::from_std(std::os::fd::OwnedFd::from(socket).into()).map(Self)
    }

    /// Send one frame, Ethernet header included.
    pub(super) async fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame).await.map(drop)
    }

    /// Wait for one frame.
    pub(super) async fn receive(&self) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; FRAME_MAX];
        let len = self.0.recv(&mut frame).await?;
        frame.truncate(len);
        Ok(frame)
    }
}

/// Whole UDP datagrams to port 68, in the kernel's filter language: a busy interface must not wake us for every packet.
///
/// # Source
///
/// Linux, `Documentation/networking/filter.rst`; opcodes of `linux/bpf_common.h`.
fn filter() -> [SockFilter; 9] {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF_AT_X: u16 = 0x48;
    const HEADER_LENGTH_TO_X: u16 = 0xb1;
    const EQUAL: u16 = 0x15;
    const ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const WHOLE: u32 = 0x4_0000;
    [
        // Protocol of the IPv4 header; the socket hears no other family.
        SockFilter::new(LOAD_BYTE, 0, 0, 23),
        SockFilter::new(EQUAL, 0, 6, 17),
        SockFilter::new(LOAD_HALF, 0, 0, 20),
        SockFilter::new(ANY_BIT, 4, 0, 0x3fff),
        SockFilter::new(HEADER_LENGTH_TO_X, 0, 0, 14),
        SockFilter::new(LOAD_HALF_AT_X, 0, 0, 16),
        SockFilter::new(EQUAL, 0, 1, 68),
        SockFilter::new(RETURN, 0, 0, WHOLE),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
