//! A manifest as the tree that LinuxKit's encoders would walk.

use std::collections::BTreeMap;

use linuxkit_yaml::{
    Container, Device, DeviceRule, File, Id, IdMapping, InitEntry, Kernel, Manifest, Metadata, Mount, Reference,
    Resources, Runtime, RuntimeInterface, Spanned, Volume,
};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// A value to write; mappings keep their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Keys and values in order.
    Map(Vec<(String, Node)>),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i128(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

/// Build the tree of a whole manifest.
///
/// # Errors
///
/// - One of Hullkit's own sections cannot be put into a tree.
pub(super) fn tree(manifest: &Manifest, form: Metadata) -> Result<Node, serde_json::Error> {
    let writer = Writer { yaml: form == Metadata::Yaml };
    let mut root = writer.record();
    root.push("kernel", writer.kernel(manifest.kernel.as_ref()));
    let init = manifest.init.iter().flatten().map(|entry| text(entry_text(&entry.value))).collect();
    root.push("init", writer.section(init));
    for (key, containers) in
        [("onboot", &manifest.onboot), ("onshutdown", &manifest.onshutdown), ("services", &manifest.services)]
    {
        let list = containers.iter().map(|container| writer.container(container)).collect::<Result<_, _>>()?;
        root.push(key, writer.section(list));
    }
    root.push("files", writer.section(manifest.files.iter().map(|file| writer.file(file)).collect()));
    root.push("volumes", writer.section(manifest.volumes.iter().map(|volume| writer.volume(volume)).collect()));
    root.some("hostname", manifest.hostname.as_ref().map(|name| text(name.as_str())));
    root.some("network", manifest.network.as_ref().map(own).transpose()?);
    root.some("metadata", manifest.metadata.as_ref().map(own).transpose()?);
    root.some("boot", manifest.boot.as_ref().map(own).transpose()?);
    root.some("modules", manifest.modules.as_ref().map(own).transpose()?);
    root.some("sysctl", (!manifest.sysctl.is_empty()).then(|| own(&manifest.sysctl)).transpose()?);
    Ok(root.end())
}

/// Turn one of Hullkit's own sections into a tree, keys in alphabetical order.
fn own(section: &impl Serialize) -> Result<Node, serde_json::Error> {
    serde_json::to_value(section).map(from_json)
}

/// Turn a JSON value into a tree.
fn from_json(value: serde_json::Value) -> Node {
    use serde_json::Value;
    match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(value),
        Value::Number(number) => number.as_i128().map_or_else(|| text(number.to_string()), Node::Int),
        Value::String(value) => Node::Text(value),
        Value::Array(items) => Node::List(items.into_iter().map(from_json).collect()),
        Value::Object(pairs) => Node::Map(pairs.into_iter().map(|(key, value)| (key, from_json(value))).collect()),
    }
}

/// Make a text of what may be one.
fn text(value: impl Into<String>) -> Node {
    Node::Text(value.into())
}

/// Give the text of an optional word; Go has no difference between an absent and an empty one.
fn word(value: Option<&Spanned<String>>) -> &str {
    value.map_or("", |value| value.as_str())
}

/// Expand an entry of `init`.
fn entry_text(entry: &InitEntry) -> String {
    entry.image().map_or_else(|| linuxkit_yaml::BUILTIN.to_owned(), Reference::to_string)
}

/// List texts.
fn texts<T: AsRef<str>>(items: &[T]) -> Node {
    Node::List(items.iter().map(|item| text(item.as_ref())).collect())
}

/// List texts with places.
fn words(items: &[Spanned<String>]) -> Node {
    Node::List(items.iter().map(|item| text(item.as_str())).collect())
}

/// A user's or group's number or name.
fn id(id: &Id) -> Node {
    match id {
        Id::Number(number) => int(*number),
        Id::Name(name) => text(name.as_str()),
    }
}

/// A whole number.
fn int(number: impl Into<i128>) -> Node {
    Node::Int(number.into())
}

/// A pointer that may be nil.
fn null_or<T: Into<i128>>(number: Option<T>) -> Node {
    number.map_or(Node::Null, int)
}

/// One struct being written: keys in the order of its fields.
struct Record {
    yaml: bool,
    pairs: Vec<(String, Node)>,
}

impl Record {
    /// Add a field that is always written.
    fn push(&mut self, key: &str, value: Node) {
        self.pairs.push((key.to_owned(), value));
    }

