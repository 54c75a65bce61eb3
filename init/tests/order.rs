//! The order of a boot, read from the calls that PID 1 makes: a recorder stands in the kernel's place.
//!
//! `HULLKIT_BLESS=1 cargo test -p hullkit-init --test order` rewrites the transcripts.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use hullkit_init::boot;
use hullkit_init::button::Buttons;
use hullkit_init::container::Section;
use hullkit_init::contract::{Container, Contract, Filter};
use hullkit_init::control::protocol::Exec;
use hullkit_init::disk::Disk;
use hullkit_init::early::modules::{ModulesError, Report};
use hullkit_init::host::Host;
use hullkit_init::sys::{self, Access, Attached, Executed, Exit, MountCall, Power, Started, Sys, Want};

/// A kernel that writes down what it is asked, and says yes.
#[derive(Debug, Default)]
struct Recorder {
    contract: String,
    transcript: Vec<String>,
    /// Ends of processes that are waiting to be reaped.
    ended: VecDeque<(u32, Exit)>,
    /// Containers that run until they are signalled: name and process id.
    running: Vec<(String, u32)>,
    /// Containers of other sections than services that run until they are signalled.
    endless: Vec<String>,
    /// Names of containers that ignore every signal but SIGKILL.
    deaf: Vec<String>,
    /// Exit code of the onboot container of this name.
    fails: Option<(String, i32)>,
    /// Services that end at once, and their exit codes.
    brief: Vec<(String, i32)>,
    /// What the probes of a service end with, one after another, and 0 after that; `None` does not end.
    probes: VecDeque<(String, Option<i32>)>,
    /// From when on somebody wants the host to go down, if a service runs.
    busy_until: Duration,
    /// The console's other end.
    screen: Option<OwnedFd>,
    next_pid: u32,
    /// What loading the drivers of a device that appears leads to, once.
    plugged: Report,
    /// How often the virtio port was looked for.
    port_looks: u32,
    /// Block devices: path, when it appears, what is on it or else why it cannot be read.
    disks: Vec<(String, Duration, Result<Vec<u8>, io::ErrorKind>)>,
    /// The contract is not there.
    cut_off: bool,
    /// The kernel command line.
    cmdline: String,
    /// How many seconds the machine's watchdog waits, if there is one.
    watchdog: Option<u32>,
    /// What the cgroups of containers have seen, one text for each time that it is asked for.
    memory: VecDeque<&'static str>,
    /// How the program that fetches a root ends, and what it says.
    fetched: (i32, &'static str),
    /// What the program that asks for metadata reports, once for each time; `None` does not end.
    told: VecDeque<Option<&'static str>>,
    /// What the program that takes disks into use reports.
    stored: &'static str,
    /// Modules that no index has, and modules that only the root's has.
    absent: (Vec<String>, Vec<String>),
    /// Services whose start takes for ever, and what keeps their reports open.
    stuck: (Vec<String>, Vec<OwnedFd>),
    /// What the kernel kept of a crash.
    crash: Vec<sys::Record>,
    /// Mounts that somebody holds.
    held: Vec<String>,
    clock: Cell<Duration>,
    signalled: bool,
}

impl Recorder {
    fn note(&mut self, line: String) {
        self.transcript.push(line);
    }

    fn pid(&mut self) -> u32 {
        self.next_pid += 1;
        100 + self.next_pid
    }

    fn console_text(&self) -> String {
        let mut text = Vec::new();
        while let Some(part) =
            self.screen.as_ref().and_then(|fd| sys::read_some(fd).ok()).filter(|part| !part.is_empty())
        {
            text.extend(part);
        }
        String::from_utf8_lossy(&text).replace('\r', "")
    }
}

/// A read end of a pipe that holds this text and has ended.
fn said(text: &str) -> OwnedFd {
    let (read, write) = sys::pipe().expect("a pipe can be made");
    rustix::io::write(&write, text.as_bytes()).expect("an empty pipe takes a line");
    read
}

/// What is noted of a program that decides over a container's system calls.
fn filtered(filter: Option<&Filter>) -> String {
    filter.map_or(String::new(), |filter| format!(" under a filter of {}", filter.0.len()))
}

impl Sys for Recorder {
    fn uptime(&self) -> Duration {
        self.clock.get()
    }

    fn clock(&self) -> Duration {
        self.clock.get()
    }

    fn listen(&mut self, path: &str) -> io::Result<OwnedFd> {
        self.note(format!("listen {path}"));
        sys::pipe().map(|(read, _)| read)
    }

    fn accept(&mut self, _listener: &OwnedFd) -> Option<OwnedFd> {
        None
    }

    fn is_over(&mut self, _fd: BorrowedFd<'_>) -> bool {
        false
    }

    fn control_port(&mut self) -> Option<OwnedFd> {
        self.port_looks += 1;
        None
    }

    fn kernel_log(&mut self) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn pipe_into(&mut self, path: &str, args: &[&str]) -> io::Result<(Started, OwnedFd)> {
        let (_, write) = sys::pipe()?;
        Ok((self.program(path, args)?, write))
    }

    fn exec(
        &mut self,
        _container: &Container,
        _filter: Option<&Filter>,
        _pid: u32,
        _exec: &Exec,
    ) -> io::Result<Executed> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn mkdir(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.note(format!("mkdir {path} {mode:o}"));
        Ok(())
    }

    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()> {
        self.note(format!("symlink {path} -> {target}"));
        Ok(())
    }

    fn mount(&mut self, call: &MountCall<'_>) -> io::Result<()> {
        self.note(format!("mount {} {} {:?} {}", call.kind, call.target, call.flags, call.data));
        Ok(())
    }

    fn share(&mut self, target: &str) -> io::Result<()> {
        self.note(format!("share {target}"));
        Ok(())
    }

    fn bind_readonly(&mut self, source: &str, target: &str) -> io::Result<()> {
        self.note(format!("bind {source} {target} read-only"));
        Ok(())
    }

    fn make_like(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.note(format!("make {to} like {from}"));
        Ok(())
    }

    fn detach(&mut self, target: &str) -> io::Result<()> {
        self.note(format!("detach {target}"));
        Ok(())
    }

    fn unmount(&mut self, target: &str) -> io::Result<()> {
        self.note(format!("unmount {target}"));
        if self.held.contains(&target.to_owned()) { Err(io::ErrorKind::ResourceBusy.into()) } else { Ok(()) }
    }

    fn make_readonly(&mut self, target: &str) -> io::Result<()> {
        self.note(format!("make {target} read-only"));
        Ok(())
    }

