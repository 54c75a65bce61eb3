//! Which disk is taken.

use hullkit_init::contract::storage::{Content, Disk, Format, Key, Match, Partition, Volume};
use hullkit_init::disk::gpt;

use super::images::{SIZE, image, luks};
use crate::choose::{Seen, State, choose, state};
use crate::device::Device;
use crate::probe::{Holds, probe};

fn volume(format: Format, label: &str) -> Volume {
    Volume { format, label: label.to_owned(), mount: None, options: Vec::new(), grow: true, key: None }
}

fn disk(content: Content) -> Disk {
    Disk { name: "data".to_owned(), matches: Match::default(), timeout: 0, optional: false, wipe: false, content }
}

fn seen(path: &str, serial: &str, bytes: &[u8]) -> Seen {
    let device = Device { path: path.to_owned(), size: bytes.len() as u64, serial: serial.to_owned() };
    Seen { device, holds: probe(&bytes.to_vec()).unwrap() }
}

/// What is chosen: its state and its path.
fn chosen<'a>(disk: &Disk, seen: &'a [Seen]) -> Option<(State, &'a str)> {
    choose(disk, seen).map(|(state, one)| (state, one.device.path.as_str()))
}

#[test]
fn the_disk_that_is_what_it_should_be_comes_before_an_empty_one_and_that_before_others() {
    let wanted = disk(Content::Volume(volume(Format::Ext4, "data")));
    let (ours, empty) = (image(Format::Ext4, "data"), vec![0; SIZE]);
    let (other, another) = (image(Format::Ext4, "photos"), image(Format::Xfs, "data"));
    let all = [
        seen("/dev/vda", "", &other),
        seen("/dev/vdb", "", &empty),
        seen("/dev/vdc", "", &ours),
        seen("/dev/vdd", "", &another),
    ];
    assert_eq!(chosen(&wanted, &all), Some((State::Ours, "/dev/vdc")));
    assert_eq!(chosen(&wanted, &all[..2]), Some((State::Empty, "/dev/vdb")));
    assert_eq!(chosen(&wanted, &all[..1]), Some((State::Foreign, "/dev/vda")));
    assert_eq!(chosen(&wanted, &[]), None);
}

#[test]
fn all_that_a_match_says_must_hold() {
    let empty = vec![0; SIZE];
    let all = [seen("/dev/sda", "one", &empty), seen("/dev/vda", "two", &empty), seen("/dev/vdb", "three", &empty)];
    let path = |path: &str| Match { path: Some(path.to_owned()), ..Match::default() };
    let serial = |serial: &str| Match { serial: Some(serial.to_owned()), ..Match::default() };
    let size = SIZE as u64;
    let cases = [
        (path("/dev/vd*"), Some("/dev/vda")),
        (path("/dev/?db"), Some("/dev/vdb")),
        (path("/dev/*b"), Some("/dev/vdb")),
        (path("vda"), None),
        (serial("t*e"), Some("/dev/vdb")),
        (serial("four"), None),
        (Match { least: Some(size), most: Some(size), ..path("*vd*") }, Some("/dev/vda")),
        (Match { least: Some(size + 1), ..Match::default() }, None),
        (Match { most: Some(size - 1), ..Match::default() }, None),
    ];
    for (matches, want) in cases {
        let wanted = Disk { matches, ..disk(Content::Volume(volume(Format::Ext4, "data"))) };
        assert_eq!(chosen(&wanted, &all).map(|(_, path)| path), want, "{:?}", wanted.matches);
    }
}

#[test]
fn what_a_disk_held_before_is_not_asked_of_one_that_is_taken() {
    let (ours, old, empty) = (image(Format::Xfs, "data"), image(Format::Ext4, "old"), vec![0; SIZE]);
    let content = || Content::Volume(volume(Format::Xfs, "data"));
    let label = Match { label: Some("old".to_owned()), ..Match::default() };
    let wanted = Disk { matches: label, wipe: true, ..disk(content()) };
    let all = [seen("/dev/vda", "", &empty), seen("/dev/vdb", "", &old), seen("/dev/vdc", "", &ours)];
    assert_eq!(chosen(&wanted, &all[..1]), None);
    assert_eq!(chosen(&wanted, &all[..2]), Some((State::Foreign, "/dev/vdb")));
    assert_eq!(chosen(&wanted, &all), Some((State::Ours, "/dev/vdc")));
    let wanted = Disk { matches: Match { empty: true, ..Match::default() }, ..disk(content()) };
    assert_eq!(chosen(&wanted, &all[1..2]), None);
    assert_eq!(chosen(&wanted, &all[1..]), Some((State::Ours, "/dev/vdc")));
}

#[test]
fn a_volume_is_ours_by_kind_and_label() {
    let safe = Volume { key: Some(Key::Tpm(vec![7])), ..volume(Format::Ext4, "data") };
    let cases = [
        (volume(Format::Vfat, "BOOT"), image(Format::Vfat, "boot"), State::Ours),
        (volume(Format::Ext4, "DATA"), image(Format::Ext4, "data"), State::Foreign),
        (volume(Format::Swap, "data"), image(Format::Swap, "data"), State::Ours),
        (safe.clone(), luks("data"), State::Ours),
        (safe.clone(), luks("other"), State::Foreign),
        // Somebody would otherwise believe that what is there is encrypted.
        (safe, image(Format::Ext4, "data"), State::Foreign),
        (volume(Format::Ext4, "data"), luks("data"), State::Foreign),
    ];
    for (volume, bytes, want) in cases {
        assert_eq!(state(&volume, &probe(&bytes).unwrap()), want, "{volume:?}");
    }
}

#[test]
fn partitions_are_ours_by_their_names_and_their_order() {
    let partition = |label: &str| gpt::Partition {
        number: 1,
        uuid: String::new(),
        label: label.to_owned(),
        start: 1 << 20,
        size: 1 << 20,
    };
    let table = |labels: &[&str]| Seen {
        device: Device { path: "/dev/vda".to_owned(), size: SIZE as u64, serial: String::new() },
        holds: Holds::Table(gpt::Table {
            sector: 512,
            backup: false,
            partitions: labels.iter().map(|label| partition(label)).collect(),
        }),
    };
    let wanted = |name: &str| Partition { name: name.to_owned(), size: None, volume: volume(Format::Ext4, name) };
    let disk = disk(Content::Partitions(vec![wanted("one"), wanted("two")]));
    let cases = [
        (&["one", "two"][..], Some(State::Ours)),
        (&["two", "one"], Some(State::Foreign)),
        (&["one"], Some(State::Foreign)),
        (&["one", "two", "three"], Some(State::Foreign)),
        // What a Hullkit host boots from is nobody's, whatever the order allows.
        (&["hullkit-esp", "hullkit-root"], None),
    ];
    for (labels, want) in cases {
        assert_eq!(choose(&disk, &[table(labels)]).map(|(state, _)| state), want, "{labels:?}");
    }
}
