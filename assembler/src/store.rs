//! The content store: an OCI image layout on disk, plus folders of what was derived from its blobs.
//!
//! ```text
//! oci-layout               what other tools look for
//! index.json               names: one descriptor each, annotated with the reference
//! blobs/sha256/<hex>       bytes that hash to their name, complete or absent
//! hullkit/lock             held while index.json is rewritten
//! hullkit/users            held, shared, by everyone who has the store open; alone by who removes things
//! hullkit/tmp/<n>          bytes on their way in, each locked by its writer
//! hullkit/<kind>/<key>     derived files: layer indexes, segments
//! ```
//!
//! Several processes may use one store at once: blobs appear by rename, the index is rewritten under a lock, and what a
//! killed process left in `tmp` is recognised by its free lock and removed by the next one that opens the store. Blobs are
//! removed only by a process that has the store to itself ([`Sole`]), so nothing a user has seen goes away under it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oci_spec::image::{Descriptor, ImageIndex, ImageIndexBuilder};

use crate::digest::{Digest, Hashing};

/// Annotation that carries a name in `index.json`.
///
/// Source: OCI image-spec 1.1, `annotations.md`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Largest JSON document (manifest, index, configuration) that is read into memory, in bytes.
pub const JSON_MAX: u64 = 8 << 20;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder of the store could not be read or written.
    #[error("could not {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// `index.json` is not an image index.
    #[error("`{path}` is not an OCI image index; remove it to start again with an empty list of names")]
    Index {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        cause: oci_spec::OciSpecError,
    },
    /// What arrived is not what was announced.
    #[error("blob {want} has other bytes than its name says: {len} bytes that hash to {got}")]
    Digest {
        /// The announced digest.
        want: Digest,
        /// The digest of what arrived.
        got: Digest,
        /// How many bytes arrived.
        len: u64,
    },
    /// A blob is absent.
    #[error("blob {0} is not in the store")]
    Missing(Digest),
    /// A document is longer than any sane one.
    #[error("blob {digest} is {len} bytes long; a manifest or configuration may have {JSON_MAX}")]
    TooLong {
        /// The blob.
        digest: Digest,
        /// Its length in bytes.
        len: u64,
    },
}

/// Name what was tried, and on which path, in an I/O error.
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |cause| StoreError::Io { action, path: path.to_owned(), cause }
}

/// An open content store. While it, or a clone of it, lives, nobody removes blobs.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// Keeps the lock on `hullkit/users`.
    _users: Arc<File>,
}

