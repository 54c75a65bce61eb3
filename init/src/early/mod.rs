//! The first stages of a boot. In: a kernel that has just started PID 1. Out: a host with its file systems, console, clock,
//! drivers, name and kernel parameters.

pub mod clock;
pub mod console;
pub mod contract;
pub mod drivers;
pub mod memory;
pub mod modules;
pub mod mounts;
pub mod name;
pub mod ramfs;
