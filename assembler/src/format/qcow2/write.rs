//! A disk to a qcow2 file.

use std::io::{self, Seek, SeekFrom, Write};

use flate2::{Compress, FlushCompress, Status};
use zerocopy::IntoBytes;

use super::Qcow2Error;
use super::layout::{
    CLUSTER, CLUSTER_BITS, COMPRESSION_TYPE, COPIED, COUNTS, DEFLATE, ENTRIES, Entry, Extension, FEATURE_NAME_LEN,
    FEATURE_NAMES, FeatureName, HEADER_LEN, Header, LARGEST, MAGIC, REFCOUNT_ORDER, VERSION, ZSTD,
};
use crate::format::blocks;
use crate::format::sparse::Sparse;

/// How clusters are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Deflate, level 6, which every reader of qcow2 knows.
    Zlib,
    /// Zstandard, level 3, for QEMU 5.1 and later.
    Zstd,
}

/// Window of deflated clusters as a power of two: readers keep no more.
const WINDOW_BITS: u8 = 12;

/// How many clusters that do not shrink wait until the packed ones end at a cluster's end.
const WAITING: usize = 16;

/// Lay a disk out as a qcow2 without compression. No byte of it is read, and clusters without bytes have no place.
///
/// In: `disk`, a multiple of 512 bytes long. Out: the file, whose clusters are `disk`'s own extents; its length is a multiple of 64 KiB.
///
/// # Errors
///
/// - [`Qcow2Error::Sector`], [`Qcow2Error::TooLarge`].
///
/// # Source
///
/// QEMU, `docs/interop/qcow2.rst`.
pub fn plain(disk: &Sparse) -> Result<Sparse, Qcow2Error> {
    check(disk)?;
    let numbers: Vec<u64> = disk.blocks(CLUSTER).collect();
    let tables = Tables::plan(disk.size(), tables_of(&numbers), 1, 1 + numbers.len() as u64);
    let data = (1 + tables.clusters()) * CLUSTER;
    let place = |(at, number): (usize, &u64)| (*number, Entry::Plain { offset: data + at as u64 * CLUSTER });
    let entries: Vec<_> = numbers.iter().enumerate().map(place).collect();

    let mut file = Sparse::new(tables.total * CLUSTER);
    file.put_bytes(0, tables.header(DEFLATE))?;
    file.put(CLUSTER, &tables.build(&entries, &[])?)?;
    // Clusters that follow each other on the disk do so in the file.
    let mut at = data;
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        let len = run.len() as u64 * CLUSTER;
        file.put(at, &disk.slice(run.first().map_or(0, |number| number * CLUSTER), len))?;
        at += len;
    }
    Ok(file)
}

/// Write a disk as a qcow2 of packed clusters. Clusters without bytes are not read; those of zeros have no place either, and those that
/// do not shrink stand as they are.
///
/// In: `disk`, a multiple of 512 bytes long; `out`, empty. The bytes do not depend on `jobs`.
///
/// # Errors
///
/// - [`Qcow2Error::Sector`], [`Qcow2Error::TooLarge`].
/// - [`Qcow2Error::Io`]: `disk` could not be read, or `out` refused bytes; it is unusable.
///
/// # Source
///
/// QEMU, `docs/interop/qcow2.rst`, "Compressed Clusters Descriptor".
pub fn compressed(
    disk: &Sparse,
    compression: Compression,
    jobs: usize,
    out: &mut (impl Write + Seek),
) -> Result<(), Qcow2Error> {
    check(disk)?;
    out.seek(SeekFrom::Start(CLUSTER))?;
    let mut pile = Pile { out: &mut *out, at: CLUSTER, entries: Vec::new(), counts: vec![1], waiting: Vec::new() };
    // The lengths of a block and of a cluster are the same number.
    let block = 1 << CLUSTER_BITS;
    blocks::pack(
        disk,
        block,
        jobs,
        || Packer::new(compression),
        Packer::pack,
        |number, packed| match packed {
            Packed::Small(bytes) => pile.small(number, &bytes),
            Packed::Whole(bytes) => pile.whole(number, bytes),
        },
    )?;
    pile.flush()?;
    let Pile { mut entries, counts, .. } = pile;
    // Those that waited came late.
    entries.sort_unstable_by_key(|(number, _)| *number);

    let used = counts.len() as u64;
    let numbers: Vec<u64> = entries.iter().map(|(number, _)| *number).collect();
    let tables = Tables::plan(disk.size(), tables_of(&numbers), used, used);
    io::copy(&mut tables.build(&entries, &counts)?.reader(), out)?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&tables.header(if compression == Compression::Zstd { ZSTD } else { DEFLATE }))?;
    Ok(())
}

