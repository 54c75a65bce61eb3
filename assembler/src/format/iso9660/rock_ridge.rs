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
            entries.push(entry(*b"PN", device(*major, *minor).map(Both32::from).as_bytes()));
        }
        Content::Symlink(target) => entries.extend(target_entries(target)),
        _ => {}
    }
    entries
}

/// Put the numbers of a device into the two of `PN`: upper and lower half of a number of 64 bits.
///
/// libarchive and libisofs take them for the C library's number, Linux and genisoimage for major and minor, but Linux takes a
/// first half of zero for 16 bits of both. Where that can be said, all four agree; else Linux is right.
///
/// Source: RRIP 1.12, 4.1.2; Linux, `fs/isofs/rock.c`, `parse_rock_ridge_inode_internal`.
pub(super) fn device(major: u32, minor: u32) -> [u32; 2] {
    if (1..4096).contains(&major) && minor < 256 { [0, major << 8 | minor] } else { [major, minor] }
}

/// Take the numbers of a device out of `PN`, as Linux does.
pub(super) fn device_numbers([high, low]: [u32; 2]) -> (u32, u32) {
    if high == 0 && low > 0xff { (low >> 8, low & 0xff) } else { (high, low) }
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
    let mut push = |flags: u8, mut text: &[u8]| {
        // Always ends with room for the head of one more part: the next one then starts in this entry and goes on in the next.
        // Between two entries Linux sets a slash and libarchive none; within a part they agree.
        loop {
            let Some(last) = entries.last_mut() else { return };
            let room = (ENTRY_MAX - size_of::<Entry>() - 1).saturating_sub(last.len() + 2);
            let whole = text.len() + 2 <= room;
            let (now, later) = text.split_at(text.len().min(room));
            last.extend_from_slice(&[
                if whole { flags } else { CONTINUE },
                u8::try_from(now.len()).unwrap_or_default(),
            ]);
            last.extend_from_slice(now);
            if whole {
                return;
            }
            text = later;
            entries.push(Vec::new());
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
