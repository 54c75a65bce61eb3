//! Disks that a case brings along: empty, or with something on them that has to stay.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;

use hullkit::digest::Digest;

/// Bytes that are read of a disk at once.
const PIECE: usize = 1 << 20;

/// Bytes at a disk's end that it may have a text at the start of.
const LAST: u64 = 4096;

/// One disk. It is there from the first boot of a case to the last.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// What QEMU calls it, and its serial number.
    pub id: String,
    /// Its length in MiB.
    pub mib: u64,
    /// Text at its start.
    #[serde(default)]
    pub holds: String,
    /// Text at the start of its last 4 KiB.
    #[serde(default)]
    pub ends: String,
    /// No byte of it may change.
    #[serde(default)]
    pub kept: bool,
    /// It is no device yet: an action plugs it in, as `virtio-blk-pci,drive=ID`.
    #[serde(default)]
    pub later: bool,
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
    /// Make its file below `work`.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn make(&self, work: &Path) -> anyhow::Result<Made<'_>> {
        let path = work.join(format!("{}.disk", self.id));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(self.holds.as_bytes())?;
            file.set_len(self.mib << 20)?;
            file.write_all_at(self.ends.as_bytes(), (self.mib << 20).saturating_sub(LAST))
        };
        write().with_context(|| format!("could not make `{}`", path.display()))?;
        let before = self.kept.then(|| digest(&path)).transpose()?;
        Ok(Made { disk: self, path, before })
    }
}

impl Made<'_> {
    /// Say what it is in QEMU's arguments.
    #[must_use]
    pub fn args(&self) -> Vec<OsString> {
        let Disk { id, later, .. } = self.disk;
        let mut file =
            OsString::from(format!("driver=raw,node-name={id},discard=unmap,file.driver=file,file.filename="));
        file.push(&self.path);
        let mut args = vec![OsString::from("-blockdev"), file];
        if !later {
            args.extend(["-device".into(), format!("virtio-blk-pci,drive={id},serial={id}").into()]);
        }
        args
    }

    /// Make it longer if it is one of these: its id, and its length in MiB.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn lengthen(&self, longer: &[(String, u64)]) -> anyhow::Result<()> {
        let Some((_, mib)) = longer.iter().find(|(id, _)| *id == self.disk.id) else { return Ok(()) };
        let file = File::options().write(true).open(&self.path);
        file.and_then(|file| file.set_len(mib << 20)).with_context(|| format!("could not lengthen `{}`", self.disk.id))
    }

    /// Make sure that it is as it has to be when all is over, and let its file go.
    ///
    /// # Errors
    ///
    /// What is on it that may not be, or is not any more.
    pub fn check(self) -> anyhow::Result<()> {
        let id = &self.disk.id;
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
    use super::*;

    #[test]
    fn a_disk_that_has_changed_or_shows_a_text_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk: Disk =
            serde_saphyr::from_str("{id: a, mib: 2, holds: text, kept: true, never: [secret]}").expect("a disk");
        disk.make(folder.path()).expect("a file").check().expect("nothing was done to it");
        let made = disk.make(folder.path()).expect("a file");
        fs::write(&made.path, "other").expect("a file");
        made.check().expect_err("it has changed");
        let disk: Disk = serde_saphyr::from_str("{id: a, mib: 2, never: [secret]}").expect("a disk");
        let made = disk.make(folder.path()).expect("a file");
        let mut bytes = vec![0; 2 << 20];
        bytes[PIECE - 3..][..6].copy_from_slice(b"secret");
        fs::write(&made.path, bytes).expect("a file");
        made.check().expect_err("it shows the text");
    }
}
