//! `hullkit-metadata before-network|after-network`: one line of JSON for PID 1 on standard output, lines for people on standard error.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use hullkit_init::contract::PATH;
use hullkit_init::contract::metadata::Told;
use hullkit_metadata::{Machine, Moment, Order, ask, settle, write};

/// Longest line that PID 1 reads, in bytes.
const TOLD_MAX: usize = 60 << 10;

fn main() -> ExitCode {
    let moment = match std::env::args().nth(1).as_deref() {
        Some("before-network") => Moment::Before,
        Some("after-network") => Moment::After,
        _ => return fail("usage: hullkit-metadata before-network|after-network"),
    };
    let order = match std::fs::read(PATH).map_err(|cause| cause.to_string()).and_then(|text| Order::parse(&text)) {
        Ok(order) => order,
        Err(why) => return fail(&format!("`{PATH}`: {why}")),
    };
    let told = match ask(&order, moment, &Machine::new(Path::new("/")), &mut say) {
        Some(answer) => write(Path::new("/"), settle(answer, &order, &mut say), &mut say),
        None => Told::default(),
    };
    match serde_json::to_string(&told) {
        Ok(line) if line.len() < TOLD_MAX => report(&line),
        Ok(_) => fail("the environment and the network of the user data are too long"),
        Err(cause) => fail(&cause.to_string()),
    }
}

#[expect(clippy::print_stdout, reason = "standard output is what PID 1 reads")]
fn report(line: &str) -> ExitCode {
    println!("{line}");
    ExitCode::SUCCESS
}

fn fail(why: &str) -> ExitCode {
    say(why);
    ExitCode::FAILURE
}

fn say(line: &str) {
    // Nobody reads it if PID 1 is gone, and then nothing matters any more.
    let _ = writeln!(std::io::stderr(), "{line}");
}
