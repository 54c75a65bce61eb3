//! One static program, several roles: PID 1, and what PID 1 starts again as a child.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use hullkit_init::boot;
use hullkit_init::contract::PATH;
use hullkit_init::control::http;
use hullkit_init::host::Host;
use hullkit_init::sys::{self, Linux, Power, Sys};
use hullkit_init::{early, hullctl, logs, network};

fn main() -> ExitCode {
    if rustix::process::getpid().is_init() {
        be_pid1()
    }
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    if Path::new(&name).file_name() == Some(OsStr::new("hullctl")) {
        return ExitCode::from(hullctl::main(words));
    }
    let role = words.next().unwrap_or_default();
    let work = match role.to_str() {
        Some("network") => Some(set_up_network()),
        Some("logs") => Some(keep_logs()),
        Some("metrics") => Some(show_metrics()),
        Some("past") => Some(show_past(words.next().as_deref())),
        _ => None,
    };
    if let Some(result) = work {
        return match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{error}");
                ExitCode::FAILURE
            }
        };
    }
    let text = "hullkit-init: this program boots a Hullkit host; it runs as process 1, started by the kernel\n";
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(2)
}

/// The network child. In: rules as JSON, in place of the contract's. Out: standard output is its report to PID 1, standard error its log.
fn set_up_network() -> Result<(), Box<dyn std::error::Error>> {
    let mut contract = early::contract::parse(&sys::read_whole(PATH)?)?;
    if let Some(text) = std::env::args().nth(2) {
        // The same reader as for the contract: another one would be a second copy of it in this program.
        contract.network = serde_json::from_slice(text.as_bytes())?;
    }
    Ok(network::run(&contract, std::io::stdout())?)
}

/// The child that keeps and sends lines: standard input is all of them.
fn keep_logs() -> Result<(), Box<dyn std::error::Error>> {
    let contract = early::contract::parse(&sys::read_whole(PATH)?)?;
    Ok(logs::run(&contract.logs, std::io::stdin())?)
}

/// The child that shows figures over HTTP.
fn show_metrics() -> Result<(), Box<dyn std::error::Error>> {
    let contract = early::contract::parse(&sys::read_whole(PATH)?)?;
    contract.metrics.map_or(Ok(()), |address| Ok(http::serve(address)?))
}

/// The child that prints the lines of an earlier boot.
fn show_past(boot: Option<&OsStr>) -> Result<(), Box<dyn std::error::Error>> {
    let contract = early::contract::parse(&sys::read_whole(PATH)?)?;
    let boot = boot.and_then(OsStr::to_str).unwrap_or("-1").parse()?;
    Ok(logs::past(&contract.logs, boot)?)
}

/// Boot. The kernel panics if this process ends, so it does not, even if the machine refuses to go down.
fn be_pid1() -> ! {
    std::panic::set_hook(Box::new(last_words));
    boot::run(&mut Host::new(Linux::default()));
    loop {
        sys::pause();
    }
}

/// A panic is a bug. It is said where somebody may see it, and the machine goes down in order, if this is still PID 1 and not a
/// helper of its own.
fn last_words(panic: &std::panic::PanicHookInfo<'_>) {
    let _ = writeln!(std::io::stderr(), "hullkit: internal error: {panic}\r");
    if rustix::process::getpid().is_init() {
        let mut linux = Linux::default();
        linux.sync();
        sys::pause_for(std::time::Duration::from_secs(5));
        let _ = linux.power(Power::Reboot);
    }
}
