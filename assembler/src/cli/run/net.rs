//! A network card that is not on the user's own network: words of the user's in, QEMU's arguments out.

use std::ffi::OsString;
use std::net::SocketAddrV4;

use anyhow::bail;

use crate::digest::Digest;
use crate::vm::Publish;

/// What QEMU's `-netdev` begins with, as far as its versions know it.
///
/// Source: qemu(1).
const KINDS: [&str; 11] =
    ["af-xdp", "bridge", "dgram", "l2tpv3", "passt", "socket", "stream", "tap", "user", "vde", "vhost-user"];

/// Longest name of an interface, in bytes.
const LONGEST: usize = 15;

/// Give arguments for the card; none if there is no such card.
///
/// In: `name`, the machine's, which its card's address is made of: QEMU gives all machines the same.
///
/// # Errors
///
/// The words mean no network, or ports lead into it.
pub(super) fn card(net: &str, publish: &[Publish], name: &str) -> anyhow::Result<Vec<OsString>> {
    if net == "user" {
        return Ok(Vec::new());
    }
    if !publish.is_empty() {
        bail!("`--publish` leads into `--net user` only");
    }
    if net == "none" {
        return Ok(Vec::new());
    }
    let netdev = netdev(net)?;
    let mac = mac(name);
    let device = format!("virtio-net-pci,netdev=net0,mac={mac},romfile=");
    Ok(["-netdev", &netdev, "-device", &device].map(OsString::from).to_vec())
}

fn netdev(net: &str) -> anyhow::Result<String> {
    match net.split_once('=') {
        Some(("tap", interface)) => {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"/,:".contains(&byte);
            if interface.is_empty() || interface.len() > LONGEST || !interface.bytes().all(plain) {
                bail!("`{net}`: `{interface}` cannot be the name of an interface, such as `tap0`");
            }
            Ok(format!("tap,id=net0,ifname={interface},script=no,downscript=no"))
        }
        Some(("socket", group)) => match group.parse::<SocketAddrV4>() {
            // On this machine alone: whoever hears the group can write to it.
            Ok(group) if group.ip().is_multicast() && group.port() != 0 => {
                Ok(format!("socket,id=net0,mcast={group},localaddr=127.0.0.1"))
            }
            _ => bail!("`{net}`: `{group}` is not a multicast group with a port, such as `230.0.0.1:4000`"),
        },
        _ if KINDS.contains(&net.split(',').next().unwrap_or_default()) => Ok(format!("{net},id=net0")),
        _ => bail!(
            "`{net}` is not a network: it is `user`, `none`, `tap=INTERFACE`, `socket=GROUP:PORT`, or what QEMU's `-netdev` takes"
        ),
    }
}

/// Make an address of a name: locally administered, as QEMU's own are.
fn mac(name: &str) -> String {
    let digits: Vec<char> = Digest::of(name.as_bytes()).short().chars().take(6).collect();
    let bytes: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    format!("52:54:00:{}", bytes.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(net: &str) -> Vec<String> {
        let card = card(net, &[], "one").expect(net);
        card.into_iter().map(|word| word.into_string().expect("plain text")).collect()
    }

    #[test]
    fn a_network_is_read_from_few_words() {
        assert!(words("user").is_empty() && words("none").is_empty());
        assert_eq!(words("tap=tap0")[1], "tap,id=net0,ifname=tap0,script=no,downscript=no");
        assert_eq!(words("socket=230.0.0.1:4000")[1], "socket,id=net0,mcast=230.0.0.1:4000,localaddr=127.0.0.1");
        assert_eq!(words("bridge,br=br0")[1], "bridge,br=br0,id=net0");
    }

    #[test]
    fn machines_have_cards_of_their_own() {
        let one = mac("one");
        assert!(one.len() == 17 && one.starts_with("52:54:00:") && one != mac("two"), "{one}");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (net, want) in [
            ("", "is not a network"),
            ("foo", "`foo` is not a network"),
            ("tap=", "cannot be the name of an interface"),
            ("tap=a,script=/bin/sh", "cannot be the name of an interface"),
            ("tap=sixteen-letters-", "cannot be the name of an interface"),
            ("socket=127.0.0.1:1", "is not a multicast group"),
            ("socket=230.0.0.1:0", "is not a multicast group"),
        ] {
            let said = card(net, &[], "one").expect_err(net).to_string();
            assert!(said.contains(want), "{said}");
        }
        card("none", &["80".parse().expect("a port")], "one").expect_err("ports");
    }
}
