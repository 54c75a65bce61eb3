//! The whole root file system as one tar: what the segments hold, with extended attributes, and the kernel under `boot`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use hullkit_init::contract::{XATTRS_FILE, Xattrs};

use super::{WriteError, io_error};
use crate::format::cpio::layout;
use crate::format::cpio::read::{Entry, Reader};
use crate::format::cpio::{self, CpioError};
use crate::format::tar::write::Writer;
use crate::format::tar::{Kind, Member, TarError};
use crate::plan::Plan;
use crate::rootfs::{Segment, Segments};

/// Longest list of extended attributes that is read, in bytes.
const XATTRS_MAX: u64 = 256 << 20;

/// Write the whole root file system as one tar into any stream; `path` names it in errors.
///
/// Paths are relative to the host's root; the kernel, its command line and microcode come first, as `boot/kernel`,
/// `boot/cmdline` and `boot/ucode.cpio`. Equal segments give equal bytes.
///
/// # Errors
///
/// - [`WriteError::Segment`]: a packed file in the store is damaged.
/// - [`WriteError::Tar`], [`WriteError::Io`].
pub fn stream(plan: &Plan, segments: &Segments, output: &mut dyn Write, path: &Path) -> Result<(), WriteError> {
    let unwritten = |cause| WriteError::Tar { path: path.to_owned(), cause };
    let mut tar = Writer::new(BufWriter::with_capacity(256 << 10, output));
    boot(plan, segments, &mut tar)?;
    let mut copy = Copy { tar, directories: BTreeMap::new(), xattrs: BTreeMap::new() };
    for part in &segments.parts {
        copy.segment(part).map_err(|error| match error {
            CopyError::Tar(cause) => unwritten(cause),
            CopyError::Cpio(cause) => WriteError::Segment { name: part.name.clone(), cause },
        })?;
    }
    copy.tar.finish().map_err(unwritten)?.flush().map_err(io_error("write", path))
}

/// Which side of a copy failed.
enum CopyError {
    Tar(TarError),
    Cpio(CpioError),
}

impl From<TarError> for CopyError {
    fn from(cause: TarError) -> Self {
        Self::Tar(cause)
    }
}

impl From<CpioError> for CopyError {
    fn from(cause: CpioError) -> Self {
        Self::Cpio(cause)
    }
}

impl From<io::Error> for CopyError {
    fn from(cause: io::Error) -> Self {
        Self::Cpio(CpioError::Io(cause))
    }
}

/// Write what a boot loader needs.
fn boot<W: Write>(plan: &Plan, segments: &Segments, tar: &mut Writer<W>) -> Result<(), WriteError> {
    let (Some(planned), Some(files)) = (&plan.kernel, &segments.kernel) else { return Ok(()) };
    let made = |path: &str, kind, mode, size| Member {
        path: path.as_bytes().to_vec(),
        kind,
        mode,
        mtime: i64::from(plan.epoch),
        size,
        ..Member::default()
    };
    let tar_error = |path: &Path| {
        let path = path.to_owned();
        move |cause| WriteError::Tar { path, cause }
    };
    tar.append(&made("boot", Kind::Directory, 0o755, 0), &mut io::empty()).map_err(tar_error(Path::new("boot")))?;
    let cmdline = planned.cmdline.as_bytes();
    let member = made("boot/cmdline", Kind::File, 0o644, cmdline.len() as u64);
    tar.append(&member, &mut &*cmdline).map_err(tar_error(Path::new("boot/cmdline")))?;
    for (name, path) in [("boot/kernel", Some(&files.binary)), ("boot/ucode.cpio", files.ucode.as_ref())] {
        let Some(path) = path else { continue };
        let mut file = File::open(path).map_err(io_error("open", path))?;
        let size = file.metadata().map_err(io_error("read", path))?.len();
        tar.append(&made(name, Kind::File, 0o644, size), &mut file).map_err(tar_error(path))?;
    }
    Ok(())
}

/// Extended attributes of one file, name and value.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The segments' entries on their way into the tar.
struct Copy<W> {
    tar: Writer<W>,
    /// Directories written so far: the same one in two segments is written once.
    directories: BTreeMap<Vec<u8>, (u32, u32, u32)>,
    /// Extended attributes of the image being copied, by path.
    xattrs: BTreeMap<Vec<u8>, Attributes>,
}

