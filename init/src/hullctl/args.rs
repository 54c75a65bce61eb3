//! The words of a command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use super::CtlError;
use crate::control::protocol::{Exec, How, LogsWanted, Named, Request, Size};

/// What `--help` prints.
pub const USAGE: &str = "\
Ask a running Hullkit host what it does, and tell it what to do.

Usage: hullctl [--json] [--socket FILE] COMMAND        inside the host
       hullkit ctl [--vm NAME] [--json] COMMAND        from outside, for `hullkit run --name NAME`

Commands:
  ps                             every container: state, health, restarts, memory
  health [SERVICE]...            exit code 0 if all of them, or those with a health check, are well; else 1
  logs [-f] [-n N] [-t] [-b BOOT] [NAME]...
                                 what was printed; -f goes on, -n the last N lines, -t with times,
                                 -b -1 of the boot before, if the manifest has them kept.
                                 NAME is a container, `kernel`, or `hullkit` for init itself
  exec [-i] [-t] SERVICE COMMAND [ARG]...
                                 run a program in a container; -i with standard input, -t with a terminal
  start, stop, restart SERVICE...
                                 start and stop services by hand; one that is stopped stays so
  kill SERVICE...                kill services as a crash would; one that is to run is started again
  boot                           when the stages of the boot began and how long they took
  events                         what happens, from the start of the boot on
  metrics                        the host's figures, as Prometheus reads them
  poweroff, reboot, halt         stop the services in order and go down

Options:
      --json           answers as JSON, whose names stay: an array for `ps`, `health` and `boot`, a line each for
                       `logs` and `events`
      --socket FILE    another socket than /run/hullkit/control.sock
  -h, --help
  -V, --version

Exit codes: 0 done, 1 not done, 2 wrong usage; `exec` has its program's.

Examples:
  hullctl ps
  hullctl logs -f web
  hullctl exec -it web /bin/sh
  hullctl --json ps | jq '.[] | select(.state != \"running\")'
  hullkit ctl --vm web logs -n 50
";

/// What was asked for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) json: bool,
    pub(super) socket: Option<PathBuf>,
    pub(super) command: Command,
}

/// One command.
#[derive(Debug)]
pub(super) enum Command {
    Help,
    Version,
    Ps,
    Health(Vec<String>),
    Logs {
        wanted: LogsWanted,
        times: bool,
        boot: Option<i64>,
    },
    Exec(Exec),
    /// One call for each of these services.
    Each(fn(&str) -> Request, Vec<String>),
    Boot,
    Events,
    Metrics,
    Power(How),
}

/// Understand the words behind the program's name.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Options, CtlError> {
    let mut parser = Parser::from_args(words);
    let (mut json, mut socket) = (false, None);
    let command = loop {
        match parser.next().map_err(wrong)? {
            Some(Arg::Long("json")) => json = true,
            Some(Arg::Long("socket")) => socket = Some(PathBuf::from(parser.value().map_err(wrong)?)),
            Some(Arg::Short('h') | Arg::Long("help")) => break Command::Help,
            Some(Arg::Short('V') | Arg::Long("version")) => break Command::Version,
            Some(Arg::Value(word)) => break command(&text(word)?, &mut parser, &mut json)?,
            Some(other) => return Err(wrong(other.unexpected())),
            None => return Err(CtlError::Usage("which command?".to_owned())),
        }
    };
    Ok(Options { json, socket, command })
}

fn command(word: &str, parser: &mut Parser, json: &mut bool) -> Result<Command, CtlError> {
    match word {
        "logs" => return logs(parser, json),
        "exec" => return exec(parser),
        "help" => return Ok(Command::Help),
        _ => {}
    }
    let mut names = Vec::new();
    while let Some(arg) = parser.next().map_err(wrong)? {
        match arg {
            Arg::Long("json") => *json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(name) => names.push(text(name)?),
            other => return Err(wrong(other.unexpected())),
        }
    }
    let each = |request: fn(&str) -> Request, names: Vec<String>| {
        if names.is_empty() {
            Err(CtlError::Usage(format!("`{word}` which service?")))
        } else {
            Ok(Command::Each(request, names))
        }
    };
    let command = match word {
        "health" => return Ok(Command::Health(names)),
        "start" => return each(|name| Request::Start(Named { service: name.to_owned() }), names),
        "stop" => return each(|name| Request::Stop(Named { service: name.to_owned() }), names),
        "restart" => return each(|name| Request::Restart(Named { service: name.to_owned() }), names),
        "kill" => return each(|name| Request::Kill(Named { service: name.to_owned() }), names),
        "ps" => Command::Ps,
        "boot" => Command::Boot,
        "events" => Command::Events,
        "metrics" => Command::Metrics,
        "poweroff" => Command::Power(How::Off),
        "reboot" => Command::Power(How::Reboot),
        "halt" => Command::Power(How::Halt),
        _ => return Err(CtlError::Usage(format!("`{word}` is not a command"))),
    };
    match names.first() {
        Some(name) => Err(CtlError::Usage(format!("`{word}` takes no `{name}`"))),
        None => Ok(command),
    }
}

