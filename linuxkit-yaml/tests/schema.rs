//! The JSON Schema says what the parser says; a validator that knows nothing of the parser is the judge.
//!
//! Manifests come from the corpus, and are grown from the schema and then damaged.

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use linuxkit_yaml::{Code, ManifestError, from_yaml, parse, schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::grow::Generator;

mod grow;

struct Judge(Schemas, SchemaIndex);

impl Judge {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("https://example.org/manifest.json", schema()).expect("the schema is JSON");
        let index = compiler.compile("https://example.org/manifest.json", &mut schemas);
        Self(schemas, index.expect("the schema is one of its draft"))
    }

    fn refuses(&self, value: &Value) -> Option<String> {
        self.0.validate(value, self.1).err().map(|error| format!("{error:#}"))
    }
}

/// Tell whether the parser complains about keys or types, which a schema can see; it sees some values as well.
fn structural(error: &ManifestError) -> bool {
    let visible = [Code::UnknownKey, Code::MissingKey, Code::NoValue, Code::WrongType];
    error.diagnostics.iter().any(|problem| visible.contains(&problem.code))
}

/// Compare both verdicts on one document.
fn agree(judge: &Judge, value: &Value, verdict: Result<(), &ManifestError>) -> Result<(), String> {
    match (verdict, judge.refuses(value)) {
        (Ok(()), Some(reason)) => Err(format!("parsed, but refused by the schema:\n{reason}\n{value:#}")),
        (Err(error), None) if structural(error) => Err(format!("accepted by the schema, but:\n{error}\n{value:#}")),
        _ => Ok(()),
    }
}

fn manifests(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    #[expect(clippy::disallowed_methods, reason = "the order does not matter")]
    let entries = fs::read_dir(&folder).expect("the corpus is there");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "yml")).collect()
}

#[test]
fn schema_and_parser_agree_on_the_corpus() {
    let judge = Judge::new();
    let mut failures = String::new();
    let mut seen = 0;
    for path in manifests("accept").into_iter().chain(manifests("reject")) {
        let text = fs::read(&path).expect("a readable manifest");
        // A reader without a schema takes `no` and `2001-01-01` for text as well, so that both see the same values. What is no
        // YAML, or has a key twice, does not reach a schema.
        let Ok(value) = from_yaml::<Value>(&text, "document") else { continue };
        seen += 1;
        let parsed = parse(&text, "corpus");
        if let Err(reason) = agree(&judge, &value, parsed.as_ref().map(|_| ())) {
            failures += &format!("{}: {reason}\n", path.display());
        }
    }
    assert!(failures.is_empty() && seen > 30, "{seen} {failures}");
}

#[test]
fn every_key_is_described_and_nothing_has_an_address() {
    fn walk(part: &Value, path: &str, bare: &mut Vec<String>) {
        let Some(words) = part.as_object() else { return };
        assert!(!words.contains_key("$id"), "{path} has an `$id`");
        for (key, property) in words.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let said = property.get("description").and_then(Value::as_str).unwrap_or_default();
            if said.is_empty() {
                bare.push(format!("{path}/{key}"));
            }
            walk(property, &format!("{path}/{key}"), bare);
        }
        for (name, definition) in words.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            walk(definition, name, bare);
        }
    }
    let mut bare = Vec::new();
    walk(&schema(), "", &mut bare);
    assert_eq!(bare, Vec::<String>::new(), "keys without a description");
}

/// Give the paths of all values in a document, the document itself first.
fn pointers(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| pointers(item, &format!("{path}/{index}"), found));
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                pointers(item, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => (),
    }
}

/// Damage one value: give it another type, take a key away, add one, or rename one.
fn damage(value: &mut Value, at: prop::sample::Index, how: usize) {
    let mut found = Vec::new();
    pointers(value, "", &mut found);
    let Some(part) = value.pointer_mut(at.get(found.as_slice()).as_str()) else { return };
    let kinds = [json!(null), json!(true), json!(7), json!(-1), json!(1.5), json!("no"), json!(["a"]), json!({"a": 1})];
    match (part, how) {
        (Value::Object(entries), 0) => {
            let first = entries.keys().next().cloned();
            first.map(|key| entries.remove(&key));
        }
        (Value::Object(entries), 1) => {
            entries.insert("surprise".to_owned(), json!(1));
        }
        (Value::Object(entries), 2) => {
            let last = entries.keys().next_back().cloned();
            if let Some((key, kept)) = last.and_then(|key| entries.remove_entry(&key)) {
                entries.insert(key.to_uppercase(), kept);
            }
        }
        (part, how) => *part = kinds[how % kinds.len()].clone(),
    }
}

proptest! {
    // A seed says nothing once the schema has changed.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn schema_and_parser_agree_on_damaged_manifests(
        seed in any::<[u8; 32]>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..11), 0..3),
    ) {
        thread_local! {
            static JUDGE: Judge = Judge::new();
        }
        let mut value = Generator::new(seed).manifest();
        for (at, how) in places {
            damage(&mut value, at, how);
        }
        let parsed = parse(value.to_string(), "case");
        let verdict = JUDGE.with(|judge| agree(judge, &value, parsed.as_ref().map(|_| ())));
        prop_assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
    }
}
