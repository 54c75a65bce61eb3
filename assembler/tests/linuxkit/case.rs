//! One folder of `cases/`: what to build, and what must come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

use crate::images;
use crate::tree::{Tree, clean, describe, quote};

/// First part of the names of the files that a build makes.
const NAME: &str = "built";

/// A store with the images of all cases.
struct Place {
    folder: TempDir,
}

/// Fill a store, and make a trial of each folder.
pub(crate) fn trials() -> Vec<Trial> {
    // The archive stays: LinuxKit's `cache import` reads it as well, for whoever compares the two by hand.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linuxkit-images.tar");
    let place = Arc::new(Place::new(&kept));
    let names = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let folders = files(&here().join("cases")).into_iter().filter(|path| path.is_dir());
    let trial = |path: PathBuf| {
        let place = Arc::clone(&place);
        Trial::test(names(&path), move || run(&path, &place).map_err(Failed::from))
    };
    folders.map(trial).collect()
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/linuxkit")
}

impl Place {
    fn new(kept: &Path) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let archive = place.folder.path().join("images.tar");
        images::write(&place.folder.path().join("images"), &archive);
        let output = place.hullkit(&here(), &["cache", "import", archive.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Another run of this program may write it at the same time.
        fs::rename(&archive, kept).or_else(|_| fs::copy(&archive, kept).map(drop)).unwrap();
        place
    }

    fn hullkit(&self, folder: &Path, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hullkit"));
        command.env_clear().env("HOME", self.folder.path().join("home")).current_dir(folder);
        command.arg("--cache").arg(self.folder.path().join("store")).args(args).output().unwrap()
    }
}

/// Build a case. Out: an error that shows what differs.
fn run(folder: &Path, place: &Place) -> Result<(), String> {
    let out = tempfile::tempdir().unwrap();
    let more = fs::read_to_string(folder.join("args")).unwrap_or_default();
    let mut args = vec!["build", "--offline", "--no-sbom", "--name", NAME, "--dir", out.path().to_str().unwrap()];
    args.extend(more.split_whitespace());
    if !more.contains("--format") {
        args.extend(["--format", "tar"]);
    }
    let manifests: Vec<String> = files(folder).iter().filter_map(|path| manifest(path)).collect();
    args.extend(manifests.iter().map(String::as_str));
    let output = place.hullkit(folder, &args);
    let said = String::from_utf8_lossy(&output.stderr);
    if let Ok(wanted) = fs::read_to_string(folder.join("error.txt")) {
        return refused(&output, &said, wanted.trim_end(), out.path());
    }
    if !output.status.success() {
        return Err(format!("the build ended with {}:\n{said}", output.status));
    }
    let found = Tree::of_build(out.path(), NAME)?;
    let difference = Expected::read(folder)?.compare(&found);
    if difference.is_empty() { Ok(()) } else { Err(format!("`-` is what must be, `+` what is:\n{difference}")) }
}

fn manifest(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    name.ends_with(".yml").then(|| name.to_owned())
}

fn refused(output: &Output, said: &str, wanted: &str, out: &Path) -> Result<(), String> {
    if output.status.code() != Some(1) {
        return Err(format!("ended with {} and not with 1:\n{said}", output.status));
    }
    if !said.contains(wanted) {
        return Err(format!("the error does not say `{wanted}`:\n{said}"));
    }
    let left = files(out);
    if left.is_empty() { Ok(()) } else { Err(format!("a failed build left {left:?}")) }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "sorted on the next line")]
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// What a case says about every path.
#[derive(Default)]
struct Expected {
    rows: BTreeMap<String, String>,
    /// Files whose bytes are in the case's folder.
    exact: BTreeMap<String, Vec<u8>>,
}

