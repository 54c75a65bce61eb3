//! Metadata: what a host is told when it boots. In the contract, who is asked; from the program that asks, what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Interface;

/// Where the program that asks lies, an absolute path; absent if the contract has no [`Metadata`].
pub const PROGRAM: &str = "/hullkit/metadata";

/// Folder of what was answered (LinuxKit's path): `provider`, `userdata`, `hostname`, `ssh/authorized_keys`, and more by provider.
pub const CONFIG: &str = "/run/config";

/// Modules that volumes and QEMU's items are read with, and that no device asks for; a kernel may have them built in, or not at all.
pub const MODULES: [&str; 7] = ["isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "qemu_fw_cfg"];

/// Who is asked. The words are the manifest's: the program that asks knows what they mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Providers in the order in which they are asked; those that the machine shows if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// Milliseconds that a boot waits for an answer.
    pub timeout: u64,
    /// What is taken of an answer.
    pub allow: Vec<String>,
}

/// Longest name of a host, in bytes (`uname(2)`).
pub const HOSTNAME_MAX: usize = 64;

/// What came of asking: one line of JSON, at most 64 KiB. Files are written by then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Who answered; nobody if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Name for the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Environment of services: name of the service, then name and value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
    /// Network interfaces, in place of the contract's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Vec<Interface>>,
}
