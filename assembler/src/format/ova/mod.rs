//! OVA, a machine to import: a tar of its description, the digests, and the packed VMDK.
//!
//! ```text
//! 0      header | NAME.ovf          up to a multiple of 512
//!        header | NAME.mf           SHA-256 of the other two
//!        header | NAME-disk1.vmdk   streamOptimized, as it is in its own file
//!        1024 zeros
//! ```
//!
//! The description stands first, so that whoever imports it can ask before the disk has come. The VMDK is not read: its digest is known to
//! whoever wrote it.
//!
//! Source: DMTF, DSP0243 1.1.0, 5.3 (OVA) and 5.1 (manifest).

mod ovf;

#[cfg(test)]
mod tests;

use super::sparse::Sparse;
use super::tar::write::Writer;
use super::tar::{Member, TarError};
use crate::digest::Digest;

/// Members, and the end, stand at multiples of this many bytes.
const BLOCK: u64 = 512;

/// Why a machine could not be put into an OVA.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OvaError {
    /// Files inside are named after it, and such names go through many hands.
    #[error("`{name}` cannot name an OVA: want 1 to 80 of letters, digits, `.`, `_` and `-`, not `.` or `-` first")]
    Name {
        /// The name.
        name: String,
    },
    /// No machine has that.
    #[error("a machine in an OVA cannot have {memory} MiB and {cpus} processors: want 4 MiB and one at least")]
    Machine {
        /// Memory in MiB.
        memory: u64,
        /// Number of processors.
        cpus: u32,
    },
    /// The archive could not be written.
    #[error("could not lay out the archive of an OVA")]
    Tar(#[from] TarError),
}

/// What the machine boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// A legacy BIOS.
    Bios,
    /// UEFI, without Secure Boot. VirtualBox does not read this, and takes its default.
    Efi,
}

/// What the disk is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// IDE (PIIX4): for VMware and VirtualBox; the kernel needs `ata_piix`. Debian's cloud kernel has neither `mptspi` nor `ahci`.
    Ide,
    /// SCSI, LSI Logic: read by every VMware and VirtualBox; the kernel needs `mptspi`.
    LsiLogic,
    /// SCSI, VMware's own: for VMware; the kernel needs `vmw_pvscsi`.
    ParaVirtual,
    /// SATA: read by VMware, refused by VirtualBox 5.0 and older; the kernel needs `ahci`.
    Ahci,
}

/// What the network is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// Intel's, which every hypervisor has; the kernel needs `e1000`.
    E1000,
    /// VMware's own, for VMware; the kernel needs `vmxnet3`.
    VmxNet3,
}

/// An x86-64 machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine<'n> {
    /// Names the files inside: 1 to 80 of letters, digits, `.`, `_` and `-`.
    pub name: &'n str,
    /// What people see, any text; what XML cannot say is left out.
    pub title: &'n str,
    /// Memory in MiB.
    pub memory: u64,
    /// Number of processors.
    pub cpus: u32,
    /// What it boots with.
    pub firmware: Firmware,
    /// What the disk is attached to.
    pub controller: Controller,
    /// What the network is attached to.
    pub adapter: Adapter,
}

/// The disk, packed.
#[derive(Debug, Clone, Copy)]
pub struct Disk<'v> {
    /// The streamOptimized VMDK.
    pub vmdk: &'v Sparse,
    /// Its digest.
    pub digest: Digest,
    /// Length of the disk in it, in bytes.
    pub capacity: u64,
    /// How many bytes of that are not holes.
    pub populated: u64,
}

/// Lay out an OVA. No byte of the VMDK is read.
///
/// In: `time`, of the files inside, seconds since 1970. Out: the archive. A VMDK of 8 GiB and more has its length in a pax header, which
/// plain ustar lacks.
///
/// # Errors
///
/// - [`OvaError::Name`], [`OvaError::Machine`].
/// - [`OvaError::Tar`]: never, for it is laid out in memory.
///
/// # Source
///
/// DMTF, DSP0243 1.1.0, 5.3.
pub fn wrap(machine: &Machine<'_>, disk: &Disk<'_>, time: u32) -> Result<Sparse, OvaError> {
    let Machine { name, memory, cpus, .. } = *machine;
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 80 || name.starts_with(['.', '-']) || !name.chars().all(legal) {
        return Err(OvaError::Name { name: name.chars().take(80).collect() });
    }
    if memory < 4 || cpus == 0 {
        return Err(OvaError::Machine { memory, cpus });
    }
    let vmdk = format!("{name}-disk1.vmdk");
    let ovf = ovf::description(machine, disk, &vmdk);
    let manifest =
        format!("SHA256({name}.ovf)= {}\nSHA256({vmdk})= {}\n", Digest::of(ovf.as_bytes()).hex(), disk.digest.hex(),);

    let mut heads = Vec::new();
    let mut tar = Writer::new(&mut heads);
    for (file, text) in [(format!("{name}.ovf"), &ovf), (format!("{name}.mf"), &manifest)] {
        tar.append(&member(file, text.len() as u64, time), &mut text.as_bytes())?;
    }
    tar.announce(&member(vmdk, disk.vmdk.size(), time))?;
    let mut archive = Sparse::of_bytes(heads);
    archive.append(disk.vmdk);
    archive.pad(BLOCK);
    // Two blocks of zeros are the end.
    archive.append(&Sparse::new(2 * BLOCK));
    Ok(archive)
}

fn member(path: String, size: u64, time: u32) -> Member {
    Member { path: path.into_bytes(), mode: 0o644, mtime: time.into(), size, ..Member::default() }
}