impl<W: Write> Copy<W> {
    fn segment(&mut self, part: &Segment) -> Result<(), CopyError> {
        let frame = zstd::Decoder::new(File::open(&part.path)?)?.single_frame();
        let mut archive = Reader::new(BufReader::with_capacity(256 << 10, frame));
        self.xattrs.clear();
        // Names of a file whose data comes with its last name.
        let mut names: Vec<Vec<u8>> = Vec::new();
        while let Some(entry) = archive.next_entry()? {
            let header = entry.header;
            let file = header.mode & layout::TYPE == layout::REGULAR;
            if file && names.len() + 1 < header.nlink as usize {
                names.push(entry.path);
            } else if file {
                self.file(&entry, &mut archive)?;
                for name in std::mem::take(&mut names) {
                    let link =
                        Member { kind: Kind::HardLink, link: entry.path.clone(), size: 0, ..member(&entry, name)? };
                    self.tar.append(&link, &mut io::empty())?;
                }
            } else {
                self.other(&entry, &mut archive)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, entry: &Entry, archive: &mut impl Read) -> Result<(), CopyError> {
        let member = self.with_xattrs(member(entry, entry.path.clone())?);
        let Some(folder) = folder_of_xattrs(&entry.path) else {
            return Ok(self.tar.append(&member, archive)?);
        };
        let mut json = Vec::new();
        archive.take(XATTRS_MAX).read_to_end(&mut json)?;
        let listed: Xattrs = serde_json::from_slice(&json).map_err(io::Error::from)?;
        for (path, attributes) in listed {
            let whole = [folder, b"rootfs", if path.is_empty() { &b""[..] } else { b"/" }, path.as_bytes()].concat();
            let named = attributes.into_iter().map(|(name, value)| (name.into_bytes(), value));
            self.xattrs.insert(whole, named.collect());
        }
        Ok(self.tar.append(&member, &mut json.as_slice())?)
    }

    fn other(&mut self, entry: &Entry, archive: &mut impl Read) -> Result<(), CopyError> {
        let header = entry.header;
        let mut member = self.with_xattrs(member(entry, entry.path.clone())?);
        member.size = 0;
        if member.kind == Kind::Symlink {
            archive.take(layout::PATH_MAX as u64).read_to_end(&mut member.link)?;
        }
        if member.kind == Kind::Directory {
            let now = (header.mode, header.uid, header.gid);
            if self.directories.insert(entry.path.clone(), now) == Some(now) {
                return Ok(());
            }
        }
        Ok(self.tar.append(&member, &mut io::empty())?)
    }

    fn with_xattrs(&self, member: Member) -> Member {
        Member { xattrs: self.xattrs.get(&member.path).cloned().unwrap_or_default(), ..member }
    }
}

/// Tell whether a path is `images/SHORT/xattrs.json`, and give its folder with the slash.
fn folder_of_xattrs(path: &[u8]) -> Option<&[u8]> {
    let folder = path.strip_suffix(XATTRS_FILE.as_bytes())?;
    let slashes = folder.iter().filter(|byte| **byte == b'/').count();
    (folder.starts_with(b"images/") && folder.ends_with(b"/") && slashes == 2).then_some(folder)
}

fn member(entry: &Entry, path: Vec<u8>) -> Result<Member, CpioError> {
    let header = entry.header;
    let kind = match header.mode & layout::TYPE {
        layout::REGULAR => Kind::File,
        layout::DIRECTORY => Kind::Directory,
        layout::SYMLINK => Kind::Symlink,
        layout::FIFO => Kind::Fifo,
        layout::CHAR => Kind::Char,
        layout::BLOCK => Kind::Block,
        _ => return Err(CpioError::Differs { path: cpio::shown(&path), what: "its type is unknown" }),
    };
    Ok(Member {
        path,
        kind,
        mode: header.mode & 0o7777,
        uid: header.uid,
        gid: header.gid,
        mtime: i64::from(header.mtime),
        size: u64::from(header.size),
        device: header.rdev,
        ..Member::default()
    })
}