/// A store that nobody else has open.
#[derive(Debug)]
pub struct Sole {
    store: Store,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// Number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Open the store in `root`, making it if it is not there, and clear what killed processes left. Waits for a process
    /// that is removing blobs.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`]: the folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let (users, path) = users(root)?;
        users.lock_shared().map_err(io_error("lock", &path))?;
        Self::prepare(root, users)
    }

    /// Open the store for oneself, to remove things. Calls `waiting` once if others have it open, and waits for them.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`]: the folder cannot be made or written.
    pub fn open_alone(root: &Path, waiting: impl FnOnce()) -> Result<Sole, StoreError> {
        let (users, path) = users(root)?;
        if users.try_lock().is_err() {
            waiting();
            users.lock().map_err(io_error("lock", &path))?;
        }
        Ok(Sole { store: Self::prepare(root, users)? })
    }

    /// Make what every store has.
    fn prepare(root: &Path, users: File) -> Result<Self, StoreError> {
        let store = Self { root: root.to_owned(), _users: Arc::new(users) };
        for folder in [root.join("blobs/sha256"), store.folder("tmp")] {
            fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        }
        let layout = root.join("oci-layout");
        if !layout.exists() {
            replace(&layout, br#"{"imageLayoutVersion":"1.0.0"}"#, &store.temporary()?)?;
        }
        store.sweep();
        Ok(store)
    }

    /// Give the store's own folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Give the folder of derived files of one kind; it may not exist yet.
    #[must_use]
    pub fn folder(&self, kind: &str) -> PathBuf {
        self.root.join("hullkit").join(kind)
    }

    /// Give the path a blob has or would have.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Tell whether a blob is here. What is here is complete: it was hashed before it got its name.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Open a blob for reading.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Missing`], [`StoreError::Io`].
    pub fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(*digest),
            _ => io_error("open", &path)(cause),
        })
    }

    /// Read a JSON document of at most [`JSON_MAX`] bytes and check it against its name once more.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Missing`], [`StoreError::TooLong`], [`StoreError::Io`].
    /// - [`StoreError::Digest`]: the file was altered on disk; it has been removed, so that it will be fetched again.
    pub fn read_document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        let mut bytes = Vec::new();
        let mut file = self.open_blob(digest)?.take(JSON_MAX + 1);
        file.read_to_end(&mut bytes).map_err(io_error("read", &path))?;
        let len = bytes.len() as u64;
        if len > JSON_MAX {
            return Err(StoreError::TooLong { digest: *digest, len });
        }
        let got = Digest::of(&bytes);
        if got != *digest {
            // Best effort: the mismatch is what the caller must hear about.
            let _ = fs::remove_file(&path);
            return Err(StoreError::Digest { want: *digest, got, len });
        }
        Ok(bytes)
    }

    /// Store bytes that are all in memory, under their own digest.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`].
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if !self.has(&digest) {
            let mut writer = self.writer()?;
            let path = writer.path.clone();
            writer.write_all(bytes).map_err(io_error("write", &path))?;
            writer.commit(Some(&digest))?;
        }
        Ok(digest)
    }

    /// Start a blob whose bytes come as a stream; it becomes visible at [`BlobWriter::commit`].
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`].
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        let temporary = self.temporary()?;
        Ok(BlobWriter { path: temporary.path.clone(), out: Hashing::new(temporary), store: self.clone() })
    }

    /// Start a derived file; it becomes visible at [`Temporary::persist`].
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`].
    pub fn temporary(&self) -> Result<Temporary, StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = self.folder("tmp").join(name);
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
            let file = file.map_err(io_error("create", &path))?;
            file.lock().map_err(io_error("lock", &path))?;
            // Another process may have swept the file before it was locked; then it has no name any more.
            if file.metadata().map_err(io_error("read", &path))?.nlink() > 0 {
                return Ok(Temporary { file, path, kept: false });
            }
        }
    }

    /// Look a name up: the descriptor last stored under exactly this reference.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Index`], [`StoreError::Io`].
    pub fn find(&self, reference: &str) -> Result<Option<Descriptor>, StoreError> {
        Ok(self.names()?.remove(reference))
    }

    /// List every name with its descriptor.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Index`], [`StoreError::Io`].
    pub fn names(&self) -> Result<BTreeMap<String, Descriptor>, StoreError> {
        let named = |descriptor: &Descriptor| {
            let name = descriptor.annotations().as_ref()?.get(REF_NAME)?.clone();
            Some((name, descriptor.clone()))
        };
        Ok(self.index()?.manifests().iter().filter_map(named).collect())
    }

    /// Put `descriptor` under a name, in place of what had it.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Index`], [`StoreError::Io`].
    pub fn tag(&self, reference: &str, mut descriptor: Descriptor) -> Result<(), StoreError> {
        let mut annotations = descriptor.annotations().clone().unwrap_or_default();
        annotations.insert(REF_NAME.to_owned(), reference.to_owned());
        descriptor.set_annotations(Some(annotations));
        self.rewrite(|names| {
            names.insert(reference.to_owned(), descriptor);
        })
    }

    /// Forget a name; its blobs stay until [`Sole::retain`]. Tells whether the name was there.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Index`], [`StoreError::Io`].
    pub fn untag(&self, reference: &str) -> Result<bool, StoreError> {
        let mut found = false;
        self.rewrite(|names| found = names.remove(reference).is_some())?;
        Ok(found)
    }

    /// Change the list of names under the store's lock.
    fn rewrite(&self, change: impl FnOnce(&mut BTreeMap<String, Descriptor>)) -> Result<(), StoreError> {
        let lock_path = self.folder("lock");
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(io_error("open", &lock_path))?;
        lock.lock().map_err(io_error("lock", &lock_path))?;
        let mut names = self.names()?;
        change(&mut names);
        let manifests: Vec<Descriptor> = names.into_values().collect();
        let path = self.root.join("index.json");
        let text = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(oci_spec::image::MediaType::ImageIndex)
            .manifests(manifests)
            .build()
            .and_then(|index| index.to_string_pretty())
            .map_err(|cause| StoreError::Index { path: path.clone(), cause })?;
        replace(&path, text.as_bytes(), &self.temporary()?)
    }

    /// Read `index.json`; an absent one is an empty list.
    fn index(&self) -> Result<ImageIndex, StoreError> {
        let path = self.root.join("index.json");
        let empty = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => empty,
            Err(cause) => return Err(io_error("read", &path)(cause)),
        };
        ImageIndex::from_reader(bytes.as_slice()).map_err(|cause| StoreError::Index { path, cause })
    }

    /// Remove what killed writers left: files in `tmp` that nobody holds locked. Never an error, only untidy.
    fn sweep(&self) {
        #[expect(clippy::disallowed_methods, reason = "the order in which leftovers vanish reaches no output")]
        let Ok(entries) = fs::read_dir(self.folder("tmp")) else { return };
        for entry in entries.flatten() {
            if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Open the file whose lock tells who uses a store.
fn users(root: &Path) -> Result<(File, PathBuf), StoreError> {
    let folder = root.join("hullkit");
    fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    let path = folder.join("users");
    let file = File::options().create(true).append(true).open(&path).map_err(io_error("open", &path))?;
    Ok((file, path))
}

/// Folders of derived files that are costly to fill and stay when blobs are pruned.
const KEPT: [&str; 1] = ["apt"];

impl Sole {
    /// Look into the store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Remove every blob that is not in `live`, and the files derived from blobs: they can be made again.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`].
    pub fn retain(&self, live: &BTreeSet<Digest>) -> Result<Freed, StoreError> {
        let names: BTreeSet<String> = live.iter().map(Digest::hex).collect();
        let mut freed = Freed::default();
        for path in children(&self.store.root.join("blobs/sha256"))? {
            let keep = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| names.contains(name));
            if !keep {
                remove(&path, &mut freed)?;
            }
        }
        self.remove_derived(&KEPT, &mut freed)?;
        Ok(freed)
    }

    /// Remove everything.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`].
    pub fn clear(&self) -> Result<Freed, StoreError> {
        let mut freed = Freed::default();
        // The names first: killed half-way, this leaves blobs without names, not names without blobs.
        let index = self.store.root.join("index.json");
        if index.exists() {
            remove(&index, &mut freed)?;
        }
        for path in children(&self.store.root.join("blobs/sha256"))? {
            remove(&path, &mut freed)?;
        }
        self.remove_derived(&[], &mut freed)?;
        Ok(freed)
    }

    /// Remove derived files. The two locks stay: whoever waits for one waits for this very file.
    fn remove_derived(&self, keep: &[&str], freed: &mut Freed) -> Result<(), StoreError> {
        for path in children(&self.store.root.join("hullkit"))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !keep.contains(&name) && !["lock", "users", "tmp"].contains(&name) {
                remove(&path, freed)?;
            }
        }
        Ok(())
    }
}

