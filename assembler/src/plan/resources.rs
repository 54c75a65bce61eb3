//! cgroup limits, from the manifest's words to the runtime specification's.
//!
//! Source: OCI runtime-spec 1.2.1, `config-linux.md`, "Control groups".

use std::collections::BTreeMap;

use linuxkit_yaml::{BlockIo, Cpu, InterfacePriority, Memory, Resources, Scalar};
use serde::Serialize;

/// Every limit of a container; `{}` in JSON when there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Which devices may be used; the last rule that fits wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Rule>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Number of processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<Pids>,
    /// Disk throughput.
    #[serde(rename = "blockIO", skip_serializing_if = "Option::is_none")]
    pub block_io: Option<BlockIo>,
    /// Huge pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hugepage_limits: Vec<Pages>,
    /// Network priorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Files of cgroup v2 for which the specification has no word, and what is written to each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unified: BTreeMap<String, String>,
}

/// Network priorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Class identifier of the packets.
    #[serde(rename = "classID", skip_serializing_if = "Option::is_none")]
    pub class_id: Option<u32>,
    /// Priorities by interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<Priority>,
}

/// Priority on one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Priority {
    /// Interface.
    pub name: String,
    /// Priority.
    pub priority: u32,
}

/// Whether some devices may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rule {
    /// Allow or deny.
    pub allow: bool,
    /// `a`, `b` or `c`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Major number; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Letters of `rwm`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access: String,
}

/// A limit on processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pids {
    /// Most processes.
    pub limit: i64,
}

/// A limit on one size of huge pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pages {
    /// Size of a page as the kernel names it.
    pub page_size: String,
    /// Most bytes.
    pub limit: u64,
}

/// Translate `resources`, and put the rules that `devices` brings behind its own.
///
/// The words are the specification's but for `blockio` and for huge page sizes, which the manifest may give in bytes.
#[must_use]
pub fn limits(resources: Option<&Resources>, rules: Vec<Rule>) -> Limits {
    let none = Resources::default();
    let Resources { devices, mut memory, cpu, pids, blockio, hugepage_limits, network } =
        resources.unwrap_or(&none).clone();
    let own = devices.into_iter().flatten().map(|rule| Rule {
        allow: rule.allow.unwrap_or(false),
        kind: rule.kind.map(|kind| kind.value).unwrap_or_default(),
        major: rule.major,
        minor: rule.minor,
        access: rule.access.map(|access| access.value).unwrap_or_default(),
    });
    let pages = hugepage_limits.into_iter().flatten().map(|page| Pages {
        page_size: page.page_size.map(page_size).unwrap_or_default(),
        limit: page.limit.unwrap_or(0),
    });
    let high = memory.as_mut().and_then(|memory| memory.high.take());
    if high.is_some() {
        memory = memory.filter(|memory| *memory != Memory::default());
    }
    Limits {
        devices: own.chain(rules).collect(),
        memory,
        cpu,
        pids: pids.map(|pids| Pids { limit: pids.limit.unwrap_or(0) }),
        block_io: blockio,
        hugepage_limits: pages.collect(),
        network: network.map(|network| Network {
            class_id: network.class_id,
            priorities: network.priorities.into_iter().flatten().map(priority).collect(),
        }),
        unified: high.map(|bytes| ("memory.high".to_owned(), bytes.to_string())).into_iter().collect(),
    }
}

fn priority(one: InterfacePriority) -> Priority {
    Priority { name: one.name.unwrap_or_default(), priority: one.priority.unwrap_or(0) }
}

/// Write a page size as the kernel names its cgroup files: `64KB`, `2MB`, `1GB`.
fn page_size(size: Scalar) -> String {
    let Ok(bytes) = size.0.parse::<u64>() else { return size.0 };
    let units = [(30, "GB"), (20, "MB"), (10, "KB")];
    let fits = units.into_iter().find(|(shift, _)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift));
    fits.map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_are_named_as_the_kernel_names_them() {
        let rows =
            [("65536", "64KB"), ("2097152", "2MB"), ("1073741824", "1GB"), ("17179869184", "16GB"), ("2MB", "2MB")];
        for (bytes, name) in rows {
            assert_eq!(page_size(Scalar(bytes.to_owned())), name);
        }
    }

    #[test]
    fn the_word_of_cgroup_v2_for_memory_goes_where_the_specification_has_a_place_for_it() {
        let parse = |memory: &str| {
            let text = format!("services: [{{name: a, image: x, resources: {{memory: {memory}}}}}]");
            limits(linuxkit_yaml::parse(text, "t.yml").unwrap().services[0].config.resources.as_ref(), Vec::new())
        };
        let json = |limits: &Limits| serde_json::to_string(limits).unwrap();
        assert_eq!(json(&parse("{high: 4096}")), r#"{"unified":{"memory.high":"4096"}}"#);
        assert_eq!(
            json(&parse("{high: 4096, limit: 8}")),
            r#"{"memory":{"limit":8},"unified":{"memory.high":"4096"}}"#
        );
    }

    #[test]
    fn device_rules_follow_the_manifests_own() {
        let rule = |kind: &str| Rule { kind: kind.to_owned(), ..Rule::default() };
        let text = "services: [{name: a, image: x, resources: {devices: [{type: b}]}}]";
        let manifest = linuxkit_yaml::parse(text, "t.yml").unwrap();
        let resources = manifest.services[0].config.resources.as_ref();
        assert_eq!(limits(None, Vec::new()), Limits::default());
        assert_eq!(limits(resources, vec![rule("c")]).devices, [rule("b"), rule("c")]);
    }
}
