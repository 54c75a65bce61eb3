//! The network child against real neighbours: a Debian `dnsmasq`, and servers that lie, fall silent or talk rubbish.
//!
//! Every test runs in network namespaces of its own, for which it needs no right but that to make user namespaces: the test
//! starts itself again inside. Two namespaces are joined by a virtual cable, `eth0` here and `srv0` there.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "all of this file is a test, its helpers too")]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use hullkit_init::contract::{Cidr, Contract, Interface, Link, Route};
use serde_json::Value;

/// Set inside the namespaces; names the part that this process plays.
const PART: &str = "HULLKIT_TEST_PART";

#[expect(clippy::disallowed_methods, reason = "how a test's processes tell each other what they are")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Run `test` in fresh namespaces. In: the name of the calling test.
fn lab(name: &str, test: impl FnOnce(&mut Lab)) {
    if variable(PART).as_deref() == Some("test") {
        return test(&mut Lab::new());
    }
    let inside = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net"]);
        command
    };
    let able = inside().arg("true").status().is_ok_and(|status| status.success());
    let served = Command::new("dnsmasq").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !able || !served {
        assert_ne!(variable("CI").as_deref(), Some("true"), "needs user namespaces: {able}, dnsmasq: {served}");
        return;
    }
    let me = std::env::current_exe().unwrap();
    let ran = inside().arg(me).args(["--exact", name, "--nocapture"]).env(PART, "test").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()));
}

/// A process that ends with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two namespaces and a cable.
struct Lab {
    far: Guard,
    folder: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let far = Guard(Command::new("unshare").args(["--net", "sleep", "1000"]).spawn().unwrap());
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        while namespace(&far.0.id().to_string()) == namespace("self") {
            std::thread::sleep(Duration::from_millis(5));
        }
        let folder = std::env::temp_dir().join(format!("hullkit-network-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lab = Self { far, folder };
        let pid = lab.far.0.id().to_string();
        ip(&[
            "link",
            "add",
            "eth0",
            "address",
            "52:54:00:00:00:01",
            "type",
            "veth",
            "peer",
            "name",
            "srv0",
            "netns",
            &pid,
        ]);
        lab.far_ip(&["address", "add", "10.9.0.1/24", "dev", "srv0"]);
        lab.far_ip(&["link", "set", "srv0", "up"]);
        // For broadcasts of the servers that are part of this program.
        lab.far_ip(&["route", "add", "default", "dev", "srv0"]);
        lab
    }

    /// A command on the other side of the cable.
    fn far(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.far.0.id().to_string()]).arg(program);
        command
    }

    fn far_ip(&self, arguments: &[&str]) {
        assert!(self.far("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
    }

    /// Start a DHCP server with this range of addresses.
    fn dnsmasq(&self, arguments: &[&str]) -> Guard {
        let mut command = self.far("dnsmasq");
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=", "--group="]);
        command.args([
            "--interface=srv0",
            "--bind-interfaces",
            "--dhcp-authoritative",
            "--pid-file=",
            "--log-facility=-",
        ]);
        command.args(["--leasefile-ro"]).args(arguments).stdout(Stdio::null());
        Guard(command.spawn().unwrap())
    }

    /// Start another part of this program on the other side.
    fn part(&self, part: &str) -> Guard {
        let mut command = self.far(std::env::current_exe().unwrap());
        command.args(["--exact", "part", "--ignored", "--nocapture"]).env(PART, part);
        Guard(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Start the network child.
    fn child(&self, rules: &[Interface]) -> Network {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "part", "--ignored", "--nocapture"]).env(PART, "child");
        command.env("RULES", serde_json::to_string(rules).unwrap()).env("RESOLVER", self.resolver());
        let mut child = Guard(command.stdout(Stdio::piped()).spawn().unwrap());
        let output = BufReader::new(child.0.stdout.take().unwrap());
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                eprintln!("{line}");
                // The test harness prints lines of its own.
                if let Ok(event) = serde_json::from_str(&line) {
                    let _ = sender.send(event);
                }
            }
        });
        Network { _child: child, events }
    }

    fn resolver(&self) -> PathBuf {
        self.folder.join("resolv.conf")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The network child at work.
struct Network {
    _child: Guard,
    events: Receiver<Value>,
}

impl Network {
    /// Wait for an event of this kind.
    fn wait(&self, event: &str, patience: u64) -> Value {
        let deadline = Instant::now() + Duration::from_secs(patience);
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(value) if value["event"] == event => return value,
                Ok(_) => {}
                Err(cause) => panic!("no `{event}`: {cause}"),
            }
        }
    }

    /// Make sure that no event of this kind comes for so many seconds.
    fn never(&self, event: &str, seconds: u64) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(value) => assert_ne!(value["event"], event, "{value}"),
                Err(RecvTimeoutError::Timeout) => return,
                Err(cause) => panic!("{cause}"),
            }
        }
    }
}

fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn eth0() -> Interface {
    Interface { id: "net".to_owned(), name: Some("eth*".to_owned()), ..Interface::default() }
}

fn dhcp() -> Interface {
    Interface { dhcp: true, ..eth0() }
}

const RANGE: &str = "--dhcp-range=10.9.0.50,10.9.0.50,255.255.255.0,2m";

#[test]
fn lease_of_dnsmasq_is_taken_and_renewed() {
    lab("lease_of_dnsmasq_is_taken_and_renewed", |lab| {
        let _server = lab.dnsmasq(&[
            RANGE,
            "--dhcp-option=option:router,10.9.0.1",
            "--dhcp-option=option:dns-server,10.9.0.1,10.9.0.2",
            "--dhcp-option=option:domain-search,one.example,two.example",
            "--dhcp-option=option:mtu,1400",
            // Renew after six seconds.
            "--dhcp-option=option:T1,6s",
            "--dhcp-option=option:T2,20s",
        ]);
        let network = lab.child(&[dhcp()]);
        assert_eq!(network.wait("lease", 20)["address"], "10.9.0.50");
        let online = network.wait("online", 10);
        assert_eq!((&online["interface"], &online["addresses"][0]), (&"eth0".into(), &"10.9.0.50".into()));
        let text = std::fs::read_to_string(lab.resolver()).unwrap();
        assert_eq!(text, "search one.example two.example\nnameserver 10.9.0.1\nnameserver 10.9.0.2\n");
        assert!(ip(&["route"]).contains("default via 10.9.0.1 dev eth0 proto dhcp"), "{}", ip(&["route"]));
        let link = ip(&["address", "show", "eth0"]);
        assert!(link.contains("mtu 1400") && link.contains("10.9.0.50/24 brd 10.9.0.255"), "{link}");
        assert!(ip(&["link", "show", "lo"]).contains("UP"));
        assert_eq!(network.wait("lease", 15)["address"], "10.9.0.50");
        assert_eq!(network.wait("lease", 15)["seconds"], 120);
        network.never("lost", 1);
    });
}

#[test]
fn refused_renewal_leads_to_another_address() {
    lab("refused_renewal_leads_to_another_address", |lab| {
        let early = ["--dhcp-option=option:T1,6s", "--dhcp-option=option:T2,20s"];
        let server = lab.dnsmasq(&[&[RANGE][..], &early].concat());
        let network = lab.child(&[dhcp()]);
        network.wait("online", 20);
        drop(server);
        let _server = lab.dnsmasq(&["--dhcp-range=10.9.0.77,10.9.0.77,255.255.255.0,2m"]);
        network.wait("lost", 20);
        assert_eq!(network.wait("lease", 10)["address"], "10.9.0.77");
        network.wait("online", 5);
        let addresses = ip(&["-4", "address", "show", "eth0"]);
        assert!(addresses.contains("10.9.0.77") && !addresses.contains("10.9.0.50"), "{addresses}");
    });
}

#[test]
fn router_advertisements_give_an_address_once_it_is_nobody_elses() {
    lab("router_advertisements_give_an_address_once_it_is_nobody_elses", |lab| {
        lab.far_ip(&["address", "add", "fd09::1/64", "dev", "srv0", "nodad"]);
        let _server = lab.dnsmasq(&["--enable-ra", "--dhcp-range=fd09::,ra-only,64", "--ra-param=srv0,4,1800"]);
        let network = lab.child(&[Interface { accept_ra: true, ..eth0() }]);
        let online = network.wait("online", 30);
        assert!(online["addresses"][0].as_str().unwrap().starts_with("fd09::"), "{online}");
        let addresses = ip(&["-6", "address", "show", "eth0", "scope", "global"]);
        assert!(addresses.contains("fd09:") && !addresses.contains("tentative"), "{addresses}");
        assert!(ip(&["-6", "route"]).contains("default via fe80:"));
    });
}

