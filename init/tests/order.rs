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
use hullkit_init::root::disk::Disk;
use hullkit_init::sys::{self, Attached, Exit, MountCall, Power, Started, Sys, Want};

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
    /// Block devices: path, when it appears, what is on it or else why it cannot be read.
    disks: Vec<(String, Duration, Result<Vec<u8>, io::ErrorKind>)>,
    /// The contract is not there.
    cut_off: bool,
    /// The kernel command line.
    cmdline: String,
    /// How the program that fetches a root ends, and what it says.
    fetched: (i32, &'static str),
    /// Modules that no index has, and modules that only the root's has.
    absent: (Vec<String>, Vec<String>),
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
        if self.cut_off && path == hullkit_init::contract::PATH {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(match path {
            hullkit_init::contract::PATH => self.contract.clone(),
            "/proc/cmdline" => self.cmdline.clone(),
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

    fn attach(&mut self, path: &str, offset: u64, size: u64) -> io::Result<Attached> {
        self.note(format!("attach {size} bytes at {offset} of {path}"));
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

    fn program(&mut self, path: &str, args: &[&str]) -> io::Result<Started> {
        self.note(format!("start {path} {}", args.join(" ")));
        let pid = self.pid();
        if path == hullkit_init::contract::FETCH {
            self.ended.push_back((pid, Exit::Code(self.fetched.0)));
            return Ok(Started { pid, report: said(""), output: [said(self.fetched.1), said("")] });
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
        r#"{{"version":3,"hostname":"hull","sysctl":{{"net.ipv4.ip_forward":"1"}},"modules":["overlay"],
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
        r#"{{"version":3,"onshutdown_first":true,"services":{},"onshutdown":{},"onboot":{},"volumes":[
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
fn a_volume_that_leaves_its_folder_stops_the_boot() {
    for name in ["", "..", "a/b", "a,b", "a:b"] {
        let contract = format!(r#"{{"version":3,"volumes":[{{"name":"{name}","lower":"/x"}}]}}"#);
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
        format!(r#"{{"version":3,"onboot":{},"services":{}}}"#, list(&["good", "bad", "never"]), list(&["web"]));
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
    let contract: Contract = serde_json::from_str(&format!(r#"{{"version":3,"services":{}}}"#, list(&["a"]))).unwrap();
    assert_eq!(contract.services.len(), 1);
}

/// The contract of a host with two images on its root, the second at its end: 16 KiB.
fn with_root(more: &str) -> String {
    format!(
        r#"{{"version":3,"services":{}{more},"root":{{"uuid":"5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a","size":16384,"images":[
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

#[test]
fn too_small_a_machine_is_told_so() {
    let recorder = boot(r#"{"version":3,"memory":100663297}"#.to_owned(), |_| {});
    let screen = recorder.console_text();
    assert!(screen.contains("error:     this host needs 97 MiB of memory, and the machine has 96 MiB"), "{screen}");
}

#[test]
fn an_initrd_that_was_cut_off_is_told_apart() {
    let recorder = boot(String::new(), |recorder| recorder.cut_off = true);
    let screen = recorder.console_text();
    assert!(screen.contains("the initrd was not unpacked to its end"), "{screen}");
}
