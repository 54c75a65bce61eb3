//! What the assembler and PID 1 agree on, and PID 1 itself.
//!
//! [`contract`] is the one type both sides share, so that what the assembler writes is by construction what PID 1 reads. All
//! thinking is done when the image is built: PID 1 parses no YAML, resolves no name and pulls nothing. The rest is the program,
//! behind the feature `pid1`; it is a library only so that tests reach it.

pub mod chain;
pub mod contract;
pub mod control;
#[cfg(feature = "ctl")]
pub mod hullctl;
#[cfg(feature = "manifest")]
pub mod manifest;
pub mod modalias;

#[cfg(feature = "pid1")]
pub mod boot;
#[cfg(feature = "pid1")]
pub mod button;
#[cfg(feature = "pid1")]
pub mod cmdline;
#[cfg(feature = "pid1")]
pub mod console;
#[cfg(feature = "pid1")]
pub mod container;
#[cfg(feature = "pid1")]
pub mod data;
#[cfg(feature = "pid1")]
pub mod disk;
#[cfg(feature = "pid1")]
pub mod early;
#[cfg(feature = "pid1")]
pub mod failure;
#[cfg(feature = "pid1")]
pub mod host;
#[cfg(feature = "pid1")]
pub mod kmsg;
#[cfg(feature = "pid1")]
pub mod logs;
#[cfg(feature = "pid1")]
pub mod memory;
#[cfg(feature = "pid1")]
pub mod metadata;
#[cfg(feature = "pid1")]
pub mod network;
#[cfg(feature = "pid1")]
pub mod network_child;
#[cfg(feature = "pid1")]
pub mod onboot;
#[cfg(feature = "pid1")]
pub mod pstore;
#[cfg(feature = "pid1")]
pub mod root;
#[cfg(feature = "pid1")]
pub mod services;
#[cfg(feature = "pid1")]
pub mod shutdown;
#[cfg(feature = "pid1")]
pub mod stop;
#[cfg(feature = "pid1")]
pub mod storage;
#[cfg(feature = "pid1")]
pub mod sys;
#[cfg(feature = "pid1")]
pub mod volumes;
#[cfg(feature = "pid1")]
pub mod watchdog;
