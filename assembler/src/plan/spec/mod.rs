//! The OCI runtime configuration of one container, out of the manifest, the image's label and the image's configuration.
//!
//! The types here are `config.json` as LinuxKit writes it: the same keys in the same order, the same ones left out when
//! empty. What init runs is the same document read back into `oci_spec`'s types, so both layouts mean the same.
//!
//! Source: OCI runtime-spec 1.2.1, `config.md` and `config-linux.md`.

pub mod capabilities;
pub mod json;
pub mod mounts;
pub mod rlimits;
pub mod runtime;

use std::collections::BTreeMap;

use serde::Serialize;

use super::resources::Limits;

/// Version of the runtime specification that is written.
pub const OCI_VERSION: &str = "1.2.1";

/// The whole of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// [`OCI_VERSION`].
    pub oci_version: &'static str,
    /// What runs.
    pub process: Process,
    /// Its root file system.
    pub root: Root,
    /// Host name inside the container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Mounts, sorted by destination.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Free-form notes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    pub linux: Linux,
}

/// What runs in the container.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// As whom.
    pub user: User,
    /// Program and arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment, `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Capability sets.
    pub capabilities: capabilities::Sets,
    /// Resource limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<rlimits::Rlimit>,
    /// Refuse to gain privileges by running a set-id program.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_new_privileges: bool,
    /// How willing the kernel is to kill it when memory runs out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i64>,
}

/// As whom the process runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Root {
    /// Relative to the bundle.
    pub path: &'static str,
    /// Mounted read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub readonly: bool,
}

/// One mount in the container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Where.
    pub destination: String,
    /// File system type.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// fstab words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// How the owners of its files look in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// The same of their groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
}

/// What only Linux has.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Linux {
    /// User-namespace mappings of user ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// The same of group ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// Kernel parameters of the container's namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// cgroup limits.
    pub resources: Limits,
    /// cgroup to join.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroups_path: String,
    /// Namespaces to make or to join.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// Device nodes to make.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// Mount propagation of the root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rootfs_propagation: String,
    /// Paths hidden from the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masked_paths: Vec<String>,
    /// Paths the container cannot write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readonly_paths: Vec<String>,
}

/// One range of a user namespace's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// `network`, `ipc`, `uts`, `pid`, `user` or `mount`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The namespace to join; a new one if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// One device node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Where.
    pub path: String,
    /// `c`, `b`, `u` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Permission bits.
    pub file_mode: u32,
}

/// Translate the manifest's namespace keys, in the order LinuxKit writes them.
///
/// In: what `net`, `ipc`, `uts`, `pid` and `userns` say, empty if they say nothing. `host` and `root` share the host's
/// namespace, `new` makes one, anything else is a path; only `pid` is new when nothing is said. `mount` is always new.
#[must_use]
pub fn namespaces(net: &str, ipc: &str, uts: &str, pid: &str, userns: &str) -> Vec<Namespace> {
    let pid = if pid.is_empty() { "new" } else { pid };
    // A network of one's own with nothing in it is what `none` means everywhere else; for the others LinuxKit takes
    // the word for a path, which could never work: there it is refused where the manifest is read.
    let net = if net == "none" { "new" } else { net };
    let words = [("network", net), ("ipc", ipc), ("uts", uts), ("pid", pid), ("user", userns), ("mount", "new")];
    words
        .into_iter()
        .filter(|(_, word)| !matches!(*word, "" | "host" | "root"))
        .map(|(kind, word)| Namespace { kind, path: (word != "new").then(|| word.to_owned()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(list: &[Namespace]) -> Vec<(&str, Option<&str>)> {
        list.iter().map(|one| (one.kind, one.path.as_deref())).collect()
    }

    #[test]
    fn only_pid_and_mount_are_new_by_default() {
        assert_eq!(kinds(&namespaces("", "", "", "", "")), [("pid", None), ("mount", None)]);
    }

    #[test]
    fn host_shares_new_makes_and_the_rest_is_a_path() {
        let list = namespaces("new", "host", "/run/ns/uts", "root", "new");
        assert_eq!(kinds(&list), [("network", None), ("uts", Some("/run/ns/uts")), ("user", None), ("mount", None)]);
    }
}
