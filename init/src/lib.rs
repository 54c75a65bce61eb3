//! What the assembler and PID 1 agree on.
//!
//! The program half of this crate (`hullkit-init`) boots a host; this library half holds the one type both sides share, so
//! that what the assembler writes is by construction what PID 1 reads. All thinking is done when the image is built: PID 1
//! parses no YAML, resolves no name and pulls nothing.

pub mod contract;
#[cfg(feature = "pid1")]
pub mod early;
pub mod modalias;
#[cfg(feature = "pid1")]
pub mod network;
#[cfg(feature = "pid1")]
pub mod sys;
