//! All that is looked at and done in one boot, in order: budgets of files, the test's steps, budgets of the boot, and the end.

use std::time::{Duration, Instant};

use linuxkit_yaml::test::{Action, Budget, Step, Wanted};
use linuxkit_yaml::{Position, Spanned};

use super::host::Host;
use super::{Done, Last, Place, StepResult, Subject, Trial, power, services, step};
use crate::vm::Outcome;

/// Time between two looks at a boot that is not over.
const PAUSE: Duration = Duration::from_millis(100);

/// How long init may take to answer a question that it answers at once.
const ANSWER: Duration = Duration::from_secs(10);

/// What was done so far; nothing more is after something failed.
#[derive(Debug, Default)]
struct Record {
    done: Vec<Done>,
    failed: bool,
}

impl Record {
    fn add(&mut self, name: String, at: &Position, act: impl FnOnce() -> Result<(), String>) {
        let (begun, at) = (Instant::now(), Place::of(at));
        let result = if self.failed {
            StepResult::Skipped
        } else {
            act().map_or_else(StepResult::Failed, |()| StepResult::Passed)
        };
        self.failed |= result != StepResult::Passed;
        self.done.push(Done { name, result, took: begun.elapsed(), at });
    }

    /// The same for a budget, if there is one.
    fn within<T>(
        &mut self,
        budget: Option<&Spanned<T>>,
        name: impl FnOnce(&T) -> String,
        act: impl FnOnce(&T) -> Result<(), String>,
    ) {
        if let Some(budget) = budget {
            self.add(name(&budget.value), &budget.at, || act(&budget.value));
        }
    }
}

/// Take every step until one fails. Out: all of them, those that were not reached included.
pub(super) fn take(trial: &Trial<'_>, hosts: &mut [Host<'_>], end: Instant) -> Vec<Done> {
    let Budget { boot_time, ram, size } = &trial.test.budget;
    let mut record = Record::default();
    record.within(size.as_ref(), |most| format!("size is at most {most}"), |most| small(trial.subjects, most.0));
    let steps = steps(trial);
    for (position, step) in &steps {
        let what = step.name.clone().unwrap_or_else(|| step.action.to_string());
        let name = match &trial.subjects[*position].name {
            Some(host) if trial.subjects.len() > 1 => format!("{host}: {what}"),
            _ => what,
        };
        let host = &mut hosts[*position];
        record.add(name, &step.at, || step::take(step, host, trial.hullkit, end));
    }
    record.within(
        boot_time.as_ref(),
        |most| format!("the boot takes at most {most}"),
        |most| hosts.iter_mut().try_for_each(|host| fast(host, most.0, end)),
    );
    record.within(
        ram.as_ref(),
        |most| format!("RAM of {most} is enough"),
        |_| hosts.iter().try_for_each(|host| fed(host)),
    );
    for (position, wanted) in lasting(&steps) {
        let host = &mut hosts[position];
        let name = format!("to the end: {}", Action::Healthy(wanted.clone()));
        record.add(name, &Position::default(), || step::still_healthy(host, wanted, end));
    }
    if hosts.iter().any(|host| !host.over) {
        let name = if trial.last == Last::PowerOff { "power off" } else { "it runs to the end" };
        record.add(name.to_owned(), &Position::default(), || match trial.last {
            Last::PowerOff => power_off(hosts),
            Last::Kill => kill(hosts),
        });
    }
    for text in &trial.test.never {
        let name = format!("no line of the console has `{}`", text.value);
        record.add(name, &text.at, || hosts.iter().try_for_each(|host| silent(host, text)));
    }
    record.done
}

