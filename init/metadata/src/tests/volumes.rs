//! What a machine shows of itself: labels of real file systems, strings of its firmware, QEMU's items.

use std::fs;
use std::process::Command;
use std::time::Duration;

use linuxkit_yaml::{Allow, Provider};
use tempfile::TempDir;

use crate::ask::{Moment, ask};
use crate::label::{HEAD, label};
use crate::machine::{Machine, seed};
use crate::order::Order;

/// Run a foreign tool; missing ones are an error in CI.
fn tool(command: &mut Command) -> bool {
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) if std::env::var_os("CI").is_some() => panic!("{command:?}: {error}"),
        Err(error) => {
            eprintln!("skipped: {command:?}: {error}");
            false
        }
    }
}

#[test]
fn labels_of_real_file_systems_are_read() {
    let work = TempDir::new().expect("a folder");
    let file = work.path().join("volume");
    let folder = work.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    let check = |kind: &str, name: &str| {
        let mut head = fs::read(&file).expect("a volume");
        head.truncate(HEAD);
        let found = label(&head).expect("a label");
        assert_eq!((found.kind, found.name.as_str()), (kind, name));
    };
    if tool(Command::new("genisoimage").args(["-quiet", "-V", "cidata", "-o"]).arg(&file).arg(&folder)) {
        check("iso9660", "cidata");
    }
    for (bits, mib) in [("12", 1), ("16", 16), ("32", 64)] {
        fs::File::create(&file).and_then(|file| file.set_len(mib << 20)).expect("a file");
        if tool(Command::new("mkfs.vfat").args(["-n", "CONFIG-2", "-F", bits]).arg(&file)) {
            check("vfat", "CONFIG-2");
        }
    }
    for bytes in [&b""[..], &[0; HEAD], &[0xff; HEAD], &[0x55; 512]] {
        assert_eq!(label(bytes), None);
    }
}

#[test]
fn a_serial_number_may_be_a_seed() {
    assert_eq!(seed("VMware-42"), None);
    assert_eq!(seed("ds=ec2;s=http://x"), None);
    let found = seed("ds=nocloud;s=http://10.0.0.1:8000/x;h=a;i=b;z;=").expect("a seed");
    assert_eq!(found.url.as_deref(), Some("http://10.0.0.1:8000/x/"));
    assert_eq!((found.hostname.as_deref(), found.instance.as_deref()), (Some("a"), Some("b")));
    // Only plain HTTP is spoken.
    assert_eq!(seed("ds=nocloud;s=https://x/").expect("a seed").url, None);
}

/// A machine with these files.
fn machine(files: &[(&str, &str)]) -> (TempDir, Machine) {
    let root = TempDir::new().expect("a folder");
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let machine = Machine::new(root.path());
    (root, machine)
}

fn order(providers: &[&str]) -> Order {
    let providers = providers.iter().map(|name| name.parse().expect("a provider")).collect();
    let timeout = Duration::from_millis(600);
    Order { providers, timeout, allow: Allow::ALL.to_vec(), ..Order::default() }
}

#[test]
fn clouds_are_known_by_their_firmware() {
    let cases = [
        ("sys_vendor", "Amazon EC2\n", Provider::Aws),
        ("bios_version", "4.11.amazon\n", Provider::Aws),
        ("product_name", "Google Compute Engine\n", Provider::Gcp),
        ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n", Provider::Azure),
        ("chassis_asset_tag", "OpenTelekomCloud\n", Provider::Openstack),
        ("sys_vendor", "Hetzner\n", Provider::Hetzner),
    ];
    for (name, text, want) in cases {
        let (_root, machine) = machine(&[(&format!("sys/class/dmi/id/{name}"), text)]);
        assert_eq!(machine.clouds(), [want]);
    }
    let (_root, machine) = machine(&[("sys/class/dmi/id/sys_vendor", "QEMU\n")]);
    assert_eq!(machine.clouds(), []);
}

#[test]
fn qemu_and_files_answer_before_the_network() {
    let items = "sys/firmware/qemu_fw_cfg/by_name/opt/hullkit";
    let (_root, machine) = machine(&[(&format!("{items}/user-data/raw"), "u"), ("etc/data", "whole")]);
    let answer = ask(&order(&[]), Moment::Before, &machine, &mut |_| {}).expect("an answer");
    assert_eq!((answer.provider.as_str(), answer.userdata.as_deref()), ("fw_cfg", Some(&b"u"[..])));
    let answer =
        ask(&order(&["file=/etc/none", "file=/etc/data"]), Moment::Before, &machine, &mut |_| {}).expect("an answer");
    assert_eq!((answer.provider.as_str(), answer.userdata.as_deref()), ("FILE /etc/data", Some(&b"whole"[..])));
}

#[test]
fn who_is_named_is_waited_for_and_who_is_not_there_is_said() {
    let (_root, machine) = machine(&[("proc/cmdline", "quiet console=ttyS0")]);
    let asked = |providers: &[&str], moment| {
        let (start, mut said) = (std::time::Instant::now(), Vec::new());
        let answer = ask(&order(providers), moment, &machine, &mut |line| said.push(line.to_owned()));
        assert_eq!(answer, None);
        (start.elapsed() > Duration::from_millis(200), said)
    };
    // Only the machine itself is asked, so it has its time before the network, and says what was missing after it.
    assert_eq!(asked(&["nocloud"], Moment::Before), (true, Vec::new()));
    let (waited, said) = asked(&["nocloud"], Moment::After);
    assert_eq!((waited, said), (false, vec!["nocloud: there is no volume labelled `cidata`".to_owned()]));
    // Nobody is named and nobody is there: no boot waits for that.
    assert_eq!(asked(&[], Moment::Before), (false, Vec::new()));
    let (waited, said) = asked(&[], Moment::After);
    assert_eq!((waited, said.len()), (false, 3), "{said:?}");
    assert!(said[2].contains("QEMU was given no item `opt/hullkit/user-data`"), "{said:?}");
}

#[test]
fn a_seed_without_an_address_is_an_answer() {
    let (_root, machine) = machine(&[("proc/cmdline", "quiet ds=nocloud;h=by-cmdline;i=7")]);
    let answer = ask(&order(&[]), Moment::Before, &machine, &mut |_| {}).expect("an answer");
    assert_eq!(answer.hostname.as_deref(), Some("by-cmdline"));
}
