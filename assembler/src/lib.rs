//! From one YAML manifest to the files a machine boots from.
//!
//! ```text
//!  .yml --parse--> Manifest --plan--> Plan --pull--> Store --rootfs--> Segments --write--> kernel + initrd | tar
//!       linuxkit-yaml        digests        blobs            cached by digest    concatenated
//!       no I/O               asks registry  network, disk    reads Store         beside, sync, rename
//! ```

pub mod cli;
pub mod digest;
pub mod embedded;
pub mod format;
pub mod manifest;
pub mod package;
pub mod plan;
pub mod platform;
pub mod pull;
pub mod rootfs;
pub mod store;
pub mod verify;
pub mod vm;
pub mod write;
