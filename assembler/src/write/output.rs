//! Output files that appear whole or not at all.
//!
//! Bytes go to a hidden file beside the final name. When every output of a build is complete they are synced and renamed
//! together; dropped before that, they vanish. A file that already has the very same bytes is left as it is.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::{WriteError, io_error};
use crate::digest::Digest;
use crate::format::parallel::in_order;
use crate::format::sparse::{Data, Sparse};

/// How much of two files is compared at once, in bytes.
const COMPARED: usize = 256 << 10;

/// How much is copied by one call, in bytes: a signal waits for no more.
const COPIED: usize = 64 << 20;

/// A finished output file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// How many bytes it takes on the disk it is on: without its holes, in whole blocks.
    pub allocated: u64,
    /// Digest of its bytes, if it was asked for.
    pub digest: Option<Digest>,
}

/// A file on its way to its final name.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The final name already leads to these bytes.
    There,
    /// Nothing is written yet.
    Planned(Sparse),
    /// The bytes are in a file beside it.
    Beside(File, PathBuf),
    /// The file beside it has been renamed.
    Renamed,
}

impl Output {
    /// Start a file that will be `path`; its folder is made if need be.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Io`]: the folder cannot be written.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        let (file, temporary) = beside(path)?;
        Ok(Self { path: path.to_owned(), state: State::Beside(file, temporary) })
    }

    /// Plan a file of bytes and holes, or see that it is there already. It is written when it is published.
    #[must_use]
    pub fn of(path: &Path, content: &Sparse) -> Self {
        let there =
            File::open(path).is_ok_and(|old| is_plain(&old, content.size()) && holds(&old, content).unwrap_or(false));
        Self { path: path.to_owned(), state: if there { State::There } else { State::Planned(content.clone()) } }
    }

    /// Give the final path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Give the file beside the final name, to write at positions; `None` if it is complete or only planned.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        if let State::Beside(file, _) = &self.state { Some(file) } else { None }
    }

    /// Put the bytes safely on disk, unless the final name already leads to just these; `hashed` asks for their digest.
    fn settle(&mut self, hashed: bool) -> Result<Written, WriteError> {
        if let State::Planned(content) = &self.state {
            let (file, temporary) = beside(&self.path)?;
            let content = content.clone();
            self.state = State::Beside(file, temporary);
            let write = |file: &File| fill(file, &content).map_err(io_error("write", &self.path));
            return self.finish(hashed.then(|| content.reader()), write);
        }
        if let State::Beside(file, temporary) = &mut self.state {
            let same = File::open(&self.path).is_ok_and(|mut old| {
                let new = Positioned { file, at: 0 };
                file.metadata().is_ok_and(|now| is_plain(&old, now.len())) && is_next(&mut old, new).unwrap_or(false)
            });
            if same {
                // Best effort: an equal file under a hidden name is only untidy.
                let _ = fs::remove_file(&*temporary);
                self.state = State::There;
            }
        }
        let file = match &self.state {
            State::Beside(file, _) => file.try_clone(),
            _ => File::open(&self.path),
        };
        let file = file.map_err(io_error("read", &self.path))?;
        self.finish(hashed.then_some(Positioned { file: &file, at: 0 }), |_| Ok(()))
    }

    /// Do what is left to write, and put it on disk, while the bytes are hashed: the disk and the processor work side by side.
    fn finish(
        &self,
        hashed: Option<impl Read + Send>,
        write: impl FnOnce(&File) -> Result<(), WriteError>,
    ) -> Result<Written, WriteError> {
        let digest = thread::scope(|scope| {
            let digest = hashed.map(|bytes| scope.spawn(|| Digest::read(bytes)));
            if let State::Beside(file, _) = &self.state {
                write(file)?;
                file.sync_all().map_err(io_error("sync", &self.path))?;
            }
            let broken = |_| io::Error::other("the digest was not made");
            let digest = digest.map(|thread| thread.join().map_err(broken).flatten());
            digest.transpose().map_err(io_error("read", &self.path))
        })?;
        let metadata = match &self.state {
            State::Beside(file, _) => file.metadata(),
            _ => fs::metadata(&self.path),
        };
        let metadata = metadata.map_err(io_error("read", &self.path))?;
        let allocated = metadata.blocks().saturating_mul(512);
        Ok(Written { path: self.path.clone(), size: metadata.len(), allocated, digest })
    }

    fn rename(&mut self) -> io::Result<()> {
        if let State::Beside(_, temporary) = &self.state {
            fs::rename(temporary, &self.path)?;
            self.state = State::Renamed;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Beside(file, _) => file.write(bytes),
            _ => Err(io::Error::other("the output is complete")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Output {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match &mut self.state {
            State::Beside(file, _) => file.seek(to),
            _ => Err(io::Error::other("the output is complete")),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let State::Beside(_, temporary) = &self.state {
            // Unwanted: nothing is to be said.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Make an empty file under a hidden name beside `path`.
fn beside(path: &Path) -> Result<(File, PathBuf), WriteError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // Two formats may share a file, such as the kernel: each makes its own, and one is published.
    static MADE: AtomicUsize = AtomicUsize::new(0);
    name.push(format!(".{}.{}.part", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)));
    let temporary = folder.join(name);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.open(&temporary).map_err(io_error("create", &temporary))?;
    Ok((file, temporary))
}

/// Write what is there at its place, and leave holes where nothing is.
fn fill(file: &File, content: &Sparse) -> io::Result<()> {
    file.set_len(content.size())?;
    for extent in content.extents() {
        match &extent.data {
            Data::Bytes(_) => {
                let mut bytes = vec![0; usize::try_from(extent.len).unwrap_or(usize::MAX)];
                content.read_at(extent.offset, &mut bytes)?;
                file.write_all_at(&bytes, extent.offset)?;
            }
            Data::File(from) => copy(from, extent.from, file, extent.offset, extent.len)?,
        }
    }
    Ok(())
}

/// Copy a range of one file into another: inside the kernel, or else through a buffer.
fn copy(from: &File, mut at: u64, to: &File, mut place: u64, mut left: u64) -> io::Result<()> {
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(COPIED);
        let copied = match rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut place), most) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => copied,
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                let mut buffer = vec![0; most.min(COMPARED)];
                from.read_exact_at(&mut buffer, at)?;
                to.write_all_at(&buffer, place)?;
                (at, place) = (at + buffer.len() as u64, place + buffer.len() as u64);
                buffer.len()
            }
            Err(cause) => return Err(cause.into()),
        };
        left -= copied as u64;
    }
    Ok(())
}

