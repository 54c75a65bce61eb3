//! One disk in the files that hypervisors and clouds take. What does not compress refers to the same bytes as the disk itself.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::boot::Boot;
use super::format::{Firmware, Format};
use super::output::Output;
use super::{WriteError, io_error};
use crate::digest::{Digest, Hashing};
use crate::format::ova::OvaError;
use crate::format::ova::{self, Adapter, Controller, Machine};
use crate::format::qcow2::{self, Compression};
use crate::format::sparse::Sparse;
use crate::format::vmdk::{self, Identity};
use crate::format::{gcp, gzip, vdi, vhd, vhdx, xz, zst};
use crate::rootfs::RootfsError;
use crate::store::Store;

/// How much is written at once, in bytes.
const BUFFER: usize = 256 << 10;

/// How hard compressed disks are compressed: where more costs several times the time for a few percent.
const GZIP: flate2::Compression = flate2::Compression::new(6);
/// See [`GZIP`].
const XZ: u32 = 6;
/// See [`GZIP`].
const ZST: i32 = 3;

/// Memory of a virtual machine that is imported, in MiB; who imports it can change that.
const MEMORY: u64 = 1024;

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
            Format::VmdkSparse => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                vmdk::sparse(disk, Identity { cid: self.boot.serial("container"), name: &name }).map_err(Cause::from)
            }
            Format::Vmdk => Ok(self.stream(jobs)?.0),
            Format::Ova => self.ova(jobs)?.map_err(Cause::from),
            Format::Qcow2 => return compressed(path, |out| qcow2::compressed(disk, Compression::Zstd, jobs, out)),
            Format::Qcow2Bios | Format::Qcow2Efi => {
                return compressed(path, |out| qcow2::compressed(disk, Compression::Zlib, jobs, out));
            }
            Format::RawGz => return compressed(path, |out| gzip::write(disk, GZIP, jobs, out)),
            Format::RawXz => return compressed(path, |out| xz::write(disk, XZ, jobs, out)),
            Format::RawZst => return compressed(path, |out| zst::write(disk, ZST, jobs, out)),
            Format::Gcp => {
                let tar = gcp::tar(disk, self.boot.epoch).map_err(|cause| failed(cause.into()))?;
                return compressed(path, |out| gzip::write(&tar, GZIP, jobs, out));
            }
            _ => Ok(disk.clone()),
        };
        Ok(Output::of(path, &wrapped.map_err(failed)?))
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
        let identity = Identity { cid: self.boot.serial("container"), name: "disk.vmdk" };
        let written = vmdk::stream_optimized(&self.image, identity, jobs, &mut out);
        written.map_err(|cause| WriteError::Image { path: path.clone(), cause: cause.into() })?;
        let hashed = out.into_inner().map_err(|error| io_error("write", &path)(error.into_error()))?;
        let digest = hashed.finish().1;
        // Open before its name goes with the temporary file.
        let stream = (super::initrd::whole(&path)?, digest);
        *made = Some(stream.clone());
        Ok(stream)
    }

    fn ova(&self, jobs: usize) -> Result<Result<Sparse, OvaError>, WriteError> {
        let (stream, digest) = self.stream(jobs)?;
        let legal = |char: char| if char.is_ascii_alphanumeric() || "._-".contains(char) { char } else { '_' };
        let name: String = self.boot.name.trim_start_matches(['.', '-']).chars().take(80).map(legal).collect();
        let machine = Machine {
            name: if name.is_empty() { "hullkit" } else { &name },
            title: &self.boot.name,
            memory: MEMORY,
            cpus: 1,
            firmware: if self.firmware.bios { ova::Firmware::Bios } else { ova::Firmware::Efi },
            controller: Controller::Ide,
            adapter: Adapter::E1000,
        };
        let (capacity, populated) = (self.image.size(), self.image.allocated());
        Ok(ova::wrap(&machine, &ova::Disk { vmdk: &stream, digest, capacity, populated }, self.boot.epoch))
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
