//! Talking to PID 1 while the host runs. In: calls, one line of JSON each, from a Unix socket inside the host or from a virtio port
//! that leads out of the machine. Out: answers, one line of JSON each.
//!
//! [`protocol`] is what both sides share; `hullctl` and `hullkit ctl` are the callers. The rest is PID 1's side. It never waits:
//! what a caller does not read stays where it is, in the rings, and is lost there first. What is sent is bounded by [`LONGEST`], and
//! who sends more is cut off.

pub mod protocol;

#[cfg(feature = "pid1")]
mod cgroup;
#[cfg(feature = "pid1")]
mod dispatch;
#[cfg(feature = "pid1")]
mod follow;
#[cfg(feature = "pid1")]
mod hand;
#[cfg(feature = "pid1")]
pub mod http;
#[cfg(feature = "pid1")]
mod link;
#[cfg(feature = "pid1")]
mod metrics;
#[cfg(feature = "pid1")]
mod server;
#[cfg(feature = "pid1")]
mod session;
#[cfg(feature = "pid1")]
pub(crate) mod socket;
#[cfg(feature = "pid1")]
mod state;

#[cfg(feature = "pid1")]
pub use hand::Hand;
#[cfg(feature = "pid1")]
pub use server::{Control, Fd, open, pump, ready};
#[cfg(feature = "pid1")]
pub use state::Told;

/// Start the child that shows figures over HTTP, if the host is to have it.
///
/// # Errors
///
/// None: a host does its work without.
#[cfg(feature = "pid1")]
pub fn show<S: crate::sys::Sys>(host: &mut crate::host::Host<S>) -> Result<(), crate::boot::BootError> {
    if host.contract.metrics.is_some() {
        let position = host.add(crate::host::Kind::Metrics, "metrics");
        host.start(position);
    }
    Ok(())
}

/// Where PID 1 listens inside the host, an absolute path; root alone may connect.
pub const SOCKET: &str = "/run/hullkit/control.sock";

/// Name of the virtio port by which the outside reaches PID 1.
pub const PORT: &str = "org.hullkit.control";

/// Longest line in either direction, in bytes, its line feed included.
pub const LONGEST: usize = 256 << 10;
