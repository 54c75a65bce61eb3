//! `hullctl`, and `hullkit ctl`: asking PID 1 and telling it. In: words of a command line, and a connection. Out: text or JSON on
//! standard output, and an exit code.

mod args;
mod exec;
mod past;
mod show;

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub use args::USAGE;
use args::{Command, Options};

use crate::control::SOCKET;
use crate::control::protocol::{Answer, Call, Health, Reply, Request, Service, State, VERSION, to_line};

/// How long a host may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Exit code for wrong words.
const WRONG_USAGE: u8 = 2;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CtlError {
    /// The words mean nothing.
    #[error("{0}; `hullctl --help` lists the commands")]
    Usage(String),
    /// There is nobody to talk to.
    #[error("could not reach the host at `{path}`: {cause}; {hint}")]
    Connect {
        /// Where.
        path: String,
        /// Why.
        cause: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// Nobody answers.
    #[error(
        "the host does not answer: it is not so far, it does not run Hullkit's init, or its kernel lacks `virtio_console` (add it with \
         `modules.include`)"
    )]
    Silent,
    /// Another version answers.
    #[error(
        "the host speaks version {found} of the protocol, and this program version {VERSION}: use the `hullkit` it was built with"
    )]
    Version {
        /// The host's.
        found: u32,
    },
    /// The host refuses.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error("the connection to the host broke")]
    Broken(#[source] io::Error),
    /// The host went away.
    #[error("the host closed the connection before it had answered")]
    Closed,
    /// Standard output takes no more.
    #[error("could not write the answer")]
    Output(#[source] io::Error),
}

/// Run `hullctl` inside the host.
#[must_use]
pub fn main(words: impl IntoIterator<Item = OsString>) -> u8 {
    run(words, inside)
}

/// Fetch the figures of the host that this program runs in.
///
/// # Errors
///
/// [`CtlError`].
pub fn metrics() -> Result<String, CtlError> {
    figures(&mut Wire::greet(inside(None)?)?)
}

/// Connect to PID 1 from inside the host.
fn inside(socket: Option<&Path>) -> Result<UnixStream, CtlError> {
    let path = socket.unwrap_or(Path::new(SOCKET));
    UnixStream::connect(path).map_err(|cause| CtlError::Connect {
        path: path.display().to_string(),
        cause,
        hint: "a container needs the bind `/run/hullkit:/run/hullkit`, and root's rights",
    })
}

/// Do what the words say, by a connection that is made once they are understood. Out: an exit code.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    connect: impl FnOnce(Option<&Path>) -> Result<UnixStream, CtlError>,
) -> u8 {
    let result = args::parse(words).and_then(|options| match options.command {
        Command::Help => print(USAGE),
        Command::Version => print(concat!("hullctl ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => act(&options, connect),
    });
    match result {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(CtlError::Output(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            // Nobody to tell if this fails.
            let _ = writeln!(io::stderr(), "error: {}", with_causes(&error));
            if matches!(error, CtlError::Usage(_)) { WRONG_USAGE } else { 1 }
        }
    }
}

fn with_causes(error: &CtlError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn print(text: &str) -> Result<u8, CtlError> {
    io::stdout().write_all(text.as_bytes()).map_err(CtlError::Output)?;
    Ok(0)
}

fn act(options: &Options, connect: impl FnOnce(Option<&Path>) -> Result<UnixStream, CtlError>) -> Result<u8, CtlError> {
    let mut wire = Wire::greet(connect(options.socket.as_deref())?)?;
    let mut out = io::stdout();
    let code = match &options.command {
        Command::Help | Command::Version => 0,
        Command::Ps => show::services(&mut out, &services(&mut wire)?, options.json)?,
        Command::Health(names) => {
            let mut list = services(&mut wire)?;
            if let Some(name) = names.iter().find(|name| !list.iter().any(|service| service.name == **name)) {
                return Err(CtlError::Refused(format!("there is no container `{name}`")));
            }
            list.retain(
                |service| if names.is_empty() { service.health.is_some() } else { names.contains(&service.name) },
            );
            show::services(&mut out, &list, options.json)?;
            let well = |service: &Service| match service.health {
                Some(health) => health == Health::Healthy,
                None => service.state == State::Running,
            };
            u8::from(!list.iter().all(well))
        }
        Command::Boot => {
            let stages = wire.all(Request::Boot)?.into_iter().filter_map(|reply| match reply {
                Reply::Stage(stage) => Some(stage),
                _ => None,
            });
            show::stages(&mut out, &stages.collect::<Vec<_>>(), options.json)?
        }
        Command::Metrics => print(&figures(&mut wire)?)?,
        Command::Logs { wanted, times, boot: Some(boot) } => {
            let coloured = !options.json && out.is_terminal();
            for line in past::lines(&mut wire, *boot, wanted)? {
                show::line(&mut out, &line, options.json, *times, coloured)?;
            }
            0
        }
        Command::Logs { wanted, times, boot: None } => {
            let coloured = !options.json && out.is_terminal();
            wire.each(Request::Logs(wanted.clone()), |reply| match reply {
                Reply::Line(line) => show::line(&mut out, &line, options.json, *times, coloured),
                _ => Ok(()),
            })?
        }
        Command::Events => wire.each(Request::Events, |reply| match reply {
            Reply::Event(event) => show::event(&mut out, &event, options.json),
            _ => Ok(()),
        })?,
        Command::Each(request, names) => {
            for name in names {
                wire.all(request(name))?;
            }
            0
        }
        Command::Power(how) => wire.each(Request::Power { how: *how }, |_| Ok(()))?,
        Command::Exec(exec) => exec::run(&mut wire, exec)?,
    };
    Ok(code)
}

fn figures(wire: &mut Wire) -> Result<String, CtlError> {
    let replies = wire.all(Request::Metrics)?.into_iter();
    let texts = replies.filter_map(|reply| match reply {
        Reply::Text { text } => Some(text),
        _ => None,
    });
    Ok(texts.collect())
}

fn services(wire: &mut Wire) -> Result<Vec<Service>, CtlError> {
    let replies = wire.all(Request::Ps)?.into_iter();
    let services = replies.filter_map(|reply| match reply {
        Reply::Service(service) => Some(service),
        _ => None,
    });
    Ok(services.collect())
}

/// A connection to PID 1, whose lines may still hold what an earlier caller asked for.
#[derive(Debug)]
struct Wire {
    reader: BufReader<UnixStream>,
    id: u64,
}

impl Wire {
    /// Find out who is there.
    fn greet(stream: UnixStream) -> Result<Self, CtlError> {
        // Answers to an earlier caller may still come; theirs has another number.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let id = (now.tv_nsec.unsigned_abs() << 20) | (u64::from(std::process::id()) & 0xf_ffff);
        stream.set_read_timeout(Some(PATIENCE)).map_err(CtlError::Broken)?;
        let mut wire = Self { reader: BufReader::new(stream), id };
        // An end for what an earlier caller may have left half said.
        wire.reader.get_mut().write_all(b"\n").map_err(CtlError::Broken)?;
        let mut found = None;
        wire.each(Request::Hello, |reply| {
            if let Reply::Hello { version, .. } = reply {
                found = Some(version);
            }
            Ok(())
        })?;
        wire.reader.get_ref().set_read_timeout(None).map_err(CtlError::Broken)?;
        match found {
            Some(VERSION) => Ok(wire),
            found => Err(CtlError::Version { found: found.unwrap_or_default() }),
        }
    }

    fn call(&mut self, request: Request) -> Result<(), CtlError> {
        self.id += 1;
        self.send(request)
    }

    fn send(&mut self, request: Request) -> Result<(), CtlError> {
        self.reader.get_mut().write_all(&to_line(&Call { id: self.id, request })).map_err(CtlError::Broken)
    }

    /// The next answer to the call that was made last.
    fn answer(&mut self) -> Result<Reply, CtlError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) => return Err(CtlError::Closed),
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Err(CtlError::Silent),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(CtlError::Broken(cause)),
            }
            // The first line may be the rest of one that somebody else was sent.
            match serde_json::from_slice::<Answer>(&line) {
                Ok(answer) if answer.id == self.id => return Ok(answer.reply),
                _ => {}
            }
        }
    }

    /// Make a call, and take its answers as they come. Out: its exit code.
    fn each(&mut self, request: Request, mut take: impl FnMut(Reply) -> Result<(), CtlError>) -> Result<u8, CtlError> {
        self.call(request)?;
        loop {
            match self.answer()? {
                Reply::Done { code } => return Ok(u8::try_from(code).unwrap_or(u8::MAX)),
                Reply::Error { message } => return Err(CtlError::Refused(message)),
                reply => take(reply)?,
            }
        }
    }

    /// Make a call, and take all of its answers.
    fn all(&mut self, request: Request) -> Result<Vec<Reply>, CtlError> {
        let mut replies = Vec::new();
        self.each(request, |reply| {
            replies.push(reply);
            Ok(())
        })?;
        Ok(replies)
    }
}
