//! What is legal and probably not meant: one row a finding.

use linuxkit_yaml::{Code, LintOptions, Severity, lint, merge, parse};

const PORTABLE: LintOptions = LintOptions { portable: true, replace_init: false };
const PLAIN: LintOptions = LintOptions { portable: false, replace_init: false };
const REPLACED: LintOptions = LintOptions { portable: false, replace_init: true };

/// Give what is found as `line:column code`, and the first message.
fn found(text: &str, options: LintOptions) -> (Vec<String>, String) {
    let manifest = parse(text, "a.yml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let list = lint(&manifest, options);
    let places = list.iter().map(|one| format!("{}:{} {}", one.line(), one.column(), one.code)).collect();
    (places, list.first().map(|one| one.message.clone()).unwrap_or_default())
}

#[test]
fn each_rule_finds_what_it_is_for_and_nothing_else() {
    let image = "name: a, image: 'x:1'";
    let rows: &[(&str, LintOptions, &[&str], &str)] = &[
        // Somewhere nothing is mounted, and the mount point itself.
        ("files: [{path: /etc/x, contents: ''}, {path: run, directory: true}]", PLAIN, &[], ""),
        (
            "files: [{path: ./run/x, contents: ''}]",
            PLAIN,
            &["1:16 hidden-file"],
            "`./run/x` will not be seen: something is mounted over `/run` at boot",
        ),
        // Hullkit's init mounts nothing over /var, LinuxKit's does.
        ("files: [{path: /var/x, contents: '', mode: '0644'}]", PLAIN, &[], ""),
        ("init: ['a:1']\nfiles: [{path: /var/x, contents: '', mode: '0644'}]", PLAIN, &["2:16 hidden-file"], ""),
        ("init: ['a:1']\nfiles: [{path: /var/x, contents: '', mode: '0644'}]", REPLACED, &[], ""),
        (
            "init: ['a:1']\nfiles: [{path: etc/x, contents: ''}, {path: etc/y, contents: ''}]",
            PLAIN,
            &["2:16 closed-parent"],
            "`etc/x` has no `mode`, so LinuxKit's layout leaves `/etc` to root alone (0700)",
        ),
        (
            "init: ['a:1']\nfiles: [{path: etc/x, contents: '', mode: '0644'}, {path: etc/y, contents: ''}]",
            PLAIN,
            &[],
            "",
        ),
        ("init: ['a:1']\nfiles: [{path: root/.ssh/x, contents: ''}]", PLAIN, &[], ""),
        ("init: ['a:1']\nfiles: [{path: etc/x, contents: ''}]", REPLACED, &[], ""),
        (
            "files: [{path: /a/b, contents: ''}, {path: a//b, contents: ''}]",
            PLAIN,
            &["1:44 duplicate-file"],
            "`a//b` replaces the entry of the same path in line 1",
        ),
        (
            "kernel: {image: 'a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}",
            PLAIN,
            &[],
            "",
        ),
        (
            "kernel: {image: a}\nservices: [{name: a, image: 'localhost:5000/b'}]",
            PLAIN,
            &["1:17 no-tag", "2:29 no-tag"],
            "`a` has neither tag nor digest: it is whatever `latest` is today",
        ),
        ("volumes: [{name: v, readonly: true}]\nservices: [{IMAGE, binds: ['v:/v:ro', '/x:/y']}]", PLAIN, &[], ""),
        (
            "volumes: [{name: v, readonly: true}]\nservices: [{IMAGE, binds: ['v:/v'], binds.add: ['v:/v:ro,rshared']}]",
            PLAIN,
            &["2:44 readonly-volume", "2:53 no-effect", "2:65 readonly-volume"],
            "the volume `v` is read-only, and this bind does not say `ro`: LinuxKit refuses it",
        ),
        (
            "volumes: [{name: v}]\nonboot: [{IMAGE, binds: ['w:/v']}]",
            PLAIN,
            &["2:42 unknown-volume"],
            "there is no volume `w`; a path begins with `/`",
        ),
        (
            "onboot: [{IMAGE, mounts: [{type: bind, source: w, destination: /w}, {type: tmpfs, source: tmpfs}]}]",
            PLAIN,
            &["1:64 unknown-volume"],
            "",
        ),
        ("volumes: [{name: w}]\nonboot: [{IMAGE, mounts: [{type: bind, source: w}]}]", PLAIN, &[], ""),
        (
            "volumes: [{name: w}]\nonboot: [{IMAGE, mounts: [{type: bind, source: w}]}]",
            PORTABLE,
            &["2:64 mount-volume"],
            "LinuxKit mounts `w` as it is written, not the volume of that name",
        ),
        ("time: {}", PLAIN, &["1:1 no-effect"], "`time` has no effect without `network`: nobody can be asked"),
        ("trust: {org: [a]}", PLAIN, &["1:1 no-effect"], "`trust` has no effect: images are held to their digests"),
        (
            "services: [{IMAGE, capabilities: [], capabilities.add: [CAP_KILL]}]",
            PLAIN,
            &["1:54 no-effect"],
            "`capabilities.add` adds to the label's list, which `capabilities` replaces",
        ),
        ("services: [{IMAGE, capabilities.add: [CAP_KILL]}]", PLAIN, &[], ""),
        (
            "files: [{path: a, symlink: b, contents: c}]",
            PLAIN,
            &["1:31 no-effect"],
            "`contents` of a symbolic link are ignored",
        ),
        ("files: [{path: a, contents: c, optional: true}]", PLAIN, &["1:32 no-effect"], ""),
        ("volumes: [{name: a, image: 'x:1', platforms: [linux/arm64]}]", PLAIN, &["1:35 no-effect"], ""),
        ("hostname: a\nsysctl: {a.b: 1}", PLAIN, &[], ""),
        (
            "hostname: a\nsysctl: {a.b: 1}\nservices: [{IMAGE, restart: always}]",
            PORTABLE,
            &["1:1 own-key", "2:1 own-key", "3:36 own-key"],
            "`hostname` is Hullkit's own key: LinuxKit refuses it",
        ),
        (
            "onboot: [{IMAGE, security: privileged}]\nservices: [{IMAGE, security: default, seccomp: unconfined}]",
            PLAIN,
            &["1:44 privileged", "2:64 privileged"],
            "`a` is privileged: whoever takes it over has the host",
        ),
        ("services: [{IMAGE, security: default, seccomp: default}]", PLAIN, &[], ""),
        (
            "services: [{IMAGE, security: default, seccomp: default, resources: {memory: {high: 1}}}]",
            PORTABLE,
            &["1:36 own-key", "1:55 own-key", "1:94 own-key"],
            "`security` is Hullkit's own key: LinuxKit refuses it",
        ),
        (
            "services: [{IMAGE, depends_on: [b], healthcheck: {tcp: 1}, critical: true, stop_signal: 1, stop_grace_period: 1s}]",
            PORTABLE,
            &["1:36 own-key", "1:53 own-key", "1:76 own-key", "1:92 own-key", "1:108 own-key"],
            "`depends_on` is Hullkit's own key: LinuxKit refuses it",
        ),
        (
            "onboot: [{IMAGE, healthcheck: {tcp: 1}}]\nservices: [{IMAGE, healthcheck: {tcp: 1}}]",
            PLAIN,
            &["1:34 no-effect"],
            "`healthcheck` is for services: a container of `onboot` runs to its end",
        ),
        (
            "services: [{IMAGE, uidMappings: [{hostID: 1, size: 2}], resources: {cpu: {shares: 1, realtimePeriod: 1}}}]",
            PORTABLE,
            &["1:51 dropped-key", "1:102 dropped-key"],
            "`hostID` is accepted by LinuxKit and has no effect there",
        ),
        // The keys of a map of the user's own words are not keys of LinuxKit's.
        ("services: [{IMAGE, sysctl: {net.x: '1'}, annotations: {restart: a}}]", PORTABLE, &[], ""),
        (
            "init: [builtin]\nservices: [{name: a, image: 'oci:dir'}]",
            PORTABLE,
            &["1:8 own-value", "2:29 own-value"],
            "`builtin` is Hullkit's own init: LinuxKit looks for an image of that name",
        ),
        ("kernel: {image: 'a:1'}", PORTABLE, &["1:17 own-value"], ""),
        ("kernel: {image: 'a:1'}\ninit: ['b:1']", PORTABLE, &[], ""),
        // One anchor, used twice, is one finding.
        (
            "onboot:\n  - &a {IMAGE, restart: no}\n  - *a\n",
            PORTABLE,
            &["2:32 own-key"],
            "`restart` is Hullkit's own key: LinuxKit refuses it",
        ),
    ];
    let mut failures = String::new();
    for (text, options, places, message) in rows {
        let text = text.replace("IMAGE", image);
        let (got, first) = found(&text, *options);
        if got != *places || !first.starts_with(message) {
            failures += &format!("{text}\n  {got:?} {first}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_warning_is_found_by_a_row_above() {
    let rows = include_str!("linting.rs");
    for code in Code::ALL.iter().filter(|code| code.severity() == Severity::Warning) {
        assert!(rows.contains(&format!(" {code}\"")), "no row finds `{code}`");
    }
}

#[test]
fn findings_of_merged_manifests_name_their_file_and_see_all_volumes() {
    let texts = [
        "volumes: [{name: v}]\nfiles: [{path: a, contents: ''}]",
        "services: [{name: a, image: b, binds: ['v:/v']}]\nfiles: [{path: /a, contents: ''}]",
    ];
    let manifests = texts.iter().enumerate().map(|(index, text)| parse(text, &format!("{index}.yml")).unwrap());
    let merged = merge(manifests).expect("they merge");
    let said: Vec<String> = lint(&merged, PLAIN).iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("1.yml:1:29: `b` has neither tag nor digest"), "{}", said[0]);
    assert!(
        said[1].starts_with("1.yml:2:16: `/a` replaces the entry of the same path in 0.yml:2:16\n    2 | files:"),
        "{}",
        said[1]
    );
}

#[test]
fn findings_are_bounded() {
    let text = format!("services: [{}]", (0..1500).map(|n| format!("{{name: a{n}, image: b}}, ")).collect::<String>());
    assert_eq!(lint(&parse(text, "a.yml").unwrap(), PLAIN).len(), 1_000);
}
