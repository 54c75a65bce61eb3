//! What `docs/manifest.md` shows and lists.

use std::collections::BTreeSet;
use std::path::Path;

use linuxkit_yaml::test::parse_test;
use linuxkit_yaml::{Allow, Code, parse, parse_user_data, schema, test_schema};
use serde_json::Value;

fn page() -> String {
    read("manifest.md")
}

fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    std::fs::read_to_string(path).expect("the page is there")
}

#[test]
fn every_example_is_a_right_manifest() {
    for (name, least) in [("manifest.md", 7), ("storage.md", 3)] {
        let page = read(name);
        let blocks: Vec<&str> =
            page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
        assert!(blocks.len() >= least, "only {} examples in {name}", blocks.len());
        for block in blocks {
            if let Err(error) = parse(block, name) {
                panic!("{error}\n{block}");
            }
        }
    }
}

#[test]
fn every_example_of_metadata_is_a_manifest_or_user_data() {
    let page = read("metadata.md");
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    let (data, manifests): (Vec<&str>, Vec<&str>) =
        blocks.into_iter().partition(|block| block.starts_with("#hullkit\n"));
    assert!(!data.is_empty() && manifests.len() >= 2, "{} and {} examples", data.len(), manifests.len());
    for block in data {
        parse_user_data(block, "docs/metadata.md", &Allow::ALL).unwrap_or_else(|error| panic!("{error}"));
    }
    for block in manifests {
        parse(block, "docs/metadata.md").unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_example_of_a_test_is_one_and_every_key_is_named() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/test.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(blocks.len() >= 3, "only {} examples", blocks.len());
    for block in blocks {
        // What of a manifest is needed.
        let result = match block.starts_with("network:\n") {
            true => parse(block, "docs/test.md").map(drop),
            false => parse_test(block, "docs/test.md").map(drop),
        };
        result.unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
    let mut wanted = BTreeSet::new();
    keys(&test_schema(), &mut wanted);
    assert!(wanted.len() > 30, "{wanted:?}");
    // Keys of steps stand with what they mean: `kill: web`.
    let named = |key: &String| page.contains(&format!("`{key}`")) || page.contains(&format!("`{key}:"));
    let missing: Vec<&String> = wanted.iter().filter(|key| !named(key)).collect();
    assert!(missing.is_empty(), "docs/test.md does not name {missing:?}");
}

/// Collect every key of a schema.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(words) => {
            if let Some(Value::Object(properties)) = words.get("properties") {
                found.extend(properties.keys().cloned());
            }
            words.values().for_each(|part| keys(part, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| keys(part, found)),
        _ => (),
    }
}

#[test]
fn every_key_and_every_code_is_on_the_page() {
    let page = page();
    let mut wanted = BTreeSet::new();
    keys(&schema(), &mut wanted);
    wanted.extend(Code::ALL.iter().map(|code| code.name().to_owned()));
    for code in Code::ALL {
        let row = format!("| `{code}` | {} | {} |", code.severity(), code.about());
        assert!(page.contains(&row), "docs/manifest.md lacks {row}");
    }
    let missing: Vec<String> = wanted.into_iter().filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "docs/manifest.md does not name {missing:?}");
}