/// Refuse what cannot be said.
fn check(disk: &Sparse) -> Result<(), Qcow2Error> {
    let size = disk.size();
    match size {
        _ if !size.is_multiple_of(512) => Err(Qcow2Error::Sector { size }),
        _ if size > LARGEST => Err(Qcow2Error::TooLarge { size }),
        _ => Ok(()),
    }
}

/// Count the L2 tables that sorted clusters need.
fn tables_of(numbers: &[u64]) -> u64 {
    numbers.chunk_by(|a, b| a / ENTRIES == b / ENTRIES).count() as u64
}

/// Where the tables stand, which follow each other: L1, all L2, refcount table, refcount blocks. All in clusters.
#[derive(Debug)]
struct Tables {
    /// Bytes of the disk.
    size: u64,
    /// Where they start.
    at: u64,
    l1: u64,
    l2: u64,
    refcount_table: u64,
    refcount_blocks: u64,
    /// Clusters of the whole file.
    total: u64,
}

impl Tables {
    /// Find out how many there are, next to so many `others`: they count themselves, too.
    fn plan(size: u64, l2: u64, at: u64, others: u64) -> Self {
        let l1 = size.div_ceil(CLUSTER * ENTRIES).div_ceil(ENTRIES);
        let mut tables = Self { size, at, l1, l2, refcount_table: 1, refcount_blocks: 1, total: 0 };
        loop {
            tables.total = others + tables.clusters();
            let (blocks, table) = (tables.refcount_blocks, tables.refcount_table);
            tables.refcount_blocks = tables.total.div_ceil(COUNTS);
            tables.refcount_table = tables.refcount_blocks.div_ceil(ENTRIES);
            if (blocks, table) == (tables.refcount_blocks, tables.refcount_table) {
                return tables;
            }
        }
    }

    fn clusters(&self) -> u64 {
        self.l1 + self.l2 + self.refcount_table + self.refcount_blocks
    }

    fn l2_at(&self) -> u64 {
        self.at + self.l1
    }

    fn refcounts_at(&self) -> u64 {
        self.l2_at() + self.l2
    }

    /// Fill them. In: where each cluster is, sorted; how many refer to each cluster of the file, as far as it is not one.
    fn build(&self, entries: &[(u64, Entry)], counts: &[u16]) -> Result<Sparse, Qcow2Error> {
        let mut tables = Sparse::new(self.clusters() * CLUSTER);
        let mut l1 = vec![0; usize_of(self.size.div_ceil(CLUSTER * ENTRIES))];
        for (at, group) in entries.chunk_by(|(a, _), (b, _)| a / ENTRIES == b / ENTRIES).enumerate() {
            let place = (self.l2_at() + at as u64) * CLUSTER;
            let mut l2 = vec![0; usize_of(ENTRIES)];
            for (number, entry) in group {
                set(&mut l2, number % ENTRIES, entry.bits());
                set(&mut l1, number / ENTRIES, COPIED | place);
            }
            tables.put_bytes(place - self.at * CLUSTER, bytes(&l2))?;
        }
        tables.put_bytes(0, bytes(&l1))?;

        let table = self.refcounts_at();
        let blocks = table + self.refcount_table;
        let places: Vec<u64> = (blocks..blocks + self.refcount_blocks).map(|cluster| cluster * CLUSTER).collect();
        tables.put_bytes((table - self.at) * CLUSTER, bytes(&places))?;
        let ones = usize_of(self.total).saturating_sub(counts.len());
        let counts = counts.iter().copied().chain(std::iter::repeat_n(1, ones));
        let counts: Vec<u8> = counts.flat_map(u16::to_be_bytes).collect();
        tables.put_bytes((blocks - self.at) * CLUSTER, counts)?;
        Ok(tables)
    }