impl Expected {
    fn read(folder: &Path) -> Result<Self, String> {
        let mut expected = Self::default();
        expected.include(&folder.join("tree.txt"), "", folder)?;
        let named: BTreeSet<PathBuf> = expected.exact.keys().map(|path| folder.join("exact").join(path)).collect();
        let mut stray = Vec::new();
        walk(&folder.join("exact"), &mut |path| stray.extend((!named.contains(path)).then(|| path.to_owned())));
        if stray.is_empty() { Ok(expected) } else { Err(format!("`tree.txt` does not name {stray:?}")) }
    }

    /// Read a list of rows and of other lists. A later row replaces an earlier one of the same path.
    fn include(&mut self, list: &Path, prefix: &str, folder: &Path) -> Result<(), String> {
        let text = fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let wrong = || format!("{}: `{line}` is no row", list.display());
            if let Some(rest) = line.strip_prefix("use ") {
                let (name, place) = rest.split_once(" at ").unwrap_or((rest, ""));
                let name = here().join("trees").join(format!("{name}.txt"));
                self.include(&name, &clean(&format!("{prefix}/{place}")), folder)?;
                continue;
            }
            let (path, row) = split(line).ok_or_else(wrong)?;
            let path = clean(&format!("{prefix}/{path}"));
            self.exact.remove(&path);
            let row = match row.strip_suffix(" @") {
                None => row,
                Some(start) => {
                    let bytes =
                        fs::read(folder.join("exact").join(&path)).map_err(|error| format!("{path}: {error}"))?;
                    let row = format!("{start} {}", describe(&bytes));
                    self.exact.insert(path.clone(), bytes);
                    row
                }
            };
            self.rows.insert(path, row);
        }
        Ok(())
    }

    /// Give the lines in which two trees differ, and what is in the files that must be exact.
    fn compare(&self, found: &Tree) -> String {
        let mut out = String::new();
        let paths: BTreeSet<&String> = self.rows.keys().chain(found.rows.keys()).collect();
        for path in paths {
            let (wanted, is) = (self.rows.get(path), found.rows.get(path));
            if wanted == is {
                continue;
            }
            for (sign, row) in [('-', wanted), ('+', is)] {
                out.extend(row.map(|row| format!("{sign} {} {row}\n", quote(path))));
            }
            if let (Some(wanted), Some(is)) = (self.exact.get(path), found.files.get(path)) {
                lines(&mut out, wanted, is);
            }
        }
        out
    }
}

/// Show the lines of two texts that differ: all between the first and the last that do.
fn lines(out: &mut String, wanted: &[u8], is: &[u8]) {
    let (wanted, is) = (String::from_utf8_lossy(wanted), String::from_utf8_lossy(is));
    let (wanted, is): (Vec<&str>, Vec<&str>) = (wanted.split('\n').collect(), is.split('\n').collect());
    let start = wanted.iter().zip(&is).take_while(|(a, b)| a == b).count();
    let end = wanted[start..].iter().rev().zip(is[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    for (sign, lines) in [('-', &wanted), ('+', &is)] {
        for (number, line) in lines.iter().enumerate().take(lines.len() - end).skip(start) {
            out.push_str(&format!("    {sign} {:3} {line}\n", number + 1));
        }
    }
}

/// Separate a path from the rest of its row, and put single spaces between the columns.
fn split(line: &str) -> Option<(String, String)> {
    let (path, rest) = if line.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(line).into_iter::<String>();
        let path = values.next()?.ok()?;
        (path, &line[values.byte_offset()..])
    } else {
        let (path, rest) = line.split_once(' ')?;
        (path.to_owned(), rest)
    };
    let mut rest = rest.trim();
    let mut columns = Vec::new();
    for _ in 0..5 {
        let (column, after) = rest.split_once(' ').unwrap_or((rest, ""));
        columns.push(column);
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        columns.push(rest);
    }
    Some((path, columns.join(" ").trim_end().to_owned()))
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    if !folder.is_dir() {
        return;
    }
    for path in files(folder) {
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}