    fn users(&mut self, target: &str) -> Vec<(u32, String)> {
        self.note(format!("who uses {target}"));
        vec![(77, "holder".to_owned())]
    }

    fn release_loops(&mut self) {
        self.note("release loops".to_owned());
    }

    fn crash_records(&mut self) -> Vec<sys::Record> {
        std::mem::take(&mut self.crash)
    }

    fn move_root(&mut self, over: &str) -> io::Result<()> {
        self.note(format!("move root over {over}"));
        Ok(())
    }

    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.note(format!("read {path}"));
        if self.cut_off && path == hullkit_init::contract::PATH {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(match path {
            hullkit_init::contract::PATH => self.contract.clone(),
            "/proc/cmdline" => self.cmdline.clone(),
            path if path.ends_with("/memory.events") => self.memory.pop_front().unwrap_or_default().to_owned(),
            "/proc/meminfo" => "MemTotal:          98304 kB\nMemFree:           70000 kB\n".to_owned(),
            "/sys/fs/cgroup/cgroup.controllers" => "cpu memory pids\n".to_owned(),
            "/proc/self/mounts" => {
                "proc /proc proc rw 0 0\n/dev/vda1 /var ext4 rw 0 0\noverlay /run/o overlay rw 0 0\n".to_owned()
            }
            _ => String::new(),
        }
        .into_bytes())
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.note(format!("write {path} {}", String::from_utf8_lossy(bytes)));
        Ok(())
    }

    fn loopback(&mut self) -> io::Result<()> {
        self.note("loopback".to_owned());
        Ok(())
    }

    fn load_modules(&mut self, index: &str, wanted: &[String]) -> Result<Option<Report>, ModulesError> {
        self.note(format!("load modules {} of {index}", wanted.join(" ")));
        let (nowhere, in_root) = &self.absent;
        let first = index == hullkit_init::contract::MODULES_PATH;
        let absent = wanted.iter().filter(|name| nowhere.contains(name) || first && in_root.contains(name));
        let report = Report { absent: absent.cloned().collect(), ..Report::default() };
        Ok((first || !in_root.is_empty()).then_some(report))
    }

    fn block_devices(&mut self) -> Vec<(String, u64)> {
        self.note("list block devices".to_owned());
        let there = self.disks.iter().filter(|(_, at, _)| *at <= self.clock.get());
        there.map(|(path, _, bytes)| (path.clone(), bytes.as_ref().map_or(512, |bytes| bytes.len() as u64))).collect()
    }

