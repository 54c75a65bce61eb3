//! Values to an archive.

use std::io::{self, Read, Write};

use super::layout::{self, Header};
use super::{CpioError, shown};

/// What an entry is, apart from its path and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u32,
    /// Numbers of a device node, major and minor; zero for everything else.
    pub rdev: (u32, u32),
}

impl Attributes {
    /// A directory of root that everyone may read.
    #[must_use]
    pub fn directory(mtime: u32) -> Self {
        Self { mode: layout::DIRECTORY | 0o755, mtime, ..Self::default() }
    }

    /// A file of root that everyone may read.
    #[must_use]
    pub fn file(mtime: u32) -> Self {
        Self { mode: layout::REGULAR | 0o644, mtime, ..Self::default() }
    }
}

/// An archive being written.
///
/// Equal calls give equal bytes: inode numbers count up from 1 in call order.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    offset: u64,
    inode: u32,
    linuxkit: bool,
}

impl<W: Write> Writer<W> {
    /// Start an archive in `out`.
    pub fn new(out: W) -> Self {
        Self { out, offset: 0, inode: 0, linuxkit: false }
    }

    /// Fill the fields nobody reads as LinuxKit's writer does: inodes from 721, all on device 3:1, two names for every
    /// directory.
    #[must_use]
    pub fn like_linuxkit(self) -> Self {
        Self { inode: 720, linuxkit: true, ..self }
    }

    /// Append one entry whose data is in memory: a file's bytes, a link's target, nothing for all else.
    ///
    /// In: `path`, relative to the archive's root, no leading `/`; any bytes but NUL.
    ///
    /// # Errors
    ///
    /// - As [`Writer::append_linked`].
    pub fn append(&mut self, path: &[u8], attributes: Attributes, data: &[u8]) -> Result<(), CpioError> {
        if attributes.mode & layout::TYPE == layout::SYMLINK && data.len() >= layout::PATH_MAX {
            return Err(CpioError::LongPath { path: shown(data) });
        }
        self.append_linked(&[path], attributes, data.len() as u64, &mut &*data)
    }

    /// Append one file under each of its names, the data with the last of them.
    ///
    /// In: `paths`, at least one, as in [`Writer::append`]; `size`, exactly how many bytes `data` gives.
    ///
    /// # Errors
    ///
    /// - [`CpioError::TooLarge`]: `size` is 4 GiB or more.
    /// - [`CpioError::LongPath`]: the kernel would skip the entry.
    /// - [`CpioError::Length`]: `data` ended early; the archive is unusable.
    /// - [`CpioError::Io`]: `out` refused bytes, or `data` failed; the archive is unusable.
    ///
    /// # Source
    ///
    /// Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`, rules `cpio_file`, `cpio_header`, and the
    /// paragraph on hard links.
    pub fn append_linked(
        &mut self,
        paths: &[&[u8]],
        attributes: Attributes,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), CpioError> {
        let Some((last, others)) = paths.split_last() else { return Ok(()) };
        // Sizes are eight hex digits; said here, because the kernel's message would not name the file.
        let size_field = u32::try_from(size).map_err(|_| CpioError::TooLarge { path: shown(last), size })?;
        let directory = self.linuxkit && attributes.mode & layout::TYPE == layout::DIRECTORY;
        let nlink = if directory { 2 } else { u32::try_from(paths.len()).unwrap_or(u32::MAX) };
        self.inode += 1;
        let Attributes { mode, uid, gid, mtime, rdev } = attributes;
        let header = Header { ino: self.inode, mode, uid, gid, nlink, mtime, rdev, ..Header::default() };
        for path in others {
            self.header(header, path)?;
        }
        self.header(Header { size: size_field, ..header }, last)?;
        let found = io::copy(&mut data.take(size), &mut self.out)?;
        self.offset += found;
        if found != size {
            return Err(CpioError::Length { path: shown(last), wanted: size, found });
        }
        self.pad()
    }

    /// End the archive and give `out` back.
    ///
    /// # Errors
    ///
    /// - [`CpioError::Io`].
    pub fn finish(mut self) -> Result<W, CpioError> {
        let ino = if self.linuxkit { self.inode + 1 } else { 0 };
        self.header(Header { ino, nlink: 1, ..Header::default() }, layout::TRAILER)?;
        Ok(self.out)
    }

    fn header(&mut self, header: Header, path: &[u8]) -> Result<(), CpioError> {
        let namesize = path.len() + 1;
        let namesize = match u32::try_from(namesize) {
            Ok(fits) if namesize <= layout::PATH_MAX => fits,
            _ => return Err(CpioError::LongPath { path: shown(path) }),
        };
        let dev = if self.linuxkit { (3, 1) } else { (0, 0) };
        self.put(&Header { namesize, dev, ..header }.to_bytes())?;
        self.put(path)?;
        self.put(&[0])?;
        self.pad()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), CpioError> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<(), CpioError> {
        let zeros = &[0; 3][..layout::padding(self.offset)];
        self.put(zeros)
    }
}
