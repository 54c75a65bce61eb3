//! The `metadata` section: who tells a host its name, its keys and its configuration when it boots.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::node::shorten;
use crate::period::Period;
use crate::problem::nearest;
use crate::span::Spanned;

/// Who is asked, for how long, and what is taken of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostMetadata {
    /// Who is asked, in this order; everybody whose machine this is if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Spanned<Provider>>,
    /// How long a boot waits for an answer; 30 s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Spanned<Period>>,
    /// What is taken of the answer; all of it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Spanned<Allow>>>,
}

impl HostMetadata {
    /// How long a boot waits unless it is said.
    pub const TIMEOUT: Period = Period(Duration::from_secs(30));

    /// Give all that is taken of an answer.
    #[must_use]
    pub fn allowed(&self) -> Vec<Allow> {
        self.allow.as_ref().map_or(Allow::ALL.to_vec(), |list| list.iter().map(|one| one.value).collect())
    }
}

/// What may be taken of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// The host's name.
    Hostname,
    /// Keys of people who may log in.
    SshKeys,
    /// Files.
    Files,
    /// How interfaces are set up.
    Network,
    /// Environment of services.
    Environment,
}

impl Allow {
    /// Everything.
    pub const ALL: [Self; 5] = [Self::Hostname, Self::SshKeys, Self::Files, Self::Network, Self::Environment];

    /// Give the word that names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hostname => "hostname",
            Self::SshKeys => "ssh_keys",
            Self::Files => "files",
            Self::Network => "network",
            Self::Environment => "environment",
        }
    }
}

/// Somebody who knows about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// A volume labelled `cidata`, or an address in the machine's serial number or on the kernel command line (cloud-init).
    Nocloud,
    /// OpenStack's volume labelled `config-2`.
    Configdrive,
    /// Items that QEMU was given with `-fw_cfg`.
    FwCfg,
    /// Amazon EC2.
    Aws,
    /// Google Compute Engine.
    Gcp,
    /// Microsoft Azure.
    Azure,
    /// OpenStack, over the network.
    Openstack,
    /// DigitalOcean.
    Digitalocean,
    /// Hetzner Cloud.
    Hetzner,
    /// Scaleway.
    Scaleway,
    /// Vultr.
    Vultr,
    /// VMware's guestinfo.
    Vmware,
    /// A file of the image, by its absolute path.
    File(String),
}

/// What begins the name of [`Provider::File`].
const FILE: &str = "file=";

impl Provider {
    /// All but files.
    pub const NAMED: [(&'static str, Self); 12] = [
        ("nocloud", Self::Nocloud),
        ("configdrive", Self::Configdrive),
        ("fw_cfg", Self::FwCfg),
        ("aws", Self::Aws),
        ("gcp", Self::Gcp),
        ("azure", Self::Azure),
        ("openstack", Self::Openstack),
        ("digitalocean", Self::Digitalocean),
        ("hetzner", Self::Hetzner),
        ("scaleway", Self::Scaleway),
        ("vultr", Self::Vultr),
        ("vmware", Self::Vmware),
    ];
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(FILE) {
            let whole = path.starts_with('/') && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
            let wrong =
                || format!("`{}` names no file: give an absolute path, such as `file=/etc/userdata`", shorten(text));
            return whole.then(|| Self::File(path.to_owned())).ok_or_else(wrong);
        }
        if let Some((_, known)) = Self::NAMED.into_iter().find(|(name, _)| *name == text) {
            return Ok(known);
        }
        let names = Self::NAMED.iter().map(|(name, _)| *name);
        let close = nearest(text, names.clone()).map(|name| format!("; nearest: {name}")).unwrap_or_default();
        let known: Vec<&str> = names.collect();
        Err(format!(
            "`{}` is no provider of metadata: known are {} and file=PATH{close}",
            shorten(text),
            known.join(", ")
        ))
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, known)| known == self) {
            Some((name, _)) => f.write_str(name),
            None => match self {
                Self::File(path) => write!(f, "{FILE}{path}"),
                _ => Ok(()),
            },
        }
    }
}

impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Provider {
    fn schema_name() -> Cow<'static, str> {
        "Provider".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::NAMED.iter().map(|(name, _)| *name).collect();
        json_schema!({
            "type": "string",
            "pattern": format!("^({}|file=/.*)$", names.join("|")),
            "description": "Somebody who knows about the machine, such as nocloud, aws or file=/etc/userdata."
        })
    }
}
