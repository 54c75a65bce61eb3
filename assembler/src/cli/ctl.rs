//! `hullkit ctl`: `hullctl`, from outside of the machine.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hullkit_init::hullctl::{self, CtlError};

use super::machines;
use crate::vm::machine_socket;

const AFTER_HELP: &str = "\
Commands: ps, health, logs, exec, start, stop, restart, kill, boot, events, metrics, poweroff, reboot, halt; `hullkit ctl help` says \
what each does.

Examples:
  hullkit run web.yml --name web          in one terminal
  hullkit ctl ps                          in another: the only machine that runs need not be named
  hullkit ctl --vm web logs -f nginx
  hullkit ctl --vm web exec -it nginx /bin/sh
  hullkit ctl --vm web --json health";

/// The first words that `hullctl` knows, and what they are for, as shells show them.
const COMMANDS: [(&str, &str); 14] = [
    ("ps", "Every container: state, health, restarts, memory"),
    ("health", "Whether services are well, as an exit code"),
    ("logs", "What was printed"),
    ("exec", "Run a program in a container"),
    ("start", "Start services by hand"),
    ("stop", "Stop services by hand"),
    ("restart", "Stop services and start them again"),
    ("kill", "Kill services as a crash would"),
    ("boot", "When the stages of the boot began"),
    ("events", "What happens, from the start of the boot on"),
    ("metrics", "The host's figures, as Prometheus reads them"),
    ("poweroff", "Stop the services in order and switch off"),
    ("reboot", "Stop the services in order and start again"),
    ("halt", "Stop the services in order and stand still"),
];

/// Describe `ctl` for a shell, which completes commands that are words like any other to clap.
pub(super) fn for_shells(ctl: clap::Command) -> clap::Command {
    let commands = COMMANDS.map(|(name, about)| clap::Command::new(name).about(about));
    ctl.subcommands(commands).disable_help_subcommand(true)
}

/// What `hullkit ctl` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, disable_help_flag = true)]
pub struct CtlArgs {
    /// Print this help.
    #[arg(short, long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The machine, as `hullkit run --name` named it [default: the only one].
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    /// Answers as JSON.
    #[arg(long)]
    json: bool,
    /// What to ask or to do, and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    words: Vec<OsString>,
}

/// Ask the machine.
///
/// Out: its exit code; what went wrong has been said.
pub fn run(args: &CtlArgs) -> ExitCode {
    let json = args.json.then(|| OsString::from("--json"));
    let code = hullctl::run(json.into_iter().chain(args.words.iter().cloned()), |socket| match socket {
        Some(socket) => connect(socket),
        None => connect(&machine(args.vm.as_deref()).map_err(|error| CtlError::Refused(format!("{error:#}")))?),
    });
    ExitCode::from(code)
}

fn connect(path: &Path) -> Result<UnixStream, CtlError> {
    UnixStream::connect(path).map_err(|cause| CtlError::Connect {
        path: path.display().to_string(),
        cause,
        hint: "start the machine with `hullkit run --name NAME`",
    })
}

/// The socket of the machine that is meant: by default of the only one that runs.
fn machine(name: Option<&str>) -> anyhow::Result<PathBuf> {
    let name = name.map_or_else(machines::only, |name| Ok(name.to_owned()));
    Ok(machine_socket(&name.context("`--vm NAME` says which machine")?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_shells_show_is_one_and_no_other_is() {
        let listed = AFTER_HELP.trim_start_matches("Commands: ").split(';').next().unwrap_or_default();
        assert!(COMMANDS.map(|(name, _)| name).into_iter().eq(listed.split(", ")), "{listed}");
        for (name, _) in COMMANDS {
            // Nobody is asked: words that are none end with 2.
            let refused = |_: Option<&Path>| Err(CtlError::Refused("nobody is there".to_owned()));
            let words = if name == "exec" { vec![name, "web", "true"] } else { vec![name, "web"] };
            let alone = hullctl::run([OsString::from(name)], refused);
            let with = hullctl::run(words.into_iter().map(OsString::from), refused);
            assert!(alone == 1 || with == 1, "{name}: {alone} {with}");
        }
    }
}
