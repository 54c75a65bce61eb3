//! Talking to PID 1 while the host runs. In: calls, one line of JSON each, from a Unix socket inside the host or from a virtio port
//! that leads out of the machine. Out: answers, one line of JSON each.
//!
//! [`protocol`] is what both sides share; `hullctl` and `hullkit ctl` are the callers. The rest is PID 1's side. It never waits:
//! what a caller does not read stays where it is, in the rings, and is lost there first. What is sent is bounded by [`LONGEST`], and
//! who sends more is cut off.

pub mod protocol;

#[cfg(feature = "pid1")]
mod serve;

#[cfg(feature = "pid1")]
pub(crate) use serve::socket;
#[cfg(feature = "pid1")]
pub use serve::{Control, Fd, Hand, Told, http, open, pump, ready};

/// Where PID 1 listens inside the host, an absolute path; root alone may connect.
pub const SOCKET: &str = "/run/hullkit/control.sock";

/// Name of the virtio port by which the outside reaches PID 1.
pub const PORT: &str = "org.hullkit.control";

/// Longest line in either direction, in bytes, its line feed included.
pub const LONGEST: usize = 256 << 10;