#[test]
fn address_that_a_dhcpv6_server_keeps_is_taken_renewed_and_lost() {
    lab("address_that_a_dhcpv6_server_keeps_is_taken_renewed_and_lost", |lab| {
        lab.far_ip(&["address", "add", "fd09::1/64", "dev", "srv0", "nodad"]);
        let arguments = [
            "--enable-ra",
            "--dhcp-range=fd09::50,fd09::50,64,2m",
            "--dhcp-option=option6:dns-server,[fd09::53]",
            "--dhcp-option=option6:domain-search,six.example",
            "--dhcp-option=option6:ntp-server,[fd09::123]",
        ];
        let server = lab.dnsmasq(&arguments);
        let network = lab.child(&[Interface { dhcp6: true, accept_ra: true, ..eth0() }]);
        assert_eq!(network.wait("lease", 20)["address"], "fd09::50");
        assert_eq!(network.wait("online", 10)["addresses"], serde_json::json!(["fd09::50"]));
        assert_eq!(std::fs::read_to_string(lab.resolver()).unwrap(), "search six.example\nnameserver fd09::53\n");
        lab.far_ip(&["link", "set", "srv0", "down"]);
        std::thread::sleep(Duration::from_secs(2));
        drop(server);
        lab.far_ip(&["link", "set", "srv0", "up"]);
        lab.far_ip(&["address", "add", "fd0a::1/64", "dev", "srv0", "nodad"]);
        std::thread::sleep(Duration::from_secs(1));
        // Another network: what was granted is of no use there, and the server says so.
        let _server = lab.dnsmasq(&["--enable-ra", "--dhcp-range=fd0a::77,fd0a::77,64,2m"]);
        network.wait("lost", 60);
        assert_eq!(network.wait("lease", 20)["address"], "fd0a::77");
    });
}

#[test]
fn static_addresses_are_set_also_on_an_interface_that_comes_later() {
    lab("static_addresses_are_set_also_on_an_interface_that_comes_later", |lab| {
        let cidr = |address: &str, prefix| Cidr { address: address.parse::<IpAddr>().unwrap(), prefix };
        let late = Interface {
            id: "late".to_owned(),
            name: Some("late?".to_owned()),
            addresses: vec![cidr("192.0.2.5", 24), cidr("fd01::5", 64)],
            routes: vec![
                Route { to: None, via: Some("192.0.2.1".parse().unwrap()), metric: Some(7) },
                Route { to: None, via: Some("fd01::1".parse().unwrap()), metric: None },
                // A gateway outside the network.
                Route { to: Some(cidr("203.0.113.0", 24)), via: Some("198.18.0.1".parse().unwrap()), metric: None },
            ],
            nameservers: vec!["192.0.2.53".parse().unwrap()],
            mtu: Some(1300),
            ..Interface::default()
        };
        let network = lab.child(&[Interface { addresses: vec![cidr("10.9.0.9", 24)], ..eth0() }, late]);
        let waiting = network.wait("waiting", 10);
        assert_eq!(waiting["for"]["late"], "an interface", "{waiting}");
        network.never("online", 3);
        ip(&["link", "add", "late0", "type", "veth", "peer", "name", "late1peer"]);
        ip(&["link", "set", "late1peer", "up"]);
        let online = network.wait("online", 10);
        assert_eq!(online["addresses"], serde_json::json!(["192.0.2.5", "fd01::5"]));
        assert!(ip(&["link", "show", "late0"]).contains("mtu 1300"));
        let routes = ip(&["route"]);
        assert!(routes.contains("default via 192.0.2.1 dev late0 proto static metric 7"), "{routes}");
        assert!(routes.contains("203.0.113.0/24 via 198.18.0.1 dev late0 proto static onlink"), "{routes}");
        assert!(ip(&["-6", "route"]).contains("default via fd01::1 dev late0 proto static"));
        assert_eq!(std::fs::read_to_string(lab.resolver()).unwrap(), "nameserver 192.0.2.53\n");
        assert!(ip(&["address", "show", "late1peer"]).find("inet ").is_none());
        ip(&["link", "delete", "late0"]);
        assert_eq!(network.wait("gone", 5)["interface"], "late0");
        assert_eq!(network.wait("waiting", 5)["for"], serde_json::json!({ "late": "an interface" }));
        assert_eq!(std::fs::read_to_string(lab.resolver()).unwrap(), "");
        ip(&["link", "add", "late0", "type", "veth", "peer", "name", "late1peer"]);
        ip(&["link", "set", "late1peer", "up"]);
        network.wait("online", 10);
    });
}

#[test]
fn bridge_is_made_of_cards_that_come_and_go_and_has_the_lease() {
    lab("bridge_is_made_of_cards_that_come_and_go_and_has_the_lease", |lab| {
        let make = Some(Link::Bridge { stp: false, forward_delay: None });
        let bridge = Interface { id: "br0".to_owned(), make, dhcp: true, ..Interface::default() };
        let _server = lab.dnsmasq(&[RANGE]);
        let network = lab.child(&[Interface { master: Some(1), ..eth0() }, bridge]);
        assert_eq!(network.wait("online", 20)["interface"], "br0");
        assert!(ip(&["link", "show", "eth0"]).contains("master br0"));
        assert!(!ip(&["address", "show", "eth0"]).contains("inet "));
        assert!(ip(&["address", "show", "br0"]).contains("10.9.0.50/24"));
        ip(&["link", "delete", "br0"]);
        network.wait("gone", 5);
        // It is made again, and so is all that was in it.
        network.wait("online", 20);
    });
}

