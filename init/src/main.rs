//! One static program, several roles: PID 1, and what PID 1 starts again as a child.

use std::io::Write;
use std::process::ExitCode;

use hullkit_init::boot;
use hullkit_init::contract;
use hullkit_init::early;
use hullkit_init::host::Host;
use hullkit_init::network;
use hullkit_init::sys::{self, Linux, Power, Sys};

fn main() -> ExitCode {
    if rustix::process::getpid().is_init() {
        be_pid1()
    }
    if std::env::args().nth(1).as_deref() == Some("network") {
        return be_network();
    }
    let text = "hullkit-init: this program boots a Hullkit host; it runs as process 1, started by the kernel\n";
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(2)
}

/// Set up the network as the contract says, and keep it up; PID 1 reads what this prints.
fn be_network() -> ExitCode {
    let contract = std::fs::read(contract::PATH).map_err(|error| error.to_string());
    let contract = contract.and_then(|text| early::contract::parse(&text).map_err(|error| error.to_string()));
    let done = contract
        .and_then(|contract| network::run(&contract.network, std::io::stdout()).map_err(|error| error.to_string()));
    if let Err(failure) = done {
        let _ = writeln!(std::io::stderr(), "{failure}");
    }
    // The network is to be kept up: that this ended at all is why PID 1 starts it again.
    ExitCode::FAILURE
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
