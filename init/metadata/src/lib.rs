//! Asks the machine and its cloud what a host is to be, and writes the answer down.
//!
//! In: the contract ([`Order`]), and what strangers say: volumes, firmware, servers on the link. Out: files below `/run/config` as
//! LinuxKit's `metadata` package writes them, the files of user data, and one [`Told`](hullkit_init::contract::metadata::Told) for
//! PID 1.
//!
//! ```text
//!  Order --ask--> Answer --settle--> Settled --write--> files, Told
//!    volumes, firmware,      user data is read,      no link is followed
//!    HTTP; bounded           checked, allowed
//! ```
//!
//! Whoever answers is the adversary: bodies are bounded ([`LONGEST`]), redirects are not followed, waits end with the order's time, and
//! user data is used whole or not at all.

mod answer;
mod ask;
mod client;
mod error;
mod label;
mod linuxkit;
mod machine;
mod order;
mod provider;
mod settle;
mod volume;
mod write;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use ask::{Moment, ask};
pub use error::Refusal;
pub use label::{HEAD, Label, label};
pub use machine::Machine;
pub use order::Order;
pub use settle::{Settled, settle};
pub use write::write;

/// Most bytes of one answer: user data of any cloud is shorter.
pub const LONGEST: u64 = 1 << 20;
