//! The lines of the control protocol. Every call has an id of the caller's choice, and every answer to it has the same.
//!
//! A call is answered by any number of lines and then by one [`Reply::Done`] or [`Reply::Error`]. The names of fields and words are
//! stable: scripts read them by `hullctl --json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Version of the protocol: raised when a caller would misread an answer. More fields and words are no reason.
pub const VERSION: u32 = 1;

/// One line to PID 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What its answers are known by; calls of one connection that are not over have different ones.
    pub id: u64,
    /// What is wanted.
    #[serde(flatten)]
    pub request: Request,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Request {
    /// Who is there: one [`Reply::Hello`].
    Hello,
    /// What became of every container: one [`Reply::Service`] each.
    Ps,
    /// Lines that were printed: one [`Reply::Line`] each, oldest first.
    Logs(LogsWanted),
    /// Lines of an earlier boot, if they are kept in files: JSON lines of [`Line`] as [`Reply::Output`], all of them.
    Past {
        /// 0 for this boot, -1 for the one before.
        boot: i64,
    },
    /// Stages of the boot: one [`Reply::Stage`] each, in order.
    Boot,
    /// Figures as Prometheus reads them: one [`Reply::Text`].
    Metrics,
    /// What happens: one [`Reply::Event`] each, from the start of the boot on; it goes on until it is cancelled.
    Events,
    /// Start a service; one that runs already is left alone. Over when it runs.
    Start(Named),
    /// Stop a service, and do not start it again. Over when it has ended.
    Stop(Named),
    /// Stop a service and start it again. Over when it runs.
    Restart(Named),
    /// Kill a service's processes, as a crash would end them: what follows is its restart policy's.
    Kill(Named),
    /// Run a program in a container that runs: its output as [`Reply::Output`], its exit code in [`Reply::Done`].
    Exec(Exec),
    /// More input for the program of this id.
    Input {
        /// The bytes.
        bytes: Bytes,
    },
    /// There is no more input for the program of this id.
    InputEnd,
    /// Nobody wants the answers to this id any more; its program is killed.
    Cancel,
    /// Go down.
    Power {
        /// How.
        how: How,
    },
}

/// The service that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub service: String,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsWanted {
    /// Whose, by name: of containers, of [`INIT`], of [`KERNEL`]; those of all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Go on with what is printed from now on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// Only the last so many of those that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
}

/// A program to run in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The container's name.
    pub service: String,
    /// Program and arguments, not empty.
    pub command: Vec<String>,
    /// It reads what [`Request::Input`] brings; without, it has no input.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub input: bool,
    /// It has a terminal, of this size; implies `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Size>,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// How a host goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Switched off.
    Off,
    /// Started again.
    Reboot,
    /// Stopped, with the power on.
    Halt,
}

/// Name by which init's own lines are asked for.
pub const INIT: &str = "hullkit";

/// Name by which the kernel's lines are asked for.
pub const KERNEL: &str = "kernel";

/// One line from PID 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The call's.
    pub id: u64,
    /// What it says.
    #[serde(flatten)]
    pub reply: Reply,
}

/// What PID 1 says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Who answers.
    Hello {
        /// Version of the protocol: [`VERSION`].
        version: u32,
        /// Version of init.
        init: String,
    },
    /// A container.
    Service(Service),
    /// A printed line.
    Line(Line),
    /// A stage of the boot.
    Stage(Stage),
    /// A text.
    Text {
        /// It.
        text: String,
    },
    /// Something that happened.
    Event(Event),
    /// Output of a program.
    Output {
        /// `stdout` or `stderr`.
        stream: Stream,
        /// The bytes.
        bytes: Bytes,
    },
    /// The call is over.
    Done {
        /// Exit code of a program, or 128 and the number of the signal that ended it; else 0.
        code: i32,
    },
    /// The call is over, and was not done.
    Error {
        /// Why.
        message: String,
    },
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What became of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `onboot`, `services` or `onshutdown`.
    pub section: String,
    /// Its image, as the manifest has it.
    pub image: String,
    /// Where it stands.
    pub state: State,
    /// Process id in the host, of one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Milliseconds since it was started, of one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
    /// How often it was started again.
    pub restarts: u64,
    /// What its health check says; absent without one, or if it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// How it ended last: `ended, exit code 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Bytes of memory, of one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Microseconds of processor time since its first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// How many of its processes were killed for want of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Lines it printed that are kept no more.
    pub lines_dropped: u64,
}

