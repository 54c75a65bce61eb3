//! Names: what FAT takes, the short name that every file has, and the long one beside it.

use std::collections::BTreeSet;

use zerocopy::little_endian::U16;

use super::layout::{LAST_LONG, LONG, LongEntry};

/// Most UTF-16 units of a name.
const UNITS_MAX: usize = 255;
/// Units of a name that one entry holds.
const UNITS: usize = 13;
/// Most files of one directory that may begin alike.
const ALIKE_MAX: u32 = 999_999;

/// A short name: eight and three characters, each filled with spaces.
pub(super) type Short = [u8; 11];

/// Say what is wrong with a name, if anything is.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    let forbidden = |char: char| char < ' ' || char == '\x7f' || "\"*/:<>?\\|".contains(char);
    match () {
        () if name.is_empty() => Err("it is empty"),
        () if name.chars().any(forbidden) => Err("it holds a control character or one of `\"*/:<>?\\|`"),
        () if name.ends_with(['.', ' ']) => Err("it ends with a dot or a space, which readers drop"),
        () if name.encode_utf16().count() > UNITS_MAX => Err("it is longer than 255 characters"),
        () => Ok(()),
    }
}

/// Give what two names share that FAT takes for one.
pub(super) fn folded(name: &str) -> String {
    name.to_uppercase()
}

/// Tell whether a name is a short name as it stands, so that it needs no long one.
pub(super) fn exact(name: &str) -> Option<Short> {
    let (short, fits) = basis(name);
    (fits && name == folded(name)).then(|| short.padded(""))
}

/// Count the entries of a name: one, and one more for every 13 units of a long one.
pub(super) fn entries(name: &str) -> u64 {
    if exact(name).is_some() { 1 } else { name.encode_utf16().count().div_ceil(UNITS) as u64 + 1 }
}

/// Make a short name that is none of those taken, for a name that is not [`exact`]; there is one unless a million begin alike.
pub(super) fn alias(name: &str, taken: &BTreeSet<Short>) -> Option<Short> {
    let (short, fits) = basis(name);
    let tails = (1..=ALIKE_MAX).map(|number| format!("~{number}"));
    let plain = fits.then(String::new);
    plain.into_iter().chain(tails).map(|tail| short.padded(&tail)).find(|short| !taken.contains(short))
}

/// Give the entries of a long name, in the order of the disk.
///
/// Source: FAT 1.03, "Organization and Association of Short & Long Directory Entries".
pub(super) fn long(name: &str, short: &Short) -> Vec<LongEntry> {
    let mut units = name.encode_utf16().collect::<Vec<_>>();
    let count = units.len().div_ceil(UNITS);
    if units.len() % UNITS != 0 {
        units.push(0);
    }
    units.resize(count * UNITS, 0xffff);
    let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let mut entries = Vec::with_capacity(count);
    for (part, order) in units.chunks(UNITS).zip(1_u8..) {
        let unit = |at: usize| U16::new(part.get(at).copied().unwrap_or_default());
        entries.push(LongEntry {
            order: if usize::from(order) == count { order | LAST_LONG } else { order },
            first: std::array::from_fn(unit),
            attributes: LONG,
            kind: 0,
            sum,
            second: std::array::from_fn(|at| unit(at + 5)),
            cluster: U16::new(0),
            third: std::array::from_fn(|at| unit(at + 11)),
        });
    }
    entries.reverse();
    entries
}

/// What short names of a name begin with.
struct Basis {
    base: String,
    extension: String,
}

impl Basis {
    /// Put a tail to the base, which gives way to it.
    fn padded(&self, tail: &str) -> Short {
        let keep = 8_usize.saturating_sub(tail.len()).min(self.base.len());
        let base = self.base.get(..keep).unwrap_or_default();
        let text = format!("{:<8}{:<3}", format!("{base}{tail}"), self.extension);
        text.into_bytes().try_into().unwrap_or([b' '; 11])
    }
}

/// Cut a name down to what a short one may hold; and tell whether nothing but case was lost.
fn basis(name: &str) -> (Basis, bool) {
    let stem = name.trim_start_matches('.');
    let (base, extension) = stem.rsplit_once('.').unwrap_or((stem, ""));
    let short = |text: &str, most: usize| {
        let kept = text.chars().filter(|char| !matches!(char, ' ' | '.'));
        kept.map(|char| if plain(char) { char.to_ascii_uppercase() } else { '_' }).take(most).collect::<String>()
    };
    let basis = Basis { base: short(base, 8), extension: short(extension, 3) };
    let same = |text: &str, short: &str| text.eq_ignore_ascii_case(short);
    let fits = same(base, &basis.base) && same(extension, &basis.extension) && stem == name && !basis.base.is_empty();
    // A dot with nothing behind it was refused, so an empty extension means no dot.
    (basis, fits)
}

/// Tell whether a short name may hold a character, apart from its case.
fn plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || "$%'-_@~`!(){}^#&".contains(char)
}
