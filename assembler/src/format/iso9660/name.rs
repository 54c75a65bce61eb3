//! Names as the two trees take them, each once in its directory.

use std::collections::{BTreeMap, BTreeSet};

/// Most characters of a name in the primary tree, the dot included.
const PRIMARY_MAX: usize = 31;
/// Most characters of what follows the last dot there.
const EXTENSION_MAX: usize = 8;
/// Most characters of a name in the Joliet tree, as `genisoimage -joliet-long` allows them; the specification says 64.
const JOLIET_MAX: usize = 103;

/// Names of one directory so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<Vec<u8>>,
    /// Which number to try next behind a name: a thousand alike must not be tried a million times.
    next: BTreeMap<Vec<u8>, u32>,
}

impl Names {
    /// Turn a name into one of capitals, digits and `_`, with one dot if it is a file's; without the version.
    ///
    /// Source: ECMA-119, 7.5 and 7.6.
    pub(super) fn primary(&mut self, name: &[u8], directory: bool) -> Vec<u8> {
        let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0 && !directory);
        let (stem, extension) = match dot {
            Some(at) => (&name[..at], &name[at + 1..]),
            None => (name, &b""[..]),
        };
        let clean = |bytes: &[u8], most: usize| bytes.iter().take(most).map(|byte| letter(*byte)).collect::<Vec<_>>();
        let mut tail = clean(extension, EXTENSION_MAX);
        if !directory {
            tail.insert(0, b'.');
        }
        let stem = clean(stem, PRIMARY_MAX - tail.len());
        self.unique(stem, tail, PRIMARY_MAX, 1, |number| number.to_string().into_bytes())
    }

    /// Turn a name into UCS-2, big-endian. What is not text, or not allowed there, becomes `_`.
    ///
    /// Source: Joliet Specification, "Allowed Character Set".
    pub(super) fn joliet(&mut self, name: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(name);
        let units = text.chars().map(|char| match char {
            '*' | '/' | ':' | ';' | '?' | '\\' | char::REPLACEMENT_CHARACTER => '_',
            char if char.is_control() => '_',
            char => char,
        });
        let mut stem = Vec::new();
        for char in units {
            let mut pair = [0; 2];
            let pair = char.encode_utf16(&mut pair);
            if stem.len() / 2 + pair.len() > JOLIET_MAX {
                break;
            }
            stem.extend(pair.iter().flat_map(|unit| unit.to_be_bytes()));
        }
        self.unique(stem, Vec::new(), JOLIET_MAX, 2, |number| {
            format!("_{number}").bytes().flat_map(|byte| [0, byte]).collect()
        })
    }

    /// Put a number before the tail if the name is taken. Lengths are in characters of `width` bytes.
    fn unique(
        &mut self,
        stem: Vec<u8>,
        tail: Vec<u8>,
        most: usize,
        width: usize,
        digits: impl Fn(u32) -> Vec<u8>,
    ) -> Vec<u8> {
        let whole = [stem.as_slice(), &tail].concat();
        if self.taken.insert(key(&whole)) {
            return whole;
        }
        // Room for a number of a million: what is alike after that shares one count.
        let mut short = stem;
        short.truncate((most * width - tail.len()).saturating_sub(8 * width));
        let start = [short.as_slice(), &tail].concat();
        loop {
            let count = self.next.entry(start.clone()).or_default();
            *count += 1;
            let whole = [short.as_slice(), &digits(*count), &tail].concat();
            if self.taken.insert(key(&whole)) {
                return whole;
            }
        }
    }
}

/// Give what must be there once: a file without an extension has the name of a directory.
fn key(name: &[u8]) -> Vec<u8> {
    name.strip_suffix(b".").unwrap_or(name).to_vec()
}

fn letter(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' }
}
