//! Volumes that a case brings along: folders of files, made into file systems by tools that know nothing of Hullkit.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// One volume.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// What it is made into.
    pub kind: Kind,
    /// Its label.
    pub label: String,
    /// The folder with its files, beside the case.
    pub folder: String,
}

/// What a volume is made into, and where the machine finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An ISO 9660 file system on a CD.
    Iso,
    /// A FAT file system in a partition of a disk.
    Fat,
}

impl Volume {
    /// Make it below `work`, if it has to be made. Out: QEMU's arguments for it.
    ///
    /// # Errors
    ///
    /// The tool is missing, or failed.
    pub fn attach(&self, case: &Path, work: &Path) -> anyhow::Result<Vec<OsString>> {
        let (folder, label) = (case.join(&self.folder), &self.label);
        let words = match self.kind {
            Kind::Iso => {
                let file = work.join(format!("{label}.iso"));
                let mut tool = Command::new("genisoimage");
                tool.args(["-quiet", "-R", "-J", "-V", label, "-o"]).arg(&file).arg(&folder);
                let output = tool.output().context("could not run `genisoimage`; install it with `make deps-test`")?;
                ensure!(output.status.success(), "genisoimage: {}", String::from_utf8_lossy(&output.stderr));
                let drive = format!("if=none,id={label},format=raw,readonly=on,file={}", file.display());
                ["-device", "virtio-scsi-pci", "-drive", &drive, "-device", &format!("scsi-cd,drive={label}")]
                    .map(OsString::from)
                    .to_vec()
            }
            // QEMU makes one of a folder.
            Kind::Fat => {
                let drive = format!(
                    "driver=vvfat,node-name=fat,fat-type=16,label={label},read-only=on,dir={}",
                    folder.display()
                );
                ["-blockdev", &drive, "-device", "virtio-blk-pci,drive=fat"].map(OsString::from).to_vec()
            }
        };
        Ok(words)
    }
}
