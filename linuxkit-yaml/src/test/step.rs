//! One step of a test: something that must become true, or something that is done. It is written as a mapping with one key that says
//! what, and a few that every step may have.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::Disk;
use super::answer::{ConsoleLines, CtlAnswer, End, ExecAnswer, FileContent, HttpAnswer, LogLines, TcpAnswer};
use crate::period::Period;
use crate::problem::Problems;
use crate::scalar::Scalar;
use crate::span::{Position, Spanned};

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What reports call it; nothing if the user does not say.
    pub name: Option<String>,
    /// Which of several hosts is meant.
    pub host: Option<Spanned<String>>,
    /// How long it may take to become true.
    pub within: Option<Period>,
    /// What it is.
    pub action: Action,
    /// Where it stands.
    pub at: Position,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Services work.
    Healthy(Wanted),
    /// A page is answered.
    Http(HttpAnswer),
    /// A port answers.
    Tcp(TcpAnswer),
    /// A program in a service's container ends as it must.
    Exec(ExecAnswer),
    /// A file in a service's container has a content.
    File(FileContent),
    /// Something was printed, or was not.
    Log(LogLines),
    /// The console has lines.
    Console(ConsoleLines),
    /// `hullkit ctl` says what it must.
    Ctl(CtlAnswer),
    /// Kill a service's processes.
    Kill(Spanned<String>),
    /// Stop a service by hand.
    Stop(Spanned<String>),
    /// Start a service by hand.
    Start(Spanned<String>),
    /// Stop a service and start it again.
    Restart(Spanned<String>),
    /// Type on the console.
    Type(Spanned<String>),
    /// Pull out a disk, a device, or the network cable: `net`.
    Unplug(Spanned<String>),
    /// Plug it in, or in again.
    Plug(Spanned<String>),
    /// Start the host again, in order.
    Reboot,
    /// Take the power away and give it back.
    PowerCut,
    /// Press the power button.
    PowerButton,
    /// Interrupt the processors in a way that nobody can refuse.
    Nmi,
    /// The host ends by itself.
    Ends(End),
    /// Start a host that has ended.
    PowerOn,
    /// Take the power away, make disks longer, and give it back.
    Grow(Vec<Disk>),
    /// Keep what the disks hold, under a name.
    Snapshot(Spanned<String>),
    /// Take the power away, let the disks be what they were, and give it back.
    Restore(Spanned<String>),
}

/// Which services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// These.
    Named(Vec<String>),
}

/// A step as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Step")]
pub(crate) struct StepWords {
    /// What reports call it.
    #[serde(default)]
    name: Option<String>,
    /// Which of several hosts is meant.
    #[serde(default)]
    host: Option<Spanned<String>>,
    /// How long it may take to become true; 60s if absent.
    #[serde(default)]
    within: Option<Period>,
    /// Services that must work: `all`, or a list of names.
    #[serde(default)]
    healthy: Option<Spanned<Wanted>>,
    /// A page that must be answered.
    #[serde(default)]
    http: Option<Spanned<HttpAnswer>>,
    /// A port that must answer.
    #[serde(default)]
    tcp: Option<Spanned<TcpAnswer>>,
    /// A program in a service's container that must end well.
    #[serde(default)]
    exec: Option<Spanned<ExecAnswer>>,
    /// A file in a service's container that must have a content.
    #[serde(default)]
    file: Option<Spanned<FileContent>>,
    /// What must have been printed, or must not.
    #[serde(default)]
    log: Option<Spanned<LogLines>>,
    /// Lines that the console must show.
    #[serde(default)]
    console: Option<Spanned<ConsoleLines>>,
    /// What `hullkit ctl` must say.
    #[serde(default)]
    ctl: Option<Spanned<CtlAnswer>>,
    /// A service whose processes are killed.
    #[serde(default)]
    kill: Option<Spanned<String>>,
    /// A service that is stopped by hand.
    #[serde(default)]
    stop: Option<Spanned<String>>,
    /// A service that is started by hand.
    #[serde(default)]
    start: Option<Spanned<String>>,
    /// A service that is stopped and started again.
    #[serde(default)]
    restart: Option<Spanned<String>>,
    /// Keys that are typed on the console; `\n` is Enter.
    #[serde(default, rename = "type")]
    typed: Option<Spanned<String>>,
    /// What is pulled out: one of `disks` or `devices`, or `net`, the network cable.
    #[serde(default)]
    unplug: Option<Spanned<String>>,
    /// What is plugged in, or in again.
    #[serde(default)]
    plug: Option<Spanned<String>>,
    /// `true`: the host starts again, in order.
    #[serde(default)]
    reboot: Option<Spanned<bool>>,
    /// `true`: the power is taken away, and given back.
    #[serde(default)]
    power_cut: Option<Spanned<bool>>,
    /// `true`: the power button is pressed.
    #[serde(default)]
    power_button: Option<Spanned<bool>>,
    /// `true`: the processors get an interrupt that nobody can refuse.
    #[serde(default)]
    nmi: Option<Spanned<bool>>,
    /// How the host must end by itself.
    #[serde(default)]
    ends: Option<Spanned<End>>,
    /// `true`: the host starts that has ended by itself.
    #[serde(default)]
    power_on: Option<Spanned<bool>>,
    /// Disks that become so long: the power is taken away, and given back; `boot` is the disk that the host boots from.
    #[serde(default)]
    grow: Option<Spanned<Vec<Disk>>>,
    /// A name under which is kept what the disks hold.
    #[serde(default)]
    snapshot: Option<Spanned<String>>,
    /// A name of a snapshot: the power is taken away, the disks are what they were, and it is given back.
    #[serde(default)]
    restore: Option<Spanned<String>>,
}