    /// Write the header and its extensions.
    fn header(&self, compression: u8) -> Vec<u8> {
        let [l1_entries, refcounts_clusters] =
            [self.size.div_ceil(CLUSTER * ENTRIES), self.refcount_table].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let feature = if compression == DEFLATE { 0 } else { COMPRESSION_TYPE };
        let header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            backing_offset: 0.into(),
            backing_len: 0.into(),
            cluster_bits: CLUSTER_BITS.into(),
            size: self.size.into(),
            crypt: 0.into(),
            l1_entries: l1_entries.into(),
            l1_offset: (self.at * CLUSTER).into(),
            refcounts_offset: (self.refcounts_at() * CLUSTER).into(),
            refcounts_clusters: refcounts_clusters.into(),
            snapshots: 0.into(),
            snapshots_offset: 0.into(),
            incompatible: feature.into(),
            compatible: 0.into(),
            autoclear: 0.into(),
            refcount_order: REFCOUNT_ORDER.into(),
            header_len: HEADER_LEN.into(),
            compression,
            reserved: [0; 7],
        };
        let mut bytes = header.as_bytes().to_vec();
        if feature != 0 {
            let mut name = [0; 46];
            name.iter_mut().zip(b"compression type").for_each(|(slot, byte)| *slot = *byte);
            let name = FeatureName { field: 0, bit: 3, name };
            let head = Extension { kind: FEATURE_NAMES.into(), len: FEATURE_NAME_LEN.into() };
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes.extend_from_slice(Extension::default().as_bytes());
        bytes
    }
}

/// Numbers here are below [`LARGEST`] in clusters: they fit on machines that hold such a table.
fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn set(table: &mut [u64], at: u64, value: u64) {
    if let Some(slot) = table.get_mut(usize_of(at)) {
        *slot = value;
    }
}

fn bytes(table: &[u64]) -> Vec<u8> {
    table.iter().flat_map(|entry| entry.to_be_bytes()).collect()
}

/// What became of a cluster.
enum Packed {
    /// It is shorter now.
    Small(Vec<u8>),
    /// It does not shrink.
    Whole(Vec<u8>),
}

/// Packs one cluster after the other; none depends on those before.
enum Packer {
    Zlib(Box<Compress>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Packer {
    fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zlib => {
                let level = flate2::Compression::new(6);
                Self::Zlib(Box::new(Compress::new_with_window_bits(level, false, WINDOW_BITS)))
            }
            Compression::Zstd => Self::Zstd(zstd::bulk::Compressor::new(3)?),
        })
    }

    fn pack(&mut self, cluster: &[u8]) -> io::Result<Packed> {
        let small = match self {
            Self::Zlib(state) => {
                state.reset();
                // It is given no room to grow.
                let mut packed = Vec::with_capacity(cluster.len().saturating_sub(1));
                let status =
                    state.compress_vec(cluster, &mut packed, FlushCompress::Finish).map_err(io::Error::other)?;
                (status == Status::StreamEnd).then_some(packed)
            }
            Self::Zstd(state) => Some(state.compress(cluster)?).filter(|packed| packed.len() < cluster.len()),
        };
        Ok(small.map_or_else(|| Packed::Whole(cluster.to_vec()), Packed::Small))
    }
}

/// The clusters of the file, as they are written.
struct Pile<'o, W> {
    out: &'o mut W,
    /// Where the next packed one goes, in bytes.
    at: u64,
    entries: Vec<(u64, Entry)>,
    /// How many refer to each cluster of the file.
    counts: Vec<u16>,
    /// Those that do not shrink. They need a cluster of their own, and the packed ones must follow each other: where these happen to
    /// end near a cluster's end, less is lost than behind any of them.
    waiting: Vec<(u64, Vec<u8>)>,
}

impl<W: Write> Pile<'_, W> {
    fn small(&mut self, number: u64, bytes: &[u8]) -> Result<(), Qcow2Error> {
        let len = bytes.len() as u64;
        let room = self.at.next_multiple_of(CLUSTER) - self.at;
        if !self.waiting.is_empty() && len > room {
            self.flush()?;
        }
        self.out.write_all(bytes)?;
        self.entries.push((number, Entry::Packed { offset: self.at, len }));
        let (first, end) = (self.at / CLUSTER, (self.at + len).div_ceil(CLUSTER));
        self.counts.resize(usize_of(end), 0);
        for count in self.counts.iter_mut().skip(usize_of(first)) {
            *count += 1;
        }
        self.at += len;
        Ok(())
    }

    fn whole(&mut self, number: u64, bytes: Vec<u8>) -> Result<(), Qcow2Error> {
        self.waiting.push((number, bytes));
        if self.waiting.len() < WAITING { Ok(()) } else { self.flush() }
    }

    /// Fill the last cluster with zeros, and write what waits.
    fn flush(&mut self) -> Result<(), Qcow2Error> {
        let end = self.at.next_multiple_of(CLUSTER);
        self.out.write_all(&vec![0; usize_of(end - self.at)])?;
        self.at = end;
        for (number, bytes) in self.waiting.drain(..) {
            self.out.write_all(&bytes)?;
            self.entries.push((number, Entry::Plain { offset: self.at }));
            self.counts.push(1);
            self.at += CLUSTER;
        }
        Ok(())
    }
}
