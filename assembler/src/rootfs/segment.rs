//! One packed piece of a host, in the store, named by what went into it: a compressed archive of an initrd, or a file system of a
//! disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use serde::{Deserialize, Serialize};

use super::RootfsError;
use super::memory::Memory;
use crate::digest::Digest;
use crate::format::cpio::CpioError;
use crate::format::cpio::check::{Expected, check};
use crate::format::cpio::layout::{self, padding};
use crate::format::cpio::write::{Attributes, Writer};
use crate::store::{Store, Temporary};

/// Raised whenever equal inputs would be packed to another archive than before.
const PACKER: u32 = 1;

/// Raised whenever equal inputs would be packed to another file system than before.
const EROFS_PACKER: u32 = 1;

/// zstd's level. One thread per segment and fixed settings: the bytes must not depend on the machine's cores.
const LEVEL: i32 = 3;

/// A packed piece of a root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// What it holds: `init`, `modules`, an image's reference, `system`.
    pub name: String,
    /// The file in the store: one zstd frame and zero bytes up to a multiple of four, or an EROFS image.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Memory that its files take once the kernel has unpacked them, in bytes; 0 if it is mounted instead.
    pub unpacked: u64,
    /// Whether it was there already.
    pub cached: bool,
    /// Why it was packed, or why not.
    pub reason: String,
}

/// What a segment is made of; equal keys are equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    packer: u32,
    kind: String,
    inputs: BTreeMap<String, String>,
    #[serde(skip)]
    form: Form,
}

/// What is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    #[default]
    Archive,
    Erofs,
}

impl Key {
    pub(crate) fn new<const N: usize>(kind: &str, inputs: [(&str, String); N]) -> Self {
        let inputs = inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { packer: PACKER, kind: kind.to_owned(), inputs, form: Form::Archive }
    }

    /// Make the key of a file system.
    pub(crate) fn erofs<const N: usize>(kind: &str, inputs: [(&str, String); N]) -> Self {
        Self { packer: EROFS_PACKER, form: Form::Erofs, ..Self::new(&format!("{kind} erofs"), inputs) }
    }

