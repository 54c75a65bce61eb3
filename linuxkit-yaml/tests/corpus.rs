//! Manifests that are right with what they parse to, manifests that are wrong with the exact message.
//!
//! `BLESS=1` rewrites what is expected; read the difference before committing it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use linuxkit_yaml::{parse, print};

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
