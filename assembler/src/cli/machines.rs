//! `hullkit ps`, `attach`, `stop` and `rm`: machines that `hullkit run` started, by their names.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;

use crate::vm::{Known, attach_to, find_machine, forget_machine, known_machines, machine_console, machine_socket};

/// Time between two looks whether a machine has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a program that runs a machine may take to end it when it is told to at once.
const AT_ONCE: Duration = Duration::from_secs(10);

/// List machines
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A machine that was started with `hullkit run --detach` is listed after its end too, until `hullkit rm` forgets it or its name is used again.
One whose `hullkit` was killed is lost: its QEMU ended with it.")]
pub struct PsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// See and use the console of a machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Keys, on a terminal: Ctrl-A x leaves, and the machine goes on; Ctrl-A a sends Ctrl-A.")]
pub struct AttachArgs {
    /// The machine [default: the only one that runs]
    name: Option<String>,
}

/// End machines, in order
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// The machines
    #[arg(required = true)]
    names: Vec<String>,
    /// How long a machine may take before its power is taken away
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    time: u64,
    /// Take the power away
    #[arg(long)]
    now: bool,
}

/// Forget machines that have ended
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// The machines
    #[arg(required = true)]
    names: Vec<String>,
    /// Take the power of those away that run
    #[arg(short, long)]
    force: bool,
}

/// List machines.
///
/// # Errors
///
/// There is no place for their files.
pub fn ps(args: &PsArgs) -> anyhow::Result<()> {
    let known = known_machines()?;
    if args.json {
        let list: Vec<_> = known.iter().map(|one| json!({ "state": state(one), "machine": one.record })).collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    let head = ["NAME", "STATE", "ARCH", "PORTS", "WHAT"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(known.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let [one, two, three, four] = [0, 1, 2, 3].map(width);
    for [name, state, arch, ports, what] in &rows {
        println!("{name:one$}  {state:two$}  {arch:three$}  {ports:four$}  {what}");
    }
    Ok(())
}

fn state(known: &Known) -> &'static str {
    match (known.runs, &known.record.ended) {
        (true, _) => "running",
        (false, Some(_)) => "ended",
        (false, None) => "lost",
    }
}

fn row(known: &Known) -> [String; 5] {
    let record = &known.record;
    let what = match &record.ended {
        Some(ended) => format!("{}: {ended}", record.what),
        None => record.what.clone(),
    };
    let ports = if record.ports.is_empty() { "-".to_owned() } else { record.ports.join(",") };
    [record.name.clone(), state(known).to_owned(), record.arch.clone(), ports, what]
}

/// Attach to a console.
///
/// # Errors
///
/// There is no such machine, or its console is somebody's terminal.
pub fn attach(args: &AttachArgs) -> anyhow::Result<()> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => only()?,
    };
    let known = running(&name)?;
    if !known.record.detached {
        bail!("the console of `{name}` is the terminal that `hullkit run` was started on: start it with `--detach`");
    }
    let path = machine_console(&name)?;
    let stream =
        UnixStream::connect(&path).with_context(|| format!("could not reach the console at `{}`", path.display()))?;
    eprintln!("hullkit: attached to `{name}`; Ctrl-A x leaves");
    attach_to(stream)?;
    eprintln!("\nhullkit: left `{name}`");
    Ok(())
}

/// End machines.
///
/// # Errors
///
/// There is no such machine, or it does not end.
pub fn stop(args: &StopArgs) -> anyhow::Result<()> {
    args.names.iter().try_for_each(|name| end(name, args.now, Duration::from_secs(args.time)))
}

/// Forget machines.
///
/// # Errors
///
/// There is no such machine, or it runs.
pub fn rm(args: &RmArgs) -> anyhow::Result<()> {
    for name in &args.names {
        if args.force && find_machine(name)?.is_some_and(|known| known.runs) {
            end(name, true, AT_ONCE)?;
        }
        // One that was started on a terminal is forgotten when it ends.
        if !args.force || find_machine(name)?.is_some() {
            forget_machine(name)?;
        }
    }
    Ok(())
}

/// Name the only machine that runs.
///
/// # Errors
///
/// There is none, or there are several.
pub fn only() -> anyhow::Result<String> {
    let names: Vec<String> = known_machines()?.into_iter().filter(|one| one.runs).map(|one| one.record.name).collect();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        [] => bail!("no machine runs: start one with `hullkit run`"),
        _ => bail!("which machine? there are {}", names.join(", ")),
    }
}

fn running(name: &str) -> anyhow::Result<Known> {
    match find_machine(name)? {
        Some(known) if known.runs => Ok(known),
        Some(_) => bail!("`{name}` does not run any more"),
        None => bail!("there is no machine `{name}`; `hullkit ps` lists those there are"),
    }
}

/// End one machine: its init is asked, then its power button is pressed, then its power is taken away.
fn end(name: &str, now: bool, time: Duration) -> anyhow::Result<()> {
    let known = running(name)?;
    if !now {
        ask(machine_socket(name)?);
        if gone(name, time)? {
            return Ok(());
        }
        eprintln!("hullkit: `{name}` did not end in {} s: its power is taken away", time.as_secs());
    }
    signal(&known)?;
    if gone(name, AT_ONCE)? {
        Ok(())
    } else {
        Err(anyhow!("`{name}` does not end; process {} runs it", known.record.pid))
    }
}

/// Tell a machine's init to power off; whether it hears shows by its end.
fn ask(socket: PathBuf) {
    let words = ["poweroff"].map(Into::into);
    let asked = thread::spawn(move || {
        hullkit_init::hullctl::run(words, |_| {
            UnixStream::connect(&socket).map_err(|cause| hullkit_init::hullctl::CtlError::Connect {
                path: socket.display().to_string(),
                cause,
                hint: "it has just ended",
            })
        })
    });
    // One that is deaf is not waited for: what it would say comes late or never.
    drop(asked);
}

fn gone(name: &str, time: Duration) -> anyhow::Result<bool> {
    let deadline = Instant::now() + time;
    while find_machine(name)?.is_some_and(|known| known.runs) {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
    Ok(true)
}

/// Tell the program that runs a machine to end it at once.
fn signal(known: &Known) -> anyhow::Result<()> {
    let name = &known.record.name;
    let pid = i32::try_from(known.record.pid).ok().and_then(Pid::from_raw).context("it does not say who runs it")?;
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(_) => return Ok(()),
    };
    // Only now is it certain that the number is still its: who holds the lock has not ended.
    if find_machine(name)?.is_some_and(|now| now.runs && now.record.pid == known.record.pid) {
        pidfd_send_signal(&process, Signal::INT).map_err(io::Error::from).context("could not tell it to end")?;
    }
    Ok(())
}
