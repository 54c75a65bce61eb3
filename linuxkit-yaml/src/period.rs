//! Durations, written as the Compose specification has them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::node::shorten;
use crate::scalar::Scalar;

/// A length of time, such as `1m30s`, in whole microseconds.
///
/// # Source
///
/// Compose specification, `11-extension.md`, section "Specifying durations".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// Units and their length in microseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a duration, such as 30s, 1m30s or 500ms", shorten(text));
        let (mut rest, mut total) = (text, 0_u64);
        while !rest.is_empty() && text != "0" {
            let numeric = |c: char| c.is_ascii_digit() || c == '.';
            let (number, tail) = rest.split_at(rest.find(|c| !numeric(c)).ok_or_else(wrong)?);
            let (unit, next) = tail.split_at(tail.find(numeric).unwrap_or(tail.len()));
            let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            total = micros(number, *length).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            rest = next;
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self(Duration::from_micros(total))) }
    }
}

/// Give `number`, decimal digits with at most one point, of a unit.
fn micros(number: &str, unit: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    // Nine digits of an hour are less than a microsecond.
    let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok().filter(|digits| *digits <= 9)?)?;
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = part.parse().ok()?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)?.checked_div(scale)?)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in UNITS {
            let count = rest.checked_div(length).unwrap_or(0);
            rest = rest.checked_rem(length).unwrap_or(0);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Any scalar, so that a number without a unit gets the message above.
        Scalar::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": r"^(0|([0-9]+(\.[0-9]+)?(h|m|s|ms|us))+)$",
            "maximum": 0,
            "description": "A duration, such as 30s, 1m30s or 500ms."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let cases = [
            ("30s", Some(30_000_000)),
            ("1m30s", Some(90_000_000)),
            ("1h5m", Some(3_900_000_000)),
            ("500ms", Some(500_000)),
            ("0.25s", Some(250_000)),
            ("1.5h", Some(5_400_000_000)),
            ("7us", Some(7)),
            ("0", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("1.s", None),
            ("1.2.3s", None),
            ("-1s", None),
            ("1 s", None),
            ("1d", None),
            ("99999999999999999999s", None),
            ("1.0000000001s", None),
        ];
        for (text, want) in cases {
            let got = text.parse::<Period>().ok().map(|period| period.0.as_micros());
            assert_eq!(got, want, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_what_is_read(micros: u64) {
            let period = Period(Duration::from_micros(micros));
            proptest::prop_assert_eq!(period.to_string().parse(), Ok(period));
        }
    }
}
