//! Output files that appear whole or not at all.
//!
//! Bytes go to a hidden file beside the final name. When every output of a build is complete they are synced and renamed
//! together; dropped before that, they vanish. A file that already has the very same bytes is left as it is.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{WriteError, io_error};

/// How much of two files is compared at once, in bytes.
const COMPARED: usize = 256 << 10;

/// A finished output file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
}

/// One piece of a file that is made by joining.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// All of another file.
    File(&'a Path),
    /// These bytes.
    Bytes(&'a [u8]),
}

/// A file on its way to its final name.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The final name already leads to these bytes, as many as that.
    There(u64),
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
        Ok(Self { path: path.to_owned(), state: State::Beside(file, temporary) })
    }

    /// Make a file of pieces, inside the kernel if the file system can, or see that it is there already.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Io`].
    pub fn join(path: &Path, pieces: &[Piece<'_>]) -> Result<Self, WriteError> {
        if let Some(len) = joined_len(path, pieces) {
            return Ok(Self { path: path.to_owned(), state: State::There(len) });
        }
        let mut output = Self::create(path)?;
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => output.write_all(bytes).map_err(io_error("write", path))?,
                Piece::File(from) => {
                    let mut from = File::open(from).map_err(io_error("open", from))?;
                    if let State::Beside(file, _) = &mut output.state {
                        // `copy_file_range` between two files, where there is one.
                        io::copy(&mut from, file).map_err(io_error("write", path))?;
                    }
                }
            }
        }
        Ok(output)
    }

    /// Give the final path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Give the file beside the final name, to write at positions; `None` if it is complete.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        if let State::Beside(file, _) = &self.state { Some(file) } else { None }
    }

    /// Tell whether the final name already leads to exactly the bytes beside it, and how many they are.
    fn settle(&mut self) -> io::Result<u64> {
        let State::Beside(file, temporary) = &mut self.state else { return self.len() };
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(0))?;
        let same =
            File::open(&self.path).is_ok_and(|mut old| is_plain(&old, len) && is_next(&mut old, file).unwrap_or(false));
        if same {
            // Best effort: an equal file under a hidden name is only untidy.
            let _ = fs::remove_file(&*temporary);
            self.state = State::There(len);
        } else {
            file.sync_all()?;
        }
        Ok(len)
    }

    fn len(&self) -> io::Result<u64> {
        match &self.state {
            State::There(len) => Ok(*len),
            State::Beside(file, _) => Ok(file.metadata()?.len()),
            State::Renamed => Ok(fs::metadata(&self.path)?.len()),
        }
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
            State::There(_) | State::Renamed => Err(io::Error::other("the output is complete")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.state {
            State::Beside(file, _) => file.seek(to),
            State::There(_) | State::Renamed => Err(io::Error::other("the output is complete")),
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

/// Tell whether a file is exactly these pieces joined, and give its length. Whatever cannot be read is not.
fn joined_len(path: &Path, pieces: &[Piece<'_>]) -> Option<u64> {
    let mut old = File::open(path).ok()?;
    let mut len = 0;
    for piece in pieces {
        len += match piece {
            Piece::File(from) => fs::metadata(from).ok()?.len(),
            Piece::Bytes(bytes) => bytes.len() as u64,
        };
    }
    if !is_plain(&old, len) {
        return None;
    }
    for piece in pieces {
        let same = match piece {
            Piece::File(from) => is_next(&mut old, &mut File::open(from).ok()?),
            Piece::Bytes(bytes) => is_next(&mut old, &mut &**bytes),
        };
        same.ok().filter(|same| *same)?;
    }
    Some(len)
}

fn is_plain(file: &File, len: u64) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == len)
}

/// Tell whether the next bytes of `old` are all of `new`.
fn is_next(old: &mut File, new: &mut dyn Read) -> io::Result<bool> {
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
/// - [`WriteError::Io`]: an output could not be synced, and none has appeared; or it could not be renamed, and those
///   before it have.
pub fn publish(mut outputs: Vec<Output>) -> Result<Vec<Written>, WriteError> {
    let mut paths = BTreeSet::new();
    outputs.retain(|output| paths.insert(output.path.clone()));
    let mut written = Vec::new();
    for output in &mut outputs {
        let path = output.path.clone();
        let size = output.settle().map_err(io_error("sync", &path))?;
        written.push(Written { path, size });
    }
    for output in &mut outputs {
        let path = output.path.clone();
        output.rename().map_err(io_error("write", &path))?;
    }
    Ok(written)
}
