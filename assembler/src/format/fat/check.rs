//! Reads a volume back with a foreign reader, the `fatfs` crate, and compares it with what was to be written.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::rc::Rc;

use fatfs::{FatType, FileSystem, FsOptions};

use super::{FatError, Kind, Volume};
use crate::format::sparse::Sparse;

/// Compare all paths, all lengths, and where each file's first and last byte are; nothing else of a file is read.
///
/// In: `paths`, as they were given to [`super::write()`].
///
/// # Errors
///
/// - [`FatError::Differs`]: the volume holds something else.
/// - [`FatError::Io`]: it cannot be read.
pub fn check(volume: &Volume, paths: &[&str]) -> Result<(), FatError> {
    let read_at = Rc::new(Cell::new(0));
    let device = Device { image: &volume.image, at: 0, read_at: Rc::clone(&read_at) };
    let system = FileSystem::new(device, FsOptions::new())?;
    let kind = match system.fat_type() {
        FatType::Fat12 => Kind::Fat12,
        FatType::Fat16 => Kind::Fat16,
        FatType::Fat32 => Kind::Fat32,
    };
    if (kind, u64::from(system.cluster_size())) != (volume.kind, volume.cluster) {
        return Err(differs("", "the kind or the size of its clusters"));
    }
    let mut wanted = paths.iter().copied().zip(&volume.files).collect::<BTreeMap<_, _>>();
    let mut directories = vec![(String::new(), system.root_dir())];
    while let Some((path, directory)) = directories.pop() {
        for entry in directory.iter() {
            let entry = entry?;
            let name = entry.file_name();
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            if entry.is_dir() {
                if name != "." && name != ".." {
                    directories.push((path, entry.to_dir()));
                }
                continue;
            }
            let place = wanted.remove(path.as_str()).ok_or_else(|| differs(&path, "nobody asked for it"))?;
            if entry.len() != place.end - place.start {
                return Err(differs(&path, "the length"));
            }
            if !stands_at(&mut entry.to_file(), place, &read_at)? {
                return Err(differs(&path, "the place"));
            }
        }
    }
    match wanted.first_key_value() {
        Some((path, _)) => Err(differs(path, "it is missing")),
        None => Ok(()),
    }
}

/// Tell whether the first and the last byte of a file are read from where they should be.
fn stands_at(file: &mut (impl Read + Seek), place: &Range<u64>, read_at: &Cell<u64>) -> io::Result<bool> {
    if place.is_empty() {
        return Ok(true);
    }
    for want in [place.start, place.end - 1] {
        file.seek(SeekFrom::Start(want - place.start))?;
        file.read_exact(&mut [0])?;
        if read_at.get() != want {
            return Ok(false);
        }
    }
    Ok(true)
}

fn differs(path: &str, what: &'static str) -> FatError {
    FatError::Differs { path: path.to_owned(), what }
}

/// A volume as `fatfs` wants it; it remembers where the last read began.
struct Device<'v> {
    image: &'v Sparse,
    at: u64,
    read_at: Rc<Cell<u64>>,
}

impl Read for Device<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.image.size().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        self.image.read_at(self.at, buffer.get_mut(..len).unwrap_or_default())?;
        self.read_at.set(self.at);
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Device<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Device<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.image.size().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
