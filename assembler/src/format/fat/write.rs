//! Files to a volume.

use std::collections::BTreeSet;
use std::ops::Range;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromZeros, IntoBytes};

use super::FatError;
use super::geometry::{self, Geometry, Kind, TABLES};
use super::layout::{
    ARCHIVE, BACKUP, BootSector, DIRECTORY, ENTRY, EXTENDED, Entry, Extension, FSINFO, Fat32, FsInfo, LABEL, MEDIA,
    SECTOR, SIGNATURE,
};
use super::name::{self, Short};
use super::time::Time;
use super::tree::{Node, Places, Tree};
use crate::format::sparse::Sparse;

/// What a program that is started from the boot sector does: `int 0x18`, which asks the BIOS for the next disk; if it comes
/// back, `hlt`, for ever.
const NO_BOOT: [u8; 5] = [0xcd, 0x18, 0xf4, 0xeb, 0xfd];
/// Sectors of a track and heads, so that a megabyte is one cylinder.
const GEOMETRY: (u16, u16) = (32, 64);

/// What a volume is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which FAT; if not said, the smallest volume that will do, or the smallest tables for `size`.
    pub kind: Option<Kind>,
    /// Length in bytes, of which whole sectors are used; if not said, the least.
    pub size: Option<u64>,
    /// Where the volume will start on its disk, in bytes; 0 without a partition table.
    pub start: u64,
    /// Name, at most 11 characters of `A-Z`, `0-9`, ` `, `-` and `_`; empty for none.
    pub label: String,
    /// Serial number.
    pub serial: u32,
    /// Time of all files, seconds since 1970, in steps of two; what is before 1980 becomes its start.
    pub time: u32,
}

/// A volume.
#[derive(Debug)]
pub struct Volume {
    /// Its bytes.
    pub image: Sparse,
    /// Which FAT it is.
    pub kind: Kind,
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Bytes of the volume that each file takes, in the order they were given: starts at a multiple of [`super::ALIGN`], has
    /// the file's length.
    pub files: Vec<Range<u64>>,
}

/// Tell how long a volume must be at least for files and one more file of `reserve` bytes.
///
/// Out: bytes, a multiple of 4096.
///
/// # Errors
///
/// - As [`write()`].
pub fn size_for(files: &[(&str, &Sparse)], reserve: u64, kind: Option<Kind>) -> Result<u64, FatError> {
    // With a name, whether or not it will have one: that is one entry in the root.
    let tree = Tree::new(files, true, reserve)?;
    Ok(geometry::least(kinds(kind.as_ref()), &tree)?.bytes())
}

/// Write a volume that holds files; their directories are made.
///
/// In: paths, parts separated by `/`, relative to the root, each once. No byte of a file is read. Equal files, in equal order, and
/// equal options give equal volumes.
///
/// # Errors
///
/// - [`FatError::FileTooLarge`], [`FatError::Name`], [`FatError::Same`], [`FatError::Directory`], [`FatError::Label`].
/// - [`FatError::TooSmall`]: the size does not do, or is too small for the kind.
/// - [`FatError::TooLarge`]: no size would do.
pub fn write(files: &[(&str, &Sparse)], options: &Options) -> Result<Volume, FatError> {
    let label = label(&options.label)?;
    let tree = Tree::new(files, label.is_some(), 0)?;
    let kinds = kinds(options.kind.as_ref());
    let geometry = match options.size {
        None => geometry::least(kinds, &tree)?,
        Some(size) => geometry::fit(kinds, size, &tree)?,
    };
    let size = options.size.unwrap_or_else(|| geometry.bytes());
    let places = tree.places(geometry.kind, geometry.cluster_bytes());
    let mut writer = Writer { geometry, tree, places, options, label, image: Sparse::new(size) };
    writer.head()?;
    writer.tables()?;
    writer.directories()?;
    let mut placed = Vec::with_capacity(files.len());
    for ((_, contents), clusters) in files.iter().zip(&writer.places.files) {
        let start = geometry.place(clusters.start);
        writer.image.put(start, contents)?;
        placed.push(start..start + contents.size());
    }
    Ok(Volume { image: writer.image, kind: geometry.kind, cluster: geometry.cluster_bytes(), files: placed })
}

struct Writer<'o> {
    geometry: Geometry,
    tree: Tree,
    places: Places,
    options: &'o Options,
    label: Option<Short>,
    image: Sparse,
}

