//! Output files that appear whole or not at all.
//!
//! Bytes go to a hidden file beside the final name. When every output of a build is complete they are synced and renamed
//! together; dropped before that, they vanish. A file that already has the very same bytes is left as it is.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{WriteError, io_error};

/// A finished output file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
}

/// A file on its way to its final name.
#[derive(Debug)]
pub struct Output {
    file: File,
    path: PathBuf,
    temporary: PathBuf,
    renamed: bool,
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
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let temporary = folder.join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(io_error("create", &temporary))?;
        Ok(Self { file, path: path.to_owned(), temporary, renamed: false })
    }

    /// Append another file whole, inside the kernel if the file system can; gives its length.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Io`].
    pub fn append_file(&mut self, path: &Path) -> Result<u64, WriteError> {
        let mut file = File::open(path).map_err(io_error("open", path))?;
        // `copy_file_range` between two files, where there is one.
        io::copy(&mut file, &mut self.file).map_err(io_error("write", &self.path))
    }

    /// Append bytes.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Io`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(bytes).map_err(io_error("write", &self.path))
    }

    /// Give the open file, for a writer that streams into it.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Give the final path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tell whether the final name already leads to exactly these bytes.
    fn is_there(&mut self) -> io::Result<bool> {
        let Ok(mut old) = File::open(&self.path) else { return Ok(false) };
        let (is, was) = (self.file.metadata()?, old.metadata()?);
        if !was.is_file() || is.len() != was.len() {
            return Ok(false);
        }
        self.file.seek(SeekFrom::Start(0))?;
        let (mut left, mut right) = (vec![0; 256 << 10], vec![0; 256 << 10]);
        loop {
            let (one, other) = (fill(&mut self.file, &mut left)?, fill(&mut old, &mut right)?);
            if left[..one] != right[..other] {
                return Ok(false);
            }
            if one == 0 {
                return Ok(true);
            }
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.renamed {
            // Unwanted or replaced by an equal file: either way nothing is to be said.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Give every output its final name, after all of them are safely on disk.
///
/// # Errors
///
/// - [`WriteError::Io`]: an output could not be synced, and none has appeared; or it could not be renamed, and those
///   before it have.
pub fn publish(mut outputs: Vec<Output>) -> Result<Vec<Written>, WriteError> {
    let mut written = Vec::new();
    for output in &mut outputs {
        let size = output.file.metadata().map_err(io_error("read", &output.path))?.len();
        let unchanged = output.is_there().map_err(io_error("read", &output.path))?;
        if !unchanged {
            output.file.sync_all().map_err(io_error("sync", &output.path))?;
        }
        written.push((Written { path: output.path.clone(), size }, unchanged));
    }
    for (output, (_, unchanged)) in outputs.iter_mut().zip(&written) {
        if !unchanged {
            fs::rename(&output.temporary, &output.path).map_err(io_error("write", &output.path))?;
            output.renamed = true;
        }
    }
    Ok(written.into_iter().map(|(written, _)| written).collect())
}
