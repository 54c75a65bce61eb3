//! Links that rules of the `network` section make. Keys are those of netplan and systemd-networkd, in this file's spelling.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::network::{Cidr, as_text};
use crate::node::shorten;
use crate::period::Period;
use crate::span::Spanned;
use crate::time::host_port;

/// One VLAN of an interface (IEEE 802.1Q).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vlan {
    /// The VLAN's number, 1 to 4094.
    pub id: Spanned<u16>,
    /// Name of the rule whose interface carries it.
    pub link: Spanned<String>,
}

/// Several interfaces that act as one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bond {
    /// Names of the rules whose interfaces it is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Spanned<String>>,
    /// How packets are spread over them.
    #[serde(default)]
    pub mode: BondMode,
    /// How often each is looked at for a cable; 100ms if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mii_monitor_interval: Option<Spanned<Period>>,
    /// How often LACP speaks, in the mode `802.3ad`; `slow` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacp_rate: Option<LacpRate>,
    /// What of a packet decides its way, in modes that balance; `layer2` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transmit_hash_policy: Option<HashPolicy>,
}

/// How a bond spreads packets.
///
/// # Source
///
/// Linux, `Documentation/networking/bonding.rst`, `mode`; the order is that of the kernel's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BondMode {
    /// One after the other.
    #[default]
    BalanceRr,
    /// Over one, until it fails.
    ActiveBackup,
    /// By what they are.
    BalanceXor,
    /// Over all.
    Broadcast,
    /// By what they are, in agreement with the switch (LACP).
    #[serde(rename = "802.3ad")]
    Lacp,
    /// By load.
    BalanceTlb,
    /// By load, either way.
    BalanceAlb,
}

/// How often LACP speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LacpRate {
    /// Every 30 s.
    Slow,
    /// Every second.
    Fast,
}

/// What of a packet decides its way.
///
/// # Source
///
/// Linux, `Documentation/networking/bonding.rst`, `xmit_hash_policy`; the order is that of the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HashPolicy {
    /// Hardware addresses.
    #[serde(rename = "layer2")]
    Layer2,
    /// Addresses and ports.
    #[serde(rename = "layer3+4")]
    Layer34,
    /// Hardware and IP addresses.
    #[serde(rename = "layer2+3")]
    Layer23,
    /// As `layer2+3`, of what is inside a tunnel.
    #[serde(rename = "encap2+3")]
    Encap23,
    /// As `layer3+4`, of what is inside a tunnel.
    #[serde(rename = "encap3+4")]
    Encap34,
}

/// A switch made of interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Names of the rules whose interfaces are its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Spanned<String>>,
    /// Speak the spanning tree protocol; no if absent.
    #[serde(default)]
    pub stp: bool,
    /// How long a new port listens before it forwards, with `stp`; the kernel's 15s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_delay: Option<Spanned<Period>>,
}

/// An end of encrypted tunnels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wireguard {
    /// File of the host with the private key, in base64; the interface waits until it is there. A key is made at every boot if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_file: Option<Spanned<String>>,
    /// UDP port; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_port: Option<u16>,
    /// The other ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
}

/// The other end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its public key.
    pub public_key: Spanned<PublicKey>,
    /// Where it is; it has to speak first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Spanned<HostPort>>,
    /// Addresses and networks behind it: what it may send from, and what is sent to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_ips: Vec<Spanned<Cidr>>,
    /// How often it hears from this end, whatever there is to say; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_keepalive: Option<Spanned<Period>>,
}

/// A public key of WireGuard: 32 bytes in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub String);

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        // 256 bits are 42 digits and two thirds: the last one ends in two zeros.
        match text.as_bytes() {
            [digits @ .., last, b'=']
                if digits.len() == 42 && digits.iter().all(|b| digit(*b)) && LAST.contains(last) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "`{}` is not a public key: 44 characters of base64, as `wg pubkey` prints it",
                shorten(text)
            )),
        }
    }
}

/// Digits of base64 whose two low bits are zero.
const LAST: &[u8] = b"AEIMQUYcgkosw048";

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name or address of another machine, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a host and a port, such as vpn.example.org:51820", shorten(text));
        let (host, port) = host_port(text).ok_or_else(wrong)?;
        Ok(Self { host, port: port.ok_or_else(wrong)? })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

as_text! {
    PublicKey: "A public key of WireGuard, 44 characters of base64.",
    HostPort: "A name or an address, and a port, such as vpn.example.org:51820.",
}
