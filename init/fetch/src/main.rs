//! `hullkit-fetch URL SHA256 SIZE BUILT PATIENCE FILE`: lines for people on standard error, the last of which says what is wrong.

use std::io::Write;
use std::process::ExitCode;

use hullkit_fetch::{FAILED, FetchError, OTHER, Order, USAGE, chain, fetch};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let order = match Order::parse(&words) {
        Ok(order) => order,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::from(USAGE);
        }
    };
    match run(&order) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&chain(&error));
            ExitCode::from(if error.is_other() { OTHER } else { FAILED })
        }
    }
}

fn run(order: &Order) -> Result<(), FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|cause| FetchError::Setup(cause.into()))?.block_on(fetch(order, &mut say))
}

fn say(line: &str) {
    // Nobody reads it if PID 1 is gone, and then nothing matters any more.
    let _ = writeln!(std::io::stderr(), "{line}");
}
