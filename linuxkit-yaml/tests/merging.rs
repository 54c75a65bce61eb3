//! Several manifests into one.

use linuxkit_yaml::{Manifest, ManifestError, merge, parse};

fn merged(texts: &[&str]) -> Result<Manifest, ManifestError> {
    let read = |(index, text): (usize, &&str)| parse(text, &format!("{index}.yml")).expect("a right manifest");
    merge(texts.iter().enumerate().map(read))
}

fn same(texts: &[&str], expected: &str) {
    let expected = parse(expected, "expected").expect("a right manifest");
    assert_eq!(merged(texts).expect("they merge"), expected);
}

#[test]
fn nothing_merges_to_the_empty_manifest() {
    assert_eq!(merged(&[]).expect("nothing is wrong"), Manifest::default());
}

#[test]
fn later_kernel_keys_win_unless_they_are_empty() {
    same(
        &[
            "kernel: {image: a, cmdline: x, binary: y, tar: t, ucode: u}",
            "kernel: {image: \"\", cmdline: \"\", binary: \"\", tar: \"\"}",
        ],
        "kernel: {image: a, cmdline: x, binary: y, tar: \"\", ucode: u}",
    );
    same(
        &["kernel: {image: a, cmdline: x}", "kernel: {image: b, tar: none}"],
        "kernel: {image: b, cmdline: x, tar: none}",
    );
}

#[test]
fn lists_follow_one_another() {
    same(
        &["init: [a]\nonboot: [{name: x, image: a}]", "{}", "init: [b]\nonboot: [{name: x, image: b}]"],
        "init: [a, b]\nonboot: [{name: x, image: a}, {name: x, image: b}]",
    );
}

#[test]
fn volumes_of_every_file_stay_and_a_repeated_one_is_one() {
    same(
        &["volumes: [{name: a}, {name: b, image: x}]", "volumes: [{name: b, image: docker.io/library/x}, {name: c}]"],
        "volumes: [{name: a}, {name: b, image: x}, {name: c}]",
    );
}

#[test]
fn two_contents_of_one_volume_name_both_files() {
    let error = merged(&["volumes: [{name: a}]", "volumes: [{name: a, image: x}]"]).unwrap_err();
    let expected = "1.yml:1:18: volume `a` is another one in 0.yml:1:18\n    1 | volumes: [{name: a, image: x}]\n      |                  ^";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn services_of_one_name_name_both_files() {
    let error = merged(&["services: [{name: a, image: x}]", "{}", "services: [{name: a, image: x}]"]).unwrap_err();
    assert!(
        error.to_string().starts_with("2.yml:1:19: two services are called `a`, the first in 0.yml:1:19\n"),
        "{error}"
    );
}

#[test]
fn network_rules_keep_their_place_when_a_later_file_replaces_them() {
    same(
        &["network: {a: {dhcp: true}, b: {}}", "network: {a: {mtu: 1400}, c: {}}"],
        "network: {a: {mtu: 1400}, b: {}, c: {}}",
    );
}

#[test]
fn single_values_and_parameters_are_those_of_the_last_file() {
    same(
        &[
            "hostname: a\nsysctl: {x: 1, y: 1}\nmodules: {load: [a]}",
            "hostname: b\nsysctl: {y: 2}\nmodules: {include: [c], load: [b]}",
        ],
        "hostname: b\nsysctl: {x: 1, y: 2}\nmodules: {include: [c], load: [a, b]}",
    );
}

#[test]
fn positions_name_the_file_they_came_from() {
    let manifest = merged(&["kernel: {image: a}", "\nservices: [{name: web, image: nginx}]"]).expect("they merge");
    let places: Vec<String> = manifest.images().map(|(image, at)| format!("{at} {image}")).collect();
    assert_eq!(places, ["0.yml:1:17 docker.io/library/a", "1.yml:2:31 docker.io/library/nginx"]);
    let image = &manifest.services[0].image;
    let shown = manifest.diagnose(&image.at, "no such image").to_string();
    let line = "services: [{name: web, image: nginx}]";
    assert_eq!(shown, format!("1.yml:2:31: no such image\n    2 | {line}\n      | {:30}^^^^^", ""));
}