    /// Add a field that is left out if nil.
    fn some(&mut self, key: &str, value: Option<Node>) {
        if let Some(value) = value {
            self.push(key, value);
        }
    }

    /// Add a text that is left out if empty.
    fn word(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.push(key, text(value));
        }
    }

    /// Add a field of a struct of the runtime specification, which knows JSON only: YAML has it always, its key in lower
    /// case, and JSON leaves it out where `omit` holds.
    fn oci(&mut self, key: &str, value: Node, omit: bool) {
        if self.yaml {
            self.push(&key.to_ascii_lowercase(), value);
        } else if !omit {
            self.push(key, value);
        }
    }

    /// Add a text of such a struct.
    fn oci_word(&mut self, key: &str, value: &str) {
        self.oci(key, text(value), value.is_empty());
    }

    /// Add a list of such a struct.
    fn oci_list(&mut self, key: &str, items: Vec<Node>) {
        let omit = items.is_empty();
        self.oci(key, Node::List(items), omit);
    }

    /// Add a pointer of such a struct.
    fn oci_pointer(&mut self, key: &str, value: Node) {
        let omit = value == Node::Null;
        self.oci(key, value, omit);
    }

    fn end(self) -> Node {
        Node::Map(self.pairs)
    }
}

/// What differs between the two encoders.
#[derive(Clone, Copy)]
struct Writer {
    yaml: bool,
}

impl Writer {
    fn record(self) -> Record {
        Record { yaml: self.yaml, pairs: Vec::new() }
    }

    /// A section of the document: a nil slice is `[]` in YAML and `null` in JSON.
    fn section(self, items: Vec<Node>) -> Node {
        if items.is_empty() && !self.yaml { Node::Null } else { Node::List(items) }
    }

    fn kernel(self, kernel: Option<&Kernel>) -> Node {
        let absent = Kernel::default();
        let kernel = kernel.unwrap_or(&absent);
        let mut record = self.record();
        record.push("image", text(kernel.image.as_ref().map_or_else(String::new, |image| image.value.to_string())));
        record.word("cmdline", word(kernel.cmdline.as_ref()));
        record.word("binary", word(kernel.binary.as_ref()));
        record.some("tar", kernel.tar.as_ref().map(|tar| text(tar.as_str())));
        record.some("ucode", kernel.ucode.as_ref().map(|ucode| text(ucode.as_str())));
        record.end()
    }

    fn file(self, file: &File) -> Node {
        let mut record = self.record();
        record.push("path", text(file.path.as_str()));
        record.push("directory", Node::Bool(file.directory.unwrap_or(false)));
        record.word("symlink", word(file.symlink.as_ref()));
        record.some("contents", file.contents.as_ref().map(|contents| text(contents.as_str())));
        record.word("source", word(file.source.as_ref()));
        record.some(
            "metadata",
            file.metadata.as_ref().map(|form| match form.value {
                Metadata::Yaml => text("yaml"),
                Metadata::Json => text("json"),
            }),
        );
        record.push("optional", Node::Bool(file.optional.unwrap_or(false)));
        record.word("mode", file.mode.as_ref().map_or("", |mode| mode.value.text.as_str()));
        record.some("uid", file.uid.as_ref().map(|uid| id(&uid.value)));
        record.some("gid", file.gid.as_ref().map(|gid| id(&gid.value)));
        record.end()
    }

    fn volume(self, volume: &Volume) -> Node {
        let mut record = self.record();
        record.push("name", text(volume.name.as_str()));
        record.word("image", &volume.image.as_ref().map_or_else(String::new, |image| image.value.text().into_owned()));
        record.some("readonly", volume.readonly.filter(|readonly| *readonly).map(Node::Bool));
        record.some(
            "format",
            volume.format.as_ref().map(|format| match format.value {
                linuxkit_yaml::VolumeFormat::Oci => text("oci"),
                linuxkit_yaml::VolumeFormat::Filesystem => text("filesystem"),
            }),
        );
        record.some("persistent", volume.persistent.as_ref().map(|persistent| Node::Bool(persistent.value)));
        record.some("platforms", volume.platforms.as_ref().filter(|all| !all.is_empty()).map(|all| words(all)));
        record.end()
    }