#[test]
fn rubbish_does_no_harm_and_a_late_server_is_found() {
    lab("rubbish_does_no_harm_and_a_late_server_is_found", |lab| {
        let rubbish = lab.part("rubbish");
        let network = lab.child(&[dhcp()]);
        network.never("lease", 5);
        drop(rubbish);
        let _server = lab.dnsmasq(&[RANGE]);
        assert_eq!(network.wait("lease", 40)["address"], "10.9.0.50");
        network.wait("online", 10);
    });
}

#[test]
fn lease_of_a_server_that_falls_silent_ends_and_its_address_goes() {
    lab("lease_of_a_server_that_falls_silent_ends_and_its_address_goes", |lab| {
        let server = lab.part("brief");
        let network = lab.child(&[dhcp()]);
        network.wait("online", 20);
        drop(server);
        let lost = network.wait("lost", 30);
        assert_eq!(lost["reason"], "it ran out");
        network.wait("waiting", 5);
        std::thread::sleep(Duration::from_millis(500));
        assert!(!ip(&["-4", "address", "show", "eth0"]).contains("inet "));
        assert!(!ip(&["route"]).contains("default"));
        let _server = lab.dnsmasq(&[RANGE]);
        network.wait("lease", 60);
        network.wait("online", 10);
    });
}

#[test]
fn server_that_refuses_what_it_offers_is_asked_less_and_less() {
    lab("server_that_refuses_what_it_offers_is_asked_less_and_less", |lab| {
        let refuser = lab.part("refuser");
        let network = lab.child(&[dhcp()]);
        network.never("lease", 8);
        drop(refuser);
        let _server = lab.dnsmasq(&[RANGE]);
        network.wait("online", 60);
    });
}

#[test]
fn lease_is_confirmed_when_the_cable_returns() {
    lab("lease_is_confirmed_when_the_cable_returns", |lab| {
        let _server = lab.dnsmasq(&[RANGE]);
        let network = lab.child(&[dhcp()]);
        network.wait("online", 20);
        lab.far_ip(&["link", "set", "srv0", "down"]);
        std::thread::sleep(Duration::from_secs(2));
        lab.far_ip(&["link", "set", "srv0", "up"]);
        assert_eq!(network.wait("lease", 20)["address"], "10.9.0.50");
        network.never("lost", 1);
    });
}

/// Not a test: what the processes of the tests above do.
#[test]
#[ignore = "a part of the other tests"]
fn part() {
    match variable(PART).as_deref() {
        Some("child") => {
            let rules: Vec<Interface> = serde_json::from_str(&variable("RULES").unwrap()).unwrap();
            let resolver = variable("RESOLVER").unwrap();
            let contract = Contract { network: rules, ..Contract::default() };
            hullkit_init::network::run_with(&contract, std::io::stdout(), Path::new(&resolver)).unwrap();
        }
        Some("rubbish") => talk_rubbish(),
        Some("brief") => serve(|message| (message[0] == 1).then_some(12)),
        Some("refuser") => serve(|_| None),
        other => panic!("{other:?}"),
    }
}

/// Broadcast datagrams that look more or less like replies, as fast as they go.
fn talk_rubbish() {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)).unwrap();
    socket.set_broadcast(true).unwrap();
    let mut random = 1u32;
    for round in 0u32.. {
        let mut bytes: Vec<u8> = (0..round % 700)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                random.to_be_bytes()[0]
            })
            .collect();
        // Every other one is for our address, but a transaction that nobody began.
        if round % 2 == 0 && bytes.len() > 240 {
            bytes[..3].copy_from_slice(&[2, 1, 6]);
            bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
            bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        }
        let _ = socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 68));
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A server that grants 10.9.0.99 for as many seconds as `lease` says of a request, or refuses it.
fn serve(lease: impl Fn(&[u8]) -> Option<u32>) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)).unwrap();
    socket.set_broadcast(true).unwrap();
    let mut buffer = [0; 1500];
    loop {
        let (len, _) = socket.recv_from(&mut buffer).unwrap();
        let question = &buffer[..len];
        let discover = question.windows(3).any(|part| part == [53, 1, 1]);
        let granted = lease(question);
        let mut reply = question[..240].to_vec();
        reply[0] = 2;
        reply[16..20].copy_from_slice(&[10, 9, 0, 99]);
        let kind = if discover { 2 } else { granted.map_or(6, |_| 5) };
        reply.extend([53, 1, kind, 54, 4, 10, 9, 0, 1, 1, 4, 255, 255, 255, 0, 3, 4, 10, 9, 0, 1, 51, 4]);
        reply.extend(granted.unwrap_or(12).to_be_bytes());
        reply.push(255);
        socket.send_to(&reply, (Ipv4Addr::BROADCAST, 68)).unwrap();
        let _ = std::io::stdout().flush();
    }
}
