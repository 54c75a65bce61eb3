//! The compiled system: what the assembler writes and PID 1 reads.
//!
//! It is plain data, serialised as JSON at [`PATH`] inside the image. The kernel's modules have a table of their own at
//! [`MODULES_PATH`], because most of a boot's reading time would otherwise go into a file that many hosts do not need.

pub mod metadata;
pub mod storage;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

/// Version of the contract: raised whenever an older init would misread it.
pub const VERSION: u32 = 6;

/// Where the contract lies in the host's root, an absolute path.
pub const PATH: &str = "/hullkit/contract.json";

/// Where the [`ModuleIndex`] lies in the host's root, an absolute path; absent if the image has no modules.
pub const MODULES_PATH: &str = "/hullkit/modules.json";

/// Where the [`ModuleIndex`] of all modules lies once the [`Root`] is mounted, an absolute path; the one at [`MODULES_PATH`] then
/// has only what is needed to reach the root. Absent if the root brings no modules.
pub const ROOT_MODULES_PATH: &str = "/lib/modules/hullkit.json";

/// Where the program that fetches a [`Root`] lies, an absolute path; absent if the root comes from no network.
pub const FETCH: &str = "/hullkit/fetch";

/// Folder of the images, an absolute path; each is `<IMAGES>/<short digest>/rootfs`.
pub const IMAGES: &str = "/images";

/// Folder of the volumes, an absolute path; what containers bind is `<VOLUMES>/<name>/merged` (LinuxKit's path).
pub const VOLUMES: &str = "/containers/volumes";

/// Name of the partition that volumes keep what is written on (GPT's partition name).
pub const DATA_NAME: &str = "hullkit-data";

/// The host's list of name servers, which every container on the host's network reads: written by init, empty at first.
pub const RESOLV_CONF: &str = "/run/resolvconf/resolv.conf";

/// File beside an image's `rootfs` that lists the extended attributes a cpio archive cannot carry: a JSON [`Xattrs`].
pub const XATTRS_FILE: &str = "xattrs.json";

/// Extended attributes of one image: path relative to `rootfs`, then attribute name, then the value's bytes.
pub type Xattrs = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// Everything PID 1 needs to know about the host it boots.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Contract {
    /// Always [`VERSION`] when written; init refuses any other.
    pub version: u32,
    /// Host name to set; the kernel's default stays if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Kernel parameters, dotted name to value, set before the network.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// Modules to load at boot whether or not a device asks for them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Network interfaces to set up; the first rule that matches an interface is the one that applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<Interface>,
    /// Where what containers print goes, beside memory.
    #[serde(default, skip_serializing_if = "Logs::is_empty")]
    pub logs: Logs,
    /// Where figures are shown over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// Who tells the host its name, keys and configuration; nobody if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<metadata::Metadata>,
    /// Disks are taken into use, and these modules loaded for it as far as the kernel does not have them built in; none is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Vec<String>>,
    /// When the host was built, in seconds since 1970: a clock that is before it is wrong.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub built: u64,
    /// By whom the clock is set and kept; nobody if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// How many milliseconds a boot waits for the network; init's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_online: Option<u64>,
    /// Directories that containers bind by name; made before any container runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Run one after another, each to its end, before any service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onboot: Vec<Container>,
    /// Kept running until the host goes down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Container>,
    /// Run one after another when the host goes down: after the services have stopped, or before they are asked to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onshutdown: Vec<Container>,
    /// Run `onshutdown` while the services still run, as LinuxKit does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub onshutdown_first: bool,
    /// The file system that the images are on; they are in the initial RAM file system if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Least memory that the host works with, in bytes of `MemTotal`; not checked if 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub memory: u64,
    /// What follows a failed boot, unless the kernel command line says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Seconds after which a hardware watchdog resets a machine whose init does not answer; none is used if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<u32>,
    /// Programs that decide over system calls, each once, whoever is under it: [`Container::filter`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