    fn container(self, container: &Container) -> Result<Node, serde_json::Error> {
        let config = &container.config;
        let list = |items: &Option<Vec<Spanned<String>>>| items.as_ref().map(|items| words(items));
        let plain = |items: &Option<Vec<String>>| items.as_ref().map(|items| texts(items));
        let mappings = |items: &Option<Vec<IdMapping>>| items.as_ref().map(|items| Node::List(self.mappings(items)));
        let mut record = self.record();
        record.push("name", text(container.name.as_str()));
        record.push("image", text(container.image.value.to_string()));
        record.some("capabilities", list(&config.capabilities));
        record.some("capabilities.add", list(&config.capabilities_add));
        record.some("ambient", list(&config.ambient));
        record.some("mounts", config.mounts.as_ref().map(|mounts| self.mounts(mounts)));
        record.some("binds", list(&config.binds));
        record.some("binds.add", list(&config.binds_add));
        let devices = |all: &Vec<Spanned<Device>>| Node::List(all.iter().map(|one| self.device(&one.value)).collect());
        record.some("devices", config.devices.as_ref().map(devices));
        record.some("tmpfs", list(&config.tmpfs));
        record.some("command", plain(&config.command));
        record.some("env", plain(&config.env));
        record.word("cwd", word(config.cwd.as_ref()));
        record.word("net", word(config.net.as_ref()));
        record.word("pid", word(config.pid.as_ref()));
        record.word("ipc", word(config.ipc.as_ref()));
        record.word("uts", word(config.uts.as_ref()));
        record.word("userns", word(config.userns.as_ref()));
        record.word("hostname", word(config.hostname.as_ref()));
        record.some("readonly", config.readonly.map(Node::Bool));
        record.some("maskedPaths", plain(&config.masked_paths));
        record.some("readonlyPaths", plain(&config.readonly_paths));
        record.some("uid", config.uid.as_ref().map(|uid| id(&uid.value)));
        record.some("gid", config.gid.as_ref().map(|gid| id(&gid.value)));
        let ids = |all: &Vec<Spanned<Id>>| Node::List(all.iter().map(|one| id(&one.value)).collect());
        record.some("additionalGids", config.additional_gids.as_ref().map(ids));
        record.some("noNewPrivileges", config.no_new_privileges.map(Node::Bool));
        record.some("oomScoreAdj", config.oom_score_adj.map(int));
        record.some("rootfsPropagation", config.rootfs_propagation.as_ref().map(|value| text(value.as_str())));
        record.some("cgroupsPath", config.cgroups_path.as_ref().map(|value| text(value.as_str())));
        record.some("resources", config.resources.as_ref().map(|resources| self.resources(resources)));
        record.some("sysctl", config.sysctl.as_ref().map(|map| self.map(map)));
        record.some("rlimits", list(&config.rlimits));
        record.some("uidMappings", mappings(&config.uid_mappings));
        record.some("gidMappings", mappings(&config.gid_mappings));
        record.some("annotations", config.annotations.as_ref().map(|map| self.map(map)));
        record.some("runtime", config.runtime.as_ref().map(|runtime| self.runtime(runtime)));
        record.some("restart", config.restart.as_ref().map(|restart| text(restart.value.to_string())));
        record.some("depends_on", (!container.depends_on.is_empty()).then(|| own(&container.depends_on)).transpose()?);
        record.some("security", container.security.as_ref().map(own).transpose()?);
        record.some("seccomp", container.seccomp.as_ref().map(own).transpose()?);
        record.some("healthcheck", config.healthcheck.as_ref().map(own).transpose()?);
        record.some("critical", config.critical.map(Node::Bool));
        record.some("stop_signal", config.stop_signal.as_ref().map(|signal| text(signal.value.to_string())));
        record.some("stop_grace_period", config.stop_grace_period.as_ref().map(|time| text(time.value.to_string())));
        Ok(record.end())
    }

    /// Texts by key: Go's JSON sorts keys by their bytes, as the map is, the YAML encoder in its own natural order.
    fn map(self, map: &BTreeMap<String, String>) -> Node {
        let mut pairs: Vec<_> = map.iter().map(|(key, value)| (key.clone(), text(value.as_str()))).collect();
        if self.yaml {
            super::yaml::sort(&mut pairs);
        }
        Node::Map(pairs)
    }

