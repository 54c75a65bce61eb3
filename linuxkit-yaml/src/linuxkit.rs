//! Which keys LinuxKit knows, and which of them do something there.
//!
//! Its schema names keys in camelCase, but most structures behind it listen to the lower-case spelling alone, which the schema
//! refuses: such a key is accepted and dropped.
//!
//! Source: LinuxKit 3bf33c3a, `moby/schema.go` and `moby/config.go`, observed with its program.

use crate::node::{Entry, Kind, Node};

/// One key of a mapping.
pub(crate) struct Row {
    key: &'static str,
    /// It is accepted, and has no effect.
    dropped: bool,
    /// The keys of the mapping, or of the mappings in the list, that is its value.
    below: &'static [Row],
}

const fn row(key: &'static str) -> Row {
    Row { key, dropped: false, below: &[] }
}

const fn dropped(key: &'static str) -> Row {
    Row { key, dropped: true, below: &[] }
}

const fn below(key: &'static str, below: &'static [Row]) -> Row {
    Row { key, dropped: false, below }
}

/// What LinuxKit makes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It does not know the key: the manifest is refused.
    Refused,
    /// It accepts the key, and forgets it.
    Dropped,
}

const KERNEL: &[Row] = &[row("image"), row("cmdline"), row("binary"), row("tar"), row("ucode")];

const FILE: &[Row] = &[
    row("path"),
    row("directory"),
    row("symlink"),
    row("contents"),
    row("source"),
    row("metadata"),
    row("optional"),
    row("mode"),
    row("uid"),
    row("gid"),
];

const VOLUME: &[Row] = &[row("name"), row("image"), row("readonly"), row("format"), row("platforms")];

const MOUNT: &[Row] =
    &[row("destination"), row("type"), row("source"), row("options"), dropped("uidmappings"), dropped("gidmappings")];

const DEVICE: &[Row] = &[row("path"), row("type"), row("major"), row("minor"), row("mode")];

/// Both ids always become 0.
const ID_MAPPING: &[Row] = &[dropped("hostID"), dropped("containerID"), row("size")];

const DEVICE_RULE: &[Row] = &[row("allow"), row("type"), row("major"), row("minor"), row("access")];

const MEMORY: &[Row] = &[
    row("limit"),
    row("reservation"),
    row("swap"),
    row("kernel"),
    dropped("kernelTCP"),
    row("swappiness"),
    dropped("disableOOMKiller"),
];

const CPU: &[Row] = &[
    row("shares"),
    row("quota"),
    row("period"),
    dropped("realtimeRuntime"),
    dropped("realtimePeriod"),
    row("cpus"),
    row("mems"),
];

const BLOCK_IO: &[Row] = &[
    row("weight"),
    dropped("leafWeight"),
    dropped("weightDevice"),
    dropped("throttleReadBpsDevice"),
    dropped("throttleWriteBpsDevice"),
    dropped("throttleReadIOPSDevice"),
    dropped("throttleWriteIOPSDevice"),
];

const NETWORK_LIMITS: &[Row] = &[dropped("classID"), below("priorities", &[row("name"), row("priority")])];

const RESOURCES: &[Row] = &[
    below("devices", DEVICE_RULE),
    below("memory", MEMORY),
    below("cpu", CPU),
    below("pids", &[row("limit")]),
    below("blockio", BLOCK_IO),
    dropped("hugepageLimits"),
    below("network", NETWORK_LIMITS),
];

const BIND_NS: &[Row] = &[row("cgroup"), row("ipc"), row("mnt"), row("net"), row("pid"), row("user"), row("uts")];

const RUNTIME: &[Row] = &[
    row("cgroups"),
    below("mounts", MOUNT),
    row("mkdir"),
    below("interfaces", &[row("name"), row("add"), row("peer"), row("createInRoot")]),
    below("bindNS", BIND_NS),
    row("namespace"),
];

