//! The keys `security` and `seccomp` of containers: how far a container is confined.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a container is confined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// As its other keys say, and where they say nothing as Docker does it.
    #[default]
    Default,
    /// Hardly: every capability, device and system call, no path hidden or read-only, as with Docker's `--privileged`.
    Privileged,
}

/// Which system calls a container may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// Those of Docker's default list, which depends on the container's capabilities.
    Default,
    /// Any.
    Unconfined,
}
