//! The `network` section: rules by name, each for the interfaces it matches.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::link::{Bond, Bridge, Vlan, Wireguard};
use crate::node::shorten;
use crate::span::Spanned;

/// All rules, in the order written: the first that matches an interface is the one that applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Name and rule; names are unique.
    pub rules: Vec<(Spanned<String>, NetworkRule)>,
}

/// How the interfaces that match are set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    /// Which interfaces; if absent, the rule's name is the glob over their names.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Match>,
    /// The interface is made: one VLAN of another; its name is the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vlan>,
    /// The interface is made: several that act as one; its name is the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bond: Option<Bond>,
    /// The interface is made: a switch; its name is the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
    /// The interface is made: an end of encrypted tunnels; its name is the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<Wireguard>,
    /// Boot without waiting for this rule's interface and addresses; no if absent.
    #[serde(default)]
    pub optional: bool,
    /// Ask for an IPv4 address, routes and name servers by DHCP; no if absent.
    #[serde(default)]
    pub dhcp: bool,
    /// Ask for IPv6 addresses and name servers by DHCPv6; no if absent.
    #[serde(default)]
    pub dhcp6: bool,
    /// Take IPv6 addresses and routes from router advertisements; yes if absent.
    #[serde(default = "yes")]
    pub accept_ra: bool,
    /// Static addresses with the length of their prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Spanned<Cidr>>,
    /// Static routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Name servers, asked before any that DHCP brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<Spanned<Address>>,
    /// Domains to search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<Spanned<String>>,
    /// Largest packet in bytes; the driver's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Spanned<u32>>,
}

/// Which interfaces a rule is for; an interface must match every key given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Glob (`*`, `?`) over the kernel's interface names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Spanned<String>>,
    /// Hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Spanned<Mac>>,
    /// Glob (`*`, `?`) over the names of drivers, as `/sys/class/net/NAME/device/driver` has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Spanned<String>>,
}

/// One static route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Destination: `default` or a network.
    pub to: Spanned<Destination>,
    /// Gateway; a route on the link itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Spanned<Address>>,
    /// Priority, lower wins; the kernel's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address; host bits are kept.
    pub address: IpAddr,
    /// Prefix length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix: u8,
}

/// An IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub IpAddr);

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Everywhere no other route leads; of the gateway's family.
    Default,
    /// A network.
    Network(Cidr),
}

/// A hardware address, lower case with colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac(pub String);

fn yes() -> bool {
    true
}

impl Default for NetworkRule {
    fn default() -> Self {
        Self {
            matches: None,
            vlan: None,
            bond: None,
            bridge: None,
            wireguard: None,
            optional: false,
            dhcp: false,
            dhcp6: false,
            accept_ra: true,
            addresses: Vec::new(),
            routes: Vec::new(),
            nameservers: Vec::new(),
            search: Vec::new(),
            mtu: None,
        }
    }
}

impl NetworkRule {
    /// Tell whether the rule makes its interface.
    #[must_use]
    pub fn makes(&self) -> bool {
        self.vlan.is_some() || self.bond.is_some() || self.bridge.is_some() || self.wireguard.is_some()
    }

    /// Give the names of the rules whose interfaces are parts of this one's.
    pub fn members(&self) -> impl Iterator<Item = &Spanned<String>> {
        let bond = self.bond.iter().flat_map(|bond| &bond.interfaces);
        bond.chain(self.bridge.iter().flat_map(|bridge| &bridge.interfaces))
    }

    /// Give the glob over interface names for a rule called `name`; nothing if any name matches.
    #[must_use]
    pub fn name_glob<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match &self.matches {
            None => Some(name),
            Some(matches) => matches.name.as_ref().map(|glob| glob.as_str()),
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not an address with a prefix length, such as `10.0.2.15/24`", shorten(text));
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most {
            return Err(format!("`{}` has a prefix longer than {most} bits", shorten(text)));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("`{}` is not an IP address", shorten(text)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" { Ok(Self::Default) } else { text.parse().map(Self::Network) }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octet = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        if text.split([':', '-']).count() == 6 && text.split([':', '-']).all(octet) {
            Ok(Self(text.to_ascii_lowercase().replace('-', ":")))
        } else {
            Err(format!("`{}` is not a hardware address, such as `52:54:00:12:34:56`", shorten(text)))
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Read and write a type as its text.
macro_rules! as_text {
    ($($name:ident: $about:literal),* $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $about })
            }
        }
    )*};
}

pub(crate) use as_text;

as_text! {
    Cidr: "An address with the length of its prefix, such as 10.0.2.15/24.",
    Address: "An IP address.",
    Destination: "The word default, or a network such as 10.0.0.0/8.",
    Mac: "A hardware address, such as 52:54:00:12:34:56.",
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.rules.iter().map(|(name, rule)| (name, rule)))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RulesVisitor)
    }
}

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = Network;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of rules")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Network, A::Error> {
        let mut rules = Vec::new();
        while let Some(rule) = map.next_entry()? {
            rules.push(rule);
        }
        Ok(Network { rules })
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<NetworkRule>();
        json_schema!({ "type": "object", "additionalProperties": rule })
    }
}