    fn mounts(self, mounts: &[Spanned<Mount>]) -> Node {
        let one = |mount: &Spanned<Mount>| {
            let mut record = self.record();
            record.oci("destination", text(word(mount.destination.as_ref())), false);
            record.oci_word("type", word(mount.kind.as_ref()));
            record.oci_word("source", word(mount.source.as_ref()));
            record.oci_list("options", mount.options.iter().flatten().map(|option| text(option.as_str())).collect());
            record.oci_list("uidMappings", self.mappings(mount.uidmappings.as_deref().unwrap_or_default()));
            record.oci_list("gidMappings", self.mappings(mount.gidmappings.as_deref().unwrap_or_default()));
            record.end()
        };
        Node::List(mounts.iter().map(one).collect())
    }

    /// Mappings of ids. LinuxKit reads the runtime specification's structs by lower-case keys, but its schema wants
    /// `hostID` and `containerID`, and so it writes 0 for both; here they are what the manifest says.
    fn mappings(self, mappings: &[IdMapping]) -> Vec<Node> {
        let one = |mapping: &IdMapping| {
            let mut record = self.record();
            record.oci("containerID", int(mapping.container_id), false);
            record.oci("hostID", int(mapping.host_id), false);
            record.oci("size", int(mapping.size), false);
            record.end()
        };
        mappings.iter().map(one).collect()
    }

    fn device(self, device: &Device) -> Node {
        let mut record = self.record();
        record.push("path", text(word(device.path.as_ref())));
        record.push("type", text(word(device.kind.as_ref())));
        record.push("major", int(device.major.unwrap_or(0)));
        record.push("minor", int(device.minor.unwrap_or(0)));
        record.word("mode", device.mode.as_ref().map_or("", |mode| mode.value.text.as_str()));
        record.end()
    }

    /// Limits. As with mappings, keys with capitals never arrive in LinuxKit and do here.
    fn resources(self, resources: &Resources) -> Node {
        let mut record = self.record();
        record.oci_list("devices", resources.devices.iter().flatten().map(|rule| self.rule(rule)).collect());
        let memory = resources.memory.as_ref().map_or(Node::Null, |memory| {
            let mut record = self.record();
            record.oci_pointer("limit", null_or(memory.limit));
            record.oci_pointer("reservation", null_or(memory.reservation));
            record.some("high", memory.high.map(|high| null_or(Some(high))));
            record.oci_pointer("swap", null_or(memory.swap));
            record.oci_pointer("kernel", null_or(memory.kernel));
            record.oci_pointer("kernelTCP", null_or(memory.kernel_tcp));
            record.oci_pointer("swappiness", null_or(memory.swappiness));
            record.oci_pointer("disableOOMKiller", memory.disable_oom_killer.map_or(Node::Null, Node::Bool));
            for key in ["useHierarchy", "checkBeforeUpdate"] {
                record.oci_pointer(key, Node::Null);
            }
            record.end()
        });
        record.oci_pointer("memory", memory);
        let cpu = resources.cpu.as_ref().map_or(Node::Null, |cpu| {
            let mut record = self.record();
            record.oci_pointer("shares", null_or(cpu.shares));
            record.oci_pointer("quota", null_or(cpu.quota));
            record.oci_pointer("burst", Node::Null);
            record.oci_pointer("period", null_or(cpu.period));
            record.oci_pointer("realtimeRuntime", null_or(cpu.realtime_runtime));
            record.oci_pointer("realtimePeriod", null_or(cpu.realtime_period));
            record.oci_word("cpus", word(cpu.cpus.as_ref()));
            record.oci_word("mems", word(cpu.mems.as_ref()));
            record.oci_pointer("idle", Node::Null);
            record.end()
        });
        record.oci_pointer("cpu", cpu);
        let pids = resources.pids.as_ref().map_or(Node::Null, |pids| {
            let mut record = self.record();
            record.oci("limit", int(pids.limit.unwrap_or(0)), false);
            record.end()
        });
        record.oci_pointer("pids", pids);
        let blockio = resources.blockio.as_ref().map_or(Node::Null, |blockio| {
            let mut record = self.record();
            record.oci_pointer("weight", null_or(blockio.weight));
            record.oci_pointer("leafWeight", null_or(blockio.leaf_weight));
            let weights = blockio.weight_device.iter().flatten().map(|device| {
                let mut record = self.record();
                record.oci("major", int(device.major.unwrap_or(0)), false);
                record.oci("minor", int(device.minor.unwrap_or(0)), false);
                record.oci_pointer("weight", null_or(device.weight));
                record.oci_pointer("leafWeight", null_or(device.leaf_weight));
                record.end()
            });
            record.oci_list("weightDevice", weights.collect());
            for (key, devices) in [
                ("throttleReadBpsDevice", &blockio.throttle_read_bps_device),
                ("throttleWriteBpsDevice", &blockio.throttle_write_bps_device),
                ("throttleReadIOPSDevice", &blockio.throttle_read_iops_device),
                ("throttleWriteIOPSDevice", &blockio.throttle_write_iops_device),
            ] {
                let rates = devices.iter().flatten().map(|device| {
                    let mut record = self.record();
                    record.oci("major", int(device.major.unwrap_or(0)), false);
                    record.oci("minor", int(device.minor.unwrap_or(0)), false);
                    record.oci("rate", null_or(device.rate.or(Some(0))), false);
                    record.end()
                });
                record.oci_list(key, rates.collect());
            }
            record.end()
        });
        record.oci_pointer("blockIO", blockio);
        let pages = resources.hugepage_limits.iter().flatten().map(|page| {
            let mut record = self.record();
            record.oci("pageSize", text(page.page_size.as_ref().map_or("", |size| size.as_ref())), false);
            record.oci("limit", null_or(page.limit.or(Some(0))), false);
            record.end()
        });
        record.oci_list("hugepageLimits", pages.collect());
        let network = resources.network.as_ref().map_or(Node::Null, |network| {
            let mut record = self.record();
            record.oci_pointer("classID", null_or(network.class_id));
            let priority = |priority: &linuxkit_yaml::InterfacePriority| {
                let mut record = self.record();
                record.oci("name", text(priority.name.as_deref().unwrap_or_default()), false);
                record.oci("priority", int(priority.priority.unwrap_or(0)), false);
                record.end()
            };
            record.oci_list("priorities", network.priorities.iter().flatten().map(priority).collect());
            record.end()
        });
        record.oci_pointer("network", network);
        record.oci("rdma", Node::Map(Vec::new()), true);
        record.oci("unified", Node::Map(Vec::new()), true);
        record.end()
    }

