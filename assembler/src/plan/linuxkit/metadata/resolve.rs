//! Which plain words YAML 1.1 would take for something other than text (yaml.v2, `resolve.go`).

/// Words with a meaning of their own.
const WORDS: [&str; 38] = [
    "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N",
    "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF",
    "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf",
];

/// Whether a plain word would be read as this very text.
pub(super) fn is_text(word: &str) -> bool {
    if WORDS.contains(&word) || word == "-.INF" {
        return false;
    }
    match word.as_bytes().first() {
        Some(b'.') => !is_float(word),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let bare = word.replace('_', "");
            !(is_timestamp(word) || is_int(&bare) || is_float(&bare) || is_base60(word))
        }
        _ => true,
    }
}

/// Whether digits of a base fit into 64 bits, with or without a sign.
fn fits(digits: &str, base: u32, negative: bool) -> bool {
    let sound = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    let limit = if negative { 1 << 63 } else { u64::MAX };
    sound && u64::from_str_radix(digits, base).is_ok_and(|number| number <= limit)
}

/// Whether Go reads a number, its base by its prefix, into 64 bits.
fn is_int(word: &str) -> bool {
    let (digits, signed, negative) = match word.as_bytes().first() {
        Some(b'-') => (&word[1..], true, true),
        Some(b'+') => (&word[1..], true, false),
        _ => (word, false, false),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let rest = digits.get(2..).unwrap_or_default();
    let (digits, base) = match prefix.as_str() {
        "0x" => (rest, 16),
        "0b" => (rest, 2),
        "0o" => (rest, 8),
        _ if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        _ => (digits, 10),
    };
    // Only numbers without a sign may use the 64th bit.
    let positive = fits(digits, base, negative) && (!signed || negative || fits_signed(digits, base));
    // A sign behind the prefix is taken, too.
    let inner = word.strip_prefix("0b").and_then(|rest| {
        let minus = rest.strip_prefix('-').map(|digits| fits(digits, 2, true));
        minus.or_else(|| rest.strip_prefix('+').map(|digits| fits_signed(digits, 2)))
    });
    positive || inner.unwrap_or(false)
}

/// Whether digits of a base fit into 63 bits.
fn fits_signed(digits: &str, base: u32) -> bool {
    fits(digits, base, false) && i64::from_str_radix(digits, base).is_ok()
}

/// Cut the digits a text starts with.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Whether a word is a decimal fraction that a double can hold.
fn is_float(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let (whole, rest) = digits(unsigned);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return false;
    }
    let exponent = rest.strip_prefix(['e', 'E']).map(|rest| digits(rest.strip_prefix(['+', '-']).unwrap_or(rest)));
    let sound = exponent.map_or(rest.is_empty(), |(digits, rest)| !digits.is_empty() && rest.is_empty());
    sound && word.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Whether a word is a number of base 60, as `22:30` is.
fn is_base60(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let (main, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = main.split(':');
    let head = parts.next().unwrap_or_default();
    let parts: Vec<&str> = parts.collect();
    let minute = |part: &&str| match part.as_bytes() {
        [b'0'..=b'9'] => true,
        [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
        _ => false,
    };
    head.starts_with(|digit: char| digit.is_ascii_digit())
        && head.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit() || byte == b'_')
        && !parts.is_empty()
        && parts.iter().all(minute)
}

/// Cut a number of one or two digits.
fn pair(text: &str) -> Option<(u32, &str)> {
    let count = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(count);
    Some((number.parse().ok()?, rest))
}

/// Whether Go's `time.Parse` takes a word in one of the four forms that yaml.v2 tries.
fn is_timestamp(word: &str) -> bool {
    timestamp(word).is_some()
}

/// Read a timestamp; the answer is only whether it is one.
fn timestamp(word: &str) -> Option<()> {
    let (year, rest) = digits(word);
    let (month, rest) = pair(rest.strip_prefix('-').filter(|_| year.len() == 4)?)?;
    let (day, rest) = pair(rest.strip_prefix('-')?)?;
    chrono::NaiveDate::from_ymd_opt(year.parse().ok()?, month, day)?;
    if rest.is_empty() {
        return Some(());
    }
    let zoned = !rest.starts_with(' ');
    let rest = if zoned { rest.strip_prefix(['T', 't'])? } else { rest.trim_start_matches(' ') };
    let (hour, rest) = pair(rest)?;
    let (minute, rest) = pair(rest.strip_prefix(':')?)?;
    let (second, rest) = pair(rest.strip_prefix(':')?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = rest.strip_prefix(['.', ',']).map_or(Some(rest), |rest| {
        let (fraction, rest) = digits(rest);
        (!fraction.is_empty()).then_some(rest)
    })?;
    if !zoned || rest == "Z" {
        return (rest.is_empty() != zoned).then_some(());
    }
    let (hours, minutes) = rest.strip_prefix(['+', '-'])?.split_once(':')?;
    let two = |text: &str, limit| text.len() == 2 && pair(text).is_some_and(|(n, rest)| rest.is_empty() && n <= limit);
    (two(hours, 24) && two(minutes, 60)).then_some(())
}
