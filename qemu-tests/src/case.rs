//! `case.yml`: what a case does and what must come of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::disk::Disk;
use crate::volume::Volume;
use crate::web::Manners;
use hullkit::platform::Arch;
use hullkit::verify::Cell;
use hullkit::vm::Outcome;

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is shown to work, in a sentence.
    pub about: String,
    /// Architectures it runs on, if `boot` does not say.
    #[serde(default = "every_arch")]
    pub arch: Vec<Arch>,
    /// What is booted: the same host in several formats, by several firmwares, from several buses. By default the kernel
    /// and the initrd are handed to a machine of each architecture.
    #[serde(default)]
    pub boot: Vec<Cell>,
    /// More arguments for QEMU, the same for every architecture; `{work}` is a folder that is empty before the first boot.
    #[serde(default)]
    pub qemu: Vec<String>,
    /// Volumes that the machine has besides.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// Disks that the machine has besides; what is written on them is there at further boots.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// The machine has a TPM, whose state is kept as that of disks.
    #[serde(default)]
    pub tpm: bool,
    /// A file beside the case with the pages of servers on the machine's link; see [`crate::pages`].
    pub pages: Option<String>,
    /// Words before those of the manifest on the kernel's command line.
    #[serde(default)]
    pub cmdline: String,
    /// Build with `--replace-init`.
    #[serde(default)]
    pub replace_init: bool,
    /// How the server behaves from which a `netboot` host fetches what it is made of.
    #[serde(default)]
    pub web: Manners,
    /// Port of this host's at which somebody says what time it is; a guest finds it at 10.0.2.2.
    pub time_server: Option<u16>,
    /// RAM of the guest, as `--mem` takes it.
    #[serde(default = "default_memory")]
    pub mem: String,
    /// Texts that console lines must contain, in this order.
    #[serde(default)]
    pub expect: Vec<String>,
    /// Texts that console lines must contain, in whatever order.
    #[serde(default)]
    pub shows: Vec<String>,
    /// Texts that no console line may contain.
    #[serde(default)]
    pub never: Vec<String>,
    /// A page that a service of the guest must answer with, after the lines.
    pub http: Option<Http>,
    /// Bytes that a service of the guest must answer with, after the lines.
    pub tcp: Option<Tcp>,
    /// What the host is asked and told by `hullkit ctl` after that, one after another.
    #[serde(default)]
    pub ctl: Vec<Ctl>,
    /// What is typed on the console after that, in turn.
    #[serde(default)]
    pub types: Vec<Typed>,
    /// What is done to the machine after that, one after the other.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What is done to the machine after that.
    pub action: Option<Action>,
    /// Texts that console lines must contain after the action, in this order.
    #[serde(default)]
    pub then: Vec<String>,
    /// How it ends.
    #[serde(default)]
    pub ends: Ends,
    /// Boots of the same disk after that. With any, its writes are kept from the first on.
    #[serde(default)]
    pub again: Vec<Again>,
    /// Seconds that each boot may take.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
    /// Instead of a boot: a command that must end in a certain way.
    pub command: Option<Command>,
    /// The case's folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// One more boot of a disk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Again {
    /// Make the disk so many MiB long before.
    pub mib: Option<u64>,
    /// Make these of the case's disks so many MiB long before.
    #[serde(default)]
    pub lengthen: Vec<(String, u64)>,
    /// As [`Case::expect`].
    pub expect: Vec<String>,
    /// As [`Case::shows`].
    #[serde(default)]
    pub shows: Vec<String>,
    /// As [`Case::action`].
    pub action: Option<Action>,
    /// As [`Case::ends`].
    #[serde(default)]
    pub ends: Ends,
}

/// Something that is typed on the console.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// Once the console shows this, in a whole line or in one that is not over.
    pub after: String,
    /// What.
    pub text: String,
}

/// A question by `hullkit ctl`; it is put again until the answer is right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ctl {
    /// Its words.
    pub args: Vec<String>,
    /// Its standard input.
    #[serde(default)]
    pub input: String,
    /// Texts that its output must contain; spaces count as one.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Texts that its output may not contain.
    #[serde(default)]
    pub never: Vec<String>,
    /// Its exit code.
    #[serde(default)]
    pub exit: i32,
    /// It does not end by itself, and is ended once it has said what it must.
    #[serde(default)]
    pub goes_on: bool,
}

/// An HTTP request and what its answer must contain.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The guest's port.
    pub port: u16,
    /// Path and query.
    #[serde(default = "root")]
    pub path: String,
    /// Text of the answer's body.
    pub contains: String,
}

/// Bytes to send to a port, and what the answer must contain.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// The guest's port.
    pub port: u16,
    /// What is sent once the connection is open.
    pub send: String,
    /// What must come back.
    pub contains: String,
}

/// Something done to a running machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Press the power button.
    PowerButton,
    /// Plug a device in: what QEMU's `-device` takes. A port for it, and what it is of, are made by the case's `qemu` arguments.
    Plug(String),
    /// Pull out the device with this id.
    Unplug(String),
    /// Interrupt the processors in a way that nobody can refuse.
    Nmi,
}

/// Something done to a running machine, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// As [`Case::action`].
    pub action: Action,
    /// As [`Case::then`].
    #[serde(default)]
    pub then: Vec<String>,
}

/// How a machine's run must end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// It is still there when all else was seen, and is ended.
    #[default]
    Running,
    /// It powers itself off.
    PoweredOff,
    /// It resets itself.
    Rebooted,
    /// Its kernel panics.
    Panicked,
    /// It is still there when its time is over.
    TimedOut,
}

impl Ends {
    /// Tell whether an outcome is the one that was meant; [`Ends::Running`] is no outcome.
    #[must_use]
    pub fn is(self, outcome: &Outcome) -> bool {
        matches!(
            (self, outcome),
            (Self::PoweredOff, Outcome::PoweredOff)
                | (Self::Rebooted, Outcome::Rebooted)
                | (Self::Panicked, Outcome::Panicked { .. })
                | (Self::TimedOut, Outcome::TimedOut)
        )
    }
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

fn every_arch() -> Vec<Arch> {
    Arch::ALL.to_vec()
}

fn default_memory() -> String {
    "256".to_owned()
}

fn default_timeout() -> u64 {
    120
}

fn root() -> String {
    "/".to_owned()
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
        ensure!(!case.arch.is_empty(), "`{}` runs on no architecture", path.display());
        Ok(Self { folder: folder.to_owned(), ..case })
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

    /// Say what is booted, once each.
    #[must_use]
    pub fn boots(&self) -> Vec<Cell> {
        if self.boot.is_empty() {
            self.arch.iter().map(|arch| Cell::kernel(*arch)).collect()
        } else {
            self.boot.clone()
        }
    }

    /// The case that is one of its further boots.
    #[must_use]
    pub fn again(&self, again: &Again) -> Self {
        let Again { expect, shows, action, ends, .. } = again.clone();
        let (steps, then, again) = Default::default();
        Self {
            expect,
            shows,
            steps,
            http: None,
            tcp: None,
            ctl: Vec::new(),
            types: Vec::new(),
            action,
            then,
            ends,
            again,
            ..self.clone()
        }
    }

    /// Tell how long the boot may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
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
        }
    }

    #[test]
    fn a_misspelt_key_is_no_case() {
        let parsed: Result<Case, _> = serde_saphyr::from_str("about: x\nexpects: [a]\n");
        assert!(parsed.expect_err("a misspelt key").to_string().contains("expects"));
    }
}
