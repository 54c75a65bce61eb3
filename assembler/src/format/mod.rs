//! Byte layouts. Values become bytes here, and bytes values: no paths of the host, no clock, no environment.

pub mod bios;
pub mod cpio;
pub mod erofs;
pub mod gzip;
pub mod iso9660;
pub mod parallel;
pub mod sparse;
pub mod squashfs;
pub mod tar;
pub mod tree;
