<<<<<<< HEAD
//! The `hullkit` command.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hullkit::cli::{Global, cache};
use hullkit::pull::PullError;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Look into the store, fill it, empty it.
    Cache(cache::CacheArgs),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let Verb::Cache(args) = &command.verb;
    let Err(error) = cache::run(args, &command.global) else { return ExitCode::SUCCESS };
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    if let Some(hint) = error.downcast_ref::<PullError>().and_then(PullError::hint) {
        text.push_str(&format!("hint: {hint}\n"));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
=======
//! The `hullkit` command: parse, call, report, exit code.
#![expect(clippy::print_stderr, reason = "the one place where a failure is told")]

use std::process::ExitCode;

use clap::Parser as _;
use hullkit::cli;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", cli::report::report(&error));
            ExitCode::FAILURE
        }
    }
>>>>>>> main
}
