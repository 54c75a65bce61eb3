//! Named files, of a folder or of an archive.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::archive::Archive;
use crate::digest::Digest;
use crate::pull::error::PullError;
use crate::store::{JSON_MAX, Store, StoreError};

/// Bytes copied at a time.
const PIECE: usize = 128 << 10;

/// Where the files of an image lie.
#[derive(Debug)]
pub(in crate::pull) enum Files {
    /// In a folder.
    Folder(PathBuf),
    /// In a tar.
    Archive(Archive),
}

/// One file, and its length in bytes.
pub(super) type Opened<'a> = (Box<dyn Read + 'a>, u64);

impl Files {
    /// Take the files of a folder.
    pub(in crate::pull) fn folder(path: &Path) -> Self {
        Self::Folder(path.to_owned())
    }

    /// Take the files of a tar, which may be compressed.
    pub(in crate::pull) fn archive(store: &Store, path: &Path) -> Result<Self, PullError> {
        Archive::open(store, path).map(Self::Archive)
    }

    /// Open a file by name; absent is not an error.
    pub(super) fn open(&self, name: &str) -> Result<Option<Opened<'_>>, PullError> {
        match self {
            Self::Archive(archive) => archive.member(name),
            Self::Folder(root) => {
                let path = root.join(name);
                match regular(&path) {
                    Ok((file, len)) => Ok(Some((Box::new(file), len))),
                    Err(cause) if cause.kind() == io::ErrorKind::NotFound && root.is_dir() => Ok(None),
                    Err(cause) => Err(PullError::Source { action: "open", path, cause }),
                }
            }
        }
    }

    /// Tell whether there is a file of this name.
    pub(in crate::pull) fn has(&self, name: &str) -> Result<bool, PullError> {
        Ok(self.open(name)?.is_some())
    }

    /// Read a small file whole.
    pub(in crate::pull) fn document(&self, name: &str, reference: &str) -> Result<Option<Vec<u8>>, PullError> {
        let Some((reader, len)) = self.open(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        if len <= JSON_MAX {
            reader.take(JSON_MAX + 1).read_to_end(&mut bytes).map_err(|cause| self.trouble(cause))?;
        }
        if len > JSON_MAX || bytes.len() as u64 > JSON_MAX {
            let reason = format!("`{name}` is {len} bytes long; {JSON_MAX} are taken");
            return Err(PullError::Unusable { reference: reference.to_owned(), reason });
        }
        Ok(Some(bytes))
    }

    /// Copy a blob of an image layout into the store, checking its length and its digest.
    pub(in crate::pull) fn take(
        &self,
        store: &Store,
        digest: &Digest,
        size: u64,
        reference: &str,
    ) -> Result<(), PullError> {
        if store.has(digest) {
            return Ok(());
        }
        let name = blob_name(digest);
        let Some((reader, len)) = self.open(&name)? else { return Err(lacks(&name, reference)) };
        if len != size {
            return Err(PullError::Length { reference: reference.to_owned(), digest: *digest, want: size, got: len });
        }
        self.copy(store, reader, size, Some(digest), reference).map(|_| ())
    }

    /// Copy at most `size` bytes into the store. Out: their digest and number.
    pub(super) fn copy(
        &self,
        store: &Store,
        reader: impl Read,
        size: u64,
        want: Option<&Digest>,
        reference: &str,
    ) -> Result<(Digest, u64), PullError> {
        let mut writer = store.writer()?;
        let mut reader = reader.take(size);
        let mut piece = vec![0; PIECE];
        loop {
            let read = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(self.trouble(cause)),
            };
            writer.append(&piece[..read])?;
        }
        writer.commit(want).map_err(|error| match error {
            StoreError::Digest { want, got, len } => {
                PullError::Digest { reference: reference.to_owned(), want, got, len }
            }
            other => other.into(),
        })
    }

    /// Name the source in an I/O error.
    fn trouble(&self, cause: io::Error) -> PullError {
        let path = match self {
            Self::Folder(path) => path.clone(),
            Self::Archive(archive) => archive.path().to_owned(),
        };
        PullError::Source { action: "read", path, cause }
    }
}

/// Say that a source lacks a file it speaks of.
pub(in crate::pull) fn lacks(name: &str, reference: &str) -> PullError {
    PullError::Unusable { reference: reference.to_owned(), reason: format!("it lacks the file `{name}`") }
}

/// Give a blob's name in an image layout.
pub(in crate::pull) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Open a regular file. A FIFO would hold us up for ever, a device might do anything.
pub(super) fn regular(path: &Path) -> io::Result<(File, u64)> {
    let file: File = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?.into();
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, metadata.len()))
}
