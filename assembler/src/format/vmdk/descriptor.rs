//! The text that says what the file is.

use super::VmdkError;
use super::layout::{DESCRIPTOR_SECTORS, LARGEST, SECTOR};

/// What tells one disk from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'n> {
    /// Changes whenever the disk does; from the digest of what is on it, say.
    pub cid: u32,
    /// The file's own name, without folders.
    pub name: &'n str,
}

/// Sides of a disk and sectors of a track, as VMware's SCSI disks have them.
const GEOMETRY: (u64, u64) = (255, 63);

/// Write the descriptor of a disk of `size` bytes, padded with NUL to [`DESCRIPTOR_SECTORS`].
///
/// # Errors
///
/// - [`VmdkError::Sector`], [`VmdkError::Empty`], [`VmdkError::TooLarge`], [`VmdkError::Name`].
///
/// # Source
///
/// VMware, "Virtual Disk Format 1.1", "The Descriptor File".
pub(super) fn descriptor(size: u64, kind: &str, identity: Identity<'_>) -> Result<Vec<u8>, VmdkError> {
    let name = identity.name;
    // A path would be looked for, and a quote would end the name.
    if name.is_empty() || name.len() > 255 || name.contains(|c: char| c.is_control() || "\"/\\".contains(c)) {
        return Err(VmdkError::Name { name: name.chars().take(255).collect() });
    }
    match size {
        0 => return Err(VmdkError::Empty),
        _ if !size.is_multiple_of(SECTOR) => return Err(VmdkError::Sector { size }),
        _ if size > LARGEST => return Err(VmdkError::TooLarge { size }),
        _ => {}
    }
    let sectors = size / SECTOR;
    let (heads, track) = GEOMETRY;
    let cylinders = (sectors / (heads * track)).clamp(1, 65535);
    // All ones mean: no disk.
    let cid = identity.cid.min(u32::MAX - 1);
    // Hardware version 4 is the oldest that takes SCSI disks, and newer machines take disks of older ones, not the reverse.
    let text = format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         CID={cid:08x}\n\
         parentCID=ffffffff\n\
         createType=\"{kind}\"\n\
         \n\
         # Extent description\n\
         RW {sectors} SPARSE \"{name}\"\n\
         \n\
         # The Disk Data Base\n\
         #DDB\n\
         \n\
         ddb.virtualHWVersion = \"4\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"{heads}\"\n\
         ddb.geometry.sectors = \"{track}\"\n\
         ddb.adapterType = \"lsilogic\"\n"
    );
    let mut bytes = text.into_bytes();
    bytes.resize(usize::try_from(DESCRIPTOR_SECTORS * SECTOR).unwrap_or_default(), 0);
    Ok(bytes)
}
