//! Matching of device names (modalias strings) against the patterns that kernel modules carry.
//!
//! The assembler uses it to follow soft dependencies that name an alias, init to find the driver of a device. It is
//! `fnmatch(3)` without escapes: `*`, `?`, and `[...]` with ranges and leading `!` or `^`.

/// Spell `alias` as the index spells it: `-` becomes `_`, except inside brackets, where it is a range.
///
/// Both a pattern and the text matched against it go through here, as in `depmod` and `modprobe`.
#[must_use]
pub fn normalise(alias: &str) -> String {
    let mut bracket = false;
    let spell = |c| {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            _ => {}
        }
        if c == '-' && !bracket { '_' } else { c }
    };
    alias.chars().map(spell).collect()
}

/// Tell whether the whole of `text` matches `pattern`.
///
/// An unclosed `[` stands for itself. Takes at most `pattern.len() * text.len()` steps, whatever the pattern.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut text = text.as_bytes();
    let mut pattern = pattern.as_bytes();
    // Only the last star can be worth returning to: what an earlier one could swallow, the last one can as well.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', rest)) = pattern.split_first() {
            if rest.is_empty() {
                return true;
            }
            retry = Some((rest, text));
            pattern = rest;
        } else if let Some((rest_pattern, rest_text)) = step(pattern, text) {
            (pattern, text) = (rest_pattern, rest_text);
        } else if pattern.is_empty() && text.is_empty() {
            return true;
        } else {
            let Some((after, [_, shorter @ ..])) = retry else { return false };
            retry = Some((after, shorter));
            (pattern, text) = (after, shorter);
        }
    }
}

/// Match one character of `text`; the rests of both if it fits.
fn step<'a>(pattern: &'a [u8], text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (&first, rest_pattern) = pattern.split_first()?;
    let (&byte, rest_text) = text.split_first()?;
    match first {
        b'?' => Some((rest_pattern, rest_text)),
        b'[' => match class(rest_pattern) {
            Some((set, after)) => contains(set, byte).then_some((after, rest_text)),
            None => (byte == b'[').then_some((rest_pattern, rest_text)),
        },
        literal => (literal == byte).then_some((rest_pattern, rest_text)),
    }
}

/// Split what follows a `[` into the set and what follows the closing `]`; a `]` in first place belongs to the set.
fn class(after_bracket: &[u8]) -> Option<(&[u8], &[u8])> {
    let lead = usize::from(matches!(after_bracket.first(), Some(b'!' | b'^')));
    let close = after_bracket.iter().skip(lead + 1).position(|&b| b == b']')? + lead + 1;
    Some((after_bracket.get(..close)?, after_bracket.get(close + 1..)?))
}

/// Tell whether `byte` is in the set, which may be negated.
fn contains(set: &[u8], byte: u8) -> bool {
    let (negated, mut set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    loop {
        set = match set {
            [low, b'-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&byte);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == byte;
                rest
            }
            [] => return found != negated,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, normalise};

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text, want) in [
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4", true),
            ("virtio:d00000001v*", "virtio:d00000002v00001AF4", false),
            ("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", true),
            ("acpi*:PNP0A0[38]:*", "acpi:PNP0A08:PNP0A03:", true),
            ("acpi*:PNP0A0[38]:*", "acpi:PNP0A09:", false),
            ("a[!x-z]c", "abc", true),
            ("a[!x-z]c", "ayc", false),
            ("a[^b]c", "abc", false),
            ("[]]", "]", true),
            ("[a-", "[a-", true),
            ("[", "[", true),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("*a*b", "aXbXa", false),
            ("*a*b", "aXbXb", true),
            ("eth?", "eth10", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} over {text}");
        }
    }

    #[test]
    fn dashes_are_underscores_outside_brackets() {
        assert_eq!(normalise("platform:i2c-gpio[0-9]-x"), "platform:i2c_gpio[0-9]_x");
    }

    #[test]
    fn hostile_pattern_ends_soon() {
        assert!(!matches(&"*a".repeat(2000), &"a".repeat(1000)));
    }
}
