//! Manifests that are right with what they parse to, manifests that are wrong with the exact message.
//!
//! `BLESS=1` rewrites what is expected; read the difference before committing it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use linuxkit_yaml::{from_yaml, parse, print, schema};

mod validator;

/// List the manifests of a folder, sorted.
fn manifests(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = fs::read_dir(&folder).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    paths.sort();
    assert!(paths.len() > 10, "no corpus in {}", folder.display());
    paths
}

/// Compare with the expectation beside the manifest, or write it.
fn compare(path: &Path, extension: &str, found: &str) -> Result<(), String> {
    let expected_path = path.with_extension(extension);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&expected_path, found).expect("a writable corpus");
        return Ok(());
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    Err(format!("{}:\n--- expected\n{expected}\n--- found\n{found}\n", expected_path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{}", failures.concat());
}

#[test]
fn right_manifests_parse_to_what_stands_beside_them() {
    let mut failures = Vec::new();
    for path in manifests("accept") {
        let text = fs::read(&path).expect("a readable manifest");
        match parse(&text, &file_name(&path)) {
            Ok(manifest) => {
                let mut dump = serde_json::to_string_pretty(&manifest).expect("a manifest is JSON");
                for (image, at) in manifest.images() {
                    write!(dump, "\n{at}: {image}").expect("a string grows");
                }
                dump.push('\n');
                failures.extend(compare(&path, "json", &dump).err());
            }
            Err(error) => failures.push(format!("{}: refused:\n{error}\n", path.display())),
        }
    }
    report(&failures);
}

#[test]
fn right_manifests_survive_being_printed() {
    for path in manifests("accept") {
        let manifest = parse(fs::read(&path).expect("a readable manifest"), "first").expect("a right manifest");
        let text = print(&manifest);
        let again = parse(&text, "second").unwrap_or_else(|error| panic!("{}:\n{text}\n{error}", path.display()));
        assert_eq!(manifest, again, "{}:\n{text}", path.display());
    }
}

#[test]
fn wrong_manifests_get_the_message_beside_them() {
    let mut failures = Vec::new();
    for path in manifests("reject") {
        let text = fs::read(&path).expect("a readable manifest");
        match parse(&text, &file_name(&path)) {
            Ok(_) => failures.push(format!("{}: accepted\n", path.display())),
            Err(error) => failures.extend(compare(&path, "txt", &format!("{error}\n")).err()),
        }
    }
    report(&failures);
}

#[test]
fn schema_says_what_the_parser_says() {
    let schema = schema();
    let mut failures = Vec::new();
    let document = |path: &Path| from_yaml::<serde_json::Value>(fs::read(path).expect("a readable file"), "document");
    for path in manifests("accept") {
        // A reader without a schema takes `no` and `2001-01-01` for text as well, so that both see the same values.
        let value = document(&path).expect("a right manifest is YAML");
        if let Err(reason) = validator::check(&schema, &schema, &value) {
            failures.push(format!("{}: {reason}\n", path.display()));
        }
    }
    for path in manifests("reject") {
        let name = file_name(&path);
        // A duplicate key and a key that is a list do not reach a schema.
        let visible = (name.starts_with("key-") || name.starts_with("type-")) && !name.starts_with("key-twice");
        let Some(value) = document(&path).ok().filter(|_| visible) else { continue };
        if validator::check(&schema, &schema, &value).is_ok() {
            failures.push(format!("{}: accepted by the schema\n", path.display()));
        }
    }
    report(&failures);
}
