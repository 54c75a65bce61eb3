//! The test of a host, `NAME.test.yml`: what is booted, and what must be true of it. Text in, [`Test`] out, every word legal.

mod answer;
mod check;
mod step;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::decode::{Context, Dialect, decode};
use crate::error::ManifestError;
use crate::logs::Bytes;
use crate::parse::{document, readable};
use crate::period::Period;
use crate::problem::Problems;
use crate::span::{Sources, Spanned};

pub use answer::{ConsoleLines, CtlAnswer, End, ExecAnswer, FileContent, HttpAnswer, LogLines, TcpAnswer};
pub use step::{Action, Step, Wanted};
pub(crate) use step::{StepWords, action};

/// What a host is tested for. Holding one proves that the words are legal; whether they are true is for a boot to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Test {
    /// How long one boot may take, with everything that is done to it.
    pub timeout: Option<Spanned<Period>>,
    /// RAM of the machine.
    pub memory: Option<Spanned<Bytes>>,
    /// Processors of the machine.
    pub cpus: Option<Spanned<u16>>,
    /// What is booted: words of a format, a firmware, a bus and an architecture, each line for itself.
    pub matrix: Vec<Spanned<String>>,
    /// Empty disks that the machine has besides.
    pub disks: Vec<Disk>,
    /// Devices that steps plug in.
    pub devices: Vec<Device>,
    /// The machine has a TPM, which keeps what it knows from one boot to the next.
    pub tpm: bool,
    /// User data that the machine is given, a path beside the test.
    pub metadata: Option<Spanned<String>>,
    /// Words before those of the manifest on the kernel's command line.
    pub cmdline: Option<Spanned<String>>,
    /// More arguments for QEMU.
    pub qemu: Vec<String>,
    /// Texts that no line of a console may have.
    pub never: Vec<Spanned<String>>,
    /// What must not be exceeded.
    pub budget: Budget,
    /// Several hosts, in place of the one that is asked for.
    pub hosts: Vec<Host>,
    /// What is looked at and done, in this order.
    pub steps: Vec<Step>,
    /// The text this was read from, for [`Test::diagnose`].
    pub sources: Sources,
}

impl Test {
    /// Write a diagnostic of a word of this test.
    #[must_use]
    pub fn diagnose(&self, at: &crate::Position, message: impl Into<String>) -> crate::Diagnostic {
        self.sources.diagnose(at, message)
    }
}

/// What must not be exceeded.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// From the kernel's start until the boot is over and critical services are up.
    #[serde(default)]
    pub boot_time: Option<Spanned<Period>>,
    /// RAM: the machine has no more, and nothing may be killed for want of it.
    #[serde(default)]
    pub ram: Option<Spanned<Bytes>>,
    /// All files of one format together.
    #[serde(default)]
    pub size: Option<Spanned<Bytes>>,
}

/// An empty disk.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// What steps call it.
    pub name: Spanned<String>,
    /// How large it is.
    pub size: Spanned<Bytes>,
    /// It is not plugged in until a step does it.
    #[serde(default)]
    pub later: bool,
}

/// A device that is not plugged in until a step does it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What steps call it.
    pub name: Spanned<String>,
    /// What QEMU's `-device` takes, but for its `id`.
    pub device: Spanned<String>,
}

/// One of several hosts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// What steps call it.
    pub name: Spanned<String>,
    /// What it is made of, a path beside the test.
    pub manifest: Spanned<String>,
    /// User data that it is given, a path beside the test.
    #[serde(default)]
    pub metadata: Option<Spanned<String>>,
    /// Its RAM, if it is not that of the others.
    #[serde(default)]
    pub memory: Option<Spanned<Bytes>>,
}

/// The document as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Test")]
pub(crate) struct TestWords {
    /// How long one boot may take, with everything that is done to it; 2m if absent.
    #[serde(default)]
    timeout: Option<Spanned<Period>>,
    /// RAM of the machine; 1G if absent.
    #[serde(default)]
    memory: Option<Spanned<Bytes>>,
    /// Processors of the machine; one if absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    cpus: Option<Spanned<u16>>,
    /// What is booted: words of formats, firmware, buses and architectures; words parted by commas are each tried.
    #[serde(default)]
    matrix: Vec<Spanned<String>>,
    /// Empty disks that the machine has besides; steps can pull them out.
    #[serde(default)]
    disks: Vec<Disk>,
    /// Devices that steps plug in; what they need besides is in `qemu`.
    #[serde(default)]
    devices: Vec<Device>,
    /// The machine has a TPM 2.0 (`swtpm`), which keeps what it knows from one boot to the next.
    #[serde(default)]
    tpm: bool,
    /// User data that the machine is given, a path beside the test.
    #[serde(default)]
    metadata: Option<Spanned<String>>,
    /// Words before those of the manifest on the kernel's command line, where that is a file of its own: `kernel+initrd`.
    #[serde(default)]
    cmdline: Option<Spanned<String>>,
    /// More arguments for QEMU; `{folder}` in one is the boot's own folder.
    #[serde(default)]
    qemu: Vec<String>,
    /// Texts that no line of a console may have, from power-on to the end.
    #[serde(default)]
    never: Vec<Spanned<String>>,
    /// What must not be exceeded.
    #[serde(default)]
    budget: Budget,
    /// Several hosts on one network, in place of the one that is asked for.
    #[serde(default)]
    hosts: Vec<Host>,
    /// What is looked at and done, in this order; that all services are healthy if absent.
    #[serde(default)]
    steps: Vec<Spanned<StepWords>>,
}

/// Parse the test of a host.
///
/// In: `text`, UTF-8; `name`, what messages call the file.
///
/// # Errors
///
/// [`ManifestError`] with every problem found.
pub fn parse_test(text: impl AsRef<[u8]>, name: &str) -> Result<Test, ManifestError> {
    let text = readable(text.as_ref(), name, "test")?;
    let sources = Sources::of(name, text);
    let mut problems = Problems::new(&sources);
    let root = document(text, name, "test", &mut problems)?;
    let words = decode::<TestWords>(&root, &Context::new(name, Dialect::Manifest), &mut problems, None);
    let Some(words) = words.filter(|_| problems.is_empty()) else { return Err(problems.into_error()) };
    let steps = words.steps.iter().filter_map(|step| action(step, &mut problems)).collect();
    let test = Test {
        timeout: words.timeout,
        memory: words.memory,
        cpus: words.cpus,
        matrix: words.matrix,
        disks: words.disks,
        devices: words.devices,
        tpm: words.tpm,
        metadata: words.metadata,
        cmdline: words.cmdline,
        qemu: words.qemu,
        never: words.never,
        budget: words.budget,
        hosts: words.hosts,
        steps,
        sources: Sources::default(),
    };
    check::test(&test, &mut problems);
    if problems.is_empty() { Ok(Test { sources, ..test }) } else { Err(problems.into_error()) }
}

#[cfg(test)]
mod tests;
