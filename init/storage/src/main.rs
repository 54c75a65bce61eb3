//! `hullkit-storage`: takes disks into use; one line of JSON for PID 1 on standard output, lines for people on standard error.
//!
//! `hullkit-storage tool ROOT PROGRAM…` is how it runs a program of the image with the tools.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use hullkit_init::contract::storage::{Done, Order, PATH};
use hullkit_storage::{ROLE, become_tool, take_all};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let [_, role, root, program, args @ ..] = args.as_slice()
        && role == ROLE
    {
        say(&become_tool(root, program, args).to_string());
        return ExitCode::from(127);
    }
    let read = std::fs::read(PATH).map_err(|cause| cause.to_string());
    let order = read.and_then(|text| serde_json::from_slice::<Order>(&text).map_err(|cause| cause.to_string()));
    let order = match order {
        Ok(order) => order,
        Err(why) => {
            say(&format!("`{PATH}`: {why}"));
            return ExitCode::FAILURE;
        }
    };
    let done = Done { failure: take_all(&order, &mut say).err() };
    match serde_json::to_string(&done) {
        Ok(line) => report(&line),
        Err(cause) => {
            say(&cause.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "standard output is what PID 1 reads")]
fn report(line: &str) -> ExitCode {
    println!("{line}");
    ExitCode::SUCCESS
}

fn say(line: &str) {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Nobody reads it if PID 1 is gone, and then nothing matters any more.
    let _ = writeln!(std::io::stderr(), "{line}");
}
