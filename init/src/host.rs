//! PID 1's state and its event loop. In: what happens (signals, ends of processes, output, reports). Out: [`Unit`]s in the
//! phase that this leads to. It decides nothing: stages look at the units after each turn and act.
//!
//! One thread, one `poll`. Nothing in it blocks: helpers start containers, the console is written as far as it takes, and a
//! descriptor gives at most one chunk a turn, so that a container that floods gets its share and no more.

mod unit;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

pub use unit::{Kind, Phase, Unit};

use crate::button::Buttons;
use crate::cmdline::Options;
use crate::console::{Console, INIT};
use crate::container::{Bundle, Section};
use crate::contract::{Container, Contract, OnFailure};
use crate::control::protocol::{Stage, What};
use crate::control::{self, Control};
use crate::kmsg::Kmsg;
use crate::logs::{Line, Ring, Stream};
use crate::memory::Events;
use crate::metadata;
use crate::network_child;
use crate::root;
use crate::services::backoff::Ending;
use crate::storage;
use crate::sys::{Exit, Power, Started, Sys, Want};
use crate::watchdog::{self, Watchdog};

/// This program, to be started again in another role.
pub const ITSELF: &str = "/proc/self/exe";

/// Chunks read from an output after its container has ended; more than a full pipe holds.
const LAST_CHUNKS: usize = 16;

/// Time between two looks for something if the kernel tells of nothing new.
const PAUSE: Duration = Duration::from_millis(100);

/// Time after which it is said that somebody waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of waiting.
#[derive(Debug)]
pub enum Waited<T> {
    /// It is there.
    Found(T),
    /// Somebody wants the host to go down.
    Asked,
    /// It did not come in so long a time.
    Late(Duration),
}

/// PID 1.
#[derive(Debug)]
pub struct Host<S> {
    /// The kernel.
    pub sys: S,
    /// From the kernel command line.
    pub options: Options,
    /// What this host is.
    pub contract: Rc<Contract>,
    /// Lines for people.
    pub console: Console,
    /// Power buttons.
    pub buttons: Buttons,
    /// Those who ask and command while the host runs.
    pub control: Control,
    /// Lines of init's own.
    pub journal: Ring,
    /// The kernel's lines.
    pub kernel: Kmsg,
    /// Stages of the boot so far.
    pub timeline: Vec<Stage>,
    /// Everything that was started; a unit's position is its name for the rest of the program.
    pub units: Vec<Unit>,
    /// Position of the first service's unit; those of the others follow.
    pub services: usize,
    /// Something on a disk is being looked for: a device that comes is no news.
    searching: bool,
    /// The block device that the root is on, or in a partition of which it is; an absolute path.
    pub disk: Option<String>,
    /// Modules of the contract that only the root may have.
    pub absent: Vec<String>,
    /// Somebody wants the host to go down.
    pub asked: Option<Power>,
    /// The network child has said that the host is online.
    pub online: bool,
    /// Network rules in place of the contract's, as JSON.
    pub rules: Option<String>,
    /// What the network child waits for: interface or rule, and what it lacks.
    pub waits_for: BTreeMap<String, String>,
    /// What resets the machine if this program does not turn any more.
    pub watchdog: Option<Watchdog>,
}

/// What a ready descriptor belongs to.
#[derive(Debug, Clone, Copy)]
enum Token {
    Console,
    Buttons,
    Control(control::Fd),
    Kernel,
    Report(usize),
    Output(usize, Stream),
}

impl<S: Sys> Host<S> {
    /// A host that knows nothing yet.
    pub fn new(sys: S) -> Self {
        Self {
            sys,
            options: Options::default(),
            contract: Rc::default(),
            console: Console::default(),
            buttons: Buttons::default(),
            control: Control::default(),
            journal: Ring::default(),
            kernel: Kmsg::default(),
            timeline: Vec::new(),
            units: Vec::new(),
            services: 0,
            searching: false,
            disk: None,
            absent: Vec::new(),
            asked: None,
            online: false,
            rules: None,
            waits_for: BTreeMap::new(),
            watchdog: None,
        }
    }

