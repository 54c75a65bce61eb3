//! User data: what is taken of it, and that nothing of it leaves its place.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use hullkit_init::contract::metadata::Told;
use linuxkit_yaml::Allow;
use tempfile::TempDir;

use crate::answer::Answer;
use crate::order::Order;
use crate::settle::settle;
use crate::write::write;

fn order(allow: &[Allow]) -> Order {
    let services = ["web".to_owned()].into();
    Order { providers: Vec::new(), timeout: Duration::from_secs(1), allow: allow.to_vec(), services }
}

fn answer(userdata: &str) -> Answer {
    Answer {
        hostname: Some("by-provider".into()),
        ssh_keys: vec!["ssh-rsa AAAA".into()],
        userdata: Some(userdata.into()),
        ..Answer::of("Test")
    }
}

/// Settle and write. Out: what PID 1 is told, the root, what was said.
fn done(userdata: &str, allow: &[Allow]) -> (Told, TempDir, Vec<String>) {
    let root = TempDir::new().expect("a folder");
    let (told, said) = done_in(root.path(), userdata, allow);
    (told, root, said)
}

fn done_in(root: &Path, userdata: &str, allow: &[Allow]) -> (Told, Vec<String>) {
    let mut said = Vec::new();
    let settled = settle(answer(userdata), &order(allow), &mut |line| said.push(line.to_owned()));
    let told = write(root, settled, &mut |line| said.push(line.to_owned()));
    (told, said)
}

fn text(root: &TempDir, path: &str) -> String {
    fs::read_to_string(root.path().join(path)).unwrap_or_else(|error| error.kind().to_string())
}

#[test]
fn user_data_of_our_own_is_taken_whole() {
    let userdata = "#hullkit\nhostname: web-1\nssh_keys: [ssh-rsa BBBB]\nnetwork: {e*: {dhcp: true}}\n\
        files: [{path: etc/a/b, contents: c}, {path: /etc/d, symlink: a/b}, {path: var/e, directory: true, mode: \"0711\"}]\n\
        environment: {web: {A: 1, B: two}}\n";
    let (told, root, said) = done(userdata, &Allow::ALL);
    assert_eq!(said, Vec::<String>::new());
    assert_eq!(told.hostname.as_deref(), Some("web-1"));
    assert_eq!(told.environment["web"]["A"], "1");
    assert_eq!(told.network.expect("rules")[0].name.as_deref(), Some("e*"));
    assert_eq!(text(&root, "run/config/hostname"), "web-1");
    assert_eq!(text(&root, "run/config/userdata"), userdata);
    assert_eq!(text(&root, "run/config/ssh/authorized_keys"), "ssh-rsa AAAA\nssh-rsa BBBB\n");
    assert_eq!(text(&root, "etc/d"), "c");
    let mode = |path: &str| fs::metadata(root.path().join(path)).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode("etc/a/b"), mode("var/e"), mode("run/config/ssh/authorized_keys")), (0o600, 0o711, 0o600));
}

#[test]
fn user_data_that_is_wrong_or_not_allowed_is_refused_whole() {
    let most = &Allow::ALL[..4];
    let cases = [
        (
            "#hullkit\nhostname: a\nenvironment: {db: {A: b}}",
            &Allow::ALL[..],
            "user data of Test:3:15: there is no service `db`",
        ),
        ("#hullkit\nhostname: a\nenvironment: {web: {A: b}}", most, "`environment` is not taken"),
        (
            "#hullkit\nhostname: a\nfiles: [{path: hullkit/contract.json, contents: x}]",
            &Allow::ALL[..],
            "lie below etc, home",
        ),
        ("#hullkit\nhostname: a\nfiles: [{path: etc/../init, contents: x}]", &Allow::ALL[..], "lie below etc, home"),
        ("#hullkit\nhostname: a\nfiles: [{path: etc, directory: true}]", &Allow::ALL[..], "lie below etc, home"),
        ("#hullkit\nhostnam: a", &Allow::ALL[..], "`hostnam` is not a key"),
        ("#hullkit\n", &Allow::ALL[..], "is empty"),
        ("#hullkit\n\u{1b}[2J: a", &Allow::ALL[..], ""),
    ];
    for (userdata, allow, want) in cases {
        let (told, root, said) = done(userdata, allow);
        assert!(said.iter().any(|line| line.contains(want)), "{userdata}: {said:?}");
        assert_eq!(said.last().map(String::as_str), Some("the user data is not used"));
        assert!(!said.iter().any(|line| line.contains('\u{1b}')), "{said:?}");
        assert_eq!((told.hostname.as_deref(), told.environment.len()), (Some("by-provider"), 0), "{userdata}");
        assert!(!root.path().join("hullkit").exists() && !root.path().join("init").exists());
    }
}

