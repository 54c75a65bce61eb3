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
use hullkit_init::contract::{Container, Contract};
use hullkit_init::early::modules::{ModulesError, Report};
use hullkit_init::host::Host;
use hullkit_init::sys::{self, Exit, MountCall, Power, Started, Sys, Want};

/// A kernel that writes down what it is asked, and says yes.
#[derive(Debug, Default)]
struct Recorder {
    contract: String,
    transcript: Vec<String>,
    /// Ends of processes that are waiting to be reaped.
    ended: VecDeque<(u32, Exit)>,
    /// Containers that run until they are signalled: name and process id.
    running: Vec<(String, u32)>,
    /// Names of containers that ignore every signal but SIGKILL.
    deaf: Vec<String>,
    /// Exit code of the onboot container of this name.
    fails: Option<(String, i32)>,
    /// The console's other end.
    screen: Option<OwnedFd>,
    next_pid: u32,
    /// What loading the drivers of a device that appears leads to, once.
    plugged: Report,
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

impl Sys for Recorder {
    fn uptime(&self) -> Duration {
        self.clock.get()
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

    fn copy_owner(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.note(format!("copy owner {from} {to}"));
        Ok(())
    }

    fn detach(&mut self, target: &str) -> io::Result<()> {
        self.note(format!("detach {target}"));
        Ok(())
    }

    fn unmount(&mut self, target: &str) -> io::Result<()> {
        self.note(format!("unmount {target}"));
        Ok(())
    }

    fn move_root(&mut self, over: &str) -> io::Result<()> {
        self.note(format!("move root over {over}"));
        Ok(())
    }

    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.note(format!("read {path}"));
        Ok(match path {
            hullkit_init::contract::PATH => self.contract.clone(),
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

    fn load_modules(&mut self, wanted: &[String]) -> Result<Report, ModulesError> {
        self.note(format!("load modules {}", wanted.join(" ")));
        Ok(Report::default())
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
        let serving = self.running.iter().any(|(name, _)| name != "network");
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

    fn start(&mut self, section: Section, container: &Container) -> io::Result<Started> {
        self.note(format!("start {} {}", section.name(), container.name));
        let (helper, pid) = (self.pid(), self.pid());
        self.ended.push_back((helper, Exit::Code(0)));
        if section == Section::Services {
            self.running.push((container.name.clone(), pid));
        } else {
            let code = self.fails.as_ref().filter(|(name, _)| *name == container.name).map_or(0, |(_, code)| *code);
            // The container's end arrives before its helper's: the order that is easy to get wrong.
            self.ended.push_front((pid, Exit::Code(code)));
        }
        let output = [said(&format!("{} speaks\n", container.name)), said("")];
        Ok(Started { pid: helper, report: said(&format!("{{\"pid\":{pid}}}\n")), output })
    }

    fn role(&mut self, role: &str) -> io::Result<Started> {
        self.note(format!("role {role}"));
        let pid = self.pid();
        self.running.push((role.to_owned(), pid));
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

/// A container whose configuration names only its program, and the signal that stops it.
fn container(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","image":"registry/{name}:1","lower":"/images/{name}/rootfs","readonly":true,
            "spec":{{"ociVersion":"1.2.1","annotations":{{"org.opencontainers.image.stopSignal":"SIGQUIT"}}}}}}"#
    )
}

fn list(names: &[&str]) -> String {
    let containers: Vec<String> = names.iter().map(|name| container(name)).collect();
    format!("[{}]", containers.join(","))
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
        r#"{{"version":2,"hostname":"hull","sysctl":{{"net.ipv4.ip_forward":"1"}},"modules":["overlay"],
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
        r#"{{"version":2,"onshutdown_first":true,"services":{},"onshutdown":{},"onboot":{},"volumes":[
            {{"name":"data","lower":"/containers/volumes/data/lower"}},
            {{"name":"fixed","lower":"/images/f/rootfs","readonly":true}}]}}"#,
        list(&["web"]),
        list(&["farewell"]),
        list(&["seed"])
    );
    let plugged = Report { loaded: vec!["virtio_blk".to_owned()], failed: vec![("odd".to_owned(), "no".to_owned())] };
    let recorder = boot(contract, |recorder| recorder.plugged = plugged);
    compare("volumes.txt", &recorder);
}

#[test]
fn a_volume_that_leaves_its_folder_stops_the_boot() {
    for name in ["", "..", "a/b", "a,b", "a:b"] {
        let contract = format!(r#"{{"version":2,"volumes":[{{"name":"{name}","lower":"/x"}}]}}"#);
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
        format!(r#"{{"version":2,"onboot":{},"services":{}}}"#, list(&["good", "bad", "never"]), list(&["web"]));
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
    let contract: Contract = serde_json::from_str(&format!(r#"{{"version":2,"services":{}}}"#, list(&["a"]))).unwrap();
    assert_eq!(contract.services.len(), 1);
}
