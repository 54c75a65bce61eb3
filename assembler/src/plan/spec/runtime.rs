//! What is done around a container: `runtime.json` as LinuxKit writes it.

use hullkit_init::contract;
use serde::Serialize;

use super::Mount;

/// The whole of `runtime.json`: every key is always there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// cgroups to make.
    pub cgroups: Vec<String>,
    /// Mounts to make on the host, in order.
    pub mounts: Vec<Mount>,
    /// Directories to make.
    pub mkdir: Vec<String>,
    /// Network interfaces to make or to move.
    pub interfaces: Vec<Interface>,
    /// Where the container's namespaces are bound; empty for those that are not.
    #[serde(rename = "bindNS")]
    pub bind_ns: BindNs,
    /// Namespace of containerd.
    pub namespace: String,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Name in the container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Kind of link to make.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub add: String,
    /// The other end of a `veth`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// Make it on the host, then move it.
    pub create_in_root: bool,
}

/// Paths by namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BindNs {
    /// cgroup
    pub cgroup: String,
    /// IPC
    pub ipc: String,
    /// Mount
    pub mnt: String,
    /// Network
    pub net: String,
    /// Process
    pub pid: String,
    /// User
    pub user: String,
    /// Host name
    pub uts: String,
}

impl BindNs {
    /// List the namespaces that are bound, and where.
    fn bound(self) -> impl Iterator<Item = (String, String)> {
        let Self { cgroup, ipc, mnt, net, pid, user, uts } = self;
        [("cgroup", cgroup), ("ipc", ipc), ("mnt", mnt), ("net", net), ("pid", pid), ("user", user), ("uts", uts)]
            .into_iter()
            .filter(|(_, path)| !path.is_empty())
            .map(|(name, path)| (name.to_owned(), path))
    }
}

/// What Hullkit's init is told of it.
impl From<Runtime> for contract::Runtime {
    fn from(runtime: Runtime) -> Self {
        let mount = |mount: Mount| contract::Mount {
            kind: mount.kind,
            source: mount.source,
            destination: mount.destination,
            options: mount.options,
        };
        let interface = |one: Interface| contract::RuntimeInterface {
            name: one.name,
            add: one.add,
            peer: one.peer,
            create_in_root: one.create_in_root,
        };
        Self {
            mkdir: runtime.mkdir,
            cgroups: runtime.cgroups,
            mounts: runtime.mounts.into_iter().map(mount).collect(),
            interfaces: runtime.interfaces.into_iter().map(interface).collect(),
            bind_ns: runtime.bind_ns.bound().collect(),
        }
    }
}
