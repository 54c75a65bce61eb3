//! Ports of the loopback address that lead into the guest.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::str::FromStr;

use super::VmError;

/// One published port: what arrives at 127.0.0.1 on `host` goes to the guest's `guest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// Port of 127.0.0.1; 0 lets the system choose a free one.
    pub host: u16,
    /// Port of the guest, never 0.
    pub guest: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl FromStr for Publish {
    type Err = VmError;

    /// Read `8080:80`, `80`, `0:80` or `5353:53/udp`.
    fn from_str(text: &str) -> Result<Self, VmError> {
        parse(text).ok_or_else(|| VmError::Publish { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Publish> {
    let (ports, protocol) = match text.split_once('/') {
        None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some(_) => return None,
    };
    let (host, guest) = match ports.split_once(':') {
        Some((host, guest)) => (port(host)?, port(guest)?),
        None => (0, port(ports)?),
    };
    (guest != 0).then_some(Publish { host, guest, protocol })
}

/// Read a port; unlike `u16::from_str`, take no sign.
fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Publish {
    /// Make sure that the host port can be had, for a clearer word than QEMU's.
    ///
    /// The port is free again when this returns; who takes it in between makes QEMU refuse.
    ///
    /// # Errors
    ///
    /// [`VmError::Port`]: it is taken, or not ours to take.
    pub fn check(&self) -> Result<(), VmError> {
        let address = (Ipv4Addr::LOCALHOST, self.host);
        let bound: io::Result<()> = match self.protocol {
            Protocol::Tcp => TcpListener::bind(address).map(drop),
            Protocol::Udp => UdpSocket::bind(address).map(drop),
        };
        bound.map_err(|cause| VmError::Port { port: self.host, protocol: self.protocol, cause })
    }

    /// Put in the host port that was chosen, as QEMU's table of connections tells it.
    ///
    /// In: the text of the monitor's `info usernet`. A port the user chose stays.
    #[must_use]
    pub fn resolved(self, usernet: &str) -> Self {
        let row = usernet.lines().find_map(|line| self.host_port_in(line));
        if self.host == 0 { Self { host: row.unwrap_or(0), ..self } } else { self }
    }

    /// Read one row: protocol and state, descriptor, source address and port, destination address and port.
    fn host_port_in(&self, line: &str) -> Option<u16> {
        let mut words = line.split_ascii_whitespace();
        let state = match self.protocol {
            Protocol::Tcp => "TCP[HOST_FORWARD]",
            Protocol::Udp => "UDP[HOST_FORWARD]",
        };
        words.next().filter(|word| *word == state)?;
        let host = words.nth(2)?.parse().ok()?;
        let guest: u16 = words.nth(1)?.parse().ok()?;
        (guest == self.guest).then_some(host)
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}/{}", self.host, self.guest, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_host_then_guest() {
        let table =
            [("8080:80", "8080:80/tcp"), ("80", "0:80/tcp"), ("0:80/tcp", "0:80/tcp"), ("5353:53/udp", "5353:53/udp")];
        for (text, want) in table {
            assert_eq!(text.parse::<Publish>().expect(text).to_string(), want, "{text}");
        }
    }

    #[test]
    fn ports_that_mean_nothing_are_refused() {
        for text in
            ["", ":", "80:", ":80", "80:0", "0", "+8080:80", "1:2:3", "80/sctp", "80/tcp/udp", "65536:80", "a:b"]
        {
            assert!(text.parse::<Publish>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_taken_port_is_told_before_qemu_is_asked() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = holder.local_addr().expect("an address").port();
        let publish = Publish { host: port, guest: 80, protocol: Protocol::Tcp };
        let error = publish.check().expect_err("the port is held");
        assert_eq!(error.to_string(), format!("port {port}/tcp of 127.0.0.1 cannot be published"));
    }

    #[test]
    fn the_chosen_port_is_read_from_qemus_table() {
        let table = "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
            TCP[HOST_FORWARD]   8       127.0.0.1 36551       10.0.2.15    80     0     0\r\n  \
            UDP[HOST_FORWARD]   3       127.0.0.1 41722       10.0.2.15    80     0     0\r\n";
        let udp = "80/udp".parse::<Publish>().expect("a port");
        assert_eq!(udp.resolved(table).host, 41722);
        let chosen = "99:80".parse::<Publish>().expect("a port");
        assert_eq!(chosen.resolved(table).host, 99);
    }
}
