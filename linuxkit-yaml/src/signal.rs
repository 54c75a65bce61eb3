//! Signals: the `stop_signal` key of containers, and an image's `STOPSIGNAL`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::node::shorten;
use crate::scalar::Scalar;

/// A signal of Linux. Its number is the same on every architecture that Hullkit builds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// 1 to 64.
    pub number: i32,
    /// What was written.
    pub text: String,
}

/// Names without `SIG`, in the order of their numbers from 1 (signal(7), x86 and ARM).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// What glibc and Docker call `SIGRTMIN` and `SIGRTMAX`.
const REAL_TIME: [i32; 2] = [34, 64];

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a signal: a name such as SIGQUIT or SIGRTMIN+3, or 1 to 64", shorten(text));
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let named = || NAMES.iter().zip(1..).find(|(known, _)| **known == name).map(|(_, number)| number);
        let number = name.parse().ok().or_else(named).or_else(|| real_time(name));
        let number = number.filter(|number| (1..=64).contains(number)).ok_or_else(wrong)?;
        Ok(Self { number, text: text.to_owned() })
    }
}

/// Read `RTMIN`, `RTMIN+3`, `RTMAX-1`.
fn real_time(name: &str) -> Option<i32> {
    let [least, most] = REAL_TIME;
    let distance = |text: &str, sign| {
        let digits = text.strip_prefix(sign).map_or(if text.is_empty() { Some("0") } else { None }, Some)?;
        digits.parse::<u8>().ok().map(i32::from)
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => least.checked_add(distance(rest, '+')?)?,
        (_, Some(rest)) => most.checked_sub(distance(rest, '-')?)?,
        _ => return None,
    };
    (least..=most).contains(&number).then_some(number)
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Signal {
    fn schema_name() -> Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": "A name such as SIGQUIT, or a number." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_name_or_a_number() {
        let cases = [
            ("SIGQUIT", Some(3)),
            ("QUIT", Some(3)),
            ("sigterm", Some(15)),
            ("9", Some(9)),
            ("SIGSYS", Some(31)),
            ("SIGRTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("SIGRTMIN+31", None),
            ("SIGRTMIN-1", None),
            ("0", None),
            ("65", None),
            ("SIGFOO", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Signal>().ok().map(|signal| signal.number), want, "{text}");
        }
    }
}