/// Tell whether a file of the right length holds just this.
fn holds(old: &File, content: &Sparse) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; COMPARED], vec![0; COMPARED]);
    let mut equal = |start: u64, end: u64| -> io::Result<bool> {
        let mut at = start;
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(COMPARED).min(COMPARED);
            old.read_exact_at(&mut left[..len], at)?;
            content.read_at(at, &mut right[..len])?;
            if left[..len] != right[..len] {
                return Ok(false);
            }
            at += len as u64;
        }
        Ok(true)
    };
    let mut end = 0;
    for extent in content.extents() {
        if !(in_hole(old, end, extent.offset, &mut equal)? && equal(extent.offset, extent.end())?) {
            return Ok(false);
        }
        end = extent.end();
    }
    in_hole(old, end, content.size(), &mut equal)
}

/// Compare a hole with what a file has there, of which only what is not a hole too is read.
fn in_hole(
    old: &File,
    mut start: u64,
    end: u64,
    equal: &mut dyn FnMut(u64, u64) -> io::Result<bool>,
) -> io::Result<bool> {
    while start < end {
        let data = match rustix::fs::seek(old, SeekFrom::Data(start)) {
            Ok(data) => data.min(end),
            Err(Errno::NXIO) => return Ok(true),
            Err(cause) => return Err(cause.into()),
        };
        let hole = rustix::fs::seek(old, SeekFrom::Hole(data))?.min(end);
        if !equal(data, hole)? {
            return Ok(false);
        }
        start = hole.max(data + 1);
    }
    Ok(true)
}

fn is_plain(file: &File, len: u64) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == len)
}

/// Tell whether the next bytes of `old` are all of `new`.
fn is_next(old: &mut File, mut new: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; COMPARED], vec![0; COMPARED]);
    loop {
        let read = new.read(&mut right)?;
        if read == 0 {
            return Ok(true);
        }
        match old.read_exact(&mut left[..read]) {
            Ok(()) if left[..read] == right[..read] => {}
            Err(cause) if cause.kind() != io::ErrorKind::UnexpectedEof => return Err(cause),
            _ => return Ok(false),
        }
    }
}

/// Give every output its final name, after all of them are safely on disk. Of several with one path the first is taken.
///
/// # Errors
///
/// - As [`publish_listed`].
pub fn publish(outputs: Vec<Output>) -> Result<Vec<Written>, WriteError> {
    let outputs = outputs.into_iter().map(|output| ((), output)).collect();
    let written = publish_listed(outputs, 1, false, |_| Ok(Vec::new()))?;
    Ok(written.into_iter().map(|((), written)| written).collect())
}

/// As [`publish`], with what is to appear along with the outputs and is made of what is known of them.
///
/// In: each output with what it is to whoever asks; `jobs`, how many are put on disk side by side; `hashed`, whether digests are
/// wanted; `more`, which makes that.
///
/// # Errors
///
/// - [`WriteError::Io`]: an output could not be written or synced, and none has appeared; or it could not be renamed, and those
///   before it have.
/// - Those of `more`.
pub fn publish_listed<T: Send>(
    mut outputs: Vec<(T, Output)>,
    jobs: usize,
    hashed: bool,
    more: impl FnOnce(&[(T, Written)]) -> Result<Vec<(T, Output)>, WriteError>,
) -> Result<Vec<(T, Written)>, WriteError> {
    let mut paths = BTreeSet::new();
    outputs.retain(|(_, output)| paths.insert(output.path.clone()));
    let mut settled = Vec::new();
    let settle = |(what, mut output): (T, Output)| {
        let written = output.settle(hashed);
        (what, output, written)
    };
    let mut keep = |(what, output, written): (T, Output, Result<Written, WriteError>)| {
        settled.push(output);
        Ok::<_, WriteError>((what, written?))
    };
    let mut written = Vec::new();
    in_order(jobs, outputs, settle, |one| keep(one).map(|one| written.push(one)))?;
    for one in more(&written)? {
        written.push(keep(settle(one))?);
    }
    for output in &mut settled {
        let path = output.path.clone();
        output.rename().map_err(io_error("write", &path))?;
    }
    Ok(written)
}

/// A file read from one end to the other, whoever else reads it.
struct Positioned<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
