//! Any user data and any names a provider may give: nothing panics, and what is written lies where it may.
#![no_main]

use std::time::Duration;

use hullkit_metadata::{Answer, Label, Order, label, settle};
use libfuzzer_sys::fuzz_target;
use linuxkit_yaml::Allow;

fuzz_target!(|input: (Vec<u8>, String, Vec<String>, bool)| {
    let (bytes, name, ssh_keys, own) = input;
    if let Some(Label { name, .. }) = label(&bytes) {
        assert!(name.len() <= 32 * 3);
    }
    let userdata = if own { [b"#hullkit\n".as_slice(), &bytes].concat() } else { bytes };
    let answer = Answer {
        provider: "Fuzz".to_owned(),
        hostname: Some(name),
        ssh_keys,
        userdata: Some(userdata),
        facts: Vec::new(),
    };
    let services = ["web".to_owned()].into();
    let order = Order { providers: Vec::new(), timeout: Duration::ZERO, allow: Allow::ALL.to_vec(), services };
    let settled = settle(answer, &order, &mut |line| assert!(!line.contains(char::is_control)));
    let places = ["etc", "home", "opt", "root", "run", "srv", "var"];
    for entry in &settled.files {
        assert!(places.contains(&entry.path[0].as_str()) && entry.path.len() > 1);
        assert!(entry.path.iter().all(|part| !matches!(&**part, "" | "." | "..") && !part.contains(['/', '\0'])));
    }
    assert!(settled.hostname.is_none_or(|name| !name.is_empty() && name.len() <= 64));
});
