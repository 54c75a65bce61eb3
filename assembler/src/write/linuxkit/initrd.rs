//! The kernel and an initrd as LinuxKit makes them of the tree: `kernel+initrd`, and `tar-kernel-initrd`.
//!
//! ```text
//! NAME-initrd.img    microcode as it is | gzip of one cpio archive
//! ```

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use flate2::Compression;

use super::boot::Files;
use super::{Host, Sink, WriteError};
use crate::format::cpio::layout;
use crate::format::cpio::write::{Attributes, Writer};
use crate::format::gzip;
use crate::format::sparse::Sparse;
use crate::format::tar::{Kind, Member, write as tar};
use crate::rootfs::{RootfsError, path};
use crate::write::initrd::whole;
use crate::write::io_error;
use crate::write::output::Output;

/// Length to which LinuxKit pads an archive, in bytes.
const BLOCK: usize = 512;

/// How much is written at once, in bytes.
const BUFFER: usize = 256 << 10;

/// How hard the initrd is compressed: LinuxKit's default.
const LEVEL: Compression = Compression::new(6);

/// A host's files for a boot loader, and its initrd, packed.
#[derive(Debug)]
pub struct Packed {
    /// What lies beside the initrd.
    pub files: Files,
    /// The initrd, microcode in front of it.
    pub initrd: Sparse,
    /// The archive alone.
    archive: Sparse,
    epoch: u32,
}

impl Packed {
    /// Pack a host.
    ///
    /// # Errors
    ///
    /// - [`WriteError`].
    pub fn new(host: &Host<'_>) -> Result<Self, WriteError> {
        let mut file = host.store.temporary().map_err(RootfsError::from)?;
        let path = file.path().to_owned();
        let files = compress(host, BufWriter::with_capacity(BUFFER, &mut file), &path)?;
        // Open before its name goes with the temporary file.
        let archive = whole(&path)?;
        // Not padded: the kernel looks for a compressed archive at every byte.
        let mut initrd = Sparse::of_bytes(files.ucode.as_slice());
        initrd.append(&archive);
        Ok(Self { files, initrd, archive, epoch: host.plan.epoch })
    }

    /// Make `NAME-kernel`, `NAME-initrd.img` and `NAME-cmdline`; one that would be empty is left out, as LinuxKit does.
    #[must_use]
    pub fn outputs(&self, dir: &Path, name: &str) -> Vec<Output> {
        let mut outputs = self.files.outputs(dir, name);
        outputs.push(Output::of(&dir.join(format!("{name}-initrd.img")), &self.initrd));
        outputs
    }

    /// Make `NAME-initrd.tar`, which holds `kernel`, `initrd.img`, `cmdline` and `ucode.cpio`, those of them that there are.
    ///
    /// # Errors
    ///
    /// - [`WriteError`].
    pub fn bundle(&self, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
        let mut out = Output::create(&dir.join(format!("{name}-initrd.tar")))?;
        let path = out.path().to_owned();
        let unwritten = |cause| WriteError::Tar { path: path.clone(), cause };
        let mut tar = tar::Writer::new(BufWriter::with_capacity(BUFFER, &mut out));
        let Files { kernel, cmdline, ucode } = &self.files;
        let parts: [(&str, u64, &mut dyn Read); 4] = [
            ("kernel", kernel.len() as u64, &mut kernel.as_slice()),
            ("initrd.img", self.archive.size(), &mut self.archive.reader()),
            ("cmdline", cmdline.len() as u64, &mut cmdline.as_slice()),
            ("ucode.cpio", ucode.len() as u64, &mut ucode.as_slice()),
        ];
        for (name, size, data) in parts.into_iter().filter(|(_, size, _)| *size > 0) {
            let mtime = i64::from(self.epoch);
            let member = Member { path: name.into(), mode: 0o644, mtime, size, ..Member::default() };
            tar.append(&member, data).map_err(unwritten)?;
        }
        tar.finish().map_err(unwritten)?.flush().map_err(io_error("write", &path))?;
        Ok(vec![out])
    }
}

