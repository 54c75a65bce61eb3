//! Links that rules of the `network` section make. Keys are those of netplan and systemd-networkd, in this file's spelling.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::period::Period;
use crate::span::Spanned;

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
