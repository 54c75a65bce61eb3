//! A tree of files as an image of one layer: a folder, or a tar that is taken as it is.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::archive::decompressor;
use super::files::{Files, regular};
use super::pack;
use super::synthesis::{LayerBlob, config, manifest};
use crate::digest::{Digest, Hashing};
use crate::plan::Compression;
use crate::platform::Arch;
use crate::pull::error::PullError;
use crate::store::Store;

/// Most bytes a compressed layer may grow to.
const UNPACKED_MAX: u64 = 64 << 30;

/// Make an image of a tree, for the machine that is asked for. Out: its manifest's digest.
pub(super) fn import(store: &Store, path: &Path, arch: Arch, reference: &str) -> Result<Digest, PullError> {
    let (layer, diff_id) = if path.is_dir() { folder(store, path)? } else { tar(store, path, reference)? };
    let config = config(arch, diff_id);
    let config_digest = store.write_blob(&config)?;
    Ok(store.write_blob(&manifest(&config_digest, config.len() as u64, &[layer]))?)
}

/// Pack a folder into a plain tar.
fn folder(store: &Store, path: &Path) -> Result<(LayerBlob, Digest), PullError> {
    let mut out = BufWriter::with_capacity(128 << 10, store.writer()?);
    pack::pack(path, &mut out)?;
    let trouble = |cause| PullError::Source { action: "pack", path: path.to_owned(), cause };
    out.flush().map_err(trouble)?;
    let writer = out.into_inner().map_err(|error| trouble(error.into_error()))?;
    let (digest, size) = writer.commit(None)?;
    Ok((LayerBlob { digest, size, compression: Compression::None }, digest))
}

/// Take a tar as it is; if it is compressed, unpack it once to learn what it unpacks to.
fn tar(store: &Store, path: &Path, reference: &str) -> Result<(LayerBlob, Digest), PullError> {
    let trouble = |cause| PullError::Source { action: "read", path: path.to_owned(), cause };
    let (file, size) = regular(path).map_err(trouble)?;
    let unpacked = decompressor(file.try_clone().map_err(trouble)?).map_err(trouble)?;
    let zstd = first_byte(&file).map_err(trouble)? == Some(0x28);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let (digest, diff_id, compression) = match unpacked {
        None => {
            let (digest, _) = Files::folder(folder).copy(store, file, size, None, reference)?;
            (digest, digest, Compression::None)
        }
        Some(reader) => {
            let mut sink = Hashing::new(io::sink());
            io::copy(&mut io::Read::take(reader, UNPACKED_MAX), &mut sink).map_err(trouble)?;
            let (_, diff_id, len) = sink.finish();
            if len == UNPACKED_MAX {
                let reason = format!("it unpacks to {UNPACKED_MAX} bytes or more");
                return Err(PullError::Unusable { reference: reference.to_owned(), reason });
            }
            let (again, _) = regular(path).map_err(trouble)?;
            let (digest, _) = Files::folder(folder).copy(store, again, size, None, reference)?;
            (digest, diff_id, if zstd { Compression::Zstd } else { Compression::Gzip })
        }
    };
    Ok((LayerBlob { digest, size, compression }, diff_id))
}

fn first_byte(file: &std::fs::File) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let read = std::os::unix::fs::FileExt::read_at(file, &mut byte, 0)?;
    Ok((read == 1).then_some(byte[0]))
}