fn logs(parser: &mut Parser, json: &mut bool) -> Result<Command, CtlError> {
    let (mut wanted, mut times, mut boot) = (LogsWanted::default(), false, None);
    while let Some(arg) = parser.next().map_err(wrong)? {
        match arg {
            Arg::Short('f') | Arg::Long("follow") => wanted.follow = true,
            Arg::Short('n') | Arg::Long("tail") => {
                wanted.tail = Some(parser.value().and_then(|value| value.parse()).map_err(wrong)?);
            }
            Arg::Short('t') | Arg::Long("timestamps") => times = true,
            Arg::Short('b') | Arg::Long("boot") => {
                boot = Some(parser.value().and_then(|value| value.parse()).map_err(wrong)?);
            }
            Arg::Long("json") => *json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(name) => wanted.services.push(text(name)?),
            other => return Err(wrong(other.unexpected())),
        }
    }
    if boot.is_some() && wanted.follow {
        return Err(CtlError::Usage("an earlier boot cannot be followed".to_owned()));
    }
    Ok(Command::Logs { wanted, times, boot })
}

fn exec(parser: &mut Parser) -> Result<Command, CtlError> {
    let (mut exec, mut terminal) = (Exec::default(), false);
    let missing = || CtlError::Usage("`exec` needs a service and a command".to_owned());
    loop {
        match parser.next().map_err(wrong)?.ok_or_else(missing)? {
            Arg::Short('i') | Arg::Long("interactive") => exec.input = true,
            Arg::Short('t') | Arg::Long("tty") => terminal = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(name) => {
                exec.service = text(name)?;
                break;
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    // All that follows is the program's, its options too.
    for word in parser.raw_args().map_err(wrong)? {
        exec.command.push(text(word)?);
    }
    if exec.command.first().is_some_and(|word| word == "--") {
        exec.command.remove(0);
    }
    exec.terminal = terminal.then_some(Size { rows: 24, columns: 80 });
    if exec.command.is_empty() { Err(missing()) } else { Ok(Command::Exec(exec)) }
}

fn text(word: OsString) -> Result<String, CtlError> {
    word.into_string().map_err(|word| CtlError::Usage(format!("`{}` is not UTF-8", word.display())))
}

fn wrong(error: lexopt::Error) -> CtlError {
    CtlError::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(line: &str) -> String {
        match parse(line.split(' ').map(OsString::from)) {
            Ok(options) => format!("{:?}", options.command),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn words_become_commands() {
        assert_eq!(understood("ps"), "Ps");
        assert_eq!(
            understood("logs -fn 3 web"),
            "Logs { wanted: LogsWanted { services: [\"web\"], follow: true, tail: Some(3) }, times: false, boot: None }"
        );
        assert_eq!(
            understood("exec -i web sh -c -f"),
            "Exec(Exec { service: \"web\", command: [\"sh\", \"-c\", \"-f\"], input: true, terminal: None })"
        );
        assert!(parse(["ps", "--json"].map(OsString::from)).unwrap().json);
    }

    #[test]
    fn what_means_nothing_is_named() {
        let help = "; `hullctl --help` lists the commands";
        assert_eq!(understood("fly"), format!("`fly` is not a command{help}"));
        assert_eq!(understood("ps web"), format!("`ps` takes no `web`{help}"));
        assert_eq!(understood("stop"), format!("`stop` which service?{help}"));
        assert_eq!(understood("exec web"), format!("`exec` needs a service and a command{help}"));
        assert_eq!(understood("--loud ps"), format!("invalid option '--loud'{help}"));
    }
}
