//! .
pub mod rootfs;
