//! How much memory a host needs before its services ask for any.
//!
//! ```text
//!  a machine's memory
//!  |  MemTotal, as the kernel counts it                                       | the kernel itself |
//!  |  unpacked files | packed initrd, until it is unpacked      |
//!  |  unpacked files | then what the kernel, init and one container take, and a root that is fetched |
//! ```
//!
//! Source: Linux, `init/initramfs.c`, `populate_rootfs`; `mm/shmem.c`, `shmem_default_max_blocks`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::Segment;
use crate::format::cpio::CpioError;
use crate::format::cpio::read::Reader;
use crate::platform::Arch;

/// Memory is given out in pieces of so many bytes.
const PAGE: u64 = 4096;

/// What an inode and a name of the RAM file system take, in bytes.
const INODE: u64 = 1024;

/// What the running kernel, init and one small container take of `MemTotal` at least, in bytes, unpacked files apart. A host that
/// has less is refused, so it is well below [`BOOTING`].
const RUNNING: u64 = 24 << 20;

/// What they take of `MemTotal` when they boot, in bytes: busybox's host boots with 84 MiB, of which this is left beside its files.
const BOOTING: u64 = 32 << 20;

/// One byte in so many describes the others: 64 bytes of each page.
const PAGE_TABLE: u64 = 64;

/// Give what of a machine's memory is not in `MemTotal`, in bytes, tables of pages apart: the kernel's code and data, and what
/// firmware keeps. Measured with Debian's 6.1 cloud kernels in QEMU: 40 MiB on x86_64, 25 MiB on arm64.
fn kernel(arch: Arch) -> u64 {
    match arch {
        Arch::Amd64 => 40 << 20,
        Arch::Arm64 => 25 << 20,
    }
}

/// Memory that the files of an archive take once they are unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    bytes: u64,
}

impl Memory {
    /// Count a name with so many bytes of data.
    pub(crate) fn add(&mut self, size: u64) {
        self.bytes = self.bytes.saturating_add(INODE).saturating_add(size.next_multiple_of(PAGE));
    }

    /// Give what was counted, in bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.bytes
    }

    /// Count a packed archive.
    ///
    /// # Errors
    ///
    /// - [`CpioError`]: it is damaged.
    pub(crate) fn of_archive(path: &Path) -> Result<Self, CpioError> {
        let frame = zstd::Decoder::new(File::open(path)?)?.single_frame();
        let mut archive = Reader::new(BufReader::with_capacity(256 << 10, frame));
        let mut memory = Self::default();
        while let Some(entry) = archive.next_entry()? {
            memory.add(entry.header.size.into());
        }
        Ok(memory)
    }
}

/// Give the least `MemTotal` that a host runs with, in bytes.
///
/// In: the segments of its initrd; `more`, the unpacked bytes of one that is not packed yet; `fetched`, the bytes of a root that is
/// fetched into memory. It is an estimate from below: who has less would not get to the first service.
#[must_use]
pub fn floor(parts: &[Segment], more: u64, fetched: u64) -> u64 {
    unpacked(parts, more).saturating_add(packed(parts).max(RUNNING.saturating_add(fetched)))
}

/// Give the least memory of a machine that boots the host, in bytes, a multiple of 1 MiB.
///
/// In: the segments of its initrd, and `fetched`, as for [`floor`]. Half of what is left beside the packed initrd is the most that the
/// kernel lets its files take.
#[must_use]
pub fn machine(parts: &[Segment], fetched: u64, arch: Arch) -> u64 {
    let unpacking = unpacked(parts, 0).saturating_mul(2).saturating_add(packed(parts));
    let running = unpacked(parts, 0).saturating_add(BOOTING).saturating_add(fetched);
    let used = floor(parts, 0, fetched).max(running).max(unpacking).saturating_add(kernel(arch));
    used.saturating_add(used / PAGE_TABLE).next_multiple_of(1 << 20)
}

fn unpacked(parts: &[Segment], more: u64) -> u64 {
    parts.iter().map(|part| part.unpacked).fold(more, u64::saturating_add)
}

fn packed(parts: &[Segment]) -> u64 {
    parts.iter().map(|part| part.size).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(size: u64, unpacked: u64) -> Segment {
        let (name, path, reason) = Default::default();
        Segment { name, path, size, unpacked, cached: false, reason }
    }

    #[test]
    fn a_small_initrd_needs_what_runs_and_a_large_one_its_files_twice() {
        let small = [part(3 << 20, 8 << 20), part(1 << 20, 2 << 20)];
        assert_eq!(floor(&small, 0, 0), (10 << 20) + RUNNING);
        // Busybox's host has been seen to boot with 84 MiB.
        assert!(machine(&small, 0, Arch::Amd64) <= 84 << 20, "{}", machine(&small, 0, Arch::Amd64) >> 20);
        let large = [part(100 << 20, 300 << 20)];
        assert_eq!(floor(&large, 1 << 20, 0), 401 << 20);
        assert!(machine(&large, 0, Arch::Arm64) > (2 * 300 + 100) << 20);
    }

    #[test]
    fn a_root_that_is_fetched_stays_in_memory() {
        let small = [part(4 << 20, 10 << 20)];
        assert_eq!(floor(&small, 0, 100 << 20), (110 << 20) + RUNNING);
        let (with, without) = (machine(&small, 100 << 20, Arch::Amd64), machine(&small, 0, Arch::Amd64));
        assert!((100 << 20..104 << 20).contains(&(with - without)), "{}", (with - without) >> 20);
    }

    #[test]
    fn pages_and_names_are_counted() {
        let mut memory = Memory::default();
        [0, 1, 4096, 4097].into_iter().for_each(|size| memory.add(size));
        assert_eq!(memory.bytes(), 4 * INODE + 4 * PAGE);
    }
}