    /// What is to follow a failed boot.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        self.options.on_failure.or(self.contract.on_failure).unwrap_or_default()
    }

    /// Show one line of init's own, with the kernel's uptime in front.
    pub fn say(&mut self, text: &str) {
        let now = self.sys.uptime();
        let prefix = format!("[{:5}.{:03}] hullkit: ", now.as_secs(), now.subsec_millis());
        self.console.line(INIT, &prefix, text.as_bytes());
        self.console.write();
        self.journal.push(millis(now), Stream::Out, text.as_bytes(), |_| {});
        self.journal.push(millis(now), Stream::Out, b"\n", |_| {});
    }

    /// A stage of the boot begins, and the one before it is over.
    pub fn enter(&mut self, stage: &str) {
        self.leave();
        let now = self.sys.uptime();
        self.timeline.push(Stage { stage: stage.to_owned(), begin: millis(now), end: None });
        self.control.tell(now, What::Stage { stage: stage.to_owned() });
    }

    /// The last stage is over.
    pub fn leave(&mut self) {
        let now = millis(self.sys.uptime());
        if let Some(stage) = self.timeline.last_mut().filter(|stage| stage.end.is_none()) {
            stage.end = Some(now);
        }
    }

    /// The contract's list for a section.
    #[must_use]
    pub fn list(contract: &Contract, section: Section) -> &[Container] {
        match section {
            Section::Onboot => &contract.onboot,
            Section::Services => &contract.services,
            Section::Onshutdown => &contract.onshutdown,
        }
    }

    /// Add a unit that is not started yet. Out: its position.
    pub fn add(&mut self, kind: Kind, name: &str) -> usize {
        let mut unit = Unit::new(kind, name);
        let shown = self.contract.logs.console.as_ref();
        unit.quiet |=
            matches!(kind, Kind::Container(..)) && shown.is_some_and(|names| !names.iter().any(|one| one == name));
        self.units.push(unit);
        self.units.len() - 1
    }

    /// The unit of a service, by its position in the contract; nothing before there is one.
    #[must_use]
    pub fn service(&self, index: usize) -> Option<usize> {
        let position = self.services.checked_add(index)?;
        let unit = self.units.get(position)?;
        (unit.kind == Kind::Container(Section::Services, index)).then_some(position)
    }

    /// Start a unit; a failure to do so is its ending.
    pub fn start(&mut self, position: usize) {
        let contract = Rc::clone(&self.contract);
        let since = self.sys.uptime();
        let Some(kind) = self.units.get(position).map(|unit| unit.kind) else { return };
        let (started, phase): (_, fn(u32, Duration) -> Phase) = match kind {
            Kind::Network => {
                let args = std::iter::once("network").chain(self.rules.as_deref()).collect::<Vec<_>>();
                (self.sys.program(ITSELF, &args), |pid, since| Phase::Running { pid, since })
            }
            Kind::Metadata(moment) => {
                (metadata::start(&mut self.sys, moment), |pid, since| Phase::Running { pid, since })
            }
            Kind::Storage => (storage::start(&mut self.sys), |pid, since| Phase::Running { pid, since }),
            Kind::Metrics => (self.sys.program(ITSELF, &["metrics"]), |pid, since| Phase::Running { pid, since }),
            Kind::Fetch => {
                (root::web::start(&mut self.sys, &self.options, &contract), |pid, since| Phase::Running { pid, since })
            }
            Kind::Logs => {
                let fed = self.sys.pipe_into(ITSELF, &["logs"]);
                let started = fed.map(|(started, input)| {
                    self.control.feed(input, self.units[position].starts > 0);
                    started
                });
                (started, |pid, since| Phase::Running { pid, since })
            }
            Kind::Probe(service) => match self.probed(&contract, service) {
                Some((container, pid)) => {
                    self.units[position].ring = Ring::default();
                    let filter = contract.filter(container).map_err(io::Error::other);
                    let started = filter.and_then(|filter| self.sys.probe(container, filter, pid));
                    (started, |pid, since| Phase::Running { pid, since })
                }
                None => return,
            },
            Kind::Container(section, index) => match Self::list(&contract, section).get(index) {
                Some(container) => {
                    let filter = contract.filter(container).map_err(io::Error::other);
                    let started = filter.and_then(|filter| self.sys.start(section, container, filter));
                    (started, |helper, since| Phase::Starting { helper, since })
                }
                None => return,
            },
        };
        let Some(unit) = self.units.get_mut(position) else { return };
        match started {
            Ok(Started { pid, report, output }) => unit.attach(phase(pid, since), report, output),
            Err(cause) => {
                let ending = Ending::NotStarted(format!("no process for it: {cause}"));
                unit.ended = Some(ending.clone());
                unit.phase = Phase::Ended(ending);
            }
        }
    }

    /// What a probe looks at: a container that runs, and its process.
    fn probed<'a>(&self, contract: &'a Contract, service: usize) -> Option<(&'a Container, u32)> {
        let unit = self.units.get(service)?;
        let Kind::Container(section, index) = unit.kind else { return None };
        Some((Self::list(contract, section).get(index)?, unit.pid()?))
    }

    /// Wait for the next event, at most until `deadline` (an uptime), and take in everything that is there.
    pub fn turn(&mut self, deadline: Option<Duration>) {
        control::pump(self);
        let deadline = [deadline, watchdog::feed(self)].into_iter().flatten().min();
        let timeout = deadline.map(|at| at.saturating_sub(self.sys.uptime()));
        for token in self.wait(timeout) {
            match token {
                Token::Console => {
                    self.console.write();
                }
                Token::Buttons => {
                    if self.buttons.pressed() {
                        self.ask(Power::Off, "power button");
                    }
                }
                Token::Control(fd) => control::ready(self, fd),
                Token::Kernel => self.kernel.read(),
                Token::Report(position) => self.read_report(position),
                Token::Output(position, stream) => {
                    self.read_output(position, stream);
                }
            }
        }
        for number in self.sys.signals() {
            self.signal(number);
        }
        while let Some((pid, exit)) = self.sys.reap() {
            self.ended(pid, exit);
        }
        self.greet_devices();
    }

    /// Look for something until it is there or the time is over. In: what it is, for people.
    pub fn wait_for<T>(
        &mut self,
        timeout: Duration,
        what: &str,
        look: impl FnMut(&mut Self) -> Option<T>,
    ) -> Waited<T> {
        self.searching = true;
        let waited = self.look(timeout, what, look);
        self.searching = false;
        waited
    }

    fn look<T>(&mut self, timeout: Duration, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> Waited<T> {
        let start = self.sys.uptime();
        let mut silent = true;
        while self.asked.is_none() {
            if let Some(found) = look(self) {
                return Waited::Found(found);
            }
            let waited = self.sys.uptime().saturating_sub(start);
            if waited >= timeout {
                return Waited::Late(waited);
            }
            if silent && waited >= PATIENCE {
                silent = false;
                self.say(&format!("waiting up to {} s for {what}", timeout.as_secs()));
            }
            // Takes in the kernel's news, and with them loads the drivers of devices that come only now.
            let next = self.sys.uptime() + PAUSE;
            self.turn(Some(next.min(start + timeout)));
        }
        Waited::Asked
    }

    /// Load the drivers of devices that were plugged in, and say so: on a host that runs, a driver is news.
    fn greet_devices(&mut self) {
        let report = self.sys.load_for_new_devices();
        let news = if self.searching { &[] } else { &report.loaded[..] };
        for name in news {
            self.say(&format!("new device: module `{name}` loaded"));
        }
        for (name, reason) in &report.failed {
            self.say(&format!("new device: module `{name}` not loaded: {reason}"));
        }
        // The name by which the port is known comes after the port itself, and on a busy machine long after.
        if report.news {
            self.control.find_port(&mut self.sys);
        }
    }

    /// Ask for the host to go down; the first to ask decides how.
    pub fn ask(&mut self, power: Power, by: &str) {
        if self.asked.is_none() {
            self.asked = Some(power);
            self.say(&format!("{by}: {}", power_word(power)));
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Vec<Token> {
        let mut fds: Vec<(BorrowedFd<'_>, Want)> = Vec::new();
        let mut tokens = Vec::new();
        if let Some(fd) = self.console.pending() {
            fds.push((fd, Want::Write));
            tokens.push(Token::Console);
        }
        for fd in self.buttons.fds() {
            fds.push((fd, Want::Read));
            tokens.push(Token::Buttons);
        }
        for (fd, want, what) in self.control.fds() {
            fds.push((fd, want));
            tokens.push(Token::Control(what));
        }
        if let Some(fd) = self.kernel.fd() {
            fds.push((fd, Want::Read));
            tokens.push(Token::Kernel);
        }
        for (position, unit) in self.units.iter().enumerate() {
            if let Some(fd) = &unit.report {
                fds.push((fd.as_fd(), Want::Read));
                tokens.push(Token::Report(position));
            }
            for stream in [Stream::Out, Stream::Err] {
                if let Some(fd) = &unit.output[stream as usize] {
                    fds.push((fd.as_fd(), Want::Read));
                    tokens.push(Token::Output(position, stream));
                }
            }
        }
        let ready = self.sys.poll(&fds, timeout);
        tokens.into_iter().zip(ready).filter_map(|(token, ready)| ready.then_some(token)).collect()
    }

    /// Busybox's words for PID 1, which LinuxKit's images use: USR1 halts, USR2 switches off, TERM and INT start again.
    ///
    /// # Source
    ///
    /// busybox, `init/halt.c` and `init/init.c`; SIGPWR from lxc and libvirt.
    fn signal(&mut self, number: i32) {
        match number {
            libc::SIGUSR1 => self.ask(Power::Halt, "SIGUSR1"),
            libc::SIGUSR2 => self.ask(Power::Off, "SIGUSR2"),
            libc::SIGPWR => self.ask(Power::Off, "SIGPWR"),
            libc::SIGTERM => self.ask(Power::Reboot, "SIGTERM"),
            libc::SIGINT => self.ask(Power::Reboot, "Ctrl-Alt-Del"),
            libc::SIGIO => self.control.wake(),
            _ => {}
        }
    }

    /// Take in the end of a process: a helper's, a container's, the network child's, or that of an orphan nobody knows.
    ///
    /// A container may end before its helper's report was read, and the two ends may be reaped in either order. So every report
    /// is read before the process is looked up: it was written before the helper ended, and PID 1 becomes the container's
    /// parent only then.
    fn ended(&mut self, pid: u32, exit: Exit) {
        for position in 0..self.units.len() {
            self.read_report(position);
        }
        if self.control.ended(pid, exit) {
            return;
        }
        let Some(position) = self.units.iter().position(|unit| unit.is(pid)) else { return };
        let unit = &mut self.units[position];
        match unit.phase {
            Phase::Starting { helper, since } if helper == pid => match unit.verdict(exit) {
                Ok(pid) => unit.phase = Phase::Running { pid, since },
                Err(error) => self.close(position, Ending::NotStarted(error)),
            },
            Phase::Early { helper, pid: container, exit: first, since } if helper == pid => {
                unit.phase = Phase::Running { pid: container, since };
                self.close(position, Ending::Ended(first));
            }
            Phase::Starting { helper, since } => unit.phase = Phase::Early { helper, pid, exit, since },
            _ => self.close(position, Ending::Ended(exit)),
        }
    }

    /// A unit is over: nothing of it stays running, its last words are read, its mounts go unless it may come back.
    fn close(&mut self, position: usize, ending: Ending) {
        let ending = self.explain(position, ending);
        self.kill_group(position);
        for stream in [Stream::Out, Stream::Err] {
            let mut chunks = 0;
            while chunks < LAST_CHUNKS && self.read_output(position, stream) {
                chunks += 1;
            }
        }
        let now = millis(self.sys.uptime());
        let unit = &mut self.units[position];
        let (console, prefix) = (&mut self.console, unit.prefix());
        unit.ring.finish(now, |line| show(console, position, prefix.as_deref(), line));
        unit.ran = match unit.phase {
            Phase::Running { since, .. } => self.sys.uptime().saturating_sub(since),
            _ => Duration::ZERO,
        };
        unit.output = [None, None];
        unit.report = None;
        unit.ended = Some(ending.clone());
        unit.phase = Phase::Ended(ending);
        if let Kind::Container(section @ (Section::Onboot | Section::Onshutdown), _) = unit.kind
            && let Ok(bundle) = Bundle::new(section, &unit.name)
        {
            for target in [bundle.rootfs(), bundle.scratch()] {
                // A read-only container has no second mount, and one that was not started may have none.
                let _ = self.sys.detach(&target.display().to_string());
            }
        }
    }

    /// Tell whether a container died of too little memory: a signal by itself does not say.
    fn explain(&mut self, position: usize, ending: Ending) -> Ending {
        let (Ending::Ended(exit), Some(group)) = (&ending, self.cgroup(position)) else { return ending };
        let text = self.sys.read(&format!("/sys/fs/cgroup{group}/memory.events")).unwrap_or_default();
        let now = Events::parse(&String::from_utf8_lossy(&text));
        let before = std::mem::replace(&mut self.units[position].memory, now);
        match now.since(before, self.limit(position)).filter(|_| !exit.is_success()) {
            Some(shortage) => Ending::OutOfMemory(*exit, shortage),
            None => ending,
        }
    }

    /// Most memory that a container may have, in bytes, if its manifest says.
    fn limit(&self, position: usize) -> Option<i64> {
        let Kind::Container(section, index) = self.units.get(position)?.kind else { return None };
        let linux = Self::list(&self.contract, section).get(index)?.spec.linux().as_ref()?;
        linux.resources().as_ref()?.memory().as_ref()?.limit()
    }

    /// Kill every process of a container, children that left its process tree included.
    pub fn kill_group(&mut self, position: usize) {
        let groups: BTreeMap<usize, String> =
            (0..self.units.len()).filter_map(|other| self.cgroup(other).map(|group| (other, group))).collect();
        let Some(own) = groups.get(&position) else { return };
        // A manifest may put several containers below one cgroup; the others must live.
        let shared = groups.iter().any(|(other, group)| {
            *other != position && self.units[*other].is_alive() && group.starts_with(own.as_str())
        });
        if !shared {
            // Without a cgroup there is nothing to kill.
            let _ = self.sys.write(&format!("/sys/fs/cgroup{own}/cgroup.kill"), b"1");
        }
    }

    /// A container's cgroup: its path below `/sys/fs/cgroup`, with a leading `/`.
    pub fn cgroup(&self, position: usize) -> Option<String> {
        let unit = self.units.get(position)?;
        let Kind::Container(section, index) = unit.kind else { return None };
        let container = Self::list(&self.contract, section).get(index)?;
        let path = crate::container::cgroup(section, container);
        (path.len() > 1 && !path.split('/').any(|part| part == "..")).then_some(path)
    }

    fn read_report(&mut self, position: usize) {
        let Some(unit) = self.units.get_mut(position) else { return };
        unit.read_report();
        let lines = if unit.kind == Kind::Network { unit.take_lines() } else { Vec::new() };
        for line in lines {
            network_child::hear(self, &line);
        }
    }

    /// Read one chunk of output. Out: whether there may be more.
    fn read_output(&mut self, position: usize, stream: Stream) -> bool {
        let now = millis(self.sys.uptime());
        let Some(unit) = self.units.get_mut(position) else { return false };
        let Some(fd) = &unit.output[stream as usize] else { return false };
        let bytes = match crate::sys::read_some(fd) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => Vec::new(),
        };
        if bytes.is_empty() {
            unit.output[stream as usize] = None;
            return false;
        }
        let (console, prefix) = (&mut self.console, unit.prefix());
        unit.ring.push(now, stream, &bytes, |line| show(console, position, prefix.as_deref(), line));
        self.console.write();
        true
    }
}

/// Show a unit's line, if its lines are shown.
fn show(console: &mut Console, position: usize, prefix: Option<&str>, line: &Line) {
    if let Some(prefix) = prefix {
        console.line(position + 1, prefix, &line.text);
    }
}

/// Whole milliseconds of an uptime.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What going down is called.
#[must_use]
pub fn power_word(power: Power) -> &'static str {
    match power {
        Power::Off => "powering off",
        Power::Reboot => "rebooting",
        Power::Halt => "halting",
    }
}
