//! One host under test: its machine, the way to its init, its files, and what is learnt of it when something fails.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hullkit_init::control::protocol::{How, INIT, KERNEL, LogsWanted, Reply, Request};
use serde_json::Value;

use super::cause::{self, Evidence};
use super::guest::Guest;
use super::services;
use super::verdict::HostReport;
use super::{Subject, VerifyError};
use crate::vm::{
    ControlSocket, DiskLayout, Machine, Outcome, Record, Screen, SharedConsole, Sink, Tools, Tpm, Vm, Writes, cidata,
    esp,
};

/// Lines of the console, and of each log, that are reported of a failure.
const SHOWN: usize = 25;

/// How long a host that failed may take to say what it knows.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How long a host may take to power off.
const POWER_OFF: Duration = Duration::from_secs(60);

/// A host whose machine runs, or has ended.
pub(super) struct Host<'a> {
    subject: &'a Subject,
    machine: Machine,
    control: ControlSocket,
    tools: &'a Tools,
    folder: PathBuf,
    shared: SharedConsole,
    pub(super) vm: Vm,
    pub(super) guest: Guest,
    boot_time: Option<Duration>,
    /// Lines of the console that steps have seen of this boot.
    pub(super) seen: u64,
    /// It has ended as a step wanted it to.
    pub(super) over: bool,
    /// It must not end before its machine does.
    tpm: Option<Tpm>,
}

impl<'a> Host<'a> {
    /// Start its machine.
    ///
    /// In: `folder`, which is its own; `keeps`, whether what is written to its disks outlives a boot; `lan`, what it is on with others.
    pub(super) fn start(
        subject: &'a Subject,
        tools: &'a Tools,
        folder: PathBuf,
        keeps: bool,
        lan: Option<(PathBuf, u8)>,
    ) -> Result<Self, VerifyError> {
        let failed = |path: &Path, cause| VerifyError::File { path: path.to_owned(), cause };
        fs::create_dir_all(&folder).map_err(|cause| failed(&folder, cause))?;
        let control = ControlSocket::claim_any(&subject.control)?;
        let mut machine = subject.machine.clone();
        machine.control = Some(control.path().to_owned());
        machine.lan = lan;
        if keeps {
            for drive in &mut machine.drives {
                let copy = folder.join(drive.path.file_name().unwrap_or_default());
                fs::copy(&drive.path, &copy).map_err(|cause| failed(&drive.path, cause))?;
                (drive.path, drive.writes) = (copy, Writes::Kept);
            }
        }
        for (disk, (name, size)) in machine.loose.iter_mut().zip(&subject.disks) {
            disk.path = folder.join(format!("disk-{name}.img"));
            let file = File::options().write(true).create(true).truncate(false).open(&disk.path);
            let made = file.and_then(|file| file.set_len(*size));
            made.map_err(|cause| failed(&disk.path, cause))?;
        }
        if let Some(program) = &subject.program {
            machine.drives.insert(0, esp(machine.arch, program, &folder.join("esp.img"))?);
        }
        if let Some(user_data) = &subject.user_data {
            machine.drives.push(cidata(user_data, &folder.join("cidata.iso"))?);
        }
        let place = folder.to_string_lossy();
        let words = subject.qemu.iter().map(|word| word.replace("{folder}", &place).into());
        machine.extra.splice(0..0, words);
        if subject.tpm {
            let state = folder.join("tpm");
            fs::create_dir_all(&state).map_err(|cause| failed(&state, cause))?;
        }
        let console = folder.join("console.log");
        File::create(&console).map_err(|cause| failed(&console, cause))?;
        let shared = SharedConsole::default();
        let tpm = plug_tpm(&mut machine, subject, tools, &folder)?;
        let (vm, guest) = boot(&machine, tools, &console, &shared)?;
        let mut host = Self {
            subject,
            machine,
            control,
            tools,
            folder,
            shared,
            vm,
            guest,
            boot_time: None,
            seen: 0,
            over: false,
            tpm,
        };
        host.describe(false)?;
        Ok(host)
    }

    /// Start its machine again, after it has ended.
    pub(super) fn again(&mut self) -> Result<(), VerifyError> {
        self.note_boot();
        // Two would share what it knows.
        self.tpm = None;
        self.tpm = plug_tpm(&mut self.machine, self.subject, self.tools, &self.folder)?;
        let (vm, guest) = boot(&self.machine, self.tools, &self.console(), &self.shared)?;
        (self.vm, self.guest) = (vm, guest);
        (self.seen, self.over) = (0, false);
        Ok(())
    }

    fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Remember how long its first boot took, if that is known.
    fn note_boot(&mut self) {
        let ready = self.guest.said().ready();
        self.boot_time = self.boot_time.or(ready);
    }

    /// Tell how long the boot took.
    pub(super) fn boot_time(&mut self) -> Option<Duration> {
        self.note_boot();
        self.boot_time
    }

    /// Tell the port of 127.0.0.1 that leads to one of its own.
    pub(super) fn port(&self, guest: u16) -> Option<u16> {
        let found = self.vm.ports().iter().find(|port| port.guest == guest && port.host != 0);
        found.map(|port| port.host)
    }

