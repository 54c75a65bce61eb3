//! cgroup limits, from the manifest's words to the runtime specification's.
//!
//! Source: OCI runtime-spec 1.2.1, `config-linux.md`, "Control groups".

use linuxkit_yaml::Resources;
use serde_json::{Map, Value, json};

/// Translate `resources`, and put the rules that `devices` brings behind its own.
///
/// The words are the specification's but for `blockio` and for huge page sizes, which the manifest gives in bytes.
#[must_use]
pub fn limits(resources: Option<&Resources>, rules: Vec<Value>) -> Value {
    // A type of the manifest is plain data with text keys: it always has a JSON form.
    let mut limits = match resources.map(serde_json::to_value) {
        Some(Ok(Value::Object(limits))) => limits,
        _ => Map::new(),
    };
    if let Some(block) = limits.remove("blockio") {
        limits.insert("blockIO".to_owned(), block);
    }
    if let Some(Value::Array(pages)) = limits.get_mut("hugepageLimits") {
        for page in pages {
            let size = page.get("pageSize").and_then(Value::as_u64).map(page_size);
            if let (Some(size), Some(page)) = (size, page.as_object_mut()) {
                page.insert("pageSize".to_owned(), json!(size));
            }
        }
    }
    if !rules.is_empty()
        && let Value::Array(list) = limits.entry("devices").or_insert_with(|| json!([]))
    {
        list.extend(rules);
    }
    Value::Object(limits)
}

/// Write a page size as the kernel names its cgroup files: `64KB`, `2MB`, `1GB`.
fn page_size(bytes: u64) -> String {
    let units = [(30, "GB"), (20, "MB"), (10, "KB")];
    let fits = units.into_iter().find(|(shift, _)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift));
    fits.map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_are_named_as_the_kernel_names_them() {
        for (bytes, name) in [(65536, "64KB"), (2 << 20, "2MB"), (1 << 30, "1GB"), (1 << 34, "16GB")] {
            assert_eq!(page_size(bytes), name);
        }
    }

    #[test]
    fn device_rules_follow_the_manifests_own() {
        assert_eq!(limits(None, Vec::new()), json!({}));
        assert_eq!(limits(None, vec![json!(1)]), json!({"devices": [1]}));
    }
}
