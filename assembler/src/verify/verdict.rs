//! What came of a test: plain data, for reports.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use linuxkit_yaml::Position;
use serde::{Serialize, Serializer};

/// What came of one boot.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// What was booted, as words joined by `-`.
    pub cell: String,
    /// Which of several rounds, from 1.
    pub round: u32,
    /// Whether all was true.
    pub result: Outcome,
    /// Why not, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What was looked at and done, in order; what was not reached is there too.
    pub steps: Vec<Done>,
    /// What became of each host.
    pub hosts: Vec<HostReport>,
    /// From power-on to the verdict.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// Whether all was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was.
    Passed,
    /// It was not.
    Failed,
    /// It was not looked at: the machine could not be made or started.
    Unable,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unable => "unable",
        })
    }
}

/// One step that was taken, or was not.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// What it is, in a few words.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub result: StepResult,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// Where the user wrote it: file and line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
}

/// A line that a user wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl Place {
    /// Take over where a word of a test stands; nothing if no file has it.
    #[must_use]
    pub fn of(at: &Position) -> Option<Self> {
        (at.line > 0).then(|| Self { file: at.file.to_string(), line: at.line })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "why", rename_all = "lowercase")]
pub enum StepResult {
    /// It is true, or done.
    Passed,
    /// It is not.
    Failed(String),
    /// An earlier one failed.
    Skipped,
}

/// What became of a host.
#[derive(Debug, Clone, Default, Serialize)]
pub struct HostReport {
    /// Its name, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// From the kernel's start until the boot was over.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_seconds")]
    pub boot_time: Option<Duration>,
    /// Bytes of the files that were booted.
    pub size: u64,
    /// Where its whole console is.
    pub console: PathBuf,
    /// A picture of its screen, if something failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen: Option<PathBuf>,
    /// The console's last lines, if something failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// The last lines of services that are not well, and of init, if something failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<(String, Vec<String>)>,
    /// The name by which `hullkit ctl` reaches it, if it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

impl Verdict {
    /// Report a boot that could not be.
    #[must_use]
    pub fn unable(cell: &str, round: u32, cause: String) -> Self {
        let (steps, hosts) = (Vec::new(), Vec::new());
        Self {
            cell: cell.to_owned(),
            round,
            result: Outcome::Unable,
            cause: Some(cause),
            steps,
            hosts,
            took: Duration::ZERO,
        }
    }

    /// Give the step that failed.
    #[must_use]
    pub fn failed_step(&self) -> Option<(&Done, &str)> {
        self.steps.iter().find_map(|step| match &step.result {
            StepResult::Failed(why) => Some((step, why.as_str())),
            _ => None,
        })
    }

    /// Say in a sentence why it did not pass.
    #[must_use]
    pub fn why(&self) -> String {
        match (self.failed_step(), &self.cause) {
            (Some((step, why)), Some(cause)) => format!("{}: {why}; {cause}", step.name),
            (Some((step, why)), None) => format!("{}: {why}", step.name),
            (None, Some(cause)) => cause.clone(),
            (None, None) => String::new(),
        }
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are what reports compare.
    serializer.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn maybe_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds(&time.unwrap_or_default(), serializer)
}