    /// Tell whether no good answer can come any more.
    pub(super) fn is_lost(&self) -> bool {
        let foreign = self.guest.said().foreign().is_some();
        foreign || self.has_failed()
    }

    /// Tell whether the boot has ended before the host was up, or its kernel or machine has.
    pub(super) fn has_failed(&self) -> bool {
        let said = self.guest.said();
        said.failure().is_some()
            || self.vm.console().panic_line().is_some()
            || self.vm.ended_within(Duration::ZERO).is_some()
            // A host that answers was started by something that was not refused; then the whole console need not be read at every look.
            || said.answered.is_none()
                && self.vm.console().wait_for(&mut 0, cause::is_refusal, Instant::now()).is_ok()
    }

    /// Tell it to switch itself off in order.
    pub(super) fn tell_off(&mut self) {
        self.note_boot();
        if self.guest.said().version.is_some() {
            self.guest.power(How::Off);
        } else {
            // One that is deaf to its button is ended when it is waited for.
            let _ = self.vm.press_power_button();
        }
    }

    /// Wait until it has switched itself off, and tell how it ended.
    pub(super) fn off(&self) -> Outcome {
        self.vm.wait(Some(POWER_OFF))
    }

    /// End it at once.
    pub(super) fn end(&mut self) {
        self.note_boot();
        let _ = self.vm.stop();
        self.over = true;
    }

    /// Tell it to go down in order. Out: how it ended.
    pub(super) fn go_down(&mut self, how: How, deadline: Instant) -> Outcome {
        self.note_boot();
        self.guest.power(how);
        self.vm.wait(Some(deadline.saturating_duration_since(Instant::now())))
    }

    /// Keep what its disks hold.
    pub(super) fn snapshot(&self, name: &str) -> io::Result<()> {
        let place = self.folder.join(format!("snapshot-{name}"));
        fs::create_dir_all(&place)?;
        // What the guest has written is QEMU's while it runs; held, it writes nothing more.
        self.vm.hold(true).map_err(io::Error::other)?;
        let copied = self
            .disks()
            .try_for_each(|disk| fs::copy(disk, place.join(disk.file_name().unwrap_or_default())).map(drop));
        self.vm.hold(false).map_err(io::Error::other)?;
        copied
    }

    /// Let its disks be what they were. Its machine must have ended.
    pub(super) fn restore(&self, name: &str) -> io::Result<()> {
        let place = self.folder.join(format!("snapshot-{name}"));
        self.disks().try_for_each(|disk| fs::copy(place.join(disk.file_name().unwrap_or_default()), disk).map(drop))
    }

    fn disks(&self) -> impl Iterator<Item = &Path> {
        let drives = self.machine.drives.iter().filter(|drive| drive.writes == Writes::Kept).map(|drive| &*drive.path);
        drives.chain(self.machine.loose.iter().map(|disk| &*disk.path))
    }

    /// Make disks longer. Its machine must have ended.
    pub(super) fn grow(&self, name: &str, size: u64) -> io::Result<()> {
        let loose = self.machine.loose.iter().find(|disk| disk.name == name).map(|disk| &disk.path);
        let mut booted = self.machine.drives.iter().filter(|drive| drive.layout == DiskLayout::Raw);
        let path = loose.or_else(|| booted.find(|drive| drive.writes == Writes::Kept).map(|drive| &drive.path));
        let path = path.ok_or_else(|| io::Error::other("this host boots from no disk as `raw` makes it"))?;
        let file = File::options().write(true).open(path)?;
        if file.metadata()?.len() > size {
            return Err(io::Error::other("it is longer already"));
        }
        file.set_len(size)
    }

    /// Name what can be pulled out and plugged in: what `-device` takes, and its id.
    pub(super) fn loose(&self, name: &str) -> Option<(String, String)> {
        let disk = self.machine.loose.iter().find(|disk| disk.name == name).map(|disk| (disk.device(), disk.id()));
        disk.or_else(|| {
            let (name, device) = self.subject.devices.iter().find(|(known, _)| known == name)?;
            Some((format!("{device},id={name}"), name.clone()))
        })
    }

    /// Let somebody else speak with its init: QEMU's end of the port takes one caller at a time.
    pub(super) fn hang_up(&mut self) {
        self.note_boot();
        self.guest.hang_up();
    }

    /// Speak with its init again. One that is gone has said all it will.
    pub(super) fn call_again(&mut self) {
        let socket = self.machine.control.as_deref().unwrap_or(Path::new(""));
        if let Ok(guest) = Guest::connect(socket) {
            self.guest = guest;
        }
    }

    /// Give the name by which `hullkit ctl` reaches it.
    pub(super) fn name(&self) -> String {
        self.control.name()
    }

    /// Find a line of any of its boots that has a text.
    pub(super) fn showed(&self, text: &str) -> io::Result<Option<String>> {
        let console = fs::read(self.console())?;
        let console = String::from_utf8_lossy(&console);
        Ok(console.lines().find(|line| line.contains(text)).map(str::to_owned))
    }

