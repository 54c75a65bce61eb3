//! What is on a disk or partition. In: its bytes, which may be anything. Out: what it holds. Reads at its two ends only, so much and no more.

mod superblock;

use std::io;

use hullkit_init::contract::storage::{Format, OWN_PREFIX};
use hullkit_init::disk::Disk;
use hullkit_init::disk::gpt::{self, Table};

use crate::marker::Marker;

/// Bytes at each end that have to be zeros for a disk to be empty: more than what any file system, volume manager or table keeps there.
pub(crate) const END: u64 = 1 << 20;

/// Most partitions that messages name.
const SHOWN: usize = 16;

/// What a disk or partition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// Zeros at both ends.
    Nothing,
    /// What was begun here and not finished.
    Unfinished,
    /// Partitions.
    Table(Table),
    /// A file system, or what else is known by its superblock.
    Volume(Found),
    /// Something else.
    Unknown,
}

/// What a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Its label, printable; often empty.
    pub label: String,
    /// Its length in bytes, if that is said.
    pub size: Option<u64>,
    /// Bytes of a block of it.
    pub block: u64,
    /// Percent of it that inodes of XFS may take; none for others.
    pub inodes_percent: u32,
}

/// What is known by a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What can be made here.
    Format(Format),
    /// LUKS2
    Luks,
    /// What cannot: its name.
    Other(&'static str),
}

impl Kind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Format(format) => format.name(),
            Self::Luks => "LUKS2",
            Self::Other(name) => name,
        }
    }
}

/// Look at both ends of a disk.
///
/// # Errors
///
/// The kernel's, if it cannot be read.
pub fn probe(disk: &dyn Disk) -> io::Result<Holds> {
    if Marker::End.is_on(disk)? || Marker::Gap.is_on(disk)? {
        return Ok(Holds::Unfinished);
    }
    let length = END.min(disk.size());
    let bytes = usize::try_from(length).unwrap_or_default();
    let head = disk.part(0, bytes)?.unwrap_or_default();
    let table = gpt::read(disk)?;
    // A table at the end alone may be older than the file system that was made over the one at the start.
    match (table, superblock::read(&head)) {
        (Some(table), _) if !table.backup => Ok(Holds::Table(table)),
        (_, Some(found)) => Ok(Holds::Volume(found)),
        (Some(table), None) => Ok(Holds::Table(table)),
        (None, None) => {
            let tail = disk.part(disk.size() - length, bytes)?.unwrap_or_default();
            let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
            Ok(if zero(&head) && zero(&tail) { Holds::Nothing } else { Holds::Unknown })
        }
    }
}

impl Holds {
    /// Tell whether a Hullkit host boots from the disk.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Table(table) if table.partitions.iter().any(|one| one.label.starts_with(OWN_PREFIX)))
    }

    /// The label of the file system.
    pub(crate) fn label(&self) -> Option<&str> {
        if let Self::Volume(found) = self { Some(&found.label) } else { None }
    }
}

/// For people.
impl std::fmt::Display for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Unfinished => f.write_str("what was begun here and not finished"),
            Self::Unknown => f.write_str("something that is not known here"),
            Self::Volume(found) if found.label.is_empty() => f.write_str(found.kind.name()),
            Self::Volume(found) => write!(f, "{} LABEL={}", found.kind.name(), found.label),
            Self::Table(table) => {
                let names = table.partitions.iter().take(SHOWN).map(|partition| format!("`{}`", partition.label));
                let names = names.collect::<Vec<_>>().join(", ");
                let more = if table.partitions.len() > SHOWN { ", …" } else { "" };
                if names.is_empty() { f.write_str("gpt without partitions") } else { write!(f, "gpt of {names}{more}") }
            }
        }
    }
}
