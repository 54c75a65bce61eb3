//! What Rock Ridge says of a file: entries behind its name.

use std::mem::size_of;

use zerocopy::IntoBytes;

use super::date;
use super::layout::{Both32, Entry, Posix};
use crate::format::tree::{Content, Node};

/// Most bytes of one entry.
const ENTRY_MAX: usize = 255;
/// Bit of the flags of `NM`, `SL` and of a component: it goes on in the next one.
pub(super) const CONTINUE: u8 = 1;
/// Flag of a component that is `.`.
pub(super) const CURRENT: u8 = 2;
/// Flag of a component that is `..`.
pub(super) const PARENT: u8 = 4;
/// Flag of a component that is `/`.
pub(super) const ROOT: u8 = 8;
/// Bit of the flags of `TF`: time of last change, in seven bytes.
pub(super) const MODIFIED: u8 = 2;

/// The first entry of all: where in a record entries start.
///
/// Source: SUSP 1.12, 5.3.
pub(super) fn start() -> Vec<u8> {
    entry(*b"SP", &[0xbe, 0xef, 0])
}

/// The entry that says that this is Rock Ridge, and of which version.
///
/// Source: RRIP 1.12, 4.3, which gives the texts.
pub(super) fn identity() -> Vec<u8> {
    let id = b"IEEE_P1282";
    let text = b"THE IEEE P1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
    let source = b"PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA FOR THE P1282 SPECIFICATION";
    // None of the three is longer than a byte can say.
    let lengths = [&id[..], text, source].map(|part| u8::try_from(part.len()).unwrap_or_default());
    entry(*b"ER", &[&lengths[..], &[1], id, text, source].concat())
}

/// Entries of a file but for its name: attributes, time, device, target.
pub(super) fn attributes(node: &Node, nlink: u32, serial: u32) -> Vec<Vec<u8>> {
    let attributes = &node.attributes;
    let posix = Posix {
        mode: attributes.mode.into(),
        nlink: nlink.into(),
        uid: attributes.uid.into(),
        gid: attributes.gid.into(),
        serial: serial.into(),
    };
    let time = [&[MODIFIED][..], &date::short(attributes.mtime)].concat();
    let mut entries = vec![entry(*b"PX", posix.as_bytes()), entry(*b"TF", &time)];
    match &node.content {
        Content::Device(major, minor) => {
            let numbers = [Both32::from(*major), Both32::from(*minor)];
            entries.push(entry(*b"PN", numbers.as_bytes()));
        }
        Content::Symlink(target) => entries.extend(target_entries(target)),
        _ => {}
    }
    entries
}

/// Entries of a file's name.
pub(super) fn name(name: &[u8]) -> Vec<Vec<u8>> {
    let parts = name.chunks(ENTRY_MAX - size_of::<Entry>() - 1);
    let last = parts.len().saturating_sub(1);
    let flags = |at: usize| if at < last { CONTINUE } else { 0 };
    parts.enumerate().map(|(at, part)| entry(*b"NM", &[&[flags(at)], part].concat())).collect()
}

/// Entries of a link's target. Empty parts of it are lost: they mean nothing.
///
/// Source: RRIP 1.12, 4.1.3.
fn target_entries(target: &[u8]) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = vec![Vec::new()];
    let mut push = |flags: u8, text: &[u8]| {
        let room = |entries: &Vec<Vec<u8>>| {
            let used = entries.last().map_or(0, Vec::len);
            (ENTRY_MAX - size_of::<Entry>() - 1).saturating_sub(used + 2)
        };
        let mut text = text;
        loop {
            // A part may be cut in two, but then leaves something in the first.
            if room(&entries) < text.len().min(8) || entries.last().is_some_and(|last| last.len() > 248) {
                entries.push(Vec::new());
            }
            let (now, later) = text.split_at(text.len().min(room(&entries)));
            let flags = if later.is_empty() { flags } else { CONTINUE };
            if let Some(last) = entries.last_mut() {
                last.extend_from_slice(&[flags, u8::try_from(now.len()).unwrap_or_default()]);
                last.extend_from_slice(now);
            }
            text = later;
            if text.is_empty() {
                break;
            }
        }
    };
    if target.starts_with(b"/") {
        push(ROOT, b"");
    }
    for part in target.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        match part {
            b"." => push(CURRENT, b""),
            b".." => push(PARENT, b""),
            part => push(0, part),
        }
    }
    let last = entries.len() - 1;
    let flags = |at: usize| if at < last { CONTINUE } else { 0 };
    entries.iter().enumerate().map(|(at, part)| entry(*b"SL", &[&[flags(at)], part.as_slice()].concat())).collect()
}

/// Put a head before an entry's data.
pub(super) fn entry(signature: [u8; 2], data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(size_of::<Entry>() + data.len()).unwrap_or_default();
    [Entry { signature, length, version: 1 }.as_bytes(), data].concat()
}
