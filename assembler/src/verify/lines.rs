//! Lines that a host printed: of its services, as init keeps them, and of its console.

use std::time::Instant;

use hullkit_init::control::protocol::{LogsWanted, Reply, Request};
use linuxkit_yaml::test::{ConsoleLines, LogLines};

use super::host::Host;
use super::probe::{self, Complaint};
use super::step::{ANSWER, Look, answers};

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
    let find = |text: &String, seen: &mut u64| {
        let found = host.vm.console().wait_for(seen, |line| line.contains(text), deadline);
        found.map(drop).map_err(|missed| format!("the console never showed `{text}`: {missed}"))
    };
    let mut seen = host.seen;
    wanted.contains.iter().try_for_each(|text| find(text, &mut seen))?;
    wanted.anywhere.iter().try_for_each(|text| find(text, &mut 0))?;
    host.seen = seen;
    Ok(())
}
