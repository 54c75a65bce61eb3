//! One layer: its bytes as a tar stream, and an index of its members kept in the store.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;

use super::RootfsError;
use super::ahead::Ahead;
use super::record::{Decoder, Encoder};
use crate::digest::Hashing;
use crate::format::tar::Member;
use crate::format::tar::read::{Limits, Reader};
use crate::plan::{Compression, Layer};
use crate::store::Store;

/// First bytes of an index file; the last one is the version of its form.
const MAGIC: &[u8; 5] = b"HKLI\x01";

/// How much of a blob is read at once, in bytes.
const READ: usize = 128 << 10;

/// A layer that has been walked once: its digest was right, and every member is known.
///
/// Holding one proves that the uncompressed bytes hash to the layer's `diff_id`.
#[derive(Debug, Clone)]
pub struct Index {
    path: PathBuf,
}

/// Give a layer's uncompressed tar, as a stream.
///
/// # Errors
///
/// - [`RootfsError::Store`]: the blob is not there.
/// - [`RootfsError::Layer`]: it is not compressed the way its image says.
pub fn open(store: &Store, image: &str, layer: &Layer) -> Result<Box<dyn Read + Send>, RootfsError> {
    let blob = BufReader::with_capacity(READ, store.open_blob(&layer.digest)?);
    Ok(match layer.compression {
        Compression::None => Box::new(blob),
        Compression::Gzip => Box::new(MultiGzDecoder::new(blob)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(blob).map_err(|cause| RootfsError::Layer {
            image: image.to_owned(),
            layer: layer.digest,
            cause: cause.into(),
        })?),
    })
}

/// Find the layer's index in the store, or walk the layer and put it there.
///
/// An index that cannot be read is made anew without a word: nothing depends on it having been there.
///
/// # Errors
///
/// - [`RootfsError::Layer`]: the layer is not a tar, is damaged, or exceeds the limits.
/// - [`RootfsError::DiffId`]: its bytes are not those the image names.
/// - [`RootfsError::Store`], [`RootfsError::Cache`].
pub fn index(store: &Store, image: &str, layer: &Layer, limits: Limits) -> Result<Index, RootfsError> {
    let index = Index { path: store.folder("layers").join(layer.diff_id.hex()) };
    if index.is_whole(layer) {
        return Ok(index);
    }
    let mut out = store.temporary()?;
    out.write_all(MAGIC).and_then(|()| out.write_all(layer.diff_id.bytes())).map_err(index.unwritten())?;
    let frame = zstd::Encoder::new(BufWriter::new(&mut out), 1)
        .and_then(|mut frame| frame.include_checksum(true).map(|()| frame))
        .map_err(index.unwritten())?;
    let mut encoder = Encoder::new(frame);
    walk(store, image, layer, limits, |member| encoder.append(member).map_err(index.unwritten()))?;
    encoder.finish().and_then(|frame| frame.finish()?.flush()).map_err(index.unwritten())?;
    out.persist(&index.path)?;
    Ok(index)
}

/// Read a whole layer once, hand out its members, and check its digest.
fn walk(
    store: &Store,
    image: &str,
    layer: &Layer,
    limits: Limits,
    mut each: impl FnMut(&Member) -> Result<(), RootfsError>,
) -> Result<(), RootfsError> {
    let unreadable = |cause| RootfsError::Layer { image: image.to_owned(), layer: layer.digest, cause };
    // One thread decompresses while this one hashes.
    let stream = Ahead::new(open(store, image, layer)?);
    let mut reader = Reader::new(Hashing::new(stream), limits);
    while let Some(member) = reader.next_member().map_err(unreadable)? {
        each(&member)?;
    }
    let mut stream = reader.into_inner();
    // What follows the archive's end is hashed as well, within the same limit.
    let rest = limits.bytes.saturating_sub(stream.len());
    io::copy(&mut (&mut stream).take(rest.saturating_add(1)), &mut io::sink())
        .map_err(|cause| unreadable(cause.into()))?;
    let (_, got, len) = stream.finish();
    if len > limits.bytes {
        let what = "the uncompressed length in bytes";
        return Err(unreadable(crate::format::tar::TarError::Limit { what, limit: limits.bytes }));
    }
    if got != layer.diff_id {
        return Err(RootfsError::DiffId { image: image.to_owned(), layer: layer.digest, want: layer.diff_id, got });
    }
    Ok(())
}

impl Index {
    /// Read the members in the order of the tar.
    ///
    /// # Errors
    ///
    /// - [`RootfsError::Cache`]: the file has gone or has another form.
    pub fn members(&self) -> Result<Members, RootfsError> {
        self.open().map_err(self.unread())
    }

    fn open(&self) -> io::Result<Members> {
        let mut file = BufReader::new(File::open(&self.path)?);
        let mut head = [0; MAGIC.len() + 32];
        file.read_exact(&mut head)?;
        let stream = BufReader::new(zstd::Decoder::with_buffer(file)?);
        Ok(Members { decoder: Decoder::new(Box::new(stream)), path: self.path.clone(), head })
    }

    /// Read the file to its end; a layer's walk costs far more than this.
    fn is_whole(&self, layer: &Layer) -> bool {
        let check = || -> io::Result<bool> {
            let mut members = self.open()?;
            if members.head.strip_prefix(MAGIC) != Some(layer.diff_id.bytes()) {
                return Ok(false);
            }
            while members.decoder.next_member()?.is_some() {}
            // To the very end, where the frame's checksum stands.
            io::copy(&mut members.decoder.into_inner(), &mut io::sink())?;
            Ok(true)
        };
        check().unwrap_or(false)
    }

    fn unread(&self) -> impl Fn(io::Error) -> RootfsError {
        let path = self.path.clone();
        move |cause| RootfsError::Cache { action: "read", path: path.clone(), cause }
    }

    fn unwritten(&self) -> impl Fn(io::Error) -> RootfsError {
        let path = self.path.clone();
        move |cause| RootfsError::Cache { action: "write", path: path.clone(), cause }
    }
}

/// The members of a layer, read from its index.
#[expect(missing_debug_implementations, reason = "a stream has nothing to show")]
pub struct Members {
    decoder: Decoder<Box<dyn Read>>,
    path: PathBuf,
    head: [u8; MAGIC.len() + 32],
}

impl Iterator for Members {
    type Item = Result<Member, RootfsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let unread = |cause| RootfsError::Cache { action: "read", path: self.path.clone(), cause };
        self.decoder.next_member().map_err(unread).transpose()
    }
}

/// Read bytes as if they were an index, for the fuzzer.
#[cfg(fuzzing)]
pub fn read_any(bytes: &[u8]) {
    let mut decoder = Decoder::new(bytes);
    while let Ok(Some(_)) = decoder.next_member() {}
}

#[cfg(test)]
mod tests;
