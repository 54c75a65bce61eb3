//! `hullkit completion`.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Print the completion script of a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  source <(hullkit completion bash)")]
pub struct CompletionArgs {
    /// Which shell.
    pub shell: Shell,
}

/// Print the script.
///
/// # Errors
///
/// Standard output refuses it.
pub fn run(args: &CompletionArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let mut command = super::Cli::command().mut_subcommand("ctl", super::ctl::for_shells);
    clap_complete::generate(args.shell, &mut command, "hullkit", &mut script);
    io::stdout().write_all(&script).context("could not write the completion script")
}
