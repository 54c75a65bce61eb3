//! An archive as text, one line an entry, for golden tests and for people.

use std::fmt::Write as _;
use std::io::Read;

use super::read::Reader;
use super::{CpioError, shown};

/// List an archive: offset, inode, mode, links, owner, time, size or device, path.
///
/// # Errors
///
/// - [`CpioError::Damaged`], [`CpioError::Io`].
pub fn dump(archive: impl Read) -> Result<String, CpioError> {
    let mut reader = Reader::new(archive);
    let mut text = String::new();
    while let Some(entry) = reader.next_entry()? {
        let header = entry.header;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{:08x} ino {} {:06o} x{} {}:{} t{} {} rdev {}:{} {}",
            entry.offset,
            header.ino,
            header.mode,
            header.nlink,
            header.uid,
            header.gid,
            header.mtime,
            header.size,
            header.rdev.0,
            header.rdev.1,
            shown(&entry.path),
        );
    }
    Ok(text)
}
