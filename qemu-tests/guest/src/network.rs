//! The network interfaces of this network namespace.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};

use crate::one;

/// `IFF_UP` of linux/if.h.
const UP: u32 = 1;

/// Names of all interfaces, sorted.
pub(crate) fn links(_: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    names.sort_unstable();
    one("links", names.join(" "))
}

/// Whether an interface is there and on, and its addresses, as `/sys` and `/proc` tell them.
pub(crate) fn link(name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/flags"));
    let state = match text.map(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16)) {
        Ok(Ok(flags)) if flags & UP == UP => "up",
        Ok(_) => "down",
        Err(_) => "absent",
    };
    let six = fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    let six = six.lines().filter(|line| line.split_whitespace().last() == Some(name)).count();
    let trie = fs::read_to_string("/proc/self/net/fib_trie").unwrap_or_default();
    // An address of the host itself stands before the line that calls it local.
    let mut four: Vec<&str> = trie
        .lines()
        .zip(trie.lines().skip(1))
        .filter(|(_, kind)| kind.trim().starts_with("/32 host LOCAL"))
        .filter_map(|(address, _)| address.trim().strip_prefix("|-- "))
        .collect();
    four.sort_unstable();
    four.dedup();
    one(format!("link.{name}"), format!("{state} ipv6={six} local={}", four.join(",")))
}

/// The first UDP packet to a port of the loopback that contains a text. In: `PORT/TEXT`.
pub(crate) fn packet(what: &str) -> Vec<(String, String)> {
    let (port, text) = what.split_once('/').unwrap_or((what, ""));
    let socket = match port.parse().map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port))) {
        Ok(Ok(socket)) => socket,
        other => return one("packet", format!("{other:?}")),
    };
    let mut buffer = [0; 4096];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let packet = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if packet.contains(text) {
                    return one("packet", packet);
                }
            }
            Err(cause) => return one("packet", cause.to_string()),
        }
    }
}