    /// Say what became of it when all went well.
    pub(super) fn report(&mut self) -> HostReport {
        HostReport {
            name: self.subject.name.clone(),
            boot_time: self.boot_time(),
            size: self.subject.size,
            console: self.console(),
            ..HostReport::default()
        }
    }

    /// Say what became of it when something failed. It may still run.
    pub(super) fn post_mortem(&mut self) -> (HostReport, Option<String>) {
        let lines: Vec<String> = self.vm.console().tail(usize::MAX).into_iter().map(|line| line.text).collect();
        let outcome = self.vm.ended_within(Duration::ZERO);
        let failure: Option<Value> = {
            let said = self.guest.said();
            said.failure().cloned().or_else(|| cause::failure_on(&lines))
        };
        let panic = self.vm.console().panic_line();
        let (answered, foreign) = {
            let said = self.guest.said();
            (said.version.is_some(), said.foreign())
        };
        // What ended as it should explains nothing.
        let cause = if self.over {
            None
        } else {
            cause::cause(&Evidence {
                failure: failure.as_ref(),
                outcome: outcome.as_ref(),
                panic: panic.as_deref(),
                answered,
                foreign,
                console: &lines,
            })
        };
        let mut report = self.report();
        report.last_lines = lines.into_iter().rev().take(SHOWN).rev().collect();
        if outcome.is_none() {
            report.screen = self.picture();
            if answered && foreign.is_none() {
                report.logs = self.logs();
            }
        }
        (report, cause)
    }

    fn picture(&self) -> Option<PathBuf> {
        let file = self.folder.join("screen.png");
        let taken = self.machine.screen == Screen::Hidden && self.vm.picture(&file).is_ok();
        taken.then_some(file)
    }

    /// Fetch the last lines of those that are not well, and of init and the kernel.
    fn logs(&self) -> Vec<(String, Vec<String>)> {
        let deadline = Instant::now() + LAST_WORDS;
        let ill = self.guest.services(deadline).unwrap_or_default();
        let ill = services::suspects(&ill).map(|service| service.name.clone());
        // The kernel's are on the console, unless that is somewhere else.
        let kernel = self.vm.console().tail(1).is_empty().then(|| KERNEL.to_owned());
        let names: Vec<String> = ill.chain([INIT.to_owned()]).chain(kernel).collect();
        let fetch = |name: String| {
            let wanted = LogsWanted { services: vec![name.clone()], follow: false, tail: Some(SHOWN as u64) };
            let replies = self.guest.call(Request::Logs(wanted), deadline).ok()?.replies.into_iter();
            let lines = replies.filter_map(|reply| match reply {
                Reply::Line(line) => Some(line.text),
                _ => None,
            });
            Some((name, lines.collect()))
        };
        names.into_iter().filter_map(fetch).collect()
    }

    /// Say what it is, for `hullkit ps`.
    fn describe(&mut self, attachable: bool) -> Result<(), VerifyError> {
        let record = Record {
            name: self.control.name(),
            pid: std::process::id(),
            arch: self.machine.arch.to_string(),
            what: format!("test in {}", self.folder.display()),
            ports: self.vm.ports().iter().map(ToString::to_string).collect(),
            detached: attachable,
            ended: None,
        };
        Ok(self.control.describe(&record)?)
    }

    /// Let others attach to its console. Out: the name by which they, and `hullkit ctl`, reach it; nothing if it has ended.
    pub(super) fn offer(&mut self) -> Option<String> {
        self.hang_up();
        let runs = self.vm.ended_within(Duration::ZERO).is_none();
        let keyboard = self.vm.keyboard().ok().filter(|_| runs)?;
        // Without a console it can still be asked.
        let attachable = self.shared.serve(&self.control.console(), keyboard).is_ok();
        let _ = self.describe(attachable);
        Some(self.control.name())
    }
}

/// Give a machine a TPM that knows what it knew in its last boot, if it is to have one.
fn plug_tpm(
    machine: &mut Machine,
    subject: &Subject,
    tools: &Tools,
    folder: &Path,
) -> Result<Option<Tpm>, VerifyError> {
    if !subject.tpm {
        return Ok(None);
    }
    let tpm = Tpm::start(&folder.join("tpm"), Path::new("swtpm"), &tools.launcher)?;
    machine.tpm = Some(tpm.socket().to_owned());
    Ok(Some(tpm))
}

fn boot(machine: &Machine, tools: &Tools, console: &Path, shared: &SharedConsole) -> Result<(Vm, Guest), VerifyError> {
    let log = File::options().append(true).open(console);
    let log = log.map_err(|cause| VerifyError::File { path: console.to_owned(), cause })?;
    let sinks: Vec<Sink> = vec![Box::new(log), shared.sink()];
    let vm = Vm::start(machine, tools, sinks)?;
    let socket = machine.control.as_deref().unwrap_or(Path::new(""));
    let guest = Guest::connect(socket).map_err(|cause| VerifyError::File { path: socket.to_owned(), cause })?;
    Ok((vm, guest))
}
