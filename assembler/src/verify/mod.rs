//! Boots what was built, and decides whether it is what its test says.
//!
//! ```text
//!  Cell + files --machine--> Subject --verify--> Verdict --report--> table | JUnit | JSON | annotations
//!  what is booted            machine + disks     steps, causes
//! ```
//!
//! A host decides from inside: its init reports stages, states, health and failures over a virtio port, and is asked for the rest. The
//! console's text is read only to say how far a host came that never answered.
//!
//! Touches: QEMU, files of the test's own folder. Does not: build, or print.

mod cause;
mod cell;
mod guest;
mod host;
mod machine;
pub mod probe;
pub mod report;
mod services;
mod step;
mod verdict;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linuxkit_yaml::test::{Action, Step, Test, Wanted};

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
    /// Where consoles, pictures and disks are put; it is this trial's own.
    pub folder: &'a Path,
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
    let lan = several.then(Lan::new).transpose()?;
    let mut hosts = Vec::new();
    for (number, subject) in (1..).zip(trial.subjects) {
        let folder = match &subject.name {
            Some(name) if several => trial.folder.join(name),
            _ => trial.folder.to_owned(),
        };
        let lan = lan.as_ref().map(|lan| (lan.socket().to_owned(), number));
        hosts.push(Host::start(subject, trial.tools, folder, keeps, lan)?);
    }
    let mut steps = Vec::new();
    let passed = take_all(trial, &mut hosts, end, &mut steps);
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
        for (host, report) in hosts.iter().zip(&mut verdict.hosts) {
            report.kept = host.vm.ended_within(Duration::ZERO).is_none().then(|| host.control_name());
        }
        if verdict.hosts.iter().any(|host| host.kept.is_some()) {
            keep(&verdict);
        }
    }
    Ok(verdict)
}

/// Take every step until one fails. Out: whether none did.
fn take_all(trial: &Trial<'_>, hosts: &mut [Host<'_>], end: Instant, done: &mut Vec<Done>) -> bool {
    let test = trial.test;
    let usual = [Step {
        name: None,
        host: None,
        within: test.timeout.as_ref().map(|timeout| timeout.value),
        action: Action::Healthy(Wanted::All),
        at: linuxkit_yaml::Position::default(),
    }];
    let steps = if test.steps.is_empty() {
        trial.subjects.iter().flat_map(|_| usual.clone()).collect()
    } else {
        test.steps.clone()
    };
    let mut passed = true;
    let mut record = |name: String, at: Option<Place>, act: &mut dyn FnMut() -> Result<(), String>| {
        if !passed {
            done.push(Done { name, result: StepResult::Skipped, took: Duration::ZERO, at });
            return;
        }
        let begun = Instant::now();
        let result = match act() {
            Ok(()) => StepResult::Passed,
            Err(why) => StepResult::Failed(why),
        };
        passed = result == StepResult::Passed;
        done.push(Done { name, result, took: begun.elapsed(), at });
    };
    if let Some(budget) = &test.budget.size {
        let at = Place::of(&budget.at);
        record(format!("size is at most {}", budget.value), at, &mut || size(trial.subjects, budget.value.0));
    }
    for (number, step) in steps.iter().enumerate() {
        let position = which(trial.subjects, step, number, test.steps.is_empty());
        let host = &mut hosts[position];
        let name = step.name.clone().unwrap_or_else(|| step.action.to_string());
        let name = match &trial.subjects[position].name {
            Some(host) if trial.subjects.len() > 1 => format!("{host}: {name}"),
            _ => name,
        };
        let at = Place::of(&step.at);
        record(name, at, &mut || step::take(step, host, end));
    }
    if let Some(budget) = &test.budget.boot_time {
        let at = Place::of(&budget.at);
        record(format!("the boot takes at most {}", budget.value), at, &mut || {
            hosts.iter_mut().try_for_each(|host| boot_time(host, budget.value.0, end))
        });
    }
    if let Some(budget) = &test.budget.ram {
        let at = Place::of(&budget.at);
        record(format!("RAM of {} is enough", budget.value), at, &mut || hosts.iter().try_for_each(|host| ram(host)));
    }
    // What was well must be so when all is over, unless something was done to it since.
    let last = steps.iter().rposition(|step| matches!(step.action, Action::Healthy(_)));
    if let Some(last) = last.filter(|last| steps[*last..].iter().all(|step| !acts(&step.action)))
        && let Action::Healthy(wanted) = &steps[last].action
        && hosts.len() == 1
        && last + 1 < steps.len()
    {
        record(format!("to the end: {}", steps[last].action), None, &mut || {
            hosts.iter_mut().try_for_each(|host| step::still_healthy(host, wanted, end))
        });
    }
    record("power off".to_owned(), None, &mut || {
        hosts.iter_mut().for_each(Host::tell_off);
        hosts.iter().try_for_each(|host| match host.off() {
            crate::vm::Outcome::PoweredOff => Ok(()),
            other => Err(format!("the host did not power off in order: {}", step::told(&other))),
        })
    });
    passed
}

/// Find the host that a step is for.
fn which(subjects: &[Subject], step: &Step, number: usize, each: bool) -> usize {
    let named = step
        .host
        .as_ref()
        .and_then(|name| subjects.iter().position(|subject| subject.name.as_deref() == Some(name.as_str())));
    named.unwrap_or(if each { number } else { 0 }).min(subjects.len().saturating_sub(1))
}

/// Tell whether a step ends the machine and starts it again.
fn restarts(action: &Action) -> bool {
    matches!(action, Action::Reboot | Action::PowerCut | Action::Snapshot(_) | Action::Restore(_))
}

/// Tell whether a step does something, rather than look.
fn acts(action: &Action) -> bool {
    use Action::{Kill, Plug, PowerCut, Reboot, Restart, Restore, Snapshot, Start, Stop, Unplug};
    matches!(
        action,
        Kill(_) | Stop(_) | Start(_) | Restart(_) | Unplug(_) | Plug(_) | Reboot | PowerCut | Snapshot(_) | Restore(_)
    )
}

fn size(subjects: &[Subject], most: u64) -> Result<(), String> {
    match subjects.iter().find(|subject| subject.size > most) {
        Some(subject) => Err(format!("it is {} bytes, {} too many", subject.size, subject.size - most)),
        None => Ok(()),
    }
}

fn boot_time(host: &mut Host<'_>, most: Duration, end: Instant) -> Result<(), String> {
    while host.boot_time().is_none() && !host.is_lost() && Instant::now() < end {
        host.guest.wait(Duration::from_millis(100));
    }
    match host.boot_time() {
        Some(took) if took > most => Err(format!("it took {:.3} s", took.as_secs_f64())),
        Some(_) => Ok(()),
        None => Err("the boot was never over".to_owned()),
    }
}

fn ram(host: &Host<'_>) -> Result<(), String> {
    let list = host.guest.services(Instant::now() + Duration::from_secs(10)).map_err(|error| error.to_string())?;
    services::starved(&list).map_or(Ok(()), Err)
}
