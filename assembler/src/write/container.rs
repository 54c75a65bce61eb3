//! One disk in the files that hypervisors and clouds take. What does not compress refers to the same bytes as the disk itself.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::boot::Boot;
use super::format::{Firmware, Format};
use super::output::Output;
use super::{WriteError, io_error};
use crate::digest::{Digest, Hashing};
use crate::format::ova::{self, Guest};
use crate::format::qcow2::{self, Compression};
use crate::format::sparse::Sparse;
use crate::format::{gcp, gzip, vdi, vhd, vhdx, vmdk, xz, zst};
use crate::platform::Arch;
use crate::rootfs::RootfsError;
use crate::store::Store;

/// How much is written at once, in bytes.
const BUFFER: usize = 256 << 10;

/// Why an image could not be made, whatever its format.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A disk, and what several formats make of it.
#[derive(Debug)]
pub struct Disk<'b> {
    boot: &'b Boot,
    firmware: Firmware,
    image: Sparse,
    store: &'b Store,
    /// VMware's compressed form, which is a file by itself and the largest part of another; made once.
    stream: Mutex<Option<(Sparse, Digest)>>,
}

impl<'b> Disk<'b> {
    /// Lay a disk out, at least `size` bytes long.
    ///
    /// # Errors
    ///
    /// - As [`super::disk::disk`].
    pub fn new(boot: &'b Boot, firmware: Firmware, size: Option<u64>, store: &'b Store) -> Result<Self, WriteError> {
        let image = super::disk::disk(boot, firmware, size)?;
        Ok(Self { boot, firmware, image, store, stream: Mutex::new(None) })
    }

    /// Write the disk into a file of a format, with so many threads.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Image`]: the format cannot hold such a disk.
    /// - [`WriteError::Io`].
    pub fn output(&self, format: Format, path: &Path, jobs: usize) -> Result<Output, WriteError> {
        let failed = |cause: Cause| WriteError::Image { path: path.to_owned(), cause };
        let (disk, id) = (&self.image, self.boot.id("container"));
        let wrapped = match format {
            Format::Vhd => vhd::fixed(disk, id, self.boot.epoch).map_err(Cause::from),
            Format::DynamicVhd => vhd::dynamic(disk, id, self.boot.epoch).map_err(Cause::from),
            Format::Vhdx => vhdx::dynamic(disk, id).map_err(Cause::from),
            Format::Vdi => vdi::dynamic(disk, id).map_err(Cause::from),
            Format::Qcow2Plain => qcow2::plain(disk).map_err(Cause::from),
            Format::VmdkSparse => vmdk::sparse(disk, self.boot.serial("container")).map_err(Cause::from),
            Format::Vmdk => Ok(self.stream(jobs)?.0),
            Format::Ova => Ok(self.ova(jobs)?),
            Format::Qcow2 => return compressed(path, |out| qcow2::compressed(disk, Compression::Zstd, jobs, out)),
            Format::Qcow2Bios | Format::Qcow2Efi => {
                return compressed(path, |out| qcow2::compressed(disk, Compression::Zlib, jobs, out));
            }
            Format::RawGz => return compressed(path, |out| gzip::write(disk, jobs, out)),
            Format::RawXz => return compressed(path, |out| xz::write(disk, jobs, out)),
            Format::RawZst => return compressed(path, |out| zst::write(disk, jobs, out)),
            Format::Gcp => {
                let tar = gcp::tar(disk, self.boot.epoch).map_err(|cause| failed(cause.into()))?;
                return compressed(path, |out| gzip::write(&tar, jobs, out));
            }
            _ => Ok(disk.clone()),
        };
        Output::of(path, &wrapped.map_err(failed)?)
    }

    /// Make VMware's compressed form, or give the one that was made.
    fn stream(&self, jobs: usize) -> Result<(Sparse, Digest), WriteError> {
        let mut made = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = &*made {
            return Ok(stream.clone());
        }
        let mut file = self.store.temporary().map_err(RootfsError::from)?;
        let path = file.path().to_owned();
        let mut out = BufWriter::with_capacity(BUFFER, Hashing::new(&mut file));
        let written = vmdk::stream_optimized(&self.image, self.boot.serial("container"), jobs, &mut out);
        written.map_err(|cause| WriteError::Image { path: path.clone(), cause: cause.into() })?;
        let hashed = out.into_inner().map_err(|error| io_error("write", &path)(error.into_error()))?;
        let digest = hashed.finish().1;
        // Open before its name goes with the temporary file.
        let stream = (super::initrd::whole(&path)?, digest);
        *made = Some(stream.clone());
        Ok(stream)
    }

    fn ova(&self, jobs: usize) -> Result<Sparse, WriteError> {
        let (stream, digest) = self.stream(jobs)?;
        let guest = Guest {
            name: &self.boot.name,
            arch: self.boot.arch,
            uefi: self.boot.arch == Arch::Arm64 || !self.firmware.bios,
            capacity: self.image.size(),
            populated: self.image.allocated(),
            time: self.boot.epoch,
        };
        ova::wrap(&guest, &stream, digest.bytes()).map_err(WriteError::layout("the virtual machine"))
    }
}

/// Write a file that is not known before it is written.
fn compressed<E: Into<Cause>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut Output>) -> Result<(), E>,
) -> Result<Output, WriteError> {
    let mut output = Output::create(path)?;
    let mut out = BufWriter::with_capacity(BUFFER, &mut output);
    fill(&mut out).map_err(|cause| WriteError::Image { path: path.to_owned(), cause: cause.into() })?;
    out.flush().map_err(io_error("write", path))?;
    drop(out);
    Ok(output)
}
