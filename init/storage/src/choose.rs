//! Which disk is meant, and what is to happen to it. In: the order's disk, and all that is there. Out: one of them. Pure.

use hullkit_init::contract::storage::{Content, Disk, Format, Match, Volume};

use crate::device::Device;
use crate::probe::{Found, Holds, Kind};

/// A disk that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which.
    pub(crate) device: Device,
    /// What it holds.
    pub(crate) holds: Holds,
}

/// What has to happen to a disk or partition before it can be used, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nothing: it is what it should be.
    Ours,
    /// It was begun, and has to be begun again.
    Unfinished,
    /// It is empty, and has to be formatted.
    Empty,
    /// It holds something else.
    Foreign,
}

/// Choose a disk: the one that is what it should be, or else one that was begun, or else an empty one, or else another; of several, the first
/// by path. Nothing if none matches.
pub(crate) fn choose<'a>(disk: &Disk, seen: &'a [Seen]) -> Option<(State, &'a Seen)> {
    let candidates = seen.iter().filter(|one| !one.holds.is_own()).filter_map(|one| {
        let state = state_of_disk(&disk.content, &one.holds);
        fits(&disk.matches, state, one).then_some((state, one))
    });
    candidates.min_by_key(|(state, _)| *state)
}

/// Tell whether a disk is one of those that are meant. What it has to hold before it is taken is asked only of one that was not taken.
fn fits(matches: &Match, state: State, seen: &Seen) -> bool {
    let Device { path, size, serial, .. } = &seen.device;
    let is_like = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| is_glob(pattern, text));
    let taken = matches!(state, State::Ours | State::Unfinished);
    is_like(&matches.path, path)
        && is_like(&matches.serial, serial)
        && matches.least.is_none_or(|least| *size >= least)
        && matches.most.is_none_or(|most| *size <= most)
        && (taken || matches.label.as_ref().is_none_or(|label| seen.holds.label() == Some(label)))
        && (taken || !matches.empty || state == State::Empty)
}

fn state_of_disk(content: &Content, holds: &Holds) -> State {
    match (content, holds) {
        (Content::Volume(volume), holds) => state(volume, holds),
        (Content::Partitions(wanted), Holds::Table(table)) => {
            let there = table.partitions.iter().map(|partition| partition.label.as_str());
            if there.eq(wanted.iter().map(|partition| partition.name.as_str())) { State::Ours } else { State::Foreign }
        }
        (Content::Partitions(_), Holds::Nothing) => State::Empty,
        (Content::Partitions(_), Holds::Unfinished) => State::Unfinished,
        (Content::Partitions(_), Holds::Volume(_) | Holds::Unknown) => State::Foreign,
    }
}

/// What has to happen to a place where this volume is to be.
pub(crate) fn state(volume: &Volume, holds: &Holds) -> State {
    match holds {
        Holds::Nothing => State::Empty,
        Holds::Unfinished => State::Unfinished,
        Holds::Volume(found) if is_it(volume, found) => State::Ours,
        Holds::Volume(_) | Holds::Table(_) | Holds::Unknown => State::Foreign,
    }
}

/// Tell whether this is the volume, or what it is encrypted in.
fn is_it(volume: &Volume, found: &Found) -> bool {
    let kind = if volume.key.is_some() { Kind::Luks } else { Kind::Format(volume.format) };
    found.kind == kind && is_label(volume, &found.label)
}

/// Tell whether this is the volume itself, once it is open.
pub(crate) fn is_inner(volume: &Volume, holds: &Holds) -> bool {
    matches!(holds, Holds::Volume(found) if found.kind == Kind::Format(volume.format) && is_label(volume, &found.label))
}

/// FAT's labels have no case that counts.
fn is_label(volume: &Volume, label: &str) -> bool {
    if volume.format == Format::Vfat && volume.key.is_none() {
        volume.label.eq_ignore_ascii_case(label)
    } else {
        volume.label == label
    }
}

/// What a disk should hold, for people.
pub(crate) fn wanted(content: &Content) -> String {
    match content {
        Content::Volume(volume) => wanted_volume(volume),
        Content::Partitions(partitions) => {
            let names: Vec<String> = partitions.iter().map(|partition| format!("`{}`", partition.name)).collect();
            format!("gpt of {}", names.join(", "))
        }
    }
}

/// What a place should hold, for people.
pub(crate) fn wanted_volume(volume: &Volume) -> String {
    let kind = if volume.key.is_some() { "LUKS2" } else { volume.format.name() };
    format!("{kind} LABEL={}", volume.label)
}

/// Tell whether a text is like a pattern of `*` and `?`.
fn is_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where the last star was, and how much of the text it has taken.
    let mut star = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[place] => (at, place) = (at + 1, place + 1),
            _ => match star {
                Some((was, taken)) => {
                    star = Some((was, taken + 1));
                    (at, place) = (was + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}
