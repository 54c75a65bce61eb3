//! Fetches the root of a host that boots over the network.
//!
//! In: an [`Order`], which PID 1 writes. Out: the file it names, whose every byte was hashed and whose SHA-256 is the one of the
//! kernel command line; or a [`FetchError`], and nobody reads the file.
//!
//! ```text
//!  Order --client--> HTTP(S) --transfer--> pieces --target--> file + SHA-256
//!            TLS, redirects     ranges, tries    bounded by the root's size
//! ```
//!
//! The server and all that lies before it are the adversary: the digest alone decides what is used. Heads of answers are bounded by
//! the HTTP library (100 lines, 400 KiB), bodies by the root's size, waits by [`Order::patience`].

mod client;
mod error;
mod order;
mod target;
mod transfer;

#[cfg(test)]
mod tests;

pub use error::{Broken, FetchError, chain};
pub use order::{Order, OrderError};
pub use transfer::fetch;

/// Exit code of a transfer that failed: with the same order, another try may succeed.
pub const FAILED: u8 = 1;

/// Exit code of an order that makes no sense.
pub const USAGE: u8 = 2;

/// Exit code when something else than the root lies at the address.
pub const OTHER: u8 = 3;
