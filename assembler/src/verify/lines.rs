//! Lines that a host printed: of its services, as init keeps them, and of its console.

use std::time::{Duration, Instant};

use hullkit_init::control::protocol::{LogsWanted, Reply, Request};
use linuxkit_yaml::test::{ConsoleLines, LogLines};

use super::host::Host;
use super::probe::{self, Complaint};
use super::step::{ANSWER, Look, answers};
use crate::vm::Missed;

/// Time between two looks at whether a host has failed whose lines are waited for.
const LOOK: Duration = Duration::from_secs(1);

/// How long a host whose boot has failed may go on to print: it says why, and may then wait for a key or before it starts again.
const LAST_LINES: Duration = Duration::from_secs(15);

/// Look for lines of services, of the kernel and of init.
pub(super) fn log(host: &Host<'_>, wanted: &LogLines) -> Result<(), Look> {
    answers(host)?;
    let services = wanted.service.iter().map(|name| name.value.clone()).collect();
    let logs = LogsWanted { services, follow: false, tail: None };
    let answers = host.guest.call(Request::Logs(logs), Instant::now() + ANSWER)?;
    let (mut found, mut unwanted) = (wanted.contains.is_none(), None);
    for reply in &answers.replies {
        let Reply::Line(line) = reply else { continue };
        found |= wanted.contains.as_ref().is_some_and(|text| line.text.contains(text));
        if wanted.never.as_ref().is_some_and(|text| line.text.contains(text)) {
            unwanted
                .get_or_insert_with(|| format!("`{}` printed {}", line.service, probe::shown(line.text.as_bytes())));
        }
    }
    match (unwanted, &wanted.contains) {
        (Some(complaint), _) => Err(Look::Never(complaint)),
        (None, Some(text)) if !found => Err(format!("nothing printed has `{text}`").into()),
        _ => Ok(()),
    }
}

/// Wait for lines of the console: some in their order, others wherever they are.
pub(super) fn console(host: &mut Host<'_>, wanted: &ConsoleLines, deadline: Instant) -> Result<(), Complaint> {
    let mut seen = host.seen;
    wanted.contains.iter().try_for_each(|text| find(host, text, &mut seen, deadline))?;
    wanted.anywhere.iter().try_for_each(|text| find(host, text, &mut 0, deadline))?;
    host.seen = seen;
    Ok(())
}

/// Wait for one of them; of a host whose boot has failed, only a moment longer.
fn find(host: &Host<'_>, text: &str, seen: &mut u64, mut deadline: Instant) -> Result<(), Complaint> {
    let mut failed = false;
    loop {
        let look = deadline.min(Instant::now() + LOOK);
        match host.vm.console().wait_for(seen, |line| line.contains(text), look) {
            Ok(_) => return Ok(()),
            Err(Missed::TimedOut) if look < deadline => {
                if !failed && host.has_failed() {
                    (failed, deadline) = (true, deadline.min(Instant::now() + LAST_LINES));
                }
            }
            Err(missed) => return Err(format!("the console never showed `{text}`: {missed}")),
        }
    }
}
