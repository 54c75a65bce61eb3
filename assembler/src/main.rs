//! The `hullkit` command: parse, call, report, exit code.
#![expect(clippy::print_stderr, reason = "the one place where a failure is told")]

use std::process::ExitCode;

use clap::Parser as _;
use hullkit::cli;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        // Whoever read what is printed has seen enough: `hullkit schema | head` is no failure worth a word.
        Err(error) if cli::report::reader_left(&error) => ExitCode::from(128 + 13),
        Err(error) => {
            eprintln!("{}", cli::report::report(&error));
            ExitCode::FAILURE
        }
    }
}
