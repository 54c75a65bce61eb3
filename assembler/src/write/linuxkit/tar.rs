//! The root file system as a tar: `tar`, and `docker`, which `docker import` and `docker build` take.

use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::{Host, Sink, WriteError};
use crate::format::tar::Member;
use crate::format::tar::write::Writer;
use crate::write::io_error;

/// What makes an image of the tree: LinuxKit adds it so that `docker build` can take the archive as it is.
const DOCKERFILE: &str = "\nFROM scratch\n\nCOPY . ./\n\nENTRYPOINT [\"/bin/rc.init\"]\n";

/// Write the format `tar`: every entry in LinuxKit's order, with a note of where it comes from.
///
/// In: `path`, which names the stream in errors.
///
/// # Errors
///
/// - [`WriteError`].
pub fn tar(host: &Host<'_>, out: &mut dyn Write, path: &Path) -> Result<(), WriteError> {
    fill(host, out, path, &[])
}

/// Write the format `docker`: the same, and a `Dockerfile`.
///
/// # Errors
///
/// - [`WriteError`].
pub fn docker(host: &Host<'_>, out: &mut dyn Write, path: &Path) -> Result<(), WriteError> {
    fill(host, out, path, &[("Dockerfile", DOCKERFILE)])
}

fn fill(host: &Host<'_>, out: &mut dyn Write, path: &Path, more: &[(&str, &str)]) -> Result<(), WriteError> {
    let writer = Writer::new(BufWriter::with_capacity(256 << 10, out));
    let mut archive = Archive { writer, path: path.to_owned() };
    host.fill(&mut archive, more)?;
    let unwritten = |cause| WriteError::Tar { path: path.to_owned(), cause };
    archive.writer.finish().map_err(unwritten)?.flush().map_err(io_error("write", path))
}

/// A tar that takes the entries as they come.
struct Archive<W> {
    writer: Writer<W>,
    path: PathBuf,
}

impl<W: Write> Sink for Archive<W> {
    type Error = WriteError;

    fn append(&mut self, member: &Member, data: &mut dyn Read) -> Result<(), WriteError> {
        self.writer.append(member, data).map_err(|cause| WriteError::Tar { path: self.path.clone(), cause })
    }
}
