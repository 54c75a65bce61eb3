//! .
pub mod vm;
