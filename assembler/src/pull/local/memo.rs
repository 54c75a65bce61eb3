//! What a source looked like when it was imported, so that an unchanged one is not read again.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::pack;
use crate::digest::Digest;
use crate::platform::Arch;
use crate::pull::error::PullError;
use crate::store::Store;

/// A file that changed this shortly before the memo was written may have changed after it was read without looking any
/// different, in nanoseconds. Two seconds is the coarsest clock of any file system in use.
const TOO_CLOSE: i128 = 2_000_000_000;

/// The looks of a source today, and where those of the past are kept.
#[derive(Debug)]
pub(super) struct Memo {
    file: PathBuf,
    looks: Looks,
}

/// The looks of a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    /// Digest over length, times, inode and device of every file.
    pub(super) digest: Digest,
    /// Latest change of any of them, in nanoseconds since 1970.
    pub(super) latest: i128,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    looks: Digest,
    image: Digest,
}

impl Memo {
    /// Look at a source: a file, or a folder with all in it.
    pub(super) fn of(store: &Store, path: &Path, reference: &str, arch: Arch) -> Result<Self, PullError> {
        let trouble = |cause| PullError::Source { action: "open", path: path.to_owned(), cause };
        let real = path.canonicalize().map_err(trouble)?;
        let metadata = real.metadata().map_err(trouble)?;
        let looks = if metadata.is_dir() { pack::looks(&real)? } else { Looks::of_file(&metadata) };
        let key = format!("{}\0{reference}\0{arch}", real.display());
        Ok(Self { file: store.folder("sources").join(Digest::of(key.as_bytes()).hex()), looks })
    }

    /// Give the image that was made of the source when it looked as it does now.
    pub(super) fn recall(&self) -> Option<Digest> {
        let file = File::open(&self.file).ok()?;
        let written = changed(&file.metadata().ok()?);
        let mut text = Vec::new();
        file.take(4096).read_to_end(&mut text).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        let fits = kept.looks == self.looks.digest && self.looks.latest + TOO_CLOSE < written;
        fits.then_some(kept.image)
    }

    /// Remember what image was made of it.
    pub(super) fn keep(&self, store: &Store, image: &Digest) -> Result<(), PullError> {
        let kept = Kept { looks: self.looks.digest, image: *image };
        let mut out = store.temporary()?;
        let written = serde_json::to_vec(&kept).map_err(io::Error::from).and_then(|text| out.write_all(&text));
        written.map_err(|cause| PullError::Source { action: "write", path: self.file.clone(), cause })?;
        Ok(out.persist(&self.file)?)
    }
}

impl Looks {
    /// Look at one file.
    fn of_file(metadata: &Metadata) -> Self {
        Self { digest: Digest::of(describe(metadata).as_bytes()), latest: changed(metadata) }
    }
}

/// Write down what changes when a file does.
pub(super) fn describe(metadata: &Metadata) -> String {
    format!(
        "{} {} {} {} {} {} {} {} {}.{} {}.{}",
        metadata.dev(),
        metadata.ino(),
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.rdev(),
        metadata.nlink(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
}

/// Give the time of the last change of content or attributes, in nanoseconds since 1970.
pub(super) fn changed(metadata: &Metadata) -> i128 {
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    nanoseconds(metadata.mtime(), metadata.mtime_nsec()).max(nanoseconds(metadata.ctime(), metadata.ctime_nsec()))
}
