//! What is on a test's disks before its first boot, and has to be on them, or not, after its last.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use linuxkit_yaml::test::Test;
use serde::Deserialize;

use hullkit::digest::Digest;

/// Bytes that are read of a disk at once.
const PIECE: usize = 1 << 20;

/// Bytes at a disk's end that it may have a text at the start of.
const LAST: u64 = 4096;

/// What one of a test's disks holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// What the test calls it.
    pub name: String,
    /// Text at its start.
    #[serde(default)]
    pub holds: String,
    /// Text at the start of its last 4 KiB.
    #[serde(default)]
    pub ends: String,
    /// No byte of it may change.
    #[serde(default)]
    pub kept: bool,
    /// Texts that may not be found anywhere on it when all is over.
    #[serde(default)]
    pub never: Vec<String>,
}

/// One whose file was made.
#[derive(Debug)]
pub struct Made<'a> {
    disk: &'a Disk,
    path: PathBuf,
    before: Option<Digest>,
}

impl Disk {
    /// Make its file, where a test that uses `folder` finds it.
    ///
    /// # Errors
    ///
    /// The test has no such disk, or the file could not be written.
    pub fn make(&self, test: &Test, folder: &Path) -> anyhow::Result<Made<'_>> {
        let known = test.disks.iter().find(|disk| disk.name.value == self.name);
        let size = known.with_context(|| format!("the test has no disk `{}`", self.name))?.size.0;
        let path = folder.join(format!("disk-{}.img", self.name));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(self.holds.as_bytes())?;
            file.set_len(size)?;
            file.write_all_at(self.ends.as_bytes(), size.saturating_sub(LAST))
        };
        write().with_context(|| format!("could not make `{}`", path.display()))?;
        let before = self.kept.then(|| digest(&path)).transpose()?;
        Ok(Made { disk: self, path, before })
    }
}

impl Made<'_> {
    /// Make sure that it is as it has to be when all is over, and let its file go.
    ///
    /// # Errors
    ///
    /// What is on it that may not be, or is not any more.
    pub fn check(self) -> anyhow::Result<()> {
        let id = &self.disk.name;
        if let Some(before) = self.before {
            ensure!(digest(&self.path)? == before, "the disk `{id}` has changed");
        }
        for text in &self.disk.never {
            ensure!(!contains(&self.path, text.as_bytes())?, "the disk `{id}` holds `{text}`");
        }
        fs::remove_file(&self.path).with_context(|| format!("could not remove `{}`", self.path.display()))
    }
}

fn digest(path: &Path) -> anyhow::Result<Digest> {
    let bytes = fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
    Ok(Digest::of(&bytes))
}

fn contains(path: &Path, text: &[u8]) -> anyhow::Result<bool> {
    let mut file = File::open(path).with_context(|| format!("could not read `{}`", path.display()))?;
    let (mut piece, mut kept) = (vec![0; PIECE], Vec::new());
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(false);
        }
        kept.extend_from_slice(&piece[..length]);
        if kept.windows(text.len()).any(|window| window == text) {
            return Ok(true);
        }
        // A text may lie across two pieces.
        kept.drain(..kept.len().saturating_sub(text.len()));
    }
}

#[cfg(test)]
mod tests {
    use linuxkit_yaml::test::parse_test;

    use super::*;

    #[test]
    fn a_disk_that_has_changed_or_shows_a_text_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let test = parse_test("disks: [{name: a, size: 2M}]", "a.test.yml").expect("a test");
        let disk: Disk = serde_saphyr::from_str("{name: a, holds: text, kept: true, never: [secret]}").expect("a disk");
        disk.make(&test, folder.path()).expect("a file").check().expect("nothing was done to it");
        let made = disk.make(&test, folder.path()).expect("a file");
        fs::write(&made.path, "other").expect("a file");
        made.check().expect_err("it has changed");
        let disk: Disk = serde_saphyr::from_str("{name: a, never: [secret]}").expect("a disk");
        let made = disk.make(&test, folder.path()).expect("a file");
        let mut bytes = vec![0; 2 << 20];
        bytes[PIECE - 3..][..6].copy_from_slice(b"secret");
        fs::write(&made.path, bytes).expect("a file");
        made.check().expect_err("it shows the text");
        let disk: Disk = serde_saphyr::from_str("{name: b}").expect("a disk");
        disk.make(&test, folder.path()).expect_err("no such disk");
    }
}
