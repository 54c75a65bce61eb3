//! The `runtime` key of containers: what is done on the host before the container starts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::image::Mount;
use crate::span::Spanned;

/// Host-side preparation of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Runtime {
    /// cgroups to create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroups: Option<Vec<String>>,
    /// Mounts made on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<Spanned<Mount>>>,
    /// Directories to create on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mkdir: Option<Vec<String>>,
    /// Network interfaces to create in, or move into, the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<RuntimeInterface>>,
    /// Where to bind the container's namespaces.
    #[serde(rename = "bindNS", default, skip_serializing_if = "Option::is_none")]
    pub bind_ns: Option<BindNs>,
    /// containerd namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Spanned<String>>,
}

/// One network interface of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuntimeInterface {
    /// Name inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Spanned<String>>,
    /// Kind of link to create; without one the existing interface moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Spanned<String>>,
    /// Name of the other end of a `veth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Spanned<String>>,
    /// Create on the host, then move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_in_root: Option<bool>,
}

/// Paths at which a container's namespaces are bound, by namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindNs {
    /// cgroup namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// IPC namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc: Option<String>,
    /// Mount namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mnt: Option<String>,
    /// Network namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    /// Process namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<String>,
    /// User namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Host name namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uts: Option<String>,
}