#[test]
fn what_the_provider_says_is_limited_as_well() {
    let (told, root, _) = done("", &[Allow::Files]);
    assert_eq!(told, Told { provider: Some("Test".into()), ..Told::default() });
    assert_eq!(text(&root, "run/config/provider"), "Test");
    assert!(!root.path().join("run/config/ssh").exists() && !root.path().join("run/config/hostname").exists());
}

#[test]
fn user_data_of_linuxkit_is_a_tree_of_files() {
    let userdata = r#"{"hostname": {"content": "by-file\n"}, "a": {"entries": {"b": {"perm": "0640", "content": "c"}, "..": {"content": "x"}}},
        "/etc/x": {"content": "x"}, "both": {"content": "x", "entries": {}}, "perm": {"content": "x", "perm": "rwx"}, "text": "x"}"#;
    let (told, root, said) = done(userdata, &Allow::ALL);
    assert_eq!(told.hostname.as_deref(), Some("by-file"));
    assert_eq!(text(&root, "run/config/a/b"), "c");
    assert_eq!(said.len(), 5, "{said:?}");
    let (told, root, _) = done(userdata, &[Allow::Hostname]);
    assert_eq!(told.hostname.as_deref(), Some("by-provider"));
    assert!(!root.path().join("run/config/a").exists());
}

#[test]
fn anything_else_is_only_kept() {
    for userdata in ["#!/bin/sh\nexit\n", "#cloud-config\nhostname: x\n", "[1]", "{", "#hullkit-like\nhostname: x"] {
        let (told, root, said) = done(userdata, &Allow::ALL);
        assert_eq!((told.hostname.as_deref(), said.len()), (Some("by-provider"), 0), "{userdata}");
        assert_eq!(text(&root, "run/config/userdata"), userdata);
    }
}

#[test]
fn no_link_is_followed() {
    let (root, outside) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    fs::create_dir(root.path().join("etc")).expect("a folder");
    symlink(outside.path(), root.path().join("etc/link")).expect("a link");
    symlink(outside.path().join("file"), root.path().join("etc/file")).expect("a link");
    let userdata = "#hullkit\nfiles: [{path: etc/link/a, contents: b}, {path: etc/file, contents: b}]";
    let (_, said) = done_in(root.path(), userdata, &Allow::ALL);
    assert!(said.iter().any(|line| line.starts_with("could not write `/etc/link/a`")), "{said:?}");
    assert!(!outside.path().join("a").exists() && !outside.path().join("file").exists());
    assert_eq!(fs::read_to_string(root.path().join("etc/file")).expect("a file of its own"), "b");
}

#[test]
fn a_name_that_no_host_can_have_is_said() {
    let long = format!("{}.example.org", "a".repeat(60));
    for (name, want) in
        [("a b", None), ("", None), ("ok.example.org\n", Some("ok.example.org")), (&*long, Some(&long[..60]))]
    {
        let mut said = Vec::new();
        let given = Answer { hostname: Some(name.into()), ..Answer::of("Test") };
        let settled = settle(given, &order(&Allow::ALL), &mut |line| said.push(line.to_owned()));
        assert_eq!(settled.hostname.as_deref(), want);
        assert_eq!(said.is_empty(), want.is_some(), "{said:?}");
    }
}

#[test]
fn an_order_is_a_part_of_the_contract() {
    let text =
        br#"{"version": 5, "metadata": {"providers": ["aws", "file=/etc/x"], "timeout": 1500, "allow": ["ssh_keys"]},
        "services": [{"name": "web", "spec": {}}], "onboot": 7}"#;
    let order = Order::parse(text).expect("an order");
    assert_eq!((order.timeout, order.allow), (Duration::from_millis(1500), vec![Allow::SshKeys]));
    assert_eq!((order.providers.len(), order.services.contains("web")), (2, true));
    Order::parse(b"{}").expect_err("no order");
}
