//! One thing that PID 1 started: a container of the contract, or a child of its own.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::container::{Report, Section};
use crate::control::{Hand, Told};
use crate::logs::Ring;
use crate::memory::Events;
use crate::metadata::Moment;
use crate::services::backoff::{Backoff, Ending};
use crate::services::life::Life;
use crate::stop::Stopping;
use crate::sys::Exit;

/// Longest report, in bytes; more is not read.
const LONGEST_REPORT: usize = 64 << 10;

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container: its section, and its position there.
    Container(Section, usize),
    /// The child that sets up the network.
    Network,
    /// What finds out whether the service of this unit works.
    Probe(usize),
    /// The child that fetches the root.
    Fetch,
    /// The child that keeps lines in files and sends them.
    Logs,
    /// The child that shows figures over HTTP.
    Metrics,
    /// The child that asks for metadata.
    Metadata(Moment),
    /// The child that takes disks into use.
    Storage,
}

/// Where a unit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Never started.
    Idle,
    /// A helper creates it.
    Starting {
        /// The helper's process id.
        helper: u32,
        /// Uptime at which it was asked for.
        since: Duration,
    },
    /// It has ended already, and its helper's end was not seen yet.
    Early {
        /// The helper's process id.
        helper: u32,
        /// The container's.
        pid: u32,
        /// How it ended.
        exit: Exit,
        /// Uptime at which it was asked for.
        since: Duration,
    },
    /// It runs.
    Running {
        /// Its process id.
        pid: u32,
        /// Uptime at which it was asked for.
        since: Duration,
    },
    /// It has ended, and nobody has acted on that yet.
    Ended(Ending),
    /// It waits for its next start, at this uptime.
    Waiting(Duration),
    /// It stays as it is.
    Left,
}

/// One thing that PID 1 started.
#[derive(Debug)]
pub struct Unit {
    /// What it is.
    pub kind: Kind,
    /// Its name on the console.
    pub name: String,
    /// Its lines are not for the console.
    pub quiet: bool,
    /// Where it stands.
    pub phase: Phase,
    /// What it printed.
    pub ring: Ring,
    /// How long it had run when it ended last.
    pub ran: Duration,
    /// What its cgroup had seen when it ended last: the counts outlive a restart.
    pub memory: Events,
    /// Its waits between starts.
    pub backoff: Backoff,
    /// What it has been through as a service.
    pub life: Life,
    /// Whether it was asked to end.
    pub stopping: Stopping,
    /// What is to become of it once it has ended, if it was asked to by hand.
    pub hand: Option<Hand>,
    /// How often it was started.
    pub starts: u64,
    /// How it ended last.
    pub ended: Option<Ending>,
    /// What was told of it last.
    pub told: Told,
    pub(super) report: Option<OwnedFd>,
    pub(super) output: [Option<OwnedFd>; 2],
    report_text: Vec<u8>,
}

impl Unit {
    pub(super) fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            quiet: matches!(kind, Kind::Probe(_)),
            phase: Phase::Idle,
            ring: Ring::default(),
            ran: Duration::ZERO,
            memory: Events::default(),
            backoff: Backoff::default(),
            life: Life::default(),
            stopping: Stopping::No,
            hand: None,
            starts: 0,
            ended: None,
            told: Told::default(),
            report: None,
            output: [None, None],
            report_text: Vec::new(),
        }
    }

    pub(super) fn attach(&mut self, phase: Phase, report: OwnedFd, output: [OwnedFd; 2]) {
        self.phase = phase;
        self.stopping = Stopping::No;
        self.starts += 1;
        self.report = Some(report);
        self.output = output.map(Some);
        self.report_text.clear();
    }

    /// Process id of the container, or of a child of PID 1's own.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match self.phase {
            Phase::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// Tell whether a process of it is running or about to.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Early { .. } | Phase::Running { .. })
    }

    /// What stands before its lines on the console, if they are shown there.
    pub(super) fn prefix(&self) -> Option<String> {
        (!self.quiet).then(|| format!("{} | ", self.name))
    }

    /// The last line it printed that is not blank.
    #[must_use]
    pub fn last_line(&self) -> Option<String> {
        let mut lines = self.ring.lines().rev().map(|line| String::from_utf8_lossy(&line.text).trim().to_owned());
        lines.find(|line| !line.is_empty())
    }

    /// Tell whether a process that ended is this unit's helper or its container.
    pub(super) fn is(&self, ended: u32) -> bool {
        match self.phase {
            Phase::Starting { helper, .. } => helper == ended || self.reported() == Some(Report::Pid(ended)),
            Phase::Early { helper, .. } => helper == ended,
            Phase::Running { pid, .. } => pid == ended,
            _ => false,
        }
    }

    /// What the helper's end means, given its report.
    pub(super) fn verdict(&self, exit: Exit) -> Result<u32, String> {
        match self.reported() {
            Some(Report::Pid(pid)) => Ok(pid),
            Some(Report::Error(error)) => Err(error),
            None => Err(format!("the helper that creates it stopped without a word, {exit}")),
        }
    }

    /// Take what is in the report pipe.
    pub(super) fn read_report(&mut self) {
        while let Some(fd) = &self.report {
            match crate::sys::read_some(fd) {
                Ok(bytes) if !bytes.is_empty() && self.report_text.len() < LONGEST_REPORT => {
                    self.report_text.extend(bytes);
                }
                Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => return,
                _ => self.report = None,
            }
        }
    }

    /// Take the whole lines that a child of PID 1's own has reported.
    pub fn take_lines(&mut self) -> Vec<Vec<u8>> {
        let Some(end) = self.report_text.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.report_text.split_off(end + 1);
        let whole = std::mem::replace(&mut self.report_text, rest);
        whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    }

    fn reported(&self) -> Option<Report> {
        let end = self.report_text.iter().position(|byte| *byte == b'\n')?;
        serde_json::from_slice(&self.report_text[..end]).ok()
    }
}
