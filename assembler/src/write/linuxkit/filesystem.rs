//! The kernel beside an image of the root file system: `kernel+squashfs`, `kernel+erofs` and `kernel+iso`.
//!
//! ```text
//! entries --spool--> one file of contents + tree --format--> NAME-squashfs.img | NAME-erofs.img | NAME.iso
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use super::boot::Files;
use super::{Host, Sink, WriteError};
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::format::tar::Member;
use crate::format::tree::{Entry, Growing, Tree, TreeError};
use crate::format::{erofs, iso9660, squashfs};
use crate::rootfs::RootfsError;
use crate::store::Temporary;
use crate::write::io_error;
use crate::write::output::Output;

/// Name of the volume, as LinuxKit gives it.
const VOLUME: &str = "LinuxKit";

/// How much is written at once, in bytes.
const BUFFER: usize = 256 << 10;

/// A kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filesystem {
    /// SquashFS: compressed, read-only.
    Squashfs,
    /// EROFS: not compressed, read-only.
    Erofs,
    /// ISO 9660 with Rock Ridge and Joliet; not bootable.
    Iso,
}

/// Make `NAME-kernel`, `NAME-cmdline` and the image.
///
/// # Errors
///
/// - [`WriteError`].
pub fn outputs(host: &Host<'_>, kind: Filesystem, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
    let (boot, tree, contents) = spool(host)?;
    let suffix = match kind {
        Filesystem::Squashfs => "-squashfs.img",
        Filesystem::Erofs => "-erofs.img",
        Filesystem::Iso => ".iso",
    };
    let path = dir.join(format!("{name}{suffix}"));
    let time = host.plan.epoch;
    let file = contents.file();
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| WriteError::Image { path: path.clone(), cause };
    let output = match kind {
        Filesystem::Squashfs => {
            let mut output = Output::create(&path)?;
            let mut out = BufWriter::with_capacity(BUFFER, &mut output);
            squashfs::write::write(&tree, file, time, &mut out).map_err(|cause| failed(cause.into()))?;
            out.flush().map_err(io_error("write", &path))?;
            drop(out);
            output
        }
        Filesystem::Erofs => {
            let output = Output::create(&path)?;
            let volume = erofs::write::Options::volume(VOLUME);
            let options = erofs::write::Options { uuid: identity(host), volume, time: u64::from(time) };
            let image = erofs::write::Image::new(&tree, options).map_err(|cause| failed(cause.into()))?;
            let target = output.file().ok_or_else(|| failed("the output is complete".into()))?;
            image.write(file, target).map_err(|cause| failed(cause.into()))?;
            output
        }
        Filesystem::Iso => {
            let options = iso9660::write::Options::new(VOLUME.to_owned(), i64::from(time));
            let image = iso9660::write::Image::new(&tree, options).map_err(|cause| failed(cause.into()))?;
            let contents = file.try_clone().and_then(Sparse::of_file).map_err(|cause| failed(cause.into()))?;
            Output::of(&path, &image.sparse(&contents).map_err(|cause| failed(cause.into()))?)
        }
    };
    let mut outputs = boot.outputs(dir, name);
    outputs.push(output);
    Ok(outputs)
}

/// Make a file system's identity of what is in it: equal plans give equal ones.
fn identity(host: &Host<'_>) -> [u8; 16] {
    // Texts, numbers and lists only: there is nothing in a plan that JSON cannot say.
    let digest = Digest::of(&serde_json::to_vec(host.plan).unwrap_or_default());
    let mut uuid = [0; 16];
    uuid.iter_mut().zip(digest.bytes()).for_each(|(slot, byte)| *slot = *byte);
    uuid
}

/// Put the contents of all files into one, and make a tree of the names.
fn spool(host: &Host<'_>) -> Result<(Files, Tree, Temporary), WriteError> {
    let mut file = host.store.temporary().map_err(RootfsError::from)?;
    let path = file.path().to_owned();
    let (boot, tree) = grow(host, BufWriter::with_capacity(BUFFER, &mut file), &path)?;
    Ok((boot, tree, file))
}

/// Write the contents into `out`, which `path` names.
fn grow(host: &Host<'_>, out: impl Write, path: &Path) -> Result<(Files, Tree), WriteError> {
    let growing = Growing::new(i64::from(host.plan.epoch));
    let mut spool = Spool { out, len: 0, boot: Files::default(), growing, waiting: BTreeMap::new() };
    host.fill(&mut spool, &[])?;
    spool.out.flush().map_err(io_error("write", path))?;
    for link in spool.waiting.into_values() {
        spool.growing.add(link)?;
    }
    Ok((spool.boot, spool.growing.finish()))
}

/// The stream's entries on their way into a tree.
struct Spool<W> {
    out: W,
    len: u64,
    boot: Files,
    growing: Growing,
    /// Hard links whose target has not come yet, by their paths: LinuxKit writes upper layers first.
    waiting: BTreeMap<Vec<u8>, Entry>,
}

impl<W: Write> Sink for Spool<W> {
    type Error = WriteError;

    fn append(&mut self, member: &Member, data: &mut dyn Read) -> Result<(), WriteError> {
        if self.boot.take(member, data)? {
            return Ok(());
        }
        let copied = io::copy(data, &mut self.out).map_err(io_error("write", Path::new("a temporary file")))?;
        let entry = Entry::from(Member { offset: self.len, size: copied, ..member.clone() });
        self.len += copied;
        self.waiting.remove(&entry.path);
        match self.growing.add(entry.clone()) {
            Err(TreeError::NoTarget { .. }) => {
                self.waiting.insert(entry.path.clone(), entry);
                Ok(())
            }
            added => Ok(added?),
        }
    }
}