    fn open_disk(&mut self, path: &str) -> io::Result<Box<dyn Disk>> {
        self.note(format!("open {path}"));
        let now = self.clock.get();
        let (.., bytes) =
            self.disks.iter().find(|(name, at, _)| name == path && *at <= now).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.clone()?))
    }

    fn write_disk(&mut self, path: &str, pieces: &[(u64, Vec<u8>)]) -> io::Result<()> {
        let now = self.clock.get();
        let (.., bytes) =
            self.disks.iter_mut().find(|(name, at, _)| name == path && *at <= now).ok_or(io::ErrorKind::NotFound)?;
        let bytes = bytes.as_mut().map_err(|cause| *cause)?;
        for (offset, piece) in pieces {
            let start = usize::try_from(*offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            bytes[start..][..piece.len()].copy_from_slice(piece);
        }
        let places: Vec<String> = pieces.iter().map(|(offset, piece)| format!("{} at {offset}", piece.len())).collect();
        self.note(format!("write to {path}: {}", places.join(", ")));
        Ok(())
    }

    fn resize(&mut self, target: &str, blocks: u64) -> io::Result<()> {
        self.note(format!("resize {target} to {blocks} blocks"));
        Ok(())
    }

    fn attach(&mut self, path: &str, offset: u64, size: u64, access: Access) -> io::Result<Attached> {
        self.note(format!("attach {size} bytes at {offset} of {path}: {access:?}"));
        Ok(Attached::new("/dev/loop0".to_owned(), sys::pipe()?.0))
    }

    fn load_for_new_devices(&mut self) -> Report {
        std::mem::take(&mut self.plugged)
    }

    fn raise_limits(&mut self) -> io::Result<()> {
        self.note("raise limits".to_owned());
        Ok(())
    }

    fn touch(&mut self, path: &str) -> io::Result<()> {
        self.note(format!("touch {path}"));
        Ok(())
    }

    fn set_clock(&mut self, seconds: u64) -> io::Result<()> {
        self.note(format!("clock {seconds}"));
        Ok(())
    }

    fn hostname(&mut self, name: &str) -> io::Result<()> {
        self.note(format!("hostname {name}"));
        Ok(())
    }

    fn take_signals(&mut self) -> io::Result<()> {
        self.note("take signals".to_owned());
        Ok(())
    }

    fn console(&mut self) -> io::Result<OwnedFd> {
        self.note("console".to_owned());
        let (read, write) = sys::pipe()?;
        rustix::io::ioctl_fionbio(&write, true)?;
        self.screen = Some(read);
        Ok(write)
    }

    fn signals(&mut self) -> Vec<i32> {
        let serving = self.running.iter().any(|(name, _)| name != "network" && name != "metadata")
            && self.clock.get() >= self.busy_until;
        let quiet = self.ended.is_empty() && !self.signalled && serving;
        self.signalled |= quiet;
        if quiet { vec![libc::SIGUSR2] } else { vec![] }
    }

    fn poll(&mut self, fds: &[(BorrowedFd<'_>, Want)], timeout: Option<Duration>) -> Vec<bool> {
        if self.ended.is_empty() {
            let step = timeout.unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(1));
            self.clock.set(self.clock.get() + step);
        }
        vec![true; fds.len()]
    }

    fn reap(&mut self) -> Option<(u32, Exit)> {
        self.ended.pop_front()
    }

    fn has_children(&mut self) -> bool {
        !self.ended.is_empty() || !self.running.is_empty()
    }

    fn buttons(&mut self) -> Buttons {
        self.note("buttons".to_owned());
        Buttons::default()
    }

    fn drain_console(&mut self) {}

    fn start(&mut self, section: Section, container: &Container, filter: Option<&Filter>) -> io::Result<Started> {
        self.note(format!("start {} {}{}", section.name(), container.name, filtered(filter)));
        let (helper, pid) = (self.pid(), self.pid());
        if self.stuck.0.contains(&container.name) {
            let (report, write) = sys::pipe()?;
            self.stuck.1.push(write);
            self.running.push((container.name.clone(), helper));
            return Ok(Started { pid: helper, report, output: [said(""), said("")] });
        }
        self.ended.push_back((helper, Exit::Code(0)));
        let named = |(name, _): &&(String, i32)| *name == container.name;
        let brief = self.brief.iter().find(named).map(|(_, code)| *code);
        let endless = section == Section::Services || self.endless.contains(&container.name);
        if endless && brief.is_none() {
            self.running.push((container.name.clone(), pid));
        } else {
            let code = brief.or(self.fails.as_ref().filter(named).map(|(_, code)| *code)).unwrap_or(0);
            // The container's end arrives before its helper's: the order that is easy to get wrong.
            self.ended.push_front((pid, Exit::Code(code)));
        }
        let output = [said(&format!("{} speaks\n", container.name)), said("")];
        Ok(Started { pid: helper, report: said(&format!("{{\"pid\":{pid}}}\n")), output })
    }

    fn probe(&mut self, container: &Container, filter: Option<&Filter>, _: u32) -> io::Result<Started> {
        self.note(format!("probe {}{}", container.name, filtered(filter)));
        let pid = self.pid();
        let next = self.probes.iter().position(|(name, _)| *name == container.name);
        match next.and_then(|at| self.probes.remove(at)).map_or(Some(0), |(_, code)| code) {
            Some(code) => self.ended.push_back((pid, Exit::Code(code))),
            None => self.running.push((format!("probe of {}", container.name), pid)),
        }
        Ok(Started { pid, report: said(""), output: [said("looking\nno luck\n\n"), said("")] })
    }

    fn program(&mut self, path: &str, args: &[&str]) -> io::Result<Started> {
        self.note(format!("start {path} {}", args.join(" ")));
        let pid = self.pid();
        if path == hullkit_init::contract::FETCH {
            self.ended.push_back((pid, Exit::Code(self.fetched.0)));
            return Ok(Started { pid, report: said(""), output: [said(self.fetched.1), said("")] });
        }
        if path == hullkit_init::contract::storage::PROGRAM {
            self.ended.push_back((pid, Exit::Code(i32::from(self.stored.is_empty()))));
            return Ok(Started { pid, report: said(self.stored), output: [said("data: 5 MiB\n"), said("")] });
        }
        if path == hullkit_init::contract::metadata::PROGRAM {
            let told = self.told.pop_front().unwrap_or(Some(""));
            match told {
                Some(_) => self.ended.push_back((pid, Exit::Code(0))),
                None => self.running.push(("metadata".to_owned(), pid)),
            }
            return Ok(Started { pid, report: said(told.unwrap_or("")), output: [said("asked\n"), said("")] });
        }
        self.running.push(("network".to_owned(), pid));
        Ok(Started {
            pid,
            report: said("{\"event\":\"online\",\"interface\":\"eth0\",\"addresses\":[\"10.0.2.15\"]}\n"),
            output: [said(""), said("")],
        })
    }

    fn shell(&mut self) -> io::Result<()> {
        self.note("shell".to_owned());
        Ok(())
    }

    fn arm(&mut self, seconds: u32) -> io::Result<u32> {
        self.note(format!("arm {seconds}"));
        self.watchdog.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn feed(&mut self) {
        let now = self.clock.get().as_secs_f64();
        self.note(format!("feed at {now:.1}"));
    }

    fn disarm(&mut self) -> io::Result<()> {
        self.note("disarm".to_owned());
        Ok(())
    }

    fn kill(&mut self, pid: u32, signal: i32) -> io::Result<()> {
        let Some(at) = self.running.iter().position(|(_, running)| *running == pid) else { return Ok(()) };
        let name = self.running[at].0.clone();
        self.note(format!("kill {name} {}", sys::signal_name(signal).unwrap_or("?")));
        if signal == libc::SIGKILL || !self.deaf.contains(&name) {
            self.running.remove(at);
            self.ended.push_back((pid, Exit::Signal(signal)));
        }
        Ok(())
    }

    fn kill_session(&mut self, leader: u32) -> io::Result<()> {
        self.kill(leader, libc::SIGKILL)
    }

    fn kill_all(&mut self, signal: i32) -> io::Result<()> {
        self.note(format!("kill everyone {}", sys::signal_name(signal).unwrap_or("?")));
        let running = std::mem::take(&mut self.running);
        self.ended.extend(running.into_iter().map(|(_, pid)| (pid, Exit::Signal(signal))));
        Ok(())
    }

    fn sync(&mut self) {
        self.note("sync".to_owned());
    }

    fn power(&mut self, power: Power) -> io::Result<()> {
        self.note(format!("power {power:?}"));
        Ok(())
    }
}

/// A container of an empty configuration that SIGQUIT stops. In: `more`, further keys with a comma in front.
fn container(name: &str, more: &str) -> String {
    format!(
        r#"{{"name":"{name}","image":"registry/{name}:1","lower":"/images/{name}/rootfs","readonly":true,
            "spec":{{"ociVersion":"1.2.1"}},"stop":{{"signal":3,"grace":10000}}{more}}}"#
    )
}

fn list(names: &[&str]) -> String {
    let containers: Vec<String> = names.iter().map(|name| container(name, "")).collect();
    format!("[{}]", containers.join(","))
}

/// Docker's defaults.
const HEALTH: &str = r#","health":{"probe":{"exec":["true"]},"interval":30000,"timeout":30000,"retries":3,"start_period":0,
    "start_interval":5000}"#;

/// The contract of a host of these services.
fn services(list: &[(&str, &str)]) -> String {
    let containers: Vec<String> = list.iter().map(|(name, more)| container(name, more)).collect();
    format!(r#"{{"version":6,"services":[{}]}}"#, containers.join(","))
}

/// What the recorder was asked that has to do with containers.
fn about_containers(recorder: &Recorder) -> Vec<&str> {
    let calls = recorder.transcript.iter().map(String::as_str);
    calls.filter(|call| ["start ", "probe ", "kill "].iter().any(|word| call.starts_with(word))).collect()
}

/// Boot on a recorder. Out: the recorder afterwards.
fn boot(contract: String, prepare: impl FnOnce(&mut Recorder)) -> Recorder {
    let mut recorder = Recorder { contract, ..Recorder::default() };
    prepare(&mut recorder);
    let mut host = Host::new(recorder);
    boot::run(&mut host);
    host.sys
}

fn compare(name: &str, recorder: &Recorder) {
    let got = format!("{}\n--- console\n{}", recorder.transcript.join("\n"), recorder.console_text());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/order").join(name);
    if std::env::var_os("HULLKIT_BLESS").is_some() {
        std::fs::write(&path, &got).expect("the transcript can be written");
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(got, want, "the order of calls changed; see the head of this file");
}

#[test]
fn a_boot_makes_its_calls_in_this_order() {
    let contract = format!(
        r#"{{"version":6,"hostname":"hull","sysctl":{{"net.ipv4.ip_forward":"1"}},"modules":["overlay"],
            "network":[{{"id":"lan","dhcp":true}}],"onboot":{},"services":{},"onshutdown":{}}}"#,
        list(&["format", "seed"]),
        list(&["web", "cache"]),
        list(&["farewell"])
    );
    let recorder = boot(contract, |recorder| recorder.deaf.push("cache".to_owned()));
    compare("boot.txt", &recorder);
}

