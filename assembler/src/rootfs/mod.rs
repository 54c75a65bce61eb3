//! Stage 4.
pub mod modules;
