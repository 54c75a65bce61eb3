//! A [`Tree`] as the one layer of an image.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::error::{PackageError, io_error};
use super::tree::{Entry, Kind, Span, Tree};
use crate::digest::{Digest, Hashing};
use crate::store::Store;

/// Compression of layers: level 6 of zlib.
///
/// gzip, although zstd packs three times as fast: a layer is packed once and pulled often, and every registry, every release
/// of LinuxKit and Docker without its containerd store read gzip.
const LEVEL: Compression = Compression::new(6);

/// A layer in the store.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    /// Digest of the blob.
    pub digest: Digest,
    /// Length of the blob in bytes.
    pub size: u64,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Length of the uncompressed tar in bytes.
    pub unpacked: u64,
}

/// Write the files of an image into the store as a gzip-compressed tar, sorted by path.
///
/// In: `epoch`, the latest time an entry may have, in seconds since 1970; `time`, that of entries without one. Equal trees
/// give equal bytes.
///
/// # Errors
///
/// - [`PackageError::Store`], [`PackageError::Io`].
pub fn write(tree: &Tree, store: &Store, epoch: u64, time: u64) -> Result<Layer, PackageError> {
    let blob = store.writer()?;
    let written = pack(tree, blob, epoch, time).map_err(io_error("write", store.root()))?;
    let (gzip, diff_id, unpacked) = written;
    let blob = gzip.finish().map_err(io_error("write", store.root()))?;
    let (digest, size) = blob.commit(None)?;
    Ok(Layer { digest, size, diff_id, unpacked })
}

/// Write the tar through its hash into the compressor.
fn pack<W: Write>(tree: &Tree, out: W, epoch: u64, time: u64) -> io::Result<(GzEncoder<W>, Digest, u64)> {
    let mut archive = Builder::new(Hashing::new(GzEncoder::new(out, LEVEL)));
    let mut links = BTreeMap::new();
    for (path, entry) in tree.entries() {
        let mtime = entry.mtime.unwrap_or(time).min(epoch);
        append(&mut archive, tree, path, entry, mtime, &mut links)?;
    }
    Ok(archive.into_inner()?.finish())
}

/// Append one entry to a tar.
///
/// In: `links`, the files written so far; a file whose bytes are among them becomes a hard link.
///
/// # Errors
///
/// - [`io::Error`]: the archive or the spool refuses; the archive is unusable afterwards.
///
/// # Source
///
/// POSIX `pax`, "ustar Interchange Format"; GNU tar's long names for what does not fit it.
pub(super) fn append<W: Write>(
    archive: &mut Builder<W>,
    tree: &Tree,
    path: &str,
    entry: &Entry,
    mtime: u64,
    links: &mut BTreeMap<Span, String>,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.gid);
    header.set_mtime(mtime);
    header.set_size(0);
    match &entry.kind {
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, format!("{path}/"), io::empty())
        }
        Kind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, target)
        }
        Kind::File(span) => match links.get(span).filter(|_| span.len > 0) {
            Some(first) => {
                header.set_entry_type(EntryType::Link);
                archive.append_link(&mut header, path, first)
            }
            None => {
                links.insert(*span, path.to_owned());
                header.set_entry_type(EntryType::Regular);
                header.set_size(span.len);
                archive.append_data(&mut header, path, tree.open(*span))
            }
        },
    }
}