impl Contract {
    /// The program that decides over the system calls of a container; none if it may make any.
    ///
    /// # Errors
    ///
    /// [`NoFilter`]: the contract names one that it does not have.
    pub fn filter(&self, container: &Container) -> Result<Option<&Filter>, NoFilter> {
        container.filter.map(|position| self.filters.get(position).ok_or(NoFilter(position))).transpose()
    }
}

/// What a boot that failed does after its failure screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Switch off, after a wait that lets a person read.
    #[default]
    PowerOff,
    /// Start again, after the same wait.
    Reboot,
    /// Stop, and leave the screen as it is.
    Halt,
    /// Open a shell on the console if the image has one.
    Shell,
}

/// A container is to run under a program that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contract has no program {0} for its system calls: build the image again")]
pub struct NoFilter(pub usize);

/// A program of the kernel's that decides over system calls (seccomp): instructions as `struct sock_filter` has them in memory on a
/// little-endian machine, as one number each. In JSON a text of 16 hexadecimal digits for each.
///
/// # Source
///
/// Linux, `include/uapi/linux/filter.h` and `Documentation/userspace-api/seccomp_filter.rst`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(pub Vec<u64>);

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0.iter().map(|word| format!("{word:016x}")).collect()
    }
}

impl TryFrom<String> for Filter {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a filter is 16 hexadecimal digits for each instruction";
        let (words, rest) = text.as_bytes().as_chunks::<16>();
        let word = |digits: &[u8; 16]| {
            let number = str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit));
            number.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(WRONG)
        };
        if !rest.is_empty() || words.is_empty() || words.len() > Self::LONGEST {
            return Err(WRONG);
        }
        words.iter().map(word).collect::<Result<_, _>>().map(Self)
    }
}

impl Filter {
    /// Most instructions of a program (`BPF_MAXINSNS`).
    pub const LONGEST: usize = 4096;
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The file system that the images are on: EROFS, whose files are themselves EROFS file systems, one for each image.
///
/// It is on a partition of a disk, in an ISO image, or in one file that is fetched. Its files are mounted at their places in it,
/// without mounting what they lie in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Root {
    /// Identity in its superblock, lower case with hyphens, as `blkid` shows it.
    pub uuid: String,
    /// Its length in bytes.
    pub size: u64,
    /// What is mounted of it, in order.
    pub images: Vec<RootImage>,
}

/// One file system in the [`Root`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootImage {
    /// Where it is mounted, read-only: an absolute path, made if it is not there.
    pub target: String,
    /// Where it starts in the root, in bytes, a multiple of 4096.
    pub offset: u64,
    /// Its length in bytes, a multiple of 4096.
    pub size: u64,
}

/// One volume: a directory of the host, shown at [`Volume::merged`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Volume {
    /// Unique; a single path component.
    pub name: String,
    /// Absolute path of what the volume holds from the start: a directory that is in the image of the host.
    pub lower: String,
    /// Show it read-only instead of under a writable overlay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub readonly: bool,
    /// Keep what is written on the partition [`DATA_NAME`], instead of in memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub persistent: bool,
}

impl Volume {
    /// The volume's own folder, an absolute path.
    #[must_use]
    pub fn folder(name: &str) -> String {
        format!("{VOLUMES}/{name}")
    }

    /// What containers bind, an absolute path.
    #[must_use]
    pub fn merged(name: &str) -> String {
        format!("{VOLUMES}/{name}/merged")
    }
}

