//! Resource limits, from LinuxKit's `name,soft,hard`.
//!
//! Source: getrlimit(2); OCI runtime-spec 1.2.1, `config.md`, "POSIX process".

use serde::Serialize;

/// The limits the kernel knows, without their prefix.
const KNOWN: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rlimit {
    /// `RLIMIT_...`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What only a privileged process may raise.
    pub hard: u64,
    /// What is in force.
    pub soft: u64,
}

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RlimitError {
    /// Not three fields.
    #[error("`{0}` is not a resource limit: write `name,soft,hard`, as in `nofile,1024,unlimited`")]
    Shape(String),
    /// A name getrlimit(2) does not list.
    #[error(
        "`{0}` is not a resource limit; known are cpu, fsize, data, stack, core, rss, nproc, nofile, memlock, as, locks, sigpending, msgqueue, nice, rtprio and rttime"
    )]
    Unknown(String),
    /// Not a number.
    #[error("`{0}` is neither a whole number nor `unlimited`")]
    Value(String),
}

/// Read one `name,soft,hard`.
///
/// # Errors
///
/// - [`RlimitError`]: by what is wrong with it.
pub fn parse(text: &str) -> Result<Rlimit, RlimitError> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let [name, soft, hard] = fields[..] else { return Err(RlimitError::Shape(text.to_owned())) };
    let upper = name.to_uppercase();
    let short = upper.strip_prefix("RLIMIT_").unwrap_or(&upper);
    if !KNOWN.contains(&short) {
        return Err(RlimitError::Unknown(name.to_owned()));
    }
    Ok(Rlimit { kind: format!("RLIMIT_{short}"), hard: value(hard)?, soft: value(soft)? })
}

/// Read one bound.
fn value(text: &str) -> Result<u64, RlimitError> {
    if text == "unlimited" {
        return Ok(u64::MAX);
    }
    text.parse().map_err(|_| RlimitError::Value(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_short_long_or_lower_case() {
        let want = Rlimit { kind: "RLIMIT_NOFILE".into(), hard: u64::MAX, soft: 1024 };
        for text in ["nofile,1024,unlimited", "RLIMIT_NOFILE, 1024 ,unlimited"] {
            assert_eq!(parse(text).unwrap(), want);
        }
    }

    #[test]
    fn each_mistake_is_named() {
        assert_eq!(parse("nofile,1").unwrap_err(), RlimitError::Shape("nofile,1".into()));
        assert_eq!(parse("files,1,2").unwrap_err(), RlimitError::Unknown("files".into()));
        assert_eq!(parse("core,-1,2").unwrap_err(), RlimitError::Value("-1".into()));
    }
}