    fn rule(self, rule: &DeviceRule) -> Node {
        let mut record = self.record();
        record.oci("allow", Node::Bool(rule.allow.unwrap_or(false)), false);
        record.oci_word("type", word(rule.kind.as_ref()));
        record.oci_pointer("major", null_or(rule.major));
        record.oci_pointer("minor", null_or(rule.minor));
        record.oci_word("access", word(rule.access.as_ref()));
        record.end()
    }

    fn runtime(self, runtime: &Runtime) -> Node {
        let mut record = self.record();
        record.some("cgroups", runtime.cgroups.as_ref().map(|all| texts(all)));
        record.some("mounts", runtime.mounts.as_ref().map(|mounts| self.mounts(mounts)));
        record.some("mkdir", runtime.mkdir.as_ref().map(|all| texts(all)));
        let interfaces = |all: &Vec<RuntimeInterface>| Node::List(all.iter().map(|one| self.interface(one)).collect());
        record.some("interfaces", runtime.interfaces.as_ref().map(interfaces));
        let mut namespaces = self.record();
        if let Some(bind) = &runtime.bind_ns {
            for (key, path) in [
                ("cgroup", &bind.cgroup),
                ("ipc", &bind.ipc),
                ("mnt", &bind.mnt),
                ("net", &bind.net),
                ("pid", &bind.pid),
                ("user", &bind.user),
                ("uts", &bind.uts),
            ] {
                namespaces.some(key, path.as_ref().map(|path| text(path.as_str())));
            }
        }
        // Go's JSON never takes a struct for empty.
        if !self.yaml || !namespaces.pairs.is_empty() {
            record.push("bindNS", namespaces.end());
        }
        record.some("namespace", runtime.namespace.as_ref().map(|value| text(value.as_str())));
        record.end()
    }

    fn interface(self, interface: &RuntimeInterface) -> Node {
        let mut record = self.record();
        record.word("name", word(interface.name.as_ref()));
        record.word("add", word(interface.add.as_ref()));
        record.word("peer", word(interface.peer.as_ref()));
        record.push("createInRoot", Node::Bool(interface.create_in_root.unwrap_or(false)));
        record.end()
    }
}
