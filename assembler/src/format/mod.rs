//! Byte layouts. Values become bytes here, and bytes values: no paths of the host, no clock, no environment.

pub mod blocks;
pub mod cpio;
pub mod erofs;
pub mod gzip;
pub mod iso9660;
pub mod ova;
pub mod parallel;
pub mod qcow2;
pub mod sparse;
pub mod squashfs;
pub mod tar;
pub mod tree;
pub mod vmdk;
