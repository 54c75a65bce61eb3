//! One step on one host: look until it is true, or do it.

use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hullkit_init::control::protocol::{Exec, How, Named, Reply, Request, State};
use linuxkit_yaml::test::{Action, ExecAnswer, Step, Wanted};

use super::ctl;
use super::guest::Unanswered;
use super::host::Host;
use super::probe::{self, Complaint};
use super::{lines, power, services};
use crate::vm::Outcome;

/// How long something may take to become true, if a step does not say.
const USUAL: Duration = Duration::from_secs(60);

/// Time between two looks, unless something happens.
const PAUSE: Duration = Duration::from_millis(100);

/// Time between a wrong answer and the next question: who answers has work with it, and may print a line for each.
const REST: Duration = Duration::from_millis(500);

/// How long init may take to answer a question that it answers at once.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// What of a program's output is shown.
const SHOWN: usize = 4096;

/// How a look ended that did not find what it should.
pub(super) enum Look {
    /// It may still come.
    Later(Complaint),
    /// Somebody was asked and did not give the right answer; they may be asked again.
    Wrong(Complaint),
    /// It will not.
    Never(Complaint),
}

impl From<Complaint> for Look {
    fn from(complaint: Complaint) -> Self {
        Self::Later(complaint)
    }
}

impl From<Unanswered> for Look {
    fn from(error: Unanswered) -> Self {
        Self::Later(error.to_string())
    }
}

/// How long a step has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    begun: Instant,
    within: Duration,
    end: Instant,
}

impl Patience {
    /// Tell when it is over. What firmware and kernel take does not count, or a test would say something else of each format.
    pub(super) fn deadline(&self, host: &Host<'_>) -> Instant {
        let answered = host.guest.said().answered;
        answered.map_or(self.end, |answered| (answered.max(self.begun) + self.within).min(self.end))
    }
}

/// Take a step.
///
/// In: `hullkit`, the program; `end`, when the whole boot must be over. Out: nothing, or why it is not true.
pub(super) fn take(step: &Step, host: &mut Host<'_>, hullkit: &Path, end: Instant) -> Result<(), Complaint> {
    let patience = Patience { begun: Instant::now(), within: step.within.map_or(USUAL, |within| within.0), end };
    match &step.action {
        Action::Healthy(wanted) => until(host, patience, |host| healthy(host, wanted)),
        Action::Http(page) => {
            let port = published(host, page.port.value)?;
            until(host, patience, |host| {
                begun(host, patience)?;
                let answer = probe::http(port, &page.path, page.status.value, page.contains.as_deref());
                answer.map(drop).map_err(Look::Wrong)
            })
        }
        Action::Tcp(tcp) => {
            let port = published(host, tcp.port.value)?;
            until(host, patience, |host| {
                begun(host, patience)?;
                probe::tcp(port, tcp.send.as_bytes(), tcp.contains.as_deref()).map_err(Look::Wrong)
            })
        }
        Action::Exec(wanted) => until(host, patience, |host| exec(host, wanted, step.within.is_some(), patience)),
        Action::File(file) => {
            let wanted = ExecAnswer {
                service: file.service.clone(),
                command: linuxkit_yaml::Spanned::unplaced(vec!["cat".to_owned(), file.path.value.clone()]),
                exit: 0,
                contains: file.contains.clone(),
                never: file.never.clone(),
            };
            until(host, patience, |host| exec(host, &wanted, step.within.is_some(), patience))
        }
        Action::Log(wanted) => until(host, patience, |host| lines::log(host, wanted)),
        // Who says nothing but on a console does not say when it has begun.
        Action::Console(wanted) => lines::console(host, wanted, step.within.map_or(end, |_| patience.deadline(host))),
        Action::Ends(wanted) => power::ends(host, *wanted, step.within.map_or(end, |_| patience.deadline(host))),
        Action::Ctl(wanted) => {
            until(host, patience, |host| answers(host))?;
            host.hang_up();
            let asked = until(host, patience, |host| {
                ctl::ask(hullkit, &host.name(), wanted, patience.deadline(host)).map_err(Look::Wrong)
            });
            host.call_again();
            asked
        }
        Action::Type(text) => {
            let typed = host.vm.keyboard().and_then(|mut keyboard| keyboard.write_all(text.as_bytes()));
            typed.map_err(|cause| format!("the console takes no keys: {cause}"))
        }
        Action::PowerButton => host.vm.press_power_button().map_err(|error| error.to_string()),
        Action::Nmi => host.vm.inject_nmi().map_err(|error| error.to_string()),
        Action::PowerOn => host.again().map_err(|error| error.to_string()),
        Action::Grow(disks) => power::grow(host, disks),
        Action::Kill(name) => kill(host, name, patience),
        Action::Stop(name) => named(host, Request::Stop(service(name)), patience),
        Action::Start(name) => named(host, Request::Start(service(name)), patience),
        Action::Restart(name) => named(host, Request::Restart(service(name)), patience),
        Action::Unplug(name) => power::plug(host, name, false, patience),
        Action::Plug(name) => power::plug(host, name, true, patience),
        Action::Reboot => {
            until(host, patience, |host| answers(host))?;
            match host.go_down(How::Reboot, patience.deadline(host)) {
                Outcome::Rebooted => {}
                other => return Err(format!("the host did not reboot in order: {}", power::told(&other))),
            }
            host.again().map_err(|error| error.to_string())
        }
        Action::PowerCut => {
            let _ = host.vm.stop();
            host.again().map_err(|error| error.to_string())
        }
        Action::Snapshot(name) => host.snapshot(name).map_err(|cause| format!("could not copy the disks: {cause}")),
        Action::Restore(name) => {
            let _ = host.vm.stop();
            host.restore(name).map_err(|cause| format!("could not copy the disks: {cause}"))?;
            host.again().map_err(|error| error.to_string())
        }
    }
}

