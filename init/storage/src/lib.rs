//! Takes disks into use: finds them, formats those that are empty, decrypts, grows and mounts.
//!
//! In: an [`Order`](hullkit_init::contract::storage::Order), the machine's disks, and an image with tools. Out: mounts where PID 1 is, and
//! one [`Done`](hullkit_init::contract::storage::Done) for it.
//!
//! ```text
//!  disks --probe--> Holds --choose--> one disk --table--> partitions --make--> volumes --open--> mounts
//!        bounded            pure                only if   sfdisk       only if   mkfs      LUKS    grown
//! ```
//!
//! What is on a disk decides what happens to it, and nobody is trusted for that alone: a volume is formatted only if neither
//! [`probe()`] nor the tools' `blkid` finds anything on it, or if the order says that it may be wiped.
//!
//! Power may fail at any time. Before the first byte of a volume is written it gets a [`marker`] at a place that no tool reaches, which
//! goes with the last; a marked one is begun again. A partition table is guarded by a marker of its own, and once that is gone
//! each partition is as a disk by itself. Growing needs none: the table is whole after each write, and file systems see to themselves.

mod choose;
mod crypt;
mod device;
mod error;
mod make;
mod marker;
mod mount;
mod open;
mod probe;
mod sys;
mod table;
mod take;
mod tool;

#[cfg(test)]
mod tests;

pub use error::StorageError;
pub use probe::{Found, Holds, Kind, probe};
pub use take::take_all;
pub use tool::{ROLE, become_tool};

/// Say something to people, on the console.
pub type Say<'a> = dyn FnMut(&str) + 'a;
