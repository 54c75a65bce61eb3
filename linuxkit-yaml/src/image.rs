//! Containers: entries of `onboot`, `onshutdown` and `services`, and the same keys in an image's label.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::decode::SPLIT;
use crate::depends::DependsOn;
use crate::health::Healthcheck;
use crate::period::Period;
use crate::reference::Reference;
use crate::resources::Resources;
use crate::restart::Restart;
use crate::runtime::Runtime;
use crate::scalar::{Id, Mode};
use crate::security::{Seccomp, Security};
use crate::signal::Signal;
use crate::span::Spanned;

/// An entry of `onboot`, `onshutdown` or `services`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Container {
    /// One path component; unique among services.
    pub name: Spanned<String>,
    /// The image.
    pub image: Spanned<Reference>,
    /// Containers that it waits for (Hullkit); not in a label, because an image does not know what else a host runs.
    #[serde(default, skip_serializing_if = "DependsOn::is_empty")]
    pub depends_on: DependsOn,
    /// How far it is confined (Hullkit); not in a label, because no image frees itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Spanned<Security>>,
    /// Which system calls it may make (Hullkit); not in a label for the same reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Spanned<Seccomp>>,
    /// Everything else.
    #[serde(flatten)]
    pub config: ContainerConfig,
}

/// What can be said of a container in the manifest and in the label `org.mobyproject.config` of its image.
///
/// Every field tells "not given" from "given, empty". Texts that a later stage takes apart (binds, capabilities, rlimits, ...)
/// are kept as written, with their places.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ContainerConfig {
    /// Capabilities: `CAP_...`, or `all` or `none` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Spanned<String>>>,
    /// Capabilities on top of the label's; in a label it is ignored.
    #[serde(rename = "capabilities.add", default, skip_serializing_if = "Option::is_none")]
    pub capabilities_add: Option<Vec<Spanned<String>>>,
    /// Ambient capabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambient: Option<Vec<Spanned<String>>>,
    /// Mounts made inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<Spanned<Mount>>>,
    /// Bind mounts `src:dst[:options]`; a source without leading `/` names a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binds: Option<Vec<Spanned<String>>>,
    /// Bind mounts on top of the label's; in a label it is ignored.
    #[serde(rename = "binds.add", default, skip_serializing_if = "Option::is_none")]
    pub binds_add: Option<Vec<Spanned<String>>>,
    /// Device nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<Spanned<Device>>>,
    /// tmpfs mounts `dst[:options]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<Vec<Spanned<String>>>,
    /// Program and arguments; the image's entry point and command if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment `NAME=value`; the image's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Working directory; the image's if absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Spanned<String>>,
    /// Network namespace: `host` or `root`, `new`, `none` or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<Spanned<String>>,
    /// Process namespace: `host` or `root`, `new` or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<Spanned<String>>,
    /// IPC namespace: `host` or `root`, `new` or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc: Option<Spanned<String>>,
    /// Host name namespace: `host` or `root`, `new` or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uts: Option<Spanned<String>>,
    /// User namespace: `host` or `root`, `new` or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userns: Option<Spanned<String>>,
    /// Host name inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Spanned<String>>,
    /// Mount the root read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readonly: Option<bool>,
    /// Paths hidden from the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_paths: Option<Vec<String>>,
    /// Paths read-only in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readonly_paths: Option<Vec<String>>,
    /// User the process runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Spanned<Id>>,
    /// Group the process runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<Spanned<Id>>,
    /// More groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_gids: Option<Vec<Spanned<Id>>>,
    /// Forbid gaining privileges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// Added to the process's out-of-memory score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i64>,
    /// Propagation of the root mount: `shared`, `slave`, `private`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rootfs_propagation: Option<Spanned<String>>,
    /// cgroup of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<Spanned<String>>,
    /// Limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Kernel parameters of the container's namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysctl: Option<BTreeMap<String, String>>,
    /// Process limits `name,soft,hard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rlimits: Option<Vec<Spanned<String>>>,
    /// User id mappings of a user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid_mappings: Option<Vec<IdMapping>>,
    /// Group id mappings of a user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid_mappings: Option<Vec<IdMapping>>,
    /// Annotations of the OCI runtime configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// What is done on the host before the container starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// When it is started again after it stopped (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Spanned<Restart>>,
    /// How it is found out whether it works (Hullkit); the image's `HEALTHCHECK` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Spanned<Healthcheck>>,
    /// Its failure fails the boot (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,
    /// What asks it to end (Hullkit); the image's `STOPSIGNAL` if absent, else SIGTERM.
    #[serde(rename = "stop_signal", default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Spanned<Signal>>,
    /// How long it may take to end before it is killed (Hullkit): 10s.
    #[serde(rename = "stop_grace_period", default, skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<Spanned<Period>>,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where, inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Spanned<String>>,
    /// File system type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Spanned<String>>,
    /// What is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Spanned<String>>,
    /// Mount options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// User id mappings of the mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uidmappings: Option<Vec<IdMapping>>,
    /// Group id mappings of the mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gidmappings: Option<Vec<IdMapping>>,
}

/// One device node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Absolute path, or `all` for every device of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// `b`, `c`, `u`, `p`, or `a`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Spanned<String>>,
    /// Major number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Permission bits; needed unless the path is `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Spanned<Mode>>,
}

/// A range of user or group ids inside and outside of a user namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdMapping {
    /// First id outside.
    #[serde(rename = "hostID", default)]
    pub host_id: u32,
    /// First id inside.
    #[serde(rename = "containerID", default)]
    pub container_id: u32,
    /// Number of ids.
    #[serde(default)]
    pub size: u32,
}

/// The keys that only an entry of the manifest has.
#[derive(Deserialize)]
#[serde(rename = "Container")]
struct Head {
    name: Spanned<String>,
    image: Spanned<Reference>,
    #[serde(default)]
    depends_on: DependsOn,
    #[serde(default)]
    security: Option<Spanned<Security>>,
    #[serde(default)]
    seccomp: Option<Spanned<Seccomp>>,
}

impl<'de> Deserialize<'de> for Container {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(
            SPLIT,
            &["name", "image", "depends_on", "security", "seccomp"],
            ContainerVisitor,
        )
    }
}

struct ContainerVisitor;

impl<'de> Visitor<'de> for ContainerVisitor {
    type Value = Container;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a container")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut halves: A) -> Result<Container, A::Error> {
        let short = || serde::de::Error::custom("half a container");
        let config = halves.next_element()?.ok_or_else(short)?;
        let Head { name, image, depends_on, security, seccomp } = halves.next_element()?.ok_or_else(short)?;
        Ok(Container { name, image, depends_on, security, seccomp, config })
    }
}