/// Look until it is true, the time is over, or the host is lost.
pub(super) fn until(
    host: &mut Host<'_>,
    patience: Patience,
    mut look: impl FnMut(&mut Host<'_>) -> Result<(), Look>,
) -> Result<(), Complaint> {
    loop {
        // Before the look: what it finds may have been the last thing the host did.
        let lost = host.is_lost();
        match look(host) {
            Ok(()) => return Ok(()),
            Err(Look::Never(complaint)) => return Err(complaint),
            Err(Look::Later(complaint) | Look::Wrong(complaint)) if lost => return Err(complaint),
            Err(Look::Later(complaint) | Look::Wrong(complaint)) if Instant::now() >= patience.deadline(host) => {
                return Err(format!("{complaint}, after {:.0} s", patience.begun.elapsed().as_secs_f64()));
            }
            Err(Look::Later(_)) => host.guest.wait(PAUSE),
            Err(Look::Wrong(_)) => thread::sleep(REST),
        }
    }
}

/// Wait no longer than init needs for an answer, or the whole has time.
fn soon(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + ANSWER)
}

/// Make sure that a host is so far that it can be asked from outside. One that is not takes a connection, and says nothing on it for long.
/// One that never answers may be another init's.
fn begun(host: &Host<'_>, patience: Patience) -> Result<(), Look> {
    let said = host.guest.said();
    match (said.version, said.ready()) {
        (Some(_), None) => Err(Look::Later("the boot is not over".to_owned())),
        (None, _) if patience.begun.elapsed() < ANSWER => Err(Look::Later("init has not answered yet".to_owned())),
        _ => Ok(()),
    }
}

pub(super) fn answers(host: &Host<'_>) -> Result<(), Look> {
    match host.guest.said().version {
        Some(_) => Ok(()),
        None => Err(Look::Later("init has not answered yet".to_owned())),
    }
}

/// Look whether services work. All of them are there only once the boot is over.
fn healthy(host: &Host<'_>, wanted: &Wanted) -> Result<(), Look> {
    answers(host)?;
    let list = host.guest.services(Instant::now() + ANSWER)?;
    let ready = host.guest.said().ready().is_some();
    match services::complaint(&list, wanted) {
        Some(complaint) => Err(complaint.into()),
        None if !ready && *wanted == Wanted::All => Err("the boot is not over".to_owned().into()),
        None => Ok(()),
    }
}

/// Look whether services still work that did a moment ago.
pub(super) fn still_healthy(host: &mut Host<'_>, wanted: &Wanted, end: Instant) -> Result<(), Complaint> {
    // A service that has just been started again is given the time that any other is.
    let patience = Patience { begun: Instant::now(), within: Duration::from_secs(1), end };
    until(host, patience, |host| healthy(host, wanted))
}

fn published(host: &Host<'_>, port: u16) -> Result<u16, Complaint> {
    host.port(port).ok_or_else(|| format!("port {port} of the host is not published"))
}

fn exec(host: &Host<'_>, wanted: &ExecAnswer, patient: bool, patience: Patience) -> Result<(), Look> {
    answers(host)?;
    // The last try gets its time too, or its end would say nothing.
    let deadline = patience.deadline(host).max(Instant::now() + ANSWER).min(patience.end);
    let exec = Exec { service: wanted.service.value.clone(), command: wanted.command.value.clone(), ..Exec::default() };
    let answers = host.guest.call(Request::Exec(exec), deadline)?;
    let mut output = Vec::new();
    for reply in &answers.replies {
        if let Reply::Output { bytes, .. } = reply {
            output.extend_from_slice(&bytes.0);
        }
    }
    let text = String::from_utf8_lossy(&output);
    let said = probe::shown(&output[..output.len().min(SHOWN)]);
    let complaint = if answers.code != wanted.exit {
        format!("it ended with {}, not with {}, and said {said}", answers.code, wanted.exit)
    } else if let Some(lacks) = wanted.contains.as_ref().filter(|wanted| !text.contains(*wanted)) {
        format!("its output lacks `{lacks}`: {said}")
    } else if let Some(has) = wanted.never.as_ref().filter(|wanted| text.contains(*wanted)) {
        format!("its output has `{has}`: {said}")
    } else {
        return Ok(());
    };
    // A program that is run twice does its work twice: only if the step asks for it.
    Err(if patient { Look::Wrong(complaint) } else { Look::Never(complaint) })
}

fn service(name: &str) -> Named {
    Named { service: name.to_owned() }
}

/// Make a call that is over when it is done.
fn named(host: &mut Host<'_>, request: Request, patience: Patience) -> Result<(), Complaint> {
    until(host, patience, |host| answers(host))?;
    host.guest.call(request, patience.deadline(host)).map(drop).map_err(|error| error.to_string())
}

/// Kill a service, and wait until init has noticed.
fn kill(host: &mut Host<'_>, name: &str, patience: Patience) -> Result<(), Complaint> {
    until(host, patience, |host| answers(host))?;
    let deadline = patience.deadline(host);
    let list = host.guest.services(soon(deadline)).map_err(|error| error.to_string())?;
    let find = |list: &[hullkit_init::control::protocol::Service]| list.iter().find(|one| one.name == name).cloned();
    let before = find(&list).ok_or_else(|| services::unknown(&list, name))?;
    named(host, Request::Kill(service(name)), patience)?;
    until(host, patience, |host| {
        let now = find(&host.guest.services(soon(deadline))?);
        match now.filter(|now| now.state == State::Running && now.pid == before.pid) {
            Some(_) => Err(format!("`{name}` still runs").into()),
            None => Ok(()),
        }
    })
}
