//! What is done before anything else: here, the kernel's modules.

pub mod modules;