impl Writer<'_> {
    /// Write the boot sector, and what FAT32 has beside it.
    fn head(&mut self) -> Result<(), FatError> {
        let boot = self.boot_sector();
        self.image.put_bytes(0, boot)?;
        if self.geometry.kind != Kind::Fat32 {
            return Ok(());
        }
        let used = self.places.directories.iter().chain(&self.places.files).map(|range| range.end - range.start);
        let mut info = FsInfo::new_zeroed();
        (info.lead, info.structure) = (*b"RRaA", *b"rrAa");
        info.free = narrow32(self.geometry.clusters - used.sum::<u64>());
        info.next = narrow32(self.places.end.min(self.geometry.clusters + 1));
        info.trail = [0, 0, SIGNATURE[0], SIGNATURE[1]];
        self.image.put_bytes(u64::from(FSINFO) * SECTOR, info.as_bytes())?;
        self.image.put_bytes(u64::from(BACKUP) * SECTOR, boot)?;
        Ok(self.image.put_bytes(u64::from(BACKUP + FSINFO) * SECTOR, info.as_bytes())?)
    }

    fn boot_sector(&self) -> [u8; 512] {
        let geometry = &self.geometry;
        let (wide, sectors) = (geometry.kind == Kind::Fat32, geometry.sectors());
        let short = !wide && u16::try_from(sectors).is_ok();
        let mut bytes = Vec::with_capacity(512);
        // The jump counts from the byte behind its second one.
        let code: u8 = if wide { 0x5a } else { 0x3e };
        let head = BootSector {
            jump: [0xeb, code - 2, 0x90],
            system: *b"HULLKIT ",
            sector: narrow16(SECTOR),
            cluster: u8::try_from(geometry.cluster).unwrap_or_default(),
            reserved: narrow16(geometry.reserved),
            tables: 2,
            root_entries: narrow16(geometry.root * (SECTOR / ENTRY)),
            sectors16: if short { narrow16(sectors) } else { U16::ZERO },
            media: MEDIA,
            table16: if wide { U16::ZERO } else { narrow16(geometry.table) },
            track: U16::new(GEOMETRY.0),
            heads: U16::new(GEOMETRY.1),
            hidden: narrow32(self.options.start / SECTOR),
            sectors32: if short { U32::ZERO } else { narrow32(sectors) },
        };
        bytes.extend_from_slice(head.as_bytes());
        if wide {
            let mut fields = Fat32::new_zeroed();
            (fields.table, fields.root) = (narrow32(geometry.table), narrow32(self.places.directories[0].start));
            (fields.info, fields.backup) = (FSINFO.into(), BACKUP.into());
            bytes.extend_from_slice(fields.as_bytes());
        }
        let mut kind = *b"FAT     ";
        kind[..5].copy_from_slice(geometry.kind.name().as_bytes());
        let extension = Extension {
            drive: 0x80,
            flags: 0,
            signature: EXTENDED,
            serial: self.options.serial.into(),
            label: self.label.unwrap_or(*b"NO NAME    "),
            kind,
        };
        bytes.extend_from_slice(extension.as_bytes());
        bytes.extend_from_slice(&NO_BOOT);
        bytes.resize(510, 0);
        bytes.extend_from_slice(&SIGNATURE);
        bytes.try_into().unwrap_or([0; 512])
    }

    /// Write both tables up to their last used entry; behind that, all clusters are free.
    fn tables(&mut self) -> Result<(), FatError> {
        let bits = self.geometry.kind.bits();
        let end = 0x0fff_ffff_u32 >> (28 - bits.min(28));
        let mut entries = vec![end; usize::try_from(self.places.end).unwrap_or_default()];
        // The first entry repeats the media byte, the second one says that the volume is clean.
        entries[0] = end & !0xff | u32::from(MEDIA);
        let mut next = 2;
        for range in self.places.directories.iter().chain(&self.places.files) {
            // Free, for alignment.
            (next..range.start).for_each(|cluster| entries[index(cluster)] = 0);
            (range.start + 1..range.end).for_each(|cluster| entries[index(cluster - 1)] = narrow32(cluster).get());
            next = next.max(range.end);
        }
        let bytes = packed(&entries, bits);
        for table in 0..TABLES {
            let sector = self.geometry.reserved + table * self.geometry.table;
            self.image.put_bytes(sector * SECTOR, &bytes[..])?;
        }
        Ok(())
    }

    /// Write all directories.
    fn directories(&mut self) -> Result<(), FatError> {
        for index in 0..self.tree.directories.len() {
            let start = match self.places.directories[index] {
                // Before the first cluster, on FAT12 and FAT16.
                ref root if root.is_empty() => (self.geometry.data() - self.geometry.root) * SECTOR,
                ref clusters => self.geometry.place(clusters.start),
            };
            let bytes = self.directory(index)?;
            self.image.put_bytes(start, bytes)?;
        }
        Ok(())
    }

    fn directory(&self, index: usize) -> Result<Vec<u8>, FatError> {
        let directory = &self.tree.directories[index];
        let mut bytes = Vec::new();
        if index > 0 {
            // The root is 0 here, wherever it is.
            let parent = if directory.parent == 0 { 0 } else { self.places.directories[directory.parent].start };
            let own = self.places.directories[index].start;
            for (name, cluster) in [(*b".          ", own), (*b"..         ", parent)] {
                bytes.extend_from_slice(self.entry(name, DIRECTORY, cluster, 0).as_bytes());
            }
        } else if let Some(label) = self.label {
            let mut entry = self.entry(label, LABEL, 0, 0);
            (entry.created, entry.created_hundredths, entry.accessed) = ([U16::ZERO; 2], 0, U16::ZERO);
            bytes.extend_from_slice(entry.as_bytes());
        }
        let mut taken = directory.names.values().filter_map(|(part, _)| name::exact(part)).collect::<BTreeSet<_>>();
        for (part, node) in directory.names.values() {
            let short = match name::exact(part) {
                Some(short) => short,
                None => {
                    let what = "a million other names of its directory begin alike";
                    let path = || directory.path.clone();
                    let found = name::alias(part, &taken);
                    let short = found.ok_or_else(|| FatError::Name { path: path(), name: part.clone(), what })?;
                    name::long(part, &short).iter().for_each(|entry| bytes.extend_from_slice(entry.as_bytes()));
                    taken.insert(short);
                    short
                }
            };
            let entry = match *node {
                Node::Directory(index) => self.entry(short, DIRECTORY, self.places.directories[index].start, 0),
                Node::File(index) => {
                    let (clusters, size) = (&self.places.files[index], self.tree.sizes[index]);
                    self.entry(short, ARCHIVE, if clusters.is_empty() { 0 } else { clusters.start }, size)
                }
            };
            bytes.extend_from_slice(entry.as_bytes());
        }
        Ok(bytes)
    }

    fn entry(&self, name: Short, attributes: u8, cluster: u64, size: u64) -> Entry {
        let time = Time::new(self.options.time);
        Entry {
            name,
            attributes,
            reserved: 0,
            created_hundredths: time.hundredths,
            created: [time.time, time.date],
            accessed: time.date,
            cluster_high: narrow16(cluster >> 16),
            changed: [time.time, time.date],
            cluster_low: narrow16(cluster & 0xffff),
            size: narrow32(size),
        }
    }
}

