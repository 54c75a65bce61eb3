//! A boot that failed. In: the error. Out: one screen that explains it, the same as one line of JSON, and then what the kernel
//! command line asks for, or else the manifest.

use std::time::Duration;

use crate::boot::BootError;
use crate::console::INIT;
use crate::contract::OnFailure;
use crate::control::protocol::What;
use crate::host::{Host, Kind};
use crate::shutdown;
use crate::sys::{Power, Sys};
use crate::watchdog;

/// Lines of the container's own output that are shown.
const LAST_LINES: usize = 20;

/// How long the screen stays before the machine goes down.
const READING: Duration = Duration::from_secs(5);

/// Let the kernel do after a panic of its own what is to follow any other failure, if that is to start again. A panic that it was
/// told about otherwise, on its command line or later by `sysctl`, is none of ours.
///
/// # Errors
///
/// None; the signature is that of a stage.
pub fn prepare<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if host.on_failure() == OnFailure::Reboot && !host.options.panic {
        let seconds = READING.as_secs().to_string();
        if let Err(cause) = host.sys.write("/proc/sys/kernel/panic", seconds.as_bytes()) {
            host.say(&format!("could not have the kernel start again after a panic: {cause}"));
        }
    }
    Ok(())
}

/// Explain, wait, and go down.
pub fn stop<S: Sys>(host: &mut Host<S>, stage: &str, error: &BootError) {
    // A boot that failed before it had a console still has the one of the kernel's own initial file system.
    if !host.console.is_attached()
        && let Ok(fd) = host.sys.console()
    {
        host.console.attach(fd);
    }
    let (lines, report) = screen(host, stage, error);
    for line in lines {
        host.console.line(INIT, "", line.as_bytes());
    }
    host.leave();
    host.control.tell(host.sys.uptime(), What::Failed { report });
    shutdown::flush(host);
    if host.on_failure() == OnFailure::Shell {
        // Nobody feeds it while somebody types.
        watchdog::disarm(host);
        match host.sys.shell() {
            Ok(()) => {}
            Err(cause) => host.say(&format!("no shell: {cause}")),
        }
    } else {
        let deadline = host.sys.uptime() + READING;
        while host.asked.is_none() && host.sys.uptime() < deadline {
            host.turn(Some(deadline));
        }
    }
    let power = host.asked.unwrap_or(match host.on_failure() {
        OnFailure::Reboot => Power::Reboot,
        OnFailure::Halt => Power::Halt,
        OnFailure::PowerOff | OnFailure::Shell => Power::Off,
    });
    shutdown::run(host, power);
}

/// The lines of the screen, and the JSON that is the last of them.
fn screen<S: Sys>(host: &Host<S>, stage: &str, error: &BootError) -> (Vec<String>, serde_json::Value) {
    let rule = "-".repeat(72);
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    let mut lines = vec![String::new(), rule.clone(), format!("hullkit: this host did not boot: stage `{stage}`")];
    let mut log = Vec::new();
    let (mut name, mut image) = (None, None);
    if let BootError::Container { unit, .. } = error
        && let Some(unit) = host.units.get(*unit)
    {
        name = Some(unit.name.clone());
        if let Kind::Container(section, index) = unit.kind {
            image = Host::<S>::list(&host.contract, section).get(index).map(|container| container.image.clone());
        }
        lines.push(format!("  container: {} (image {})", unit.name, image.as_deref().unwrap_or("unknown")));
        let kept = unit.ring.lines();
        let skip = kept.len().saturating_sub(LAST_LINES);
        log.extend(kept.skip(skip).map(|line| String::from_utf8_lossy(&line.text).into_owned()));
    }
    lines.push(format!("  error:     {error}"));
    lines.extend(causes.iter().map(|cause| format!("  caused by: {cause}")));
    if !log.is_empty() {
        lines.push(format!("  its last lines ({}):", log.len()));
        lines.extend(log.iter().map(|line| format!("    {line}")));
    }
    if let Some((title, seen)) = error.details() {
        lines.push(if seen.is_empty() { format!("  {title}: none") } else { format!("  {title}:") });
        lines.extend(seen.iter().map(|line| format!("    {line}")));
        log.extend_from_slice(seen);
    }
    lines.push(format!("  try:       {}", error.hint()));
    lines.push(format!("  now:       {}", next(host.on_failure())));
    lines.push(rule);
    let report = serde_json::json!({
        "hullkit": "boot failed", "stage": stage, "container": name, "image": image, "error": error.to_string(),
        "causes": causes, "log": log, "hint": error.hint(),
    });
    lines.push(report.to_string());
    (lines, report)
}

fn next(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::PowerOff => {
            "powering off in 5 s; `hullkit.on_failure=shell|reboot|halt` on the kernel command line changes that"
        }
        OnFailure::Reboot => "rebooting in 5 s",
        OnFailure::Halt => "halting in 5 s",
        OnFailure::Shell => "a shell, if the image has `/bin/sh`; its end powers off",
    }
}