#[test]
fn volumes_are_mounted_before_the_first_container_and_onshutdown_may_come_before_the_services_stop() {
    let contract = format!(
        r#"{{"version":6,"onshutdown_first":true,"services":{},"onshutdown":{},"onboot":{},"volumes":[
            {{"name":"data","lower":"/containers/volumes/data/lower"}},
            {{"name":"fixed","lower":"/images/f/rootfs","readonly":true}}]}}"#,
        list(&["web"]),
        list(&["farewell"]),
        list(&["seed"])
    );
    let loaded = vec!["virtio_blk".to_owned()];
    let failed = vec![("odd".to_owned(), "no".to_owned())];
    let plugged = Report { loaded, failed, ..Report::default() };
    let recorder = boot(contract, |recorder| recorder.plugged = plugged);
    compare("volumes.txt", &recorder);
}

#[test]
fn the_port_is_looked_for_again_when_the_kernel_tells_of_a_change() {
    let looks = |news| boot(services(&[("web", "")]), |recorder| recorder.plugged.news = news).port_looks;
    assert_eq!((looks(false), looks(true)), (2, 3));
}

#[test]
fn an_onshutdown_container_that_does_not_end_is_stopped_and_the_next_one_runs() {
    let (services, last) = (list(&["web"]), list(&["farewell", "last"]));
    let contract = format!(r#"{{"version":6,"services":{services},"onshutdown":{last}}}"#);
    let recorder = boot(contract, |recorder| {
        recorder.endless = vec!["farewell".into()];
        recorder.deaf = vec!["farewell".into()];
    });
    let text = recorder.console_text();
    for wanted in [
        "onshutdown `farewell` has not ended in 90 s: stopping it",
        "`farewell` did not stop in 10 s: killed",
        "onshutdown last",
        "bye",
    ] {
        assert!(text.contains(wanted), "no `{wanted}` in:\n{text}");
    }
}

#[test]
fn a_mount_that_is_held_is_told_with_who_holds_it_and_is_not_written_to_any_more() {
    let recorder = boot(services(&[("web", "")]), |recorder| recorder.held = vec!["/var".into()]);
    let text = recorder.console_text();
    let wanted = "could not unmount `/var`: resource busy, held by holder (77); nothing is written to it any more";
    assert!(text.contains(wanted), "{text}");
    let calls = recorder.transcript.iter().filter(|call| call.contains("/var") || *call == "release loops");
    assert_eq!(calls.collect::<Vec<_>>(), ["release loops", "unmount /var", "who uses /var", "make /var read-only"]);
}

#[test]
fn what_the_kernel_said_when_it_crashed_is_kept_for_who_asks() {
    let text = b"Panic#1 Part1\n<0>[    9.000000] Kernel panic - not syncing: sysrq\n".to_vec();
    let record = sys::Record { text, time: second(1) };
    let recorder = boot(services(&[("web", "")]), |recorder| recorder.crash = vec![record]);
    let text = recorder.console_text();
    let wanted =
        "the kernel's end in a boot before: Kernel panic - not syncing: sysrq: `hullctl logs -b -1 kernel` shows it";
    assert!(text.contains(wanted), "{text}");
    let kept = "write /run/hullkit/crash.jsonl {\"service\":\"kernel\",\"stream\":\"stderr\",\"uptime\":9000,\"time\":1000,\"text\":\"Kernel panic";
    assert!(recorder.transcript.iter().any(|call| call.starts_with(kept)), "{:?}", recorder.transcript);
}

#[test]
fn four_services_start_side_by_side_and_those_that_hang_do_not_hold_up_the_others() {
    let names = ["a", "b", "c", "d", "e"];
    let contract = services(&names.map(|name| (name, "")));
    let recorder = boot(contract, |recorder| {
        recorder.stuck.0 = names[..4].iter().map(|name| (*name).to_owned()).collect();
        recorder.busy_until = second(3);
    });
    let screen = recorder.console_text();
    assert!(screen.contains("e | e speaks"), "{screen}");
    let starts: Vec<&String> = recorder.transcript.iter().filter(|call| call.starts_with("start services")).collect();
    assert_eq!(starts.len(), 5, "{starts:?}");
    assert!(recorder.clock.get() >= second(2), "the last waited for the others");
}

#[test]
fn what_runs_in_a_container_runs_under_its_filter_or_not_at_all() {
    let contract = services(&[("db", &format!(r#"{HEALTH},"filter":0"#)), ("bad", r#","filter":1,"restart":"no""#)]);
    let contract = contract.replacen('{', r#"{"filters":["00000006000000ff"],"#, 1);
    let recorder = boot(contract, |recorder| recorder.busy_until = second(2));
    let calls: Vec<&String> =
        recorder.transcript.iter().filter(|line| line.starts_with("start") || line.starts_with("probe")).collect();
    assert_eq!(calls[..2], ["start services db under a filter of 1", "probe db under a filter of 1"], "{calls:?}");
    assert!(!calls.iter().any(|line| line.contains("bad")), "{calls:?}");
    let screen = recorder.console_text();
    assert!(screen.contains("`bad` not started: no process for it: the contract has no program 1"), "{screen}");
}

#[test]
fn a_container_that_is_killed_for_memory_is_told_whose() {
    let limit = r#","spec":{"ociVersion":"1.2.1","linux":{"resources":{"memory":{"limit":1048576}}}}"#;
    // In place of the configuration that every container of the tests has.
    let contract = services(&[("db", limit), ("web", "")]).replacen(r#""spec":{"ociVersion":"1.2.1"},"#, "", 1);
    let recorder = boot(contract, |recorder| {
        recorder.brief.push(("db".to_owned(), 3));
        recorder.memory = ["oom 1\noom_kill 1\n", "oom 1\noom_kill 2\n", "oom 1\noom_kill 2\n"].into();
        recorder.busy_until = second(4);
    });
    let screen = recorder.console_text();
    for line in [
        "`db` ended, exit code 3, after a process of it was killed: out of memory (its limit is 1 MiB); starting",
        "`db` ended, exit code 3, after a process of it was killed: out of memory (the host has no more); starting",
        "`db` ended, exit code 3; starting",
    ] {
        assert!(screen.contains(line), "{line}\n{screen}");
    }
}

/// The calls that have to do with a watchdog.
fn about_watchdog(recorder: &Recorder) -> Vec<&str> {
    let calls = recorder.transcript.iter().map(String::as_str);
    calls.filter(|call| ["arm ", "feed ", "disarm", "power "].iter().any(|word| call.starts_with(word))).collect()
}

#[test]
fn a_watchdog_is_fed_while_the_host_turns_and_let_go_where_nobody_is_to_answer() {
    let contract = |more: &str| services(&[("web", "")]).replacen('{', &format!(r#"{{"watchdog":4{more},"#), 1);
    let recorder = boot(contract(""), |recorder| {
        recorder.watchdog = Some(2);
        recorder.busy_until = second(3);
    });
    assert_eq!(about_watchdog(&recorder), ["arm 4", "feed at 1.0", "feed at 2.0", "feed at 3.0", "power Off"]);
    let recorder =
        boot(contract(r#","on_failure":"shell","memory":100663297"#), |recorder| recorder.watchdog = Some(4));
    assert_eq!(about_watchdog(&recorder), ["power Off"]);
    let recorder = boot(contract(""), |_| {});
    let screen = recorder.console_text();
    assert!(screen.contains("watchdog: none: entity not found; keep the driver"), "{screen}");
}

#[test]
fn what_follows_a_failure_is_the_command_lines_or_else_the_contracts() {
    let contract = r#"{"version":6,"on_failure":"reboot","memory":100663297}"#.to_owned();
    for (cmdline, power, panic) in [
        ("", "power Reboot", true),
        ("panic=60", "power Reboot", false),
        ("hullkit.on_failure=halt", "power Halt", false),
        ("hullkit.on_failure=poweroff", "power Off", false),
    ] {
        let recorder = boot(contract.clone(), |recorder| recorder.cmdline = cmdline.to_owned());
        let has = |call: &str| recorder.transcript.iter().any(|line| line == call);
        assert!(has(power), "{cmdline}: {:?}", recorder.transcript);
        assert_eq!(has("write /proc/sys/kernel/panic 5"), panic, "{cmdline}");
    }
}

#[test]
fn a_volume_that_leaves_its_folder_stops_the_boot() {
    for name in ["", "..", "a/b", "a,b", "a:b"] {
        let contract = format!(r#"{{"version":6,"volumes":[{{"name":"{name}","lower":"/x"}}]}}"#);
        let recorder = boot(contract, |_| {});
        let calls = recorder.transcript.iter().filter(|line| line.contains("/containers/")).count();
        assert_eq!(calls, 0, "{name:?}");
        let screen = recorder.console_text();
        assert!(screen.contains("did not boot: stage `volumes`") && screen.contains("no name"), "{screen}");
    }
}

#[test]
fn an_onboot_container_that_fails_stops_the_boot() {
    let contract =
        format!(r#"{{"version":6,"onboot":{},"services":{}}}"#, list(&["good", "bad", "never"]), list(&["web"]));
    let recorder = boot(contract, |recorder| recorder.fails = Some(("bad".to_owned(), 3)));
    compare("onboot_fails.txt", &recorder);
}

#[test]
fn a_contract_of_another_version_stops_the_boot() {
    let recorder = boot(r#"{"version":99,"future":true}"#.to_owned(), |_| {});
    compare("version.txt", &recorder);
}

#[test]
fn contracts_that_the_tests_use_are_contracts() {
    let contract: Contract = serde_json::from_str(&format!(r#"{{"version":6,"services":{}}}"#, list(&["a"]))).unwrap();
    assert_eq!(contract.services.len(), 1);
}

/// The contract of a host with a volume that keeps what is written.
fn with_data() -> String {
    let volumes = r#"[{"name":"scratch","lower":"/x"},{"name":"db","lower":"/images/db/rootfs","persistent":true}]"#;
    format!(r#"{{"version":6,"services":{},"volumes":{volumes}}}"#, list(&["web"]))
}

/// A disk of 4 MiB whose last partition, of one MiB, is called `name` and starts with the superblock of an ext4 file system; on a
/// device of `size` bytes.
fn data_disk(name: &str, size: usize) -> Vec<u8> {
    let config = gpt::GptConfig::new().writable(true).logical_block_size(gpt::disk::LogicalBlockSize::Lb512);
    let device = io::Cursor::new(vec![0; 4 << 20]);
    let mut table = config.create_from_device(device, None).expect("a table");
    for name in ["root", name] {
        let kind = gpt::partition_types::LINUX_FS;
        table.add_partition(name, 1 << 20, kind, 0, Some(2048)).expect("there is room");
    }
    let mut disk = table.write().expect("a vector takes it").into_inner();
    let block = &mut disk[(2 << 20) + 1024..];
    block[4..8].copy_from_slice(&256_u32.to_le_bytes());
    block[0x18] = 2;
    block[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
    disk.resize(size, 0);
    disk
}

#[test]
fn what_volumes_keep_is_found_grown_and_mounted_before_them() {
    let recorder = boot(with_data(), |recorder| {
        recorder.disks = vec![
            ("/dev/sda".to_owned(), second(0), Ok(data_disk("other", 4 << 20))),
            ("/dev/vda".to_owned(), Duration::from_millis(150), Ok(data_disk("hullkit-data", 16 << 20))),
        ];
    });
    compare("data.txt", &recorder);
    let (.., grown) = &recorder.disks[1];
    let device = io::Cursor::new(grown.clone().expect("it can be read"));
    let table = gpt::GptConfig::new().open_from_device(device).expect("another reader takes the table");
    let ends: Vec<u64> = table.partitions().values().map(|partition| (partition.last_lba + 1) / 2048).collect();
    assert_eq!(ends, [2, 15], "MiB at which partitions end");
}

#[test]
fn a_host_that_is_to_keep_something_does_not_start_without_a_place_for_it() {
    let empty = || {
        let mut disk = data_disk("hullkit-data", 4 << 20);
        disk[2 << 20..3 << 20].fill(0);
        disk
    };
    for (disk, want) in [
        (
            data_disk("other", 4 << 20),
            "no disk has a partition `hullkit-data`, where the volume `db` is kept (looked for 30 s)",
        ),
        (empty(), "/dev/vda (partition 2) holds no ext4 file system"),
    ] {
        let recorder = boot(with_data(), |recorder| {
            recorder.disks = vec![("/dev/vda".to_owned(), second(0), Ok(disk))];
        });
        let screen = recorder.console_text();
        assert!(screen.contains("did not boot: stage `data`") && screen.contains(want), "{screen}");
        assert!(!recorder.transcript.iter().any(|line| line.starts_with("start")), "{:?}", recorder.transcript);
    }
}

/// The contract of a host with two images on its root, the second at its end: 16 KiB.
fn with_root(more: &str) -> String {
    format!(
        r#"{{"version":6,"services":{}{more},"root":{{"uuid":"5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a","size":16384,"images":[
            {{"target":"/images/web/rootfs","offset":4096,"size":8192}},
            {{"target":"/lib/modules","offset":12288,"size":4096}}]}}}}"#,
        list(&["web"])
    )
}

/// A disk that starts with the superblock of an EROFS file system of this UUID, each of whose bytes is the same.
fn erofs(uuid: u8, size: usize) -> Vec<u8> {
    let mut disk = vec![0; size];
    disk[1024..1028].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
    disk[1072..1088].fill(uuid);
    disk[1088..1100].copy_from_slice(b"hullkit-root");
    disk
}

fn second(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_root_is_waited_for_and_mounted_before_all_that_may_need_it() {
    let recorder = boot(with_root(r#","modules":["near","far","nowhere"],"memory":100663296"#), |recorder| {
        recorder.absent = (vec!["nowhere".to_owned()], vec!["far".to_owned()]);
        recorder.disks = vec![
            ("/dev/sda".to_owned(), second(0), Ok(erofs(0x11, 16384))),
            ("/dev/sr0".to_owned(), second(0), Err(io::ErrorKind::NotConnected)),
            ("/dev/vda".to_owned(), Duration::from_millis(150), Ok(erofs(0x5a, 20000))),
            ("/dev/vdb".to_owned(), second(0), Ok(erofs(0x5a, 16383))),
            ("/dev/vdc".to_owned(), second(0), Ok(vec![0; 4096])),
        ];
    });
    compare("root.txt", &recorder);
}

#[test]
fn a_root_that_does_not_come_leaves_a_list_of_what_was_seen() {
    let recorder = boot(with_root(""), |recorder| {
        recorder.cmdline = "hullkit.root_timeout=3".to_owned();
        recorder.disks = vec![
            ("/dev/sda".to_owned(), second(0), Ok(erofs(0x11, 16384))),
            ("/dev/sdb".to_owned(), second(0), Ok(vec![0; 3 << 20])),
            ("/dev/sr0".to_owned(), second(0), Err(io::ErrorKind::NotConnected)),
        ];
    });
    let calls: Vec<&String> =
        recorder.transcript.iter().filter(|line| line.starts_with("open") || line.starts_with("attach")).collect();
    // What could be read is read once.
    assert_eq!(calls.iter().filter(|line| *line == &"open /dev/sda").count(), 1, "{calls:?}");
    assert_eq!(calls.iter().filter(|line| *line == &"open /dev/sr0").count(), 7, "{calls:?}");
    let screen = recorder.console_text();
    let screen: Vec<&str> = screen.lines().skip(1).take_while(|line| !line.starts_with('{')).collect();
    assert_eq!(
        screen.join("\n"),
        "[    1.000] hullkit: waiting up to 3 s for the root, UUID=5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a\n\
         \n\
         ------------------------------------------------------------------------\n\
         hullkit: this host did not boot: stage `root`\n  \
           error:     no disk holds the root, UUID=5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a (looked for 3 s)\n  \
           block devices:\n    \
             /dev/sda, 16 KiB: erofs, UUID=11111111-1111-1111-1111-111111111111 LABEL=hullkit-root\n    \
             /dev/sdb, 3 MiB: nothing that is known here\n    \
             /dev/sr0, 0 KiB: unreadable: not connected\n  \
           try:       attach the disk, or add its driver to the image (`modules.include`); `hullkit.root=UUID=…|LABEL=…|\
         /dev/…` on the kernel command line names another, `hullkit.root_timeout=SECONDS` waits longer\n  \
           now:       powering off in 5 s; `hullkit.on_failure=shell|reboot|halt` on the kernel command line changes that\n\
         ------------------------------------------------------------------------"
    );
}

#[test]
fn a_root_may_be_named_and_is_refused_if_it_is_another_or_cut_off() {
    let boot = |word: &str, uuid, size| {
        boot(with_root(""), |recorder| {
            recorder.cmdline = format!("hullkit.root={word} hullkit.root_timeout=0");
            recorder.disks = vec![("/dev/vda".to_owned(), second(0), Ok(erofs(uuid, size)))];
        })
    };
    for word in ["LABEL=hullkit-root", "/dev/vda", "file:/dev/vda", "UUID=5A5A5A5A-5a5a-5a5a-5a5a-5a5a5a5a5a5a"] {
        let screen = boot(word, 0x5a, 16384).console_text();
        assert!(screen.contains("hullkit: root: 2 images on /dev/vda"), "{screen}");
    }
    for (word, uuid, size, want) in [
        ("LABEL=hullkit-root", 0x11, 16384, "/dev/vda holds the root of another build: its UUID is 11111111-"),
        ("/dev/vda", 0x5a, 12288, "the root on /dev/vda is cut off: it has 16384 bytes, and there are 12288"),
        ("/dev/vdb", 0x5a, 16384, "no disk holds the root, /dev/vdb (looked for 0 s)"),
        ("PARTLABEL=x", 0x5a, 16384, "no disk holds the root, PARTLABEL=x"),
    ] {
        let screen = boot(word, uuid, size).console_text();
        assert!(screen.contains(want), "{screen}");
    }
}

/// Boot from a web server; what lies there has been fetched if `fetched` says so.
fn boot_from_web(words: &str, fetched: (i32, &'static str)) -> Recorder {
    boot(with_root(r#","network":[{"id":"lan","dhcp":true}],"sysctl":{"a.b":"1"}"#), |recorder| {
        recorder.cmdline = format!("hullkit.root=http://10.0.2.2:8080/host-root.img {words}");
        recorder.fetched = fetched;
        recorder.disks = vec![("/run/hullkit/root/root.img".to_owned(), second(0), Ok(erofs(0x5a, 16384)))];
    })
}

#[test]
fn a_root_on_a_web_server_is_fetched_once_the_network_is_up() {
    let digest = format!("hullkit.root_sha256={}", "0f".repeat(32));
    compare("web.txt", &boot_from_web(&digest, (0, "1 of 1 MiB\n")));
}

#[test]
fn a_root_that_cannot_be_fetched_is_never_looked_at() {
    let digest = format!("hullkit.root_sha256={} hullkit.root_timeout=5", "0f".repeat(32));
    for (words, fetched, want, hint) in [
        (
            digest.as_str(),
            (1, "no route\nthe server answered 404 Not Found\n"),
            "host-root.img: the server answered 404",
            "see that",
        ),
        (
            &digest,
            (3, "what came has the SHA-256 00\n"),
            "host-root.img: what came has the SHA-256 00",
            "from one build",
        ),
        (&digest, (1, ""), "could not fetch the root from http://10.0.2.2:8080/host-root.img: ", "see that"),
        ("", (0, ""), "the root at http://10.0.2.2:8080/host-root.img has no digest", "hullkit.root_sha256="),
    ] {
        let recorder = boot_from_web(words, fetched);
        assert!(!recorder.transcript.iter().any(|line| line.starts_with("open") || line.starts_with("attach")));
        let screen = recorder.console_text();
        assert!(
            screen.contains("did not boot: stage `root`") && screen.contains(want) && screen.contains(hint),
            "{screen}"
        );
    }
}

#[test]
fn a_contract_whose_images_are_not_in_the_root_stops_the_boot() {
    for (offset, size) in [(12288, 8192), (u64::MAX - 4095, 4096), (4096, u64::MAX)] {
        let contract =
            with_root("").replace(r#""offset":4096,"size":8192"#, &format!(r#""offset":{offset},"size":{size}"#));
        let recorder = boot(contract, |recorder| {
            recorder.disks = vec![("/dev/vda".to_owned(), second(0), Ok(erofs(0x5a, 20000)))]
        });
        assert!(!recorder.transcript.iter().any(|line| line.starts_with("attach")), "{:?}", recorder.transcript);
        assert!(recorder.console_text().contains("`/images/web/rootfs` does not lie in the root"));
    }
}

/// Boot a host that asks for metadata.
fn boot_with_metadata(told: &[Option<&'static str>]) -> Recorder {
    let contract = format!(
        r#"{{"version":6,"hostname":"built","metadata":{{"timeout":30000,"allow":["hostname"]}},
            "network":[{{"id":"lan","dhcp":true}}],"services":{}}}"#,
        list(&["web"])
    );
    boot(contract, |recorder| recorder.told = told.iter().copied().collect())
}

#[test]
fn metadata_is_asked_for_before_the_network_and_with_it() {
    let told = "{\"provider\":\"AWS\",\"hostname\":\"told\",\"environment\":{\"db\":{\"A\":\"b\"}},\"network\":[{\"id\":\"late\"}]}\n";
    compare("metadata.txt", &boot_with_metadata(&[Some("{}\n"), Some(told)]));
}

#[test]
fn metadata_of_the_machine_itself_sets_up_the_network_and_nobody_else_is_asked() {
    let told = "{\"provider\":\"CDROM\",\"hostname\":\"told\",\"network\":[{\"id\":\"new\",\"dhcp\":true}]}\n";
    let recorder = boot_with_metadata(&[Some(told)]);
    let calls = recorder.transcript.iter().filter(|call| call.starts_with("start /") || call.starts_with("hostname"));
    let rules = r#"[{"id":"new","dhcp":true,"accept_ra":false}]"#;
    let want = [
        "hostname built",
        "start /hullkit/metadata before-network",
        "hostname told",
        &format!("start /proc/self/exe network {rules}"),
    ];
    assert_eq!(calls.collect::<Vec<_>>(), want);
}

#[test]
fn a_boot_goes_on_without_metadata_whatever_the_program_does() {
    for (told, want) in [
        (&[Some("{}\n"), None][..], "metadata: nothing came in time, going on without"),
        (&[Some("{}\n"), Some("{}\n")], "metadata: none, going on without"),
        (&[Some("{\"provider\":\"x\",\"more\":1}\n")], "metadata: not understood, going on without: unknown field"),
        (&[Some("{\"provider\":\"x\"")], "metadata: the program that asks ended, exit code 0, going on without"),
        (&[Some("{\"provider\":\"x\",\"hostname\":\"a\\u001bb\"}\n")], "could not set the host name \"a\\u{1b}b\""),
    ] {
        let recorder = boot_with_metadata(told);
        let screen = recorder.console_text();
        assert!(screen.contains(want) && screen.contains("hullkit: ready"), "{screen}");
    }
}

/// Boot a host that takes disks into use.
fn boot_with_storage(stored: &'static str) -> Recorder {
    let contract = format!(
        r#"{{"version":6,"storage":["loop","xfs"],"modules":["dummy"],"volumes":[{{"name":"db","lower":"/x"}}],"services":{}}}"#,
        list(&["web"])
    );
    boot(contract, |recorder| {
        recorder.stored = stored;
        recorder.absent = (vec!["xfs".to_owned()], Vec::new());
    })
}

#[test]
fn disks_are_taken_into_use_before_volumes_and_containers() {
    compare("storage.txt", &boot_with_storage("{}\n"));
}

#[test]
fn a_disk_that_cannot_be_taken_stops_the_boot_and_the_screen_shows_what_is_there() {
    let recorder = boot_with_storage(
        "{\"failure\":{\"error\":\"disk `data`: no disk\",\"seen\":[\"/dev/vda: nothing\"],\"hint\":\"buy one\"}}\n",
    );
    let screen = recorder.console_text();
    for line in [
        "this host did not boot: stage `storage`",
        "  error:     disk `data`: no disk",
        "  disks:",
        "    /dev/vda: nothing",
        "  try:       buy one",
    ] {
        assert!(screen.contains(line), "{line} in {screen}");
    }
    assert!(!recorder.transcript.iter().any(|call| call.starts_with("start services")), "{:?}", recorder.transcript);
    for (stored, want) in [
        ("", "the program that takes disks into use ended, exit code 1"),
        ("{\"failed\":1}\n", "the program that takes disks into use is not understood: unknown field"),
    ] {
        let screen = boot_with_storage(stored).console_text();
        assert!(screen.contains(want), "{screen}");
    }
}

#[test]
fn a_clock_that_is_before_the_build_is_set_to_it_and_no_other_is() {
    for (built, set) in [(1_500_000_000_u64, true), (0, false)] {
        let web = list(&["web"]);
        let recorder = boot(format!(r#"{{"version":6,"built":{built},"modules":["dummy"],"services":{web}}}"#), |_| {});
        let of = |text: &str| recorder.transcript.iter().position(|line| line.starts_with(text));
        assert_eq!(of("clock 1500000000").is_some(), set, "{:?}", recorder.transcript);
        assert!(of("clock") < of("load"), "before anything else: {:?}", recorder.transcript);
        assert_eq!(recorder.console_text().contains("clock: it was 17361 days before the build"), set);
    }
}

#[test]
fn too_small_a_machine_is_told_so() {
    let recorder = boot(r#"{"version":6,"memory":100663297}"#.to_owned(), |_| {});
    let screen = recorder.console_text();
    assert!(screen.contains("error:     this host needs 97 MiB of memory, and the machine has 96 MiB"), "{screen}");
}

#[test]
fn an_initrd_that_was_cut_off_is_told_apart() {
    let recorder = boot(String::new(), |recorder| recorder.cut_off = true);
    let screen = recorder.console_text();
    assert!(screen.contains("the initrd was not unpacked to its end"), "{screen}");
}

#[test]
fn services_start_when_their_dependencies_allow_and_stop_in_the_reverse_order() {
    let contract = services(&[
        ("web", r#","depends_on":[{"service":2,"condition":"completed"},{"service":3,"condition":"started"}]"#),
        ("db", HEALTH),
        ("migrate", r#","restart":"no","depends_on":[{"service":1,"condition":"healthy"}]"#),
        ("cache", ""),
    ]);
    let recorder = boot(contract, |recorder| {
        recorder.brief.push(("migrate".to_owned(), 0));
        recorder.probes = [Some(1), Some(1)].map(|code| ("db".to_owned(), code)).into();
        recorder.deaf.push("web".to_owned());
        recorder.busy_until = second(3);
    });
    assert_eq!(
        about_containers(&recorder),
        [
            "start services db",
            "start services cache",
            "probe db",
            "probe db",
            "probe db",
            "start services migrate",
            "start services web",
            "kill web SIGQUIT",
            "kill web SIGKILL",
            "kill cache SIGQUIT",
            "kill db SIGQUIT",
        ]
    );
    let screen = recorder.console_text();
    for line in [
        "hullkit: web: waits for migrate to complete, cache to start\n",
        "hullkit: migrate: waits for db to be healthy\n",
        "hullkit: db: healthy after 1.8 s\n",
        "hullkit: `migrate` ended, exit code 0; left as it is\n",
        "hullkit: `web` did not stop in 10 s: killed\n",
    ] {
        assert!(screen.contains(line), "{line} in\n{screen}");
    }
}

#[test]
fn unhealthy_counts_as_stopped_if_the_policy_is_always() {
    for (policy, starts) in [(r#""always""#, 2), (r#"{"on-failure":null}"#, 1), (r#""unless-stopped""#, 1)] {
        let contract = services(&[("web", &format!(r#"{HEALTH},"restart":{policy}"#))]);
        let recorder = boot(contract, |recorder| {
            // Healthy, then three failures, the last of them by time; whoever is then asked is well again.
            recorder.probes = [Some(0), Some(1), Some(1), None].map(|code| ("web".to_owned(), code)).into();
            recorder.busy_until = second(160);
        });
        let calls = about_containers(&recorder);
        assert_eq!(calls.iter().filter(|call| **call == "start services web").count(), starts, "{calls:?}");
        assert!(calls.contains(&"kill probe of web SIGKILL"), "{calls:?}");
        let screen = recorder.console_text();
        let want = if starts == 2 {
            "web: unhealthy: no answer in 30 s; stopping it\n[  120.250] hullkit: `web` ended, killed by SIGQUIT; starting it \
             again in 1 s\n"
        } else {
            "web: unhealthy: no answer in 30 s\n[  150.250] hullkit: web: healthy again\n"
        };
        assert!(screen.contains(want), "{screen}");
    }
}

#[test]
fn an_unhealthy_service_is_told_with_the_last_line_of_its_probe() {
    let recorder = boot(services(&[("db", HEALTH)]), |recorder| {
        recorder.probes = std::iter::repeat_n(("db".to_owned(), Some(1)), 12).collect();
        recorder.busy_until = second(100);
    });
    let screen = recorder.console_text();
    assert!(screen.contains("[   90.000] hullkit: db: unhealthy: no luck; stopping it\n"), "{screen}");
    assert!(!screen.contains("db | no luck"), "what probes print is not what the service prints: {screen}");
}

#[test]
fn a_critical_service_that_fails_fails_the_boot() {
    let critical = |more: &str| format!(r#","critical":true{more}"#);
    let on_failure = critical(r#","restart":{"on-failure":1}"#);
    let unhealthy = critical(HEALTH);
    let waits = critical(r#","depends_on":[{"service":1,"condition":"completed"}]"#);
    let cases = [
        (critical(""), "error:     ended, exit code 3", 1),
        (on_failure, "error:     ended, exit code 3", 2),
        (unhealthy, "error:     unhealthy: no luck", 1),
        (waits, "error:     not started: it waits for seed to complete, which will not happen", 0),
    ];
    for (keys, error, starts) in cases {
        let recorder = boot(services(&[("web", &keys), ("seed", r#","restart":"no""#)]), |recorder| {
            recorder.busy_until = second(1000);
            recorder.brief.push(("seed".to_owned(), 1));
            recorder.probes = std::iter::repeat_n(("web".to_owned(), Some(1)), 12).collect();
            if !keys.contains("health") {
                recorder.brief.push(("web".to_owned(), 3));
            }
        });
        let screen = recorder.console_text();
        let calls = about_containers(&recorder);
        assert_eq!(calls.iter().filter(|call| **call == "start services web").count(), starts, "{calls:?}\n{screen}");
        assert!(screen.contains("this host did not boot: stage `services`"), "{screen}");
        assert!(screen.contains("container: web (image registry/web:1)") && screen.contains(error), "{screen}");
    }
}

#[test]
fn a_host_is_ready_when_its_critical_services_are_up() {
    let contract = services(&[("web", &format!(r#"{HEALTH},"critical":true"#)), ("other", "")]);
    let recorder = boot(contract, |recorder| {
        recorder.probes = [Some(1)].map(|code| ("web".to_owned(), code)).into();
        recorder.busy_until = second(5);
    });
    let screen = recorder.console_text();
    assert!(screen.contains("[    0.750] hullkit: web: healthy after 0.8 s\n[    0.750] hullkit: ready\n"), "{screen}");
}

#[test]
fn a_contract_whose_services_wait_for_each_other_goes_down_all_the_same() {
    let contract = services(&[
        ("a", r#","depends_on":[{"service":1,"condition":"started"}]"#),
        ("b", r#","depends_on":[{"service":0,"condition":"started"},{"service":9,"condition":"started"}]"#),
        ("c", ""),
    ]);
    let recorder = boot(contract, |_| {});
    assert_eq!(about_containers(&recorder), ["start services c", "kill c SIGQUIT"]);
    let screen = recorder.console_text();
    assert!(screen.contains("`b` not started: it waits for a service that is not there to start"), "{screen}");
    assert!(screen.contains("hullkit: bye"), "{screen}");
}