/// Write the entries of a table in 12, 16 or 32 bits each.
fn packed(entries: &[u32], bits: u64) -> Vec<u8> {
    match bits {
        // Two entries in three bytes.
        12 => entries
            .chunks(2)
            .flat_map(|pair| {
                (pair[0] | pair.get(1).copied().unwrap_or_default() << 12).to_le_bytes().into_iter().take(3)
            })
            .collect(),
        16 => entries.iter().flat_map(|entry| entry.to_le_bytes().into_iter().take(2)).collect(),
        _ => entries.iter().flat_map(|entry| entry.to_le_bytes()).collect(),
    }
}

/// Give a volume's name as it is written; none if it is empty.
fn label(label: &str) -> Result<Option<Short>, FatError> {
    let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" -_".contains(&byte);
    if label.len() > 11 || !label.bytes().all(legal) || label.starts_with(' ') {
        return Err(FatError::Label { label: label.to_owned() });
    }
    let padded = format!("{label:<11}").into_bytes();
    Ok(padded.try_into().ok().filter(|_| !label.is_empty()))
}

/// List the kinds that will do.
fn kinds(kind: Option<&Kind>) -> &[Kind] {
    kind.map_or(&Kind::ALL, std::slice::from_ref)
}

/// Give a number that was seen to fit: the geometry and the tree have their limits.
fn narrow32(value: u64) -> U32 {
    U32::new(u32::try_from(value).unwrap_or(u32::MAX))
}

/// As [`narrow32`].
fn narrow16(value: u64) -> U16 {
    U16::new(u16::try_from(value).unwrap_or(u16::MAX))
}

/// Give the place of a cluster in a table that is in memory.
fn index(cluster: u64) -> usize {
    usize::try_from(cluster).unwrap_or_default()
}