/// One container: its root, its final OCI runtime configuration, and what happens when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Unique within its section; a single path component.
    pub name: String,
    /// The image as the manifest names it, for messages only.
    pub image: String,
    /// Absolute path of the image's root file system on the host, read by every container that uses the image.
    pub lower: String,
    /// Bind-mount the image read-only instead of giving the container a writable overlay.
    pub readonly: bool,
    /// OCI runtime configuration. `root.path` is `rootfs`, relative to the bundle that init makes.
    #[serde(serialize_with = "in_order")]
    pub spec: Spec,
    /// The program that decides over its system calls, a position in [`Contract::filters`]; it may make any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<usize>,
    /// What init does around the container, from the manifest's `runtime`.
    #[serde(default, skip_serializing_if = "Runtime::is_empty")]
    pub runtime: Runtime,
    /// When a stopped service is started again; means nothing for `onboot` and `onshutdown`.
    #[serde(default)]
    pub restart: Restart,
    /// What must have become of other services before this one starts for the first time; empty outside of `services`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// How it is found out whether a service works; it is not if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The boot fails with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// How it is made to end.
    #[serde(default, skip_serializing_if = "Stop::is_default")]
    pub stop: Stop,
}

/// Where what containers print goes, beside memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Logs {
    /// Containers whose lines are shown on the console; those of all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Vec<String>>,
    /// Files in which every line is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<LogFiles>,
    /// Servers to which every line is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<LogServer>,
}

impl Logs {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Files in which every line is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogFiles {
    /// Name of the volume that they are in.
    pub volume: String,
    /// Length in bytes from which on a file is followed by another.
    pub size: u64,
    /// How many are kept, at least 1.
    pub count: u32,
}

/// A server to which every line is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogServer {
    /// Its address.
    pub address: SocketAddr,
    /// TCP rather than UDP.
    pub stream: bool,
    /// JSON rather than syslog (RFC 5424).
    pub json: bool,
}

/// A service that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Its position in [`Contract::services`].
    pub service: usize,
    /// What must have become of it.
    pub condition: Condition,
}

/// What must have become of a service before those that depend on it start (Compose specification, `depends_on`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It was started.
    Started,
    /// Its health check has passed.
    Healthy,
    /// It has ended with exit code 0, and is not started again.
    Completed,
}

/// How it is found out whether a service works; every time in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is done.
    pub probe: Probe,
    /// Time between probes.
    pub interval: u64,
    /// How long a probe may take.
    pub timeout: u64,
    /// Failures in a row that make a service unhealthy, at least 1.
    pub retries: u32,
    /// Time after the start in which failures do not count.
    pub start_period: u64,
    /// Longest time between probes until the first one counts.
    pub start_interval: u64,
}

/// One way to find out whether a service works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// A program in the container, with its arguments: exit code 0 is success.
    Exec(Vec<String>),
    /// A page, asked for in the container's network: a status of 200 to 399 is success.
    Http {
        /// Who is asked: the first that takes the connection.
        addresses: Vec<SocketAddr>,
        /// What the request calls the server.
        host: String,
        /// Path and query, with a leading `/`.
        path: String,
    },
    /// A connection, made in the container's network: to the first address that takes it.
    Tcp(Vec<SocketAddr>),
}

/// How a container is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Number of the signal that asks it to.
    pub signal: i32,
    /// Milliseconds after which it is killed.
    pub grace: u64,
}

impl Stop {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Stop {
    /// SIGTERM and 10 s, as Docker has it.
    fn default() -> Self {
        Self { signal: 15, grace: 10_000 }
    }
}

/// Write a runtime configuration so that equal ones give equal bytes: its type keeps maps and capability sets hashed, in an
/// order that changes with every run.
fn in_order<S: serde::Serializer>(spec: &Spec, serializer: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(spec).map_err(serde::ser::Error::custom)?;
    value.sort_all_objects();
    let sets = value.pointer_mut("/process/capabilities").and_then(serde_json::Value::as_object_mut);
    for set in sets.into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(names) = set.as_array_mut() {
            names.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        }
    }
    value.serialize(serializer)
}

/// Things done on the host before a container starts (LinuxKit's `runtime` section).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Runtime {
    /// Directories to create, parents included; relative ones lie under the container's root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mkdir: Vec<String>,
    /// cgroup directories to create below `/sys/fs/cgroup`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cgroups: Vec<String>,
    /// Mounts made on the host after the container's root is ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Network interfaces to create in, or move into, the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<RuntimeInterface>,
    /// Where to bind the container's namespaces on the host: namespace name (`net`, `mnt`, ...) to path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bind_ns: BTreeMap<String, String>,
}

