//! Reads an archive back with a foreign reader and compares it with what was to be written.

use std::io::{self, Read};

use super::layout;
use super::read::Reader;
use super::{CpioError, shown};

/// What one entry must read back as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Path in the archive.
    pub path: Vec<u8>,
    /// Type and permission bits.
    pub mode: u32,
    /// Length of the data in bytes.
    pub size: u64,
}

/// Read a whole archive with the `cpio` crate, and compare names, modes, sizes and the number of entries.
///
/// In: `wanted`, in the archive's order. The archive is read to its end, whatever follows the trailer included. From the
/// first name that is not UTF-8, which the crate refuses, our own reader takes over.
///
/// # Errors
///
/// - [`CpioError::Differs`]: the archive holds something else.
/// - [`CpioError::Io`]: it cannot be read as an archive.
pub fn check(archive: impl Read, wanted: impl IntoIterator<Item = Expected>) -> Result<(), CpioError> {
    let mut archive = archive;
    let mut wanted = wanted.into_iter();
    for expected in wanted.by_ref() {
        if std::str::from_utf8(&expected.path).is_err() {
            return check_bytes(archive, std::iter::once(expected).chain(wanted));
        }
        let entry = cpio::NewcReader::new(archive)?;
        let found = entry.entry();
        compare(&expected, found.name().as_bytes(), found.mode(), u64::from(found.file_size()))?;
        archive = entry.finish()?;
    }
    let end = cpio::NewcReader::new(archive)?;
    if !end.entry().is_trailer() {
        return Err(CpioError::Differs { path: end.entry().name().to_owned(), what: "nobody asked for it" });
    }
    io::copy(&mut end.finish()?, &mut io::sink())?;
    Ok(())
}

/// As [`check`], with our own reader.
fn check_bytes(mut archive: impl Read, wanted: impl Iterator<Item = Expected>) -> Result<(), CpioError> {
    let mut reader = Reader::new(&mut archive);
    for expected in wanted {
        let path = || shown(&expected.path);
        let entry = reader.next_entry()?.ok_or_else(|| CpioError::Differs { path: path(), what: "it is missing" })?;
        compare(&expected, &entry.path, entry.header.mode, u64::from(entry.header.size))?;
    }
    match reader.next_entry()? {
        Some(entry) => Err(CpioError::Differs { path: shown(&entry.path), what: "nobody asked for it" }),
        None => io::copy(&mut archive, &mut io::sink()).map(drop).map_err(CpioError::Io),
    }
}

fn compare(expected: &Expected, path: &[u8], mode: u32, size: u64) -> Result<(), CpioError> {
    let what = match () {
        () if path == layout::TRAILER => "it is missing",
        () if path != expected.path => "another name stands there",
        () if mode != expected.mode => "the mode",
        () if size != expected.size => "the size",
        () => return Ok(()),
    };
    Err(CpioError::Differs { path: shown(&expected.path), what })
}
