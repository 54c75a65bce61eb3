//! Byte layouts. Values become bytes here, and bytes values: no paths of the host, no clock, no environment.

pub mod bios;
mod blocks;
pub mod cpio;
pub mod crc32c;
#[cfg(test)]
mod disks;
pub mod erofs;
pub mod ext4;
pub mod fat;
pub mod gcp;
pub mod gpt;
pub mod gzip;
pub mod iso9660;
pub mod ova;
pub mod parallel;
pub mod pe;
mod pieces;
pub mod qcow2;
pub mod sparse;
pub mod squashfs;
pub mod tar;
pub mod tree;
pub mod vdi;
pub mod vhd;
pub mod vhdx;
pub mod vmdk;
pub mod xz;
pub mod zst;
