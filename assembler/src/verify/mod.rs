//! Boots what was built, and decides whether it is what its test says.
//!
//! ```text
//!  Cell + files --machine--> Subject --verify--> Verdict --report--> table | JUnit | JSON | annotations
//!  what is booted            machine + disks     steps, causes
//! ```
//!
//! A host decides from inside: its init reports stages, states, health and failures over a virtio port, and is asked for the rest. The
//! console's text is read for steps that ask for it, and to say how far a host came that never answered.
//!
//! Touches: QEMU, files of the test's own folder. Does not: build, or print.

mod cause;
mod cell;
mod ctl;
mod guest;
mod host;
mod lines;
mod machine;
mod power;
pub mod probe;
pub mod report;
mod round;
mod services;
mod step;
mod verdict;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linuxkit_yaml::test::{Action, Test};

use crate::vm::{Lan, Tools, VmError};
use host::Host;

pub use cell::{Cell, Starter, matrix};
pub use machine::{Booted, Hardware, Subject, booted, subject};
pub use verdict::{Done, HostReport, Outcome, Place, StepResult, Verdict};

/// How long a boot may take with all that is done to it, if the test does not say.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A text means no boot.
    #[error("`{text}` cannot be booted: {what}")]
    Cell {
        /// What was written.
        text: String,
        /// Why.
        what: String,
    },
    /// The machine could not be made or started.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// A file of the test's, or of what is booted.
    #[error("could not use `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// One boot to be decided.
#[derive(Debug)]
pub struct Trial<'a> {
    /// What reports call it.
    pub cell: String,
    /// Which of several rounds, from 1.
    pub round: u32,
    /// The hosts, one or those of the test.
    pub subjects: &'a [Subject],
    /// What must be true.
    pub test: &'a Test,
    /// What runs them.
    pub tools: &'a Tools,
    /// The `hullkit` that steps call.
    pub hullkit: &'a Path,
    /// Where consoles, pictures and disks are put; it is this trial's own. A disk's file that is there already is used as it is.
    pub folder: &'a Path,
    /// What becomes of hosts that run when all else was true.
    pub last: Last,
}

/// What becomes of hosts that run when all else was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// They must power off in order.
    PowerOff,
    /// They are ended at once.
    Kill,
}

/// Boot, take every step, switch off, and tell what came of it.
///
/// In: `keep`, called with the verdict and the names by which `hullkit ctl` reaches the hosts if a step failed and they still run; they
/// end when it returns.
///
/// # Errors
///
/// [`VerifyError`]: there was nothing to decide on.
pub fn verify(trial: &Trial<'_>, keep: Option<&dyn Fn(&Verdict)>) -> Result<Verdict, VerifyError> {
    let begun = Instant::now();
    let end = begun + trial.test.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.value.0);
    let keeps = trial.test.steps.iter().any(|step| restarts(&step.action));
    let several = trial.subjects.len() > 1;
    // It has to be there as long as the machines are.
    let names = || trial.subjects.iter().map(|subject| subject.name.clone().unwrap_or_default()).collect();
    let lan = several.then(|| Lan::new(names())).transpose()?;
    let mut hosts = Vec::new();
    for (number, subject) in (1..).zip(trial.subjects) {
        let folder = match &subject.name {
            Some(name) if several => trial.folder.join(name),
            _ => trial.folder.to_owned(),
        };
        let lan = lan.as_ref().map(|lan| (lan.socket().to_owned(), number));
        hosts.push(Host::start(subject, trial.tools, folder, keeps, lan)?);
    }
    let steps = round::take(trial, &mut hosts, end);
    let passed = steps.iter().all(|step| step.result == StepResult::Passed);
    let mut verdict = Verdict {
        cell: trial.cell.clone(),
        round: trial.round,
        result: if passed { Outcome::Passed } else { Outcome::Failed },
        cause: None,
        steps,
        hosts: Vec::new(),
        took: begun.elapsed(),
    };
    for host in &mut hosts {
        if passed {
            verdict.hosts.push(host.report());
            continue;
        }
        let (report, cause) = host.post_mortem();
        verdict.hosts.push(report);
        verdict.cause = verdict.cause.take().or(cause);
    }
    if let Some(keep) = keep.filter(|_| !passed) {
        for (host, report) in hosts.iter_mut().zip(&mut verdict.hosts) {
            report.kept = host.offer();
        }
        if verdict.hosts.iter().any(|host| host.kept.is_some()) {
            keep(&verdict);
        }
    }
    Ok(verdict)
}

/// Tell whether a step ends the machine and starts it again.
fn restarts(action: &Action) -> bool {
    matches!(
        action,
        Action::Reboot
            | Action::PowerCut
            | Action::PowerOn
            | Action::Grow(_)
            | Action::Snapshot(_)
            | Action::Restore(_)
    )
}
