//! What a boot loader reads beside the root file system, taken out of the stream.

use std::io::{self, Read};
use std::path::Path;

use super::WriteError;
use crate::format::sparse::Sparse;
use crate::format::tar::Member;
use crate::write::io_error;
use crate::write::output::Output;

/// Folder whose files are for the boot loader.
const BOOT: &[u8] = b"boot/";

/// Longest file of `boot` that is taken, in bytes: they are held in memory.
const BOOT_MAX: u64 = 1 << 30;

/// What the boot loader gets; empty where there is none.
#[derive(Debug, Default)]
pub struct Files {
    /// The kernel.
    pub kernel: Vec<u8>,
    /// Its command line.
    pub cmdline: Vec<u8>,
    /// Microcode, an archive that is not compressed.
    pub ucode: Vec<u8>,
}

impl Files {
    /// Take an entry that is for the boot loader. Out: whether it was one; others of its folder are passed over, as
    /// LinuxKit does.
    pub(super) fn take(&mut self, member: &Member, data: &mut dyn Read) -> Result<bool, WriteError> {
        let kept = match member.path.as_slice() {
            b"boot/kernel" => &mut self.kernel,
            b"boot/cmdline" => &mut self.cmdline,
            b"boot/ucode.cpio" => &mut self.ucode,
            path => return Ok(path.starts_with(BOOT)),
        };
        let path = Path::new("boot");
        if member.size > BOOT_MAX {
            let cause = io::Error::other("the file is too large for a boot loader");
            return Err(WriteError::Io { action: "hold", path: path.to_owned(), cause });
        }
        kept.clear();
        data.read_to_end(kept).map_err(io_error("read", path))?;
        Ok(true)
    }

    /// Make `NAME-kernel` and `NAME-cmdline`; one that would be empty is left out, as LinuxKit does.
    pub(super) fn outputs(&self, dir: &Path, name: &str) -> Vec<Output> {
        let files = [("kernel", &self.kernel), ("cmdline", &self.cmdline)].into_iter();
        let join = |(suffix, bytes): (&str, &Vec<u8>)| {
            Output::of(&dir.join(format!("{name}-{suffix}")), &Sparse::of_bytes(bytes.as_slice()))
        };
        files.filter(|(_, bytes)| !bytes.is_empty()).map(join).collect()
    }
}