    fn to_bytes(&self) -> Vec<u8> {
        // Plain strings and numbers: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Name the file that is made of these inputs.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Give the path the segment has or would have.
    pub(crate) fn path(&self, store: &Store) -> PathBuf {
        self.beside(store, if self.form == Form::Erofs { "erofs" } else { "cpio.zst" })
    }

    /// Give the path of a file of this key by what its name ends in.
    fn beside(&self, store: &Store, suffix: &str) -> PathBuf {
        store.folder("segments").join(format!("{}.{suffix}", self.digest().hex()))
    }

    /// Tell in words what is different from the last time something of this name was packed.
    fn difference(&self, last: Option<&Self>) -> String {
        let Some(last) = last else { return "never packed before".to_owned() };
        if last.packer != self.packer {
            return format!("packed by version {} of the packer, now {}", last.packer, self.packer);
        }
        let old = |name: &String| last.inputs.get(name).cloned().unwrap_or_default();
        let changed = self.inputs.iter().find(|(name, value)| **value != old(name));
        changed.map_or_else(
            || "the packed file had gone".to_owned(),
            |(name, value)| format!("{name} was `{}`, is `{value}`", old(name)),
        )
    }
}

/// Find an archive in the store, or pack it with `fill` and put it there.
///
/// What `fill` writes is read back by a foreign reader while it passes, and compared with what was asked for.
pub(crate) fn segment(
    store: &Store,
    name: &str,
    key: &Key,
    fill: impl FnOnce(&mut Packer<Tee<'_>>) -> Result<(), RootfsError>,
) -> Result<Segment, RootfsError> {
    let path = key.path(store);
    let unwritten = |cause| RootfsError::Cache { action: "write", path: path.clone(), cause };
    let memory_path = key.beside(store, "memory");
    let mut found = found(store, name, key, |out| {
        let memory = compress(out, fill).map_err(|error| match error {
            RootfsError::Cpio(cause) => RootfsError::Pack { what: name.to_owned(), cause },
            other => other,
        })?;
        let len = out.file().metadata().map_err(unwritten)?.len();
        out.write_all(&[0; 3][..padding(len)]).map_err(unwritten)?;
        // Before the segment: what is there has its figure beside it.
        note(store, &memory_path, memory.bytes().to_string().as_bytes())
    })?;
    let noted = fs::read_to_string(&memory_path).ok().and_then(|text| text.parse().ok());
    found.unpacked = match noted {
        Some(bytes) => bytes,
        // An older program packed it.
        None => {
            let memory =
                Memory::of_archive(&found.path).map_err(|cause| RootfsError::Pack { what: name.to_owned(), cause })?;
            note(store, &memory_path, memory.bytes().to_string().as_bytes())?;
            memory.bytes()
        }
    };
    Ok(found)
}

/// Find a file system in the store, or make it with `fill` and put it there.
///
/// In: `fill`, which writes it into an empty file, with the identity it is given.
pub(crate) fn erofs(
    store: &Store,
    name: &str,
    key: &Key,
    fill: impl FnOnce(&File, [u8; 16]) -> Result<(), RootfsError>,
) -> Result<Segment, RootfsError> {
    found(store, name, key, |out| fill(out.file(), uuid(&key.digest())))
}

/// Make an identity of a digest.
///
/// # Source
///
/// RFC 9562, 5.8: version 8, whose other bits are the maker's own.
pub(crate) fn uuid(digest: &Digest) -> [u8; 16] {
    let mut start = [0; 16];
    start.iter_mut().zip(digest.bytes()).for_each(|(slot, byte)| *slot = *byte);
    let bits = u128::from_be_bytes(start);
    (bits & !(0xf << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62).to_be_bytes()
}

/// Find what a key names in the store, or make it and tell why.
fn found(
    store: &Store,
    name: &str,
    key: &Key,
    make: impl FnOnce(&mut Temporary) -> Result<(), RootfsError>,
) -> Result<Segment, RootfsError> {
    let path = key.path(store);
    let found =
        |size, cached, reason| Segment { name: name.to_owned(), path: path.clone(), size, unpacked: 0, cached, reason };
    if let Ok(metadata) = fs::metadata(&path) {
        return Ok(found(metadata.len(), true, "nothing it is made of has changed".to_owned()));
    }
    let last_name = if key.form == Form::Erofs { format!("{name} erofs") } else { name.to_owned() };
    let last_path = store.folder("segments").join(format!("{}.last", Digest::of(last_name.as_bytes()).hex()));
    let last = fs::read(&last_path).ok().and_then(|bytes| serde_json::from_slice::<Key>(&bytes).ok());
    let mut out = store.temporary()?;
    make(&mut out)?;
    let unread = |cause| RootfsError::Cache { action: "read", path: out.path().to_owned(), cause };
    let len = out.file().metadata().map_err(unread)?.len();
    out.persist(&path)?;
    note(store, &last_path, &key.to_bytes())?;
    Ok(found(len, false, key.difference(last.as_ref())))
}

fn note(store: &Store, path: &std::path::Path, bytes: &[u8]) -> Result<(), RootfsError> {
    let mut out = store.temporary()?;
    let unwritten = |cause| RootfsError::Cache { action: "write", path: path.to_owned(), cause };
    out.write_all(bytes).map_err(unwritten)?;
    Ok(out.persist(path)?)
}

/// Run `fill`, compress what it writes into `out`, and check it on the way.
fn compress(
    out: &mut Temporary,
    fill: impl FnOnce(&mut Packer<Tee<'_>>) -> Result<(), RootfsError>,
) -> Result<Memory, RootfsError> {
    let frame = zstd::Encoder::new(BufWriter::new(out), LEVEL).map_err(CpioError::Io)?;
    let (from, to) = io::pipe().map_err(CpioError::Io)?;
    let (send, wanted) = channel();
    thread::scope(|scope| {
        let checker = scope.spawn(move || check(BufReader::with_capacity(64 << 10, from), wanted.iter()));
        let written = (|| {
            let memory = Memory::default();
            let mut packer = Packer { archive: Writer::new(Tee { frame, copy: to }), wanted: send, memory };
            fill(&mut packer)?;
            let Packer { archive, wanted, memory } = packer;
            drop(wanted);
            let Tee { frame, copy } = archive.finish()?;
            drop(copy);
            frame.finish().and_then(|mut out| out.flush()).map_err(CpioError::Io)?;
            Ok(memory)
        })();
        let checked = checker.join().unwrap_or_else(|_| Err(CpioError::Io(io::Error::other("the reader gave up"))));
        match (written, checked) {
            // A checker that found something stops reading, and the writer then only sees a broken pipe.
            (_, Err(error @ CpioError::Differs { .. })) => Err(error.into()),
            (Err(error), _) => Err(error),
            (Ok(memory), checked) => Ok(checked.map(|()| memory)?),
        }
    })
}

/// An archive that is being packed and checked at the same time.
#[derive(Debug)]
pub(crate) struct Packer<W> {
    archive: Writer<W>,
    wanted: Sender<Expected>,
    memory: Memory,
}

impl<W: Write> Packer<W> {
    /// As [`Writer::append`].
    pub(crate) fn append(&mut self, path: &[u8], attributes: Attributes, data: &[u8]) -> Result<(), RootfsError> {
        self.expect(path, attributes.mode, data.len() as u64);
        Ok(self.archive.append(path, attributes, data)?)
    }

    /// As [`Writer::append_linked`].
    pub(crate) fn append_linked(
        &mut self,
        paths: &[&[u8]],
        attributes: Attributes,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), RootfsError> {
        for (at, path) in paths.iter().enumerate() {
            self.expect(path, attributes.mode, if at + 1 == paths.len() { size } else { 0 });
        }
        Ok(self.archive.append_linked(paths, attributes, size, data)?)
    }

    /// Append a directory of root.
    pub(crate) fn directory(&mut self, path: &str) -> Result<(), RootfsError> {
        self.append(path.as_bytes(), Attributes::directory(0), &[])
    }

    fn expect(&mut self, path: &[u8], mode: u32, size: u64) {
        self.memory.add(size);
        // The reader only goes away early after finding a fault, which is told when it is joined.
        let _ = self.wanted.send(Expected { path: path.to_vec(), mode, size });
    }
}

/// Sends an archive's bytes to the compressor and to the reader that checks them.
pub(crate) struct Tee<'a> {
    frame: zstd::Encoder<'static, BufWriter<&'a mut Temporary>>,
    copy: PipeWriter,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.frame.write(bytes)?;
        self.copy.write_all(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.frame.flush()
    }
}

/// Cut an absolute path of the host down to the form archives use.
pub(crate) fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// Tell whether a mode is that of a regular file.
pub(crate) fn is_file(mode: u32) -> bool {
    mode & layout::TYPE == layout::REGULAR
}
