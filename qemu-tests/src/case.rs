//! `case.yml`: what is shown to work, and what only a bench has; what must come of it stands in `host.test.yml` beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use linuxkit_yaml::test::{Test, parse_test};
use serde::Deserialize;

use crate::disk::Disk;
use crate::manners::Manners;
use crate::volume::Volume;
use hullkit::platform::Arch;
use hullkit::verify::{Cell, matrix};

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is shown to work, in a sentence.
    pub about: String,
    /// Instead of a boot: a command that must end in a certain way.
    pub command: Option<Command>,
    /// The test must fail, and a text of what is said of it then.
    pub fails: Option<String>,
    /// Build with `--replace-init`.
    #[serde(default)]
    pub replace_init: bool,
    /// Volumes that the machine has besides.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// What some of the test's disks hold before the first boot, and after the last.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// A file beside the case with the pages of servers on the machine's link; see [`crate::pages`].
    pub pages: Option<String>,
    /// How the server behaves from which a `netboot` host fetches what it is made of.
    pub web: Option<Manners>,
    /// Port of this host's at which somebody says what time it is; a guest finds it at 10.0.2.2.
    pub time_server: Option<u16>,
    /// What must be true, from `host.test.yml`.
    #[serde(skip)]
    pub test: Test,
    /// The case's folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// A command of `hullkit` on the case's manifest, and how it must end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Which.
    #[serde(default)]
    pub verb: Verb,
    /// Arguments after the manifest.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its exit code.
    pub exit: i32,
    /// Texts that its standard error must contain.
    #[serde(default)]
    pub stderr: Vec<String>,
    /// Texts that neither of its outputs may contain.
    #[serde(default)]
    pub never: Vec<String>,
}

/// A command of `hullkit` that takes a manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// `hullkit build`; it must leave no file when it fails.
    #[default]
    Build,
    /// `hullkit plan`.
    Plan,
    /// `hullkit run`.
    Run,
}

impl Case {
    /// Read the case in a folder.
    ///
    /// # Errors
    ///
    /// There is no `case.yml`, or it says something that means nothing.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("case.yml");
        let text = fs::read_to_string(&path).with_context(|| format!("could not read `{}`", path.display()))?;
        let parsed: Result<Self, _> = serde_saphyr::from_str(&text);
        let case = parsed.with_context(|| format!("`{}` is not a case", path.display()))?;
        let test = if case.command.is_some() { Test::default() } else { test(&folder.join("host.test.yml"))? };
        Ok(Self { test, folder: folder.to_owned(), ..case })
    }

    /// Read every case below a folder, sorted by name.
    ///
    /// # Errors
    ///
    /// As [`Case::read`], or the folder cannot be listed.
    pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let listing = fs::read_dir(folder).with_context(|| format!("could not list `{}`", folder.display()))?;
        let mut folders = listing.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        folders.sort();
        folders.iter().filter(|path| path.is_dir()).map(|path| Self::read(path)).collect()
    }

    /// Name the test: `vm_` and the folder's name, with `_` for `-`.
    #[must_use]
    pub fn name(&self) -> String {
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("vm_{}", folder.replace('-', "_"))
    }

    /// Say what is booted, once each; a command is for one machine.
    ///
    /// # Errors
    ///
    /// A line of the test's matrix means nothing.
    pub fn boots(&self) -> anyhow::Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for line in &self.test.matrix {
            cells.extend(matrix(line, Arch::Amd64).with_context(|| self.name())?);
        }
        Ok(if cells.is_empty() { vec![Cell::kernel(Arch::Amd64)] } else { cells })
    }
}

fn test(path: &Path) -> anyhow::Result<Test> {
    let text = fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
    Ok(parse_test(text, &path.to_string_lossy())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_in_the_tree_is_one() {
        let cases = Case::read_all(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").as_path()).expect("cases");
        assert!(cases.len() > 10, "{}", cases.len());
        for case in cases {
            assert!(case.folder.join("host.yml").is_file(), "{}", case.folder.display());
            assert!(!case.boots().expect("cells").is_empty(), "{}", case.folder.display());
        }
    }

    #[test]
    fn a_misspelt_key_is_no_case() {
        let parsed: Result<Case, _> = serde_saphyr::from_str("about: x\nfail: a\n");
        assert!(parsed.expect_err("a misspelt key").to_string().contains("fail"));
    }
}
