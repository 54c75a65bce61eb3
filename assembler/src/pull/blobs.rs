//! Transfer blobs: many at once, each once, hashed as they pass.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use linuxkit_yaml::RegistryReference;
use oci_client::client::{BlobResponse, SizedStream};

use super::endpoint::Endpoint;
use super::error::PullError;
use super::failure::{Asked, Failure};
use super::progress::Progress;
use super::registry::{Connection, Registries};
use crate::digest::Digest;
use crate::store::{BlobWriter, Store, StoreError};

/// A blob that is to come.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Its announced length in bytes.
    pub(super) size: u64,
    /// The image that needs it (the first, if there are several), and so the repository it lies in.
    pub(super) name: RegistryReference,
}

/// Fetch every blob of `wanted` that is not in the store. Out: how many there were, and their bytes.
///
/// The first failure stops the others at their next piece; what was complete by then stays.
pub(super) fn fetch_all(
    registries: &Registries,
    store: &Store,
    wanted: &BTreeMap<Digest, Wanted>,
    jobs: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<(usize, u64), PullError> {
    let mut queue: Vec<(&Digest, &Wanted)> = wanted.iter().filter(|(digest, _)| !store.has(digest)).collect();
    // Largest first, so that no long transfer is left for the end.
    queue.sort_by_key(|(digest, wanted)| (std::cmp::Reverse(wanted.size), **digest));
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failure: Mutex<Option<PullError>> = Mutex::new(None);
    let work = || {
        while let Some((digest, wanted)) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = fetch(registries, store, digest, wanted, progress, &stop) {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.get().min(queue.len()) {
            scope.spawn(work);
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok((queue.len(), queue.iter().map(|(_, wanted)| wanted.size).sum())),
    }
}

/// Fetch one blob into the store.
pub(super) fn fetch(
    registries: &Registries,
    store: &Store,
    digest: &Digest,
    wanted: &Wanted,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<(), PullError> {
    let reference = wanted.name.to_string();
    progress.start(digest, &reference, wanted.size);
    let asked = Asked { reference: &reference, blob: Some(digest) };
    let mut transfer = Transfer { asked, digest, wanted, progress, stop, writer: store.writer()?, got: 0 };
    registries.anywhere(&wanted.name, false, async |endpoint, connection| {
        transfer.attempt(store, endpoint, connection).await
    })?;
    if stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    let Transfer { writer, got, .. } = transfer;
    if got != wanted.size {
        return Err(PullError::Length { reference, digest: *digest, want: wanted.size, got });
    }
    writer.commit(Some(digest)).map_err(|error| match error {
        StoreError::Digest { want, got, len } => PullError::Digest { reference, want, got, len },
        other => other.into(),
    })?;
    progress.done(digest);
    Ok(())
}

/// One blob on its way; survives a broken connection.
struct Transfer<'a> {
    asked: Asked<'a>,
    digest: &'a Digest,
    wanted: &'a Wanted,
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
    writer: BlobWriter,
    got: u64,
}

impl Transfer<'_> {
    /// Ask for what is missing, and take it in.
    async fn attempt(&mut self, store: &Store, endpoint: &Endpoint, connection: &Connection) -> Result<(), Failure> {
        let text = self.digest.to_string();
        let image = endpoint.by_digest(&self.wanted.name, &text);
        let failed = |error| self.asked.failure(endpoint, &connection.auth, error);
        let answer = if self.got == 0 {
            connection.client.pull_blob_stream(&image, text.as_str()).await.map(BlobResponse::Full)
        } else {
            connection.client.pull_blob_stream_partial(&image, text.as_str(), self.got, None).await
        };
        let stream = match answer.map_err(failed)? {
            BlobResponse::Partial(stream) => stream,
            BlobResponse::Full(stream) => {
                if self.got > 0 {
                    self.writer = store.writer().map_err(|error| Failure::last(error.into()))?;
                    self.got = 0;
                }
                stream
            }
        };
        self.drain(stream, endpoint).await
    }

    /// Write a stream down, no more of it than announced.
    async fn drain(&mut self, mut stream: SizedStream, endpoint: &Endpoint) -> Result<(), Failure> {
        while let Some(piece) = stream.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                // The library compares digests when the stream ends; so do we, with a better sentence.
                Err(error) if is_digest_error(&error) => return Ok(()),
                Err(error) => return Err(self.asked.broken(endpoint, error)),
            };
            self.got += piece.len() as u64;
            if self.got > self.wanted.size || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.writer.append(&piece).map_err(|error| Failure::last(error.into()))?;
            self.progress.at(self.digest, self.got);
        }
        Ok(())
    }
}

fn is_digest_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<oci_client::errors::DigestError>())
}
