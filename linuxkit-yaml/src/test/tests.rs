use super::*;

fn refused(text: &str) -> String {
    parse_test(text, "web.test.yml").expect_err("no test").to_string()
}

#[test]
fn a_test_is_read_in_the_order_of_its_steps() {
    let text = "timeout: 90s\nmemory: 256M\nmatrix: [kernel+initrd, 'raw bios,uefi']\ndisks: [{name: data, size: 64M}]\n\
        budget: {boot_time: 10s, ram: 128M, size: 40M}\nsteps:\n- healthy: all\n- {healthy: [web], within: 10s}\n- http: {port: 80, contains: hi}\n\
        - tcp: {port: 6379, send: \"PING\\r\\n\", contains: PONG}\n- exec: {service: web, command: [/bin/true]}\n\
        - file: {service: web, path: /etc/x}\n- log: {service: kernel, never: oops}\n- kill: web\n- unplug: data\n- plug: net\n\
        - reboot: true\n- snapshot: one\n- power_cut: true\n- {name: back, restore: one}\n";
    let test = parse_test(text, "web.test.yml").expect("a test");
    let said: Vec<String> = test.steps.iter().map(|step| step.action.to_string()).collect();
    assert_eq!(said[..3], ["all services are healthy", "healthy: web", "http port 80 /"]);
    assert_eq!(
        said[7..],
        ["kill web", "unplug data", "plug net", "reboot", "snapshot one", "power cut", "restore one"]
    );
    assert_eq!(test.steps[1].within, Some(Period(std::time::Duration::from_secs(10))));
    assert_eq!(test.steps[13].name.as_deref(), Some("back"));
    assert_eq!(test.budget.ram.expect("a budget").0, 128 << 20);
}

#[test]
fn mistakes_have_their_places() {
    let cases = [
        ("steps: [{}]", "web.test.yml:1:9: this step says nothing that is looked at or done"),
        (
            "steps: [{healthy: all, reboot: true}]",
            "web.test.yml:1:32: a step is one thing: this is `healthy` and `reboot`",
        ),
        ("steps: [{helthy: all}]", "`helthy` is not a key of a step"),
        ("steps: [{healthy: []}]", "a list of no services"),
        ("steps: [{http: {port: 0}}]", "web.test.yml:1:23: a port is 1 to 65535"),
        ("steps: [{http: {port: 80, path: x}}]", "`x` is not a path"),
        ("steps: [{http: {}}]", "`port` is missing in `http`"),
        ("steps: [{log: {service: a}}]", "`log` needs `contains` or `never`"),
        ("steps: [{unplug: disk}]", "there is no `disk` that can be pulled out"),
        ("steps: [{restore: a}]", "no step before this one takes a snapshot `a`"),
        ("steps: [{reboot: false}]", "`reboot: false` does nothing"),
        ("steps: [{host: a, healthy: all}]", "there is no host `a`"),
        ("steps: [{console: {}}]", "`console` needs `contains` or `anywhere`"),
        ("steps: [{ctl: {args: []}}]", "web.test.yml:1:22: `hullkit ctl` without a word"),
        ("steps: [{type: ''}]", "no key is typed"),
        ("steps: [{ends: exploded}]", "exploded"),
        ("steps: [{power_on: true}]", "web.test.yml:1:9: the host runs already"),
        ("steps: [{ends: rebooted}, {healthy: all}]", "web.test.yml:1:27: the host has ended by now"),
        ("steps: [{grow: [{name: data, size: 1G}]}]", "there is no disk `data`"),
        ("disks: [{name: boot, size: 1M}]", "`boot` is the disk that the host boots from"),
        ("steps: [{plug: nic}]", "there is no `nic` that can be pulled out"),
        ("devices: [{name: net, device: x}]", "`net` is something else already"),
        ("devices: [{name: nic, device: 'x,id=nic'}]", "web.test.yml:1:31: its `id` is its name"),
        ("never: ['']", "say which no line may have"),
        ("hosts: [{name: a, manifest: a.yml}]\nsteps: [{healthy: all}]", "web.test.yml:2:9: `host` is missing"),
        ("hosts: [{name: a, manifest: a.yml}, {name: a, manifest: b.yml}]", "two hosts are called `a`"),
        ("disks: [{name: net, size: 1M}]", "`net` is the network cable"),
        ("disks: [{name: a b, size: 1k}]", "a disk has 1M to 1024G"),
        ("memory: 1", "a machine has 16M to 1024G of RAM"),
        ("timeout: 0s", "at least 1s"),
        ("cpus: 0", "1 to 256 processors"),
        ("budget: {ram: lots}", "`lots` is not a number of bytes"),
        ("", "the test is empty"),
    ];
    for (text, want) in cases {
        let error = refused(text);
        assert!(error.contains(want), "{text}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = parse_test(text, "any");
    }
}

#[test]
fn a_host_that_has_ended_is_started_again() {
    let text = "tpm: true\ncmdline: quiet\nqemu: [-rtc, utc]\nnever: [oops]\ndevices: [{name: nic, device: 'e1000,mac=52:54:00:00:00:09'}]\n\
        steps:\n- console: {contains: [a, b, c], anywhere: [d]}\n- type: \"x\\n\"\n- ctl: {args: [ps]}\n- plug: nic\n- power_button: true\n\
        - ends: powered_off\n- console: {anywhere: [bye]}\n- power_on: true\n- nmi: true\n- ends: panicked\n";
    let test = parse_test(text, "web.test.yml").expect("a test");
    let said: Vec<String> = test.steps.iter().map(|step| step.action.to_string()).collect();
    assert_eq!(said[..3], ["the console shows `a`, `b`, …", "type `x`", "ctl ps"]);
    assert_eq!(said[4..6], ["power button", "the host has powered off by itself"]);
    assert_eq!((test.tpm, test.never.len(), test.devices.len()), (true, 1, 1));
}