/// List a folder, sorted.
fn children(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "sorted on the next lines")]
    let entries = fs::read_dir(folder).map_err(io_error("read", folder))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(io_error("read", folder))?;
    paths.sort();
    Ok(paths)
}

/// Remove a file, or a folder with all in it, and count.
fn remove(path: &Path, freed: &mut Freed) -> Result<(), StoreError> {
    let metadata = fs::symlink_metadata(path).map_err(io_error("read", path))?;
    if metadata.is_dir() {
        for child in children(path)? {
            remove(&child, freed)?;
        }
        return fs::remove_dir(path).map_err(io_error("remove", path));
    }
    fs::remove_file(path).map_err(io_error("remove", path))?;
    freed.files += 1;
    freed.bytes += metadata.len();
    Ok(())
}

/// Write `bytes` beside `path`, sync, and rename into place.
fn replace(path: &Path, bytes: &[u8], temporary: &Temporary) -> Result<(), StoreError> {
    (&temporary.file).write_all(bytes).map_err(io_error("write", &temporary.path))?;
    temporary.file.sync_all().map_err(io_error("sync", &temporary.path))?;
    fs::rename(&temporary.path, path).map_err(io_error("write", path))
}

/// A file on its way into the store; dropped without [`Temporary::persist`], it vanishes.
#[derive(Debug)]
pub struct Temporary {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    /// Give its path, which nobody else knows.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Give the open file, for reading back or for seeking.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Sync the file and rename it to `path`, whose folder is made if need be.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`]: the file vanishes.
    pub fn persist(mut self, path: &Path) -> Result<(), StoreError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        }
        self.file.sync_data().map_err(io_error("sync", &self.path))?;
        fs::rename(&self.path, path).map_err(io_error("write", path))?;
        self.kept = true;
        Ok(())
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // Already renamed, or unwanted: either way nothing is to be said.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A blob on its way into the store; dropped without [`BlobWriter::commit`], it vanishes.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    path: PathBuf,
    out: Hashing<Temporary>,
}

impl BlobWriter {
    /// Take in the next bytes.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Io`]: as [`Write`], with the path.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.out.write_all(bytes).map_err(io_error("write", &self.path))
    }

    /// Give the blob its name, and its length in bytes; with `want`, only if its bytes hash to it.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Digest`]: the bytes are not those of `want`; they are gone.
    /// - [`StoreError::Io`].
    pub fn commit(self, want: Option<&Digest>) -> Result<(Digest, u64), StoreError> {
        let (temporary, got, len) = self.out.finish();
        if let Some(want) = want.filter(|want| **want != got) {
            return Err(StoreError::Digest { want: *want, got, len });
        }
        temporary.persist(&self.store.blob_path(&got))?;
        Ok((got, len))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