/// Where a container stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not started yet: its dependencies do not allow it, or its section's time has not come.
    #[default]
    Created,
    /// About to run.
    Starting,
    /// It runs.
    Running,
    /// It was asked to end.
    Stopping,
    /// It ended, and will be started again.
    Restarting,
    /// It ended, and will not be started again by itself.
    Exited,
}

/// What a health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing yet.
    Starting,
    /// It works.
    Healthy,
    /// It does not.
    Unhealthy,
}

/// A printed line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Whose: a container's name, [`INIT`] or [`KERNEL`].
    pub service: String,
    /// Where it came from.
    pub stream: Stream,
    /// Milliseconds since the kernel started.
    pub uptime: u64,
    /// Milliseconds since 1970, by the host's clock of now.
    pub time: u64,
    /// The line; what is not UTF-8 of it is replaced.
    pub text: String,
    /// Lines of this container that stood before it and are kept no more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A stage of the boot; times are milliseconds since the kernel started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name; two stages may share one.
    pub stage: String,
    /// When it began.
    pub begin: u64,
    /// When it was over; absent if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the kernel started.
    pub uptime: u64,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// A stage of the boot began.
    Stage {
        /// Its name.
        stage: String,
    },
    /// The boot is over, and all that it depends on is up.
    Ready,
    /// A container's state is another.
    Service {
        /// Its name.
        service: String,
        /// Its section.
        section: String,
        /// The new state.
        state: State,
        /// How it ended, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<String>,
    },
    /// What a health check says is another.
    Health {
        /// The service's name.
        service: String,
        /// The new word.
        health: Health,
    },
    /// The boot failed.
    Failed {
        /// What the failure screen's last line says: `stage`, `error`, `hint` and more.
        report: serde_json::Value,
    },
    /// The host goes down.
    Down {
        /// How.
        how: How,
    },
}

/// Bytes that need not be text; base 64 in JSON (RFC 4648, 4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Write one line, its line feed included.
#[must_use]
pub fn to_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_scripts_may_rely_on() {
        let call = |text: &str| serde_json::from_str::<Call>(text).unwrap();
        assert_eq!(call(r#"{"id":1,"call":"ps"}"#), Call { id: 1, request: Request::Ps });
        let wanted = LogsWanted { services: vec!["web".into()], follow: true, tail: Some(3) };
        let text = r#"{"id":2,"call":"logs","services":["web"],"follow":true,"tail":3}"#;
        assert_eq!(call(text), Call { id: 2, request: Request::Logs(wanted) });
        let input = Request::Input { bytes: Bytes(vec![0, 255]) };
        assert_eq!(call(r#"{"id":3,"call":"input","bytes":"AP8="}"#), Call { id: 3, request: input });
        let answer = Answer { id: 2, reply: Reply::Done { code: 0 } };
        assert_eq!(to_line(&answer), b"{\"id\":2,\"reply\":\"done\",\"code\":0}\n");
        let what = What::Stage { stage: "root".into() };
        let answer = Answer { id: 4, reply: Reply::Event(Event { uptime: 12, what }) };
        let text = String::from_utf8(to_line(&answer)).unwrap();
        assert_eq!(text, "{\"id\":4,\"reply\":\"event\",\"uptime\":12,\"event\":\"stage\",\"stage\":\"root\"}\n");
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            let _ = serde_json::from_str::<Call>(&text);
            let _ = serde_json::from_str::<Answer>(&text);
        }
    }
}