/// Let all power off that run, at once, and make sure that they do.
fn power_off(hosts: &mut [Host<'_>]) -> Result<(), String> {
    hosts.iter_mut().filter(|host| !host.over).for_each(Host::tell_off);
    hosts.iter_mut().filter(|host| !host.over).try_for_each(|host| match host.off() {
        Outcome::PoweredOff => {
            host.over = true;
            Ok(())
        }
        other => Err(format!("the host did not power off in order: {}", power::told(&other))),
    })
}

/// End all that run, and make sure that none has ended by itself.
fn kill(hosts: &mut [Host<'_>]) -> Result<(), String> {
    hosts.iter_mut().filter(|host| !host.over).try_for_each(|host| {
        if let Some(outcome) = host.vm.ended_within(Duration::ZERO) {
            return Err(format!("the host has ended: {}", power::told(&outcome)));
        }
        host.end();
        Ok(())
    })
}

fn silent(host: &Host<'_>, text: &str) -> Result<(), String> {
    match host.showed(text) {
        Ok(None) => Ok(()),
        Ok(Some(line)) => Err(format!("the console showed `{line}`")),
        Err(cause) => Err(format!("the console was not kept: {cause}")),
    }
}

/// The test's steps, each with the position of its host; if there are none, that each host's services work.
fn steps(trial: &Trial<'_>) -> Vec<(usize, Step)> {
    let find = |name: &str| trial.subjects.iter().position(|subject| subject.name.as_deref() == Some(name));
    if !trial.test.steps.is_empty() {
        let placed = trial.test.steps.iter().map(|step| {
            let position = step.host.as_ref().and_then(|name| find(name)).unwrap_or_default();
            (position, step.clone())
        });
        return placed.collect();
    }
    let usual = Step {
        name: None,
        host: None,
        within: trial.test.timeout.as_ref().map(|timeout| timeout.value),
        action: Action::Healthy(Wanted::All),
        at: Position::default(),
    };
    (0..trial.subjects.len()).map(|position| (position, usual.clone())).collect()
}

/// Find what must be so still when all is over: the last that was well on each host, unless it was the last step at all, or something was
/// done to the host since.
fn lasting(steps: &[(usize, Step)]) -> Vec<(usize, &Wanted)> {
    let mut lasting: Vec<(usize, &Wanted)> = Vec::new();
    for (number, (position, step)) in steps.iter().enumerate() {
        if acts(&step.action) {
            lasting.retain(|(host, _)| host != position);
        }
        if let Action::Healthy(wanted) = &step.action {
            lasting.retain(|(host, _)| host != position);
            if number + 1 < steps.len() {
                lasting.push((*position, wanted));
            }
        }
    }
    lasting
}

/// Tell whether a step does something, rather than look.
fn acts(action: &Action) -> bool {
    use Action::{Console, Exec, File, Healthy, Http, Log, Tcp};
    !matches!(action, Healthy(_) | Http(_) | Tcp(_) | Exec(_) | File(_) | Log(_) | Console(_))
}

fn small(subjects: &[Subject], most: u64) -> Result<(), String> {
    match subjects.iter().find(|subject| subject.size > most) {
        Some(subject) => Err(format!("it is {} bytes, {} too many", subject.size, subject.size - most)),
        None => Ok(()),
    }
}

fn fast(host: &mut Host<'_>, most: Duration, end: Instant) -> Result<(), String> {
    while host.boot_time().is_none() && !host.is_lost() && Instant::now() < end {
        host.guest.wait(PAUSE);
    }
    match host.boot_time() {
        Some(took) if took > most => Err(format!("it took {:.3} s", took.as_secs_f64())),
        Some(_) => Ok(()),
        None => Err("the boot was never over".to_owned()),
    }
}

fn fed(host: &Host<'_>) -> Result<(), String> {
    let list = host.guest.services(Instant::now() + ANSWER).map_err(|error| error.to_string())?;
    services::starved(&list).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use linuxkit_yaml::test::parse_test;

    use super::*;

    fn kept(text: &str) -> Vec<usize> {
        let test = parse_test(text, "a.test.yml").expect(text);
        let steps: Vec<(usize, Step)> = test
            .steps
            .iter()
            .map(|step| (usize::from(step.host.as_ref().is_some_and(|host| host.value == "b")), step.clone()))
            .collect();
        lasting(&steps).into_iter().map(|(position, _)| position).collect()
    }

    #[test]
    fn what_was_well_must_last_unless_something_was_done() {
        assert_eq!(kept("steps: [{healthy: all}]"), [0_usize; 0]);
        assert_eq!(kept("steps: [{healthy: all}, {http: {port: 80}}]"), [0]);
        assert_eq!(kept("steps: [{healthy: all}, {kill: web}, {http: {port: 80}}]"), [0_usize; 0]);
        let hosts = "hosts: [{name: a, manifest: a}, {name: b, manifest: b}]\n";
        let steps = "steps: [{host: a, healthy: all}, {host: b, healthy: all}, {host: b, reboot: true}]";
        assert_eq!(kept(&format!("{hosts}{steps}")), [0]);
    }

    #[test]
    fn nothing_is_done_after_a_failure() {
        let mut record = Record::default();
        for why in [Ok(()), Err("no".to_owned()), Ok(())] {
            record.add("step".to_owned(), &Position::default(), || why);
        }
        let results: Vec<StepResult> = record.done.into_iter().map(|done| done.result).collect();
        assert_eq!(results, [StepResult::Passed, StepResult::Failed("no".to_owned()), StepResult::Skipped]);
    }
}
