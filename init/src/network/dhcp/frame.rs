//! A DHCP message in UDP in IPv4 in Ethernet, for an interface that has no address yet.
//!
//! ```text
//!  0 destination, 6 source, 12 type | 14 IPv4 header, 20 bytes and more | UDP header, 8 bytes | payload
//! ```

use std::net::Ipv4Addr;

const SERVER: u16 = 67;
const CLIENT: u16 = 68;
const UDP: u8 = 17;

/// Wrap a client's message, to every station on the link.
#[must_use]
pub(super) fn wrap(mac: [u8; 6], from: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let to = Ipv4Addr::BROADCAST;
    let udp_len = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut udp = Vec::with_capacity(8 + payload.len());
    for part in [CLIENT, SERVER, udp_len, 0] {
        udp.extend_from_slice(&part.to_be_bytes());
    }
    udp.extend_from_slice(payload);
    let pseudo = [&from.octets()[..], &to.octets(), &[0, UDP], &udp_len.to_be_bytes(), &udp].concat();
    // A sum of zero is sent as all ones: zero says that there is none (RFC 768).
    let sum = match checksum(&pseudo) {
        0 => u16::MAX,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());

    let mut ip = [0; 20];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&udp_len.saturating_add(20).to_be_bytes());
    ip[8] = 64;
    ip[9] = UDP;
    ip[12..16].copy_from_slice(&from.octets());
    ip[16..20].copy_from_slice(&to.octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    [&[0xff; 6][..], &mac, &[0x08, 0x00], &ip, &udp].concat()
}

/// Unwrap a server's message from a frame that anybody may have sent.
///
/// Checksums are not looked at: a frame from the same machine (a virtual network) carries none yet.
#[must_use]
pub(super) fn unwrap(frame: &[u8]) -> Option<&[u8]> {
    let ip = frame.get(14..)?;
    if frame.get(12..14)? != [0x08, 0x00] || ip.first()? >> 4 != 4 || *ip.get(9)? != UDP {
        return None;
    }
    // A fragment has no whole message.
    if half(ip, 6)? & 0x3fff != 0 {
        return None;
    }
    let header = usize::from(ip.first()? & 15) * 4;
    let udp = ip.get(..usize::from(half(ip, 2)?))?.get(header.max(20)..)?;
    if half(udp, 0)? != SERVER || half(udp, 2)? != CLIENT {
        return None;
    }
    udp.get(8..usize::from(half(udp, 4)?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let pairs = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u64::from));
    let mut sum: u64 = pairs.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
