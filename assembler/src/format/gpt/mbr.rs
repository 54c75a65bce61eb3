//! The first sector of a disk.

use gpt::mbr::{PartRecord, ProtectiveMBR};

use super::{GptError, SECTOR, mbr_kind};
use crate::format::sparse::Sparse;

/// Heads and sectors of a track of the geometry that everyone pretends.
const GEOMETRY: (u64, u64) = (255, 63);
/// What stands for a sector behind the last one that heads, tracks and cylinders can say.
const BEYOND: [u8; 3] = [0xfe, 0xff, 0xff];
/// Entries of an MBR.
const ENTRIES: usize = 4;

/// An entry of an MBR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its type, one of [`mbr_kind`].
    pub kind: u8,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Whether it is the one to boot from.
    pub active: bool,
}

/// What an MBR has beside the entry that protects a GPT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mbr {
    /// The code that a BIOS runs; without it, zeros.
    pub code: Option<Box<[u8; 440]>>,
    /// A number that tells disks apart.
    pub signature: u32,
    /// Whether the protective entry has the active flag: some BIOSes boot no disk without one. UEFI ignores it.
    pub active: bool,
    /// Entries beside the protective one, at most three: what makes it a hybrid.
    pub others: Vec<Entry>,
}

/// Write an MBR without a GPT.
///
/// In: `mbr`, whose others are all the entries there are, at most four; its own flag is not used.
///
/// # Errors
///
/// - [`GptError::Many`], [`GptError::Unaligned`], [`GptError::Outside`], [`GptError::Overlap`], [`GptError::TooFar`].
/// - [`GptError::Place`]: something stands in the first sector.
pub fn mbr_only(disk: &mut Sparse, mbr: &Mbr) -> Result<(), GptError> {
    check(&mbr.others, ENTRIES, disk.size())?;
    let mut spans = mbr.others.iter().filter(|entry| entry.len > 0).collect::<Vec<_>>();
    spans.sort_by_key(|entry| entry.start);
    for pair in spans.windows(2) {
        if let [one, other] = pair
            && other.start < one.start.saturating_add(one.len)
        {
            let name = |entry: &Entry| format!("type {:#04x}", entry.kind);
            return Err(GptError::Overlap { one: name(one), other: name(other), at: other.start });
        }
    }
    let mut sector = sector(mbr);
    for (index, entry) in mbr.others.iter().enumerate() {
        sector.set_partition(index, record(entry)?);
    }
    for index in mbr.others.len()..ENTRIES {
        sector.set_partition(index, PartRecord::zero());
    }
    Ok(disk.put_bytes(0, sector.to_bytes())?)
}

/// Make the first sector of a disk of `size` bytes that has a GPT.
///
/// The protective entry covers all of the disk, or, of a hybrid, what lies before its first other entry: entries must not overlap.
pub(super) fn protective(mbr: &Mbr, size: u64) -> Result<ProtectiveMBR, GptError> {
    check(&mbr.others, ENTRIES - 1, size)?;
    let mut sector = sector(mbr);
    let others = mbr.others.iter().filter(|entry| entry.len > 0).map(|entry| entry.start / SECTOR);
    let end = others.filter(|start| *start > 1).min().unwrap_or(size / SECTOR);
    // UEFI 2.10, 5.2.3: what 32 bits cannot say is all ones.
    let mut whole = PartRecord::new_protective(Some(u32::try_from(end - 1).unwrap_or(u32::MAX)));
    whole.boot_indicator = flag(mbr.active);
    [whole.end_head, whole.end_sector, whole.end_track] = match chs(end - 1) {
        // UEFI's own way to say it.
        BEYOND => [0xff; 3],
        known => known,
    };
    sector.set_partition(0, whole);
    for (index, entry) in mbr.others.iter().enumerate() {
        sector.set_partition(index + 1, record(entry)?);
    }
    Ok(sector)
}

/// Refuse entries that are too many, not made of sectors, or not on the disk.
fn check(entries: &[Entry], most: usize, size: u64) -> Result<(), GptError> {
    if entries.len() > most {
        return Err(GptError::Many { count: entries.len(), most });
    }
    for entry in entries {
        let Entry { kind, start, len, .. } = *entry;
        let name = || format!("type {kind:#04x}");
        if start % SECTOR != 0 || len % SECTOR != 0 || (len == 0 && kind != mbr_kind::NONE) {
            return Err(GptError::Unaligned { name: name(), start, len });
        }
        // An entry of an ISO image may hold the table itself.
        if start.checked_add(len).is_none_or(|end| end > size) {
            return Err(GptError::Outside { name: name(), start, len, first: 0, end: size });
        }
    }
    Ok(())
}

fn sector(mbr: &Mbr) -> ProtectiveMBR {
    let mut sector = ProtectiveMBR::new();
    sector.set_disk_signature(mbr.signature.to_le_bytes());
    if let Some(code) = &mbr.code {
        sector.set_bootcode(**code);
    }
    sector
}

fn record(entry: &Entry) -> Result<PartRecord, GptError> {
    let (start, len) = (entry.start / SECTOR, entry.len / SECTOR);
    let narrow = |sectors| u32::try_from(sectors).map_err(|_| GptError::TooFar { start: entry.start, len: entry.len });
    let [start_head, start_sector, start_track] = chs(start);
    let [end_head, end_sector, end_track] = chs((start + len).saturating_sub(1));
    Ok(PartRecord {
        boot_indicator: flag(entry.active),
        start_head,
        start_sector,
        start_track,
        os_type: entry.kind,
        end_head,
        end_sector,
        end_track,
        lb_start: narrow(start)?,
        lb_size: narrow(len)?,
    })
}

fn flag(active: bool) -> u8 {
    if active { 0x80 } else { 0 }
}

/// Say a sector's number as head, sector and cylinder, as an MBR has them.
fn chs(sector: u64) -> [u8; 3] {
    let (heads, track) = GEOMETRY;
    let (cylinder, head, sector) = (sector / track / heads, sector / track % heads, sector % track + 1);
    if cylinder > 1023 {
        return BEYOND;
    }
    let byte = |value| u8::try_from(value).unwrap_or_default();
    [byte(head), byte(sector | cylinder >> 8 << 6), byte(cylinder & 0xff)]
}