/// Every key that says what a step is, for a message.
const KEYS: &str = "healthy, http, tcp, exec, file, log, console, ctl, kill, stop, start, restart, type, unplug, plug, reboot, \
                    power_cut, power_button, nmi, ends, power_on, grow, snapshot, restore";

/// Find out what a step is. Out: nothing if it is not one thing.
pub(crate) fn action(step: &Spanned<StepWords>, problems: &mut Problems<'_>) -> Option<Step> {
    let words = &step.value;
    let mut found: Vec<(&str, &Position, Action)> = Vec::new();
    macro_rules! take {
        ($($key:ident $variant:ident,)*) => {
            $(if let Some(given) = &words.$key {
                found.push((stringify!($key), &given.at, Action::$variant(given.value.clone())));
            })*
        };
    }
    macro_rules! named {
        ($($key:ident $variant:ident,)*) => {
            $(if let Some(given) = &words.$key {
                found.push((stringify!($key), &given.at, Action::$variant(given.clone())));
            })*
        };
    }
    take! { healthy Healthy, http Http, tcp Tcp, exec Exec, file File, log Log, console Console, ctl Ctl, ends Ends, grow Grow, }
    named! { kill Kill, stop Stop, start Start, restart Restart, unplug Unplug, plug Plug, snapshot Snapshot, restore Restore, }
    if let Some(given) = &words.typed {
        found.push(("type", &given.at, Action::Type(given.clone())));
    }
    for (key, given, action) in [
        ("reboot", &words.reboot, Action::Reboot),
        ("power_cut", &words.power_cut, Action::PowerCut),
        ("power_button", &words.power_button, Action::PowerButton),
        ("nmi", &words.nmi, Action::Nmi),
        ("power_on", &words.power_on, Action::PowerOn),
    ] {
        if let Some(given) = given {
            if !given.value {
                problems.add(&given.at, format!("`{key}: false` does nothing: leave the step out"));
            }
            found.push((key, &given.at, action));
        }
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((_, _, action)), None) => Some(Step {
            name: words.name.clone(),
            host: words.host.clone(),
            within: words.within,
            action,
            at: step.at.clone(),
        }),
        (Some((first, ..)), Some((second, at, _))) => {
            problems.add(at, format!("a step is one thing: this is `{first}` and `{second}`"));
            None
        }
        (None, _) => {
            if let Some(problem) = problems.add(&step.at, "this step says nothing that is looked at or done") {
                problem.hint = Some(format!("one of {KEYS}"));
            }
            None
        }
    }
}

/// What a step is, in a few words: what reports call it if the user does not say.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy(Wanted::All) => f.write_str("all services are healthy"),
            Self::Healthy(Wanted::Named(names)) => write!(f, "healthy: {}", names.join(", ")),
            Self::Http(page) => write!(f, "http port {} {}", page.port, page.path),
            Self::Tcp(tcp) => write!(f, "tcp port {}", tcp.port),
            Self::Exec(exec) => write!(f, "exec in {}: {}", exec.service, exec.command.join(" ")),
            Self::File(file) => write!(f, "file {} in {}", file.path, file.service),
            Self::Log(log) => {
                let who = log.service.as_ref().map_or("anybody", |name| name.as_str());
                write!(f, "log of {who}")?;
                log.contains.iter().try_for_each(|text| write!(f, " has `{text}`"))?;
                log.never.iter().try_for_each(|text| write!(f, " lacks `{text}`"))
            }
            Self::Console(lines) => {
                let texts = lines.contains.iter().chain(&lines.anywhere);
                let shown: Vec<String> = texts.take(2).map(|text| format!("`{text}`")).collect();
                let more =
                    if lines.contains.len().saturating_add(lines.anywhere.len()) > shown.len() { ", …" } else { "" };
                write!(f, "the console shows {}{more}", shown.join(", "))
            }
            Self::Ctl(ctl) => write!(f, "ctl {}", ctl.args.join(" ")),
            Self::Kill(name) => write!(f, "kill {name}"),
            Self::Stop(name) => write!(f, "stop {name}"),
            Self::Start(name) => write!(f, "start {name}"),
            Self::Restart(name) => write!(f, "restart {name}"),
            Self::Type(text) => write!(f, "type `{}`", text.trim_end()),
            Self::Unplug(name) => write!(f, "unplug {name}"),
            Self::Plug(name) => write!(f, "plug {name}"),
            Self::Reboot => f.write_str("reboot"),
            Self::PowerCut => f.write_str("power cut"),
            Self::PowerButton => f.write_str("power button"),
            Self::Nmi => f.write_str("NMI"),
            Self::Ends(end) => write!(f, "the host has {end} by itself"),
            Self::PowerOn => f.write_str("power on"),
            Self::Grow(disks) => {
                f.write_str("grow")?;
                disks.iter().try_for_each(|disk| write!(f, " {} to {}", disk.name, disk.size))
            }
            Self::Snapshot(name) => write!(f, "snapshot {name}"),
            Self::Restore(name) => write!(f, "restore {name}"),
        }
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WantedVisitor)
    }
}

struct WantedVisitor;

impl<'de> Visitor<'de> for WantedVisitor {
    type Value = Wanted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`all`, or a list of services")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Wanted, E> {
        if word == "all" { Ok(Wanted::All) } else { Ok(Wanted::Named(vec![word.to_owned()])) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Wanted, A::Error> {
        let mut names = Vec::new();
        while let Some(Scalar(name)) = list.next_element()? {
            names.push(name);
        }
        if names.is_empty() {
            return Err(serde::de::Error::custom("a list of no services asks for nothing; `all` means all of them"));
        }
        Ok(Wanted::Named(names))
    }
}

impl JsonSchema for Wanted {
    fn schema_name() -> Cow<'static, str> {
        "Wanted".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
    }
}