const CONTAINER: &[Row] = &[
    row("name"),
    row("image"),
    row("capabilities"),
    row("capabilities.add"),
    row("ambient"),
    below("mounts", MOUNT),
    row("binds"),
    row("binds.add"),
    below("devices", DEVICE),
    row("tmpfs"),
    row("command"),
    row("env"),
    row("cwd"),
    row("net"),
    row("pid"),
    row("ipc"),
    row("uts"),
    row("userns"),
    row("hostname"),
    row("readonly"),
    row("maskedPaths"),
    row("readonlyPaths"),
    row("uid"),
    row("gid"),
    row("additionalGids"),
    row("noNewPrivileges"),
    row("oomScoreAdj"),
    row("rootfsPropagation"),
    row("cgroupsPath"),
    below("resources", RESOURCES),
    row("sysctl"),
    row("rlimits"),
    below("uidMappings", ID_MAPPING),
    below("gidMappings", ID_MAPPING),
    row("annotations"),
    below("runtime", RUNTIME),
];

/// A whole manifest.
pub(crate) const MANIFEST: &[Row] = &[
    below("kernel", KERNEL),
    row("init"),
    below("onboot", CONTAINER),
    below("onshutdown", CONTAINER),
    below("services", CONTAINER),
    below("volumes", VOLUME),
    below("files", FILE),
    below("trust", &[row("image"), row("org")]),
];

/// Find the keys of a document that LinuxKit refuses or drops, in the order of the text.
pub(crate) fn strangers(node: &Node, rows: &[Row], found: &mut dyn FnMut(&Entry, Treatment)) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| strangers(item, rows, found)),
        Kind::Map(entries) => {
            for entry in entries {
                match rows.iter().find(|row| row.key == entry.key) {
                    None => found(entry, Treatment::Refused),
                    Some(row) if row.dropped => found(entry, Treatment::Dropped),
                    // Without rows the value's keys are the user's own: names of variables, say.
                    Some(row) if row.below.is_empty() => (),
                    Some(row) => strangers(&entry.value, row.below, found),
                }
            }
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{MANIFEST, Row};

    /// Collect the paths of all keys of a table.
    fn listed(rows: &[Row], path: &str, keys: &mut BTreeSet<String>) {
        for row in rows {
            let path = format!("{path}/{}", row.key);
            listed(row.below, &path, keys);
            keys.insert(path);
        }
    }

    /// Collect the paths of all keys of a schema that stand beside or below keys of the table.
    fn described(root: &Value, schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = root.pointer(target.trim_start_matches('#')).unwrap();
            return described(root, target, path, keys);
        }
        if let Some(items) = schema.get("items") {
            return described(root, items, path, keys);
        }
        for (key, part) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{path}/{key}");
            described(root, part, &path, keys);
            keys.insert(path);
        }
    }

    #[test]
    fn every_key_of_linuxkit_is_in_the_schema_and_the_rest_is_known_to_be_our_own() {
        let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
        listed(MANIFEST, "", &mut theirs);
        let schema = crate::schema();
        described(&schema, &schema, "", &mut ours);
        assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new());
        // What a dropped key holds, and what is Hullkit's own, says so in its description.
        let dropped = ["/hugepageLimits/", "/weightDevice/", "/throttle", "/uidmappings/", "/gidmappings/"];
        let own = |path: &&String| !dropped.iter().any(|part| path.contains(part));
        for path in ours.difference(&theirs).filter(own) {
            let top = path.split('/').nth(1).unwrap();
            let within = [
                "boot",
                "hostname",
                "logs",
                "metadata",
                "metrics",
                "network",
                "modules",
                "storage",
                "sysctl",
                "time",
                "wait_online",
            ]
            .contains(&top);
            let of_container = [
                "critical",
                "depends_on",
                "healthcheck",
                "restart",
                "seccomp",
                "security",
                "stop_grace_period",
                "stop_signal",
            ];
            assert!(
                within
                    || path.split('/').any(|key| of_container.contains(&key))
                    || ["/persistent", "/memory/high"].iter().any(|end| path.ends_with(end)),
                "`{path}`: LinuxKit's or ours? Add it to the table, or here."
            );
        }
    }
}
