//! One static program, several roles: PID 1, and what PID 1 starts again as a child.

use std::io::Write;
use std::process::ExitCode;

use hullkit_init::boot;
use hullkit_init::contract::PATH;
use hullkit_init::host::Host;
use hullkit_init::sys::{self, Linux, Power, Sys};
use hullkit_init::{early, network};

fn main() -> ExitCode {
    if rustix::process::getpid().is_init() {
        be_pid1()
    }
    if std::env::args().nth(1).as_deref() == Some("network") {
        return match set_up_network() {
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

/// The network child: standard output is its report to PID 1, standard error its log.
fn set_up_network() -> Result<(), Box<dyn std::error::Error>> {
    let contract = early::contract::parse(&sys::read_whole(PATH)?)?;
    Ok(network::run(&contract, std::io::stdout())?)
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
