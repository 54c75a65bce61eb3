//! What is asked of a host, and what must come back.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::span::Spanned;

/// A request to a port of the host, and what its answer must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpAnswer {
    /// The host's port.
    #[schemars(range(min = 1))]
    pub port: Spanned<u16>,
    /// Path and query; `/` if absent.
    #[serde(default = "root")]
    pub path: Spanned<String>,
    /// The answer's status; 200 if absent.
    #[serde(default = "ok")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Spanned<u16>,
    /// Text of the answer's body.
    #[serde(default)]
    pub contains: Option<String>,
}

fn root() -> Spanned<String> {
    Spanned::unplaced("/".to_owned())
}

fn ok() -> Spanned<u16> {
    Spanned::unplaced(200)
}

/// Bytes to a port of the host, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpAnswer {
    /// The host's port.
    #[schemars(range(min = 1))]
    pub port: Spanned<u16>,
    /// What is sent once the connection is open.
    #[serde(default)]
    pub send: String,
    /// What must come back. Without, the connection must stay open for a moment.
    #[serde(default)]
    pub contains: Option<String>,
}

/// A program in a service's container, and how it must end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecAnswer {
    /// The service.
    pub service: Spanned<String>,
    /// Program and arguments.
    pub command: Spanned<Vec<String>>,
    /// Its exit code; 0 if absent.
    #[serde(default)]
    pub exit: i32,
    /// Text of its output.
    #[serde(default)]
    pub contains: Option<String>,
    /// Text that its output may not have.
    #[serde(default)]
    pub never: Option<String>,
}

/// A file in a service's container, read by its `cat`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileContent {
    /// The service.
    pub service: Spanned<String>,
    /// The file.
    pub path: Spanned<String>,
    /// Text that it must have.
    #[serde(default)]
    pub contains: Option<String>,
    /// Text that it may not have.
    #[serde(default)]
    pub never: Option<String>,
}

/// What was printed, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLines {
    /// Who: a container, `kernel`, or `hullkit` for init; anybody if absent.
    #[serde(default)]
    pub service: Option<Spanned<String>>,
    /// Text of a line that must be there.
    #[serde(default)]
    pub contains: Option<String>,
    /// Text that no line may have by now.
    #[serde(default)]
    pub never: Option<String>,
}

/// Lines of the console.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleLines {
    /// Texts of lines that must come in this order, after those that earlier steps found in this boot.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Texts of lines that must be anywhere in this boot.
    #[serde(default)]
    pub anywhere: Vec<String>,
}

/// A question by `hullkit ctl`, and what its answer must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CtlAnswer {
    /// Its words.
    pub args: Spanned<Vec<String>>,
    /// Its standard input.
    #[serde(default)]
    pub input: String,
    /// Texts that its output must have; several spaces count as one.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Texts that its output may not have.
    #[serde(default)]
    pub never: Vec<String>,
    /// Its exit code; 0 if absent.
    #[serde(default)]
    pub exit: i32,
    /// It does not end by itself (`logs -f`), and is ended once it has said what it must.
    #[serde(default)]
    pub goes_on: bool,
}

/// How a host ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It powers off.
    PoweredOff,
    /// It resets itself.
    Rebooted,
    /// Its kernel panics.
    Panicked,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PoweredOff => "powered off",
            Self::Rebooted => "rebooted",
            Self::Panicked => "panicked",
        })
    }
}
