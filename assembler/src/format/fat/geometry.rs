//! How large tables and clusters are.

use super::layout::{ENTRY, SECTOR};
use super::{ALIGN, FatError};

/// Tables of a volume; readers fall back on the second one.
pub(super) const TABLES: u64 = 2;
/// Entries of the root directory of FAT12 and FAT16, unless more are needed.
const ROOT_ENTRIES: u64 = 512;
/// Sectors of a cluster, in the order they are tried: 4 KiB is what everyone is used to, and aligns files for nothing.
const CLUSTERS: [u64; 7] = [8, 16, 32, 64, 4, 2, 1];
/// Clusters above which larger ones are tried: tables of more than 8 MiB are slow to search.
const MANY: u64 = 1 << 21;
/// Most sectors: they are numbered in 32 bits.
const SECTORS_MAX: u64 = u32::MAX as u64;

/// Which FAT. The number of clusters alone tells readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Table entries of 12 bits: up to 16 MiB in clusters of 4 KiB.
    Fat12,
    /// Of 16 bits: up to 256 MiB in clusters of 4 KiB, at least 2 MiB.
    Fat16,
    /// Of 28 bits: at least 33 MiB.
    Fat32,
}

impl Kind {
    /// Every kind, smaller tables first.
    pub(super) const ALL: [Self; 3] = [Self::Fat12, Self::Fat16, Self::Fat32];

    /// Give the name, as boot sectors have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
        }
    }

    /// Give the least and the largest number of clusters.
    ///
    /// Sixteen away from the true limits: not all readers have them exactly (FAT 1.03, "FAT Type Determination").
    fn clusters(self) -> (u64, u64) {
        match self {
            Self::Fat12 => (1, 4084 - 16),
            Self::Fat16 => (4085 + 16, 65_524 - 16),
            Self::Fat32 => (65_525 + 16, 0x0fff_fff4 - 16),
        }
    }

    /// Give the bits of a table's entry.
    pub(super) fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    /// Give the least sectors before the tables.
    fn reserved(self) -> u64 {
        if self == Self::Fat32 { 32 } else { 1 }
    }
}

/// The parts of a volume, in sectors unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) kind: Kind,
    /// Sectors of a cluster.
    pub(super) cluster: u64,
    /// Number of clusters.
    pub(super) clusters: u64,
    /// Sectors before the first table.
    pub(super) reserved: u64,
    /// Sectors of one table.
    pub(super) table: u64,
    /// Sectors of the root directory; 0 on FAT32.
    pub(super) root: u64,
}

impl Geometry {
    /// Lay out a volume of so many clusters; `entries` is what the root directory needs.
    fn new(kind: Kind, cluster: u64, clusters: u64, entries: u64) -> Self {
        let table = ((clusters + 2) * kind.bits()).div_ceil(SECTOR * 8);
        let per_sector = SECTOR / ENTRY;
        let root = if kind == Kind::Fat32 { 0 } else { entries.max(ROOT_ENTRIES).div_ceil(per_sector) };
        let head = kind.reserved() + TABLES * table + root;
        let reserved = kind.reserved() + head.next_multiple_of(ALIGN / SECTOR) - head;
        Self { kind, cluster, clusters, reserved, table, root }
    }

    /// Give the sector of the first cluster.
    pub(super) fn data(&self) -> u64 {
        self.reserved + TABLES * self.table + self.root
    }

    /// Give the sectors of the volume.
    pub(super) fn sectors(&self) -> u64 {
        self.data() + self.clusters * self.cluster
    }

    /// Give the bytes of the volume, whole blocks of [`ALIGN`].
    pub(super) fn bytes(&self) -> u64 {
        (self.sectors() * SECTOR).next_multiple_of(ALIGN)
    }

    /// Give the bytes of a cluster.
    pub(super) fn cluster_bytes(&self) -> u64 {
        self.cluster * SECTOR
    }

    /// Give the byte of the volume at which a cluster starts; the first one has the number 2.
    pub(super) fn place(&self, cluster: u64) -> u64 {
        (self.data() + (cluster - 2) * self.cluster) * SECTOR
    }
}

/// What a volume must have room for.
pub(super) trait Need {
    /// Count the clusters of so many bytes that all is in, for one of the kinds.
    fn clusters(&self, kind: Kind, cluster: u64) -> u64;
    /// Count the entries of the root directory.
    fn root(&self) -> u64;
}

/// Lay out the smallest volume; of equal ones, that which comes first in `kinds` and then in [`CLUSTERS`].
pub(super) fn least(kinds: &[Kind], need: &dyn Need) -> Result<Geometry, FatError> {
    let mut best: Option<Geometry> = None;
    for kind in kinds {
        for cluster in CLUSTERS {
            let (least, most) = kind.clusters();
            let clusters = need.clusters(*kind, cluster * SECTOR).max(least);
            if clusters > most {
                continue;
            }
            let geometry = Geometry::new(*kind, cluster, clusters, need.root());
            let smaller = best.is_none_or(|best| geometry.sectors() < best.sectors());
            if smaller && geometry.sectors() <= SECTORS_MAX {
                best = Some(geometry);
            }
        }
    }
    best.ok_or(FatError::TooLarge { kind: name(kinds) })
}

/// Lay out a volume of at most `size` bytes that all is in.
pub(super) fn fit(kinds: &[Kind], size: u64, need: &dyn Need) -> Result<Geometry, FatError> {
    let sectors = (size / SECTOR).min(SECTORS_MAX);
    for comfortable in [true, false] {
        for kind in kinds {
            for cluster in CLUSTERS {
                let (least, most) = kind.clusters();
                let clusters = fill(*kind, cluster, sectors, need.root());
                let too_many = clusters > if comfortable { most.min(MANY) } else { most };
                if clusters < least || (comfortable && too_many) {
                    continue;
                }
                let clusters = clusters.min(most);
                if need.clusters(*kind, cluster * SECTOR) <= clusters {
                    return Ok(Geometry::new(*kind, cluster, clusters, need.root()));
                }
            }
        }
    }
    let least = least(kinds, need)?.bytes();
    Err(FatError::TooSmall { kind: name(kinds), size, least })
}

/// Count the clusters that `sectors` hold, tables and all.
fn fill(kind: Kind, cluster: u64, sectors: u64, entries: u64) -> u64 {
    // More clusters need larger tables, never smaller ones: the largest number that fits is found by halving.
    let (mut fits, mut too_many) = (0, sectors / cluster + 1);
    while too_many - fits > 1 {
        let middle = fits.midpoint(too_many);
        if Geometry::new(kind, cluster, middle, entries).sectors() <= sectors {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    fits
}

fn name(kinds: &[Kind]) -> &'static str {
    match kinds {
        [kind] => kind.name(),
        _ => "FAT",
    }
}