impl Runtime {
    /// Tell whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One mount of [`Runtime::mounts`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mount {
    /// File system type; empty for a bind mount or a remount.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What is mounted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where; a relative path lies under the container's root.
    pub destination: String,
    /// fstab words; unknown ones are passed to the file system as data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// One network interface of [`Runtime::interfaces`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuntimeInterface {
    /// Name inside the container.
    pub name: String,
    /// Kind of link to create (`veth`, `dummy`, ...); empty moves the existing interface `name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub add: String,
    /// Name of the other end of a `veth`, which stays on the host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// Create on the host, then move.
    #[serde(default)]
    pub create_in_root: bool,
}

/// When a service that stopped is started again (Compose specification, `restart`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Whatever the exit code.
    #[default]
    Always,
    /// Whatever the exit code, unless it was stopped by hand.
    UnlessStopped,
    /// Only after a failure; `Some(n)` gives up after `n` tries in a row.
    OnFailure(Option<u32>),
    /// Never.
    No,
}

/// How one network interface, or every one that matches, is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// The rule's name in the manifest, for messages.
    pub id: String,
    /// Glob (`*`, `?`) over the kernel's interface names; matches any name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Hardware address, lower case with colons; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Glob over the name of the interface's driver; any, or none, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The link that is made for the rule, with the name [`Interface::id`]; the rule is for no other interface then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<Link>,
    /// Position in [`Contract::network`] of the bond or bridge that the interface is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<usize>,
    /// The host is online without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Ask for an IPv4 address, routes and name servers by DHCP.
    #[serde(default)]
    pub dhcp: bool,
    /// Ask for IPv6 addresses and name servers by DHCPv6.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dhcp6: bool,
    /// Take IPv6 addresses and routes from router advertisements (SLAAC).
    #[serde(default)]
    pub accept_ra: bool,
    /// Static addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Cidr>,
    /// Static routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Name servers, asked before any that DHCP brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<IpAddr>,
    /// Domains to search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Largest packet, in bytes; the driver's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// By whom the clock is set and kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Time {
    /// Names or addresses, and ports, in the order in which they are asked; those that DHCP names follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<(String, u16)>,
    /// The host is online although its clock has not been set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// A link that init makes. Numbers are those of the kernel's netlink attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// One VLAN of another interface.
    Vlan {
        /// Its number.
        id: u16,
        /// Position in [`Contract::network`] of the rule whose interface carries it.
        over: usize,
    },
    /// Several interfaces that act as one.
    Bond {
        /// `BOND_MODE_*` of linux/if_bonding.h.
        mode: u8,
        /// Milliseconds between two looks for a cable.
        miimon: u32,
        /// Speak LACP every second instead of every 30.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lacp_fast: bool,
        /// `BOND_XMIT_POLICY_*` of linux/if_bonding.h; the kernel's default if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<u8>,
    },
    /// A switch.
    Bridge {
        /// Speak the spanning tree protocol.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stp: bool,
        /// Hundredths of a second for which a new port does not forward yet; the kernel's default if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forward_delay: Option<u32>,
    },
    /// An end of encrypted tunnels.
    Wireguard {
        /// File of the host with the private key; one is made if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        private_key_file: Option<String>,
        /// UDP port; any if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listen_port: Option<u16>,
        /// The other ends.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        peers: Vec<Peer>,
    },
}

/// The other end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its public key, in base64.
    pub public_key: String,
    /// Its name or address, and its port; it has to speak first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<(String, u16)>,
    /// What is behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Cidr>,
    /// Seconds after which it hears from this end at the latest; never if 0.
    #[serde(default)]
    pub keepalive: u16,
}

impl Link {
    /// The kernel's word for links of this kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vlan { .. } => "vlan",
            Self::Bond { .. } => "bond",
            Self::Bridge { .. } => "bridge",
            Self::Wireguard { .. } => "wireguard",
        }
    }
}

