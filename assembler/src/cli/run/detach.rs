//! `--detach`: the machine is run by a second hullkit, which has no terminal and outlives the first. That one waits until the guest runs,
//! so that what goes wrong before is told.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;

/// Variable by which a hullkit knows that it is the second one.
const VARIABLE: &str = "HULLKIT_DETACHED";

/// What the second one says when the guest runs, after what the user is to read.
const RUNS: &str = "\nthe guest runs\n";

/// Tell whether this is the second one.
pub(super) fn is_second() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Start the second one with the same arguments, and wait until the guest runs.
///
/// # Errors
///
/// It could not be started; what it complains of it has said itself.
pub(super) fn start() -> anyhow::Result<ExitCode> {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(VARIABLE, "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut second = command.spawn().context("could not start the program that runs the machine")?;
    let mut said = String::new();
    if let Some(mut stdout) = second.stdout.take() {
        stdout.read_to_string(&mut said).context("could not hear the program that runs the machine")?;
    }
    if let Some(said) = said.strip_suffix(RUNS) {
        eprintln!("{said}");
        return Ok(ExitCode::SUCCESS);
    }
    let status = second.wait().context("the program that runs the machine is gone")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)))
}

/// Leave the terminal: its signals are for others from now on.
pub(super) fn leave_terminal() {
    // A process that leads a session already has none to leave.
    let _ = rustix::process::setsid();
}

/// Say what the user is to read, and that the guest runs; then be silent.
///
/// # Errors
///
/// There is nobody to tell.
pub(super) fn settle(lines: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let text = format!("{}{RUNS}", lines.join("\n"));
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("the program that started this one is gone")?;
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null").context("could not open `/dev/null`")?;
    rustix::stdio::dup2_stdout(&nothing).context("could not let go of standard output")?;
    rustix::stdio::dup2_stderr(&nothing).context("could not let go of standard error")?;
    Ok(())
}