/// Write the archive, compressed, into `out`, which `path` names.
fn compress(host: &Host<'_>, out: impl Write, path: &Path) -> Result<Files, WriteError> {
    let gzip = gzip::Writer::new(out, LEVEL, host.options.jobs);
    let mut initrd = Initrd { archive: Writer::new(Padded::new(gzip)).like_linuxkit(), boot: Files::default() };
    host.fill(&mut initrd, &[])?;
    let Initrd { archive, boot } = initrd;
    let unwritten = |cause| WriteError::Segment { name: "the initrd".to_owned(), cause };
    let gzip = archive.finish().map_err(unwritten)?.finish().map_err(io_error("write", path))?;
    gzip.finish().and_then(|mut out| out.flush()).map_err(io_error("write", path))?;
    Ok(boot)
}

/// A cpio archive that takes the entries as they come, and keeps those for the boot loader apart.
struct Initrd<W> {
    archive: Writer<W>,
    boot: Files,
}

impl<W: Write> Sink for Initrd<W> {
    type Error = WriteError;

    fn append(&mut self, member: &Member, data: &mut dyn Read) -> Result<(), WriteError> {
        if self.boot.take(member, data)? { Ok(()) } else { self.entry(member, data) }
    }
}

impl<W: Write> Initrd<W> {
    fn entry(&mut self, member: &Member, data: &mut dyn Read) -> Result<(), WriteError> {
        let kind = match member.kind {
            Kind::File => layout::REGULAR,
            Kind::Directory => layout::DIRECTORY,
            Kind::Symlink | Kind::HardLink => layout::SYMLINK,
            Kind::Char => layout::CHAR,
            Kind::Block => layout::BLOCK,
            Kind::Fifo => layout::FIFO,
        };
        let attributes = Attributes {
            mode: kind | member.mode,
            uid: member.uid,
            gid: member.gid,
            // A cpio header counts seconds from 1970 in 32 bits.
            mtime: u32::try_from(member.mtime.max(0)).unwrap_or(u32::MAX),
            rdev: member.device,
        };
        let link = match member.kind {
            Kind::HardLink => relative(&member.path, &member.link),
            _ => member.link.clone(),
        };
        let written = match kind {
            layout::SYMLINK => self.archive.append(&member.path, attributes, &link),
            _ => self.archive.append_linked(&[&member.path], attributes, member.size, data),
        };
        let name = String::from_utf8_lossy(&member.path).into_owned();
        written.map_err(|cause| WriteError::Segment { name, cause })
    }
}

/// Write the way from the folder of one path to another path: LinuxKit makes hard links into symbolic ones.
fn relative(from: &[u8], to: &[u8]) -> Vec<u8> {
    let from: Vec<&[u8]> = path::parts(path::split(from).0).collect();
    let to: Vec<&[u8]> = path::parts(to).collect();
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from.iter().skip(shared).map(|_| &b".."[..]);
    up.chain(to.iter().skip(shared).copied()).collect::<Vec<_>>().join(&b'/')
}

/// Pads what is written to whole blocks of 512 bytes.
struct Padded<W> {
    out: W,
    len: usize,
}

impl<W: Write> Padded<W> {
    fn new(out: W) -> Self {
        Self { out, len: 0 }
    }

    fn finish(mut self) -> io::Result<W> {
        let rest = self.len.wrapping_neg() % BLOCK;
        self.out.write_all(&[0; BLOCK][..rest])?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Padded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.len = self.len.wrapping_add(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn a_hard_link_becomes_the_way_to_its_target() {
        for (from, to, want) in [
            ("bin/b", "bin/a", "a"),
            ("usr/bin/b", "bin/a", "../../bin/a"),
            ("b", "bin/./a", "bin/a"),
            ("a/b/c", "a/d", "../d"),
        ] {
            assert_eq!(relative(from.as_bytes(), to.as_bytes()), want.as_bytes());
        }
    }
}