/// An address with the length of its network prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cidr {
    /// The address; host bits are kept.
    pub address: IpAddr,
    /// Prefix length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix: u8,
}

/// One static route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination; the default route if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Cidr>,
    /// Gateway; a route on the link itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// Priority, lower wins; the kernel's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// The kernel's modules, with what `depmod` would have computed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModuleIndex {
    /// Kernel release, the folder's name below `/lib/modules`.
    pub release: String,
    /// Every module in the image, sorted by name.
    pub modules: Vec<Module>,
    /// Pattern over modalias strings (glob: `*`, `?`, `[...]`), and the position in `modules` of the driver; sorted.
    pub aliases: Vec<(String, u32)>,
    /// Names of what is built into the kernel, sorted.
    pub builtin: Vec<String>,
}

/// One loadable module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Module {
    /// Name as the kernel knows it, with `_` for `-`.
    pub name: String,
    /// Absolute path in the host's root, compression suffix included.
    pub path: String,
    /// Positions in [`ModuleIndex::modules`] of all that must be loaded first, in load order, transitive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::{Capability, LinuxCapabilitiesBuilder, ProcessBuilder, SpecBuilder};

    use super::*;

    #[test]
    fn equal_contracts_are_equal_bytes_whatever_their_hash_order() {
        let container = |names: &[Capability]| {
            let set: oci_spec::runtime::Capabilities = names.iter().copied().collect();
            let capabilities = LinuxCapabilitiesBuilder::default().bounding(set).build().unwrap();
            let process = ProcessBuilder::default().capabilities(capabilities).build().unwrap();
            Container {
                name: "web".into(),
                image: "web".into(),
                lower: "/images/x/rootfs".into(),
                readonly: false,
                spec: SpecBuilder::default().process(process).build().unwrap(),
                filter: None,
                runtime: Runtime::default(),
                restart: Restart::Always,
                depends_on: Vec::new(),
                health: None,
                critical: false,
                stop: Stop::default(),
            }
        };
        let names = [Capability::Chown, Capability::Kill, Capability::Setuid, Capability::Bpf, Capability::NetRaw];
        let mut backwards = names;
        backwards.reverse();
        let bytes = |names: &[Capability]| serde_json::to_string(&container(names)).unwrap();
        assert!((0..8).all(|_| bytes(&names) == bytes(&backwards)));
        let read: Container = serde_json::from_str(&bytes(&names)).unwrap();
        assert_eq!(read, container(&names));
    }

    #[test]
    fn a_filter_is_sixteen_digits_for_each_instruction() {
        let filter = Filter(vec![0x0000_0004_0000_0020, u64::MAX]);
        let text = serde_json::to_string(&filter).unwrap();
        assert_eq!(text, r#""0000000400000020ffffffffffffffff""#);
        assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        for wrong in ["", "0", "+000000400000020", "000000040000002g", "00000004000000200", "ü00000040000002"] {
            let error = Filter::try_from(wrong.to_owned()).unwrap_err();
            assert!(error.contains("16 hexadecimal digits"), "{wrong}");
        }
        Filter::try_from("0".repeat(16 * (Filter::LONGEST + 1))).unwrap_err();
    }

    #[test]
    fn a_container_never_runs_without_the_filter_that_it_should_have() {
        let contract = Contract { filters: vec![Filter(vec![1])], ..Contract::default() };
        let text = r#"{"name":"a","image":"a","lower":"/a","readonly":true,"spec":{"ociVersion":"1.2.1"}}"#;
        let plain: Container = serde_json::from_str(text).unwrap();
        let with = |filter| Container { filter, ..plain.clone() };
        assert_eq!(contract.filter(&plain), Ok(None));
        assert_eq!(contract.filter(&with(Some(0))), Ok(Some(&Filter(vec![1]))));
        assert_eq!(contract.filter(&with(Some(1))), Err(NoFilter(1)));
    }
}
