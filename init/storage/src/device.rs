//! Disks and partitions as the kernel shows them. In: `/sys`. Out: what is known of each without looking at what is on it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hullkit_init::disk::Disk;
use hullkit_init::sys::{Linux, Sys};

/// Where devices of blocks are.
const SYS: &str = "/sys/class/block";

/// What a whole device is called that is no disk of the machine's: a CD, or made of others.
const NOT_DISKS: [&str; 3] = ["sr", "dm-", "md"];

/// A disk or partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its path below `/dev`.
    pub(crate) path: String,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its serial number; empty if it shows none.
    pub(crate) serial: String,
}

impl Device {
    /// Every disk of the machine that can be written, sorted by path.
    pub(crate) fn disks() -> Vec<Self> {
        let name = |path: &str| path.trim_start_matches("/dev/").to_owned();
        let all = Linux::default().block_devices().into_iter();
        let disks = all.filter(|(path, _)| !NOT_DISKS.iter().any(|kind| name(path).starts_with(kind)));
        disks.map(|(path, size)| Self::new(&path, size)).filter(|disk| fact(&disk.path, "ro") == "0").collect()
    }

    fn new(path: &str, size: u64) -> Self {
        let serials = ["serial", "device/serial", "wwid", "device/wwid"].map(|name| fact(path, name));
        Self {
            path: path.to_owned(),
            size,
            serial: serials.into_iter().find(|text| !text.is_empty()).unwrap_or_default(),
        }
    }

    /// The partition of this number, if the kernel has a device for it.
    pub(crate) fn partition(&self, number: usize) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "one is looked for")]
        let entries = fs::read_dir(folder(&self.path)).ok()?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut paths = names.map(|name| format!("/dev/{}", name.replace('!', "/")));
        let path = paths.find(|path| fact(path, "partition").parse() == Ok(number))?;
        let size = fact(&path, "size").parse::<u64>().ok()?.saturating_mul(512);
        Some(Self { path, size, ..self.clone() })
    }

    /// Open it to be looked at.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Disk>> {
        Self::look(&self.path)
    }

    /// Open it to be written, by nobody else: neither a mount nor what is made of it may use it.
    pub(crate) fn open_alone(&self) -> io::Result<Writable> {
        let file = File::options().read(true).write(true).custom_flags(libc::O_EXCL).open(&self.path)?;
        Ok(Writable { file })
    }

    /// Open it to be written, whoever uses it: by who knows that nobody writes the same bytes.
    pub(crate) fn open_shared(&self) -> io::Result<Writable> {
        Ok(Writable { file: File::options().write(true).open(&self.path)? })
    }

    /// Look at what is at a path.
    pub(crate) fn look(path: &str) -> io::Result<Box<dyn Disk>> {
        Linux::default().open_disk(path)
    }

    /// Its length now, which may be another than when it was found.
    pub(crate) fn length(path: &str) -> io::Result<u64> {
        Ok(Self::look(path)?.size())
    }
}

/// A disk that is written.
#[derive(Debug)]
pub(crate) struct Writable {
    file: File,
}

impl Writable {
    /// Write bytes, and have them on the disk.
    pub(crate) fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.file.sync_data()
    }

    /// Write zeros from one offset to another, and have them on the disk.
    pub(crate) fn clear(&self, from: u64, to: u64) -> io::Result<()> {
        let zeros = [0; 64 << 10];
        let mut at = from;
        while at < to {
            let left = usize::try_from(to - at).unwrap_or(usize::MAX);
            let piece = &zeros[..left.min(zeros.len())];
            self.file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        self.file.sync_data()
    }
}

fn folder(path: &str) -> PathBuf {
    Path::new(SYS).join(path.trim_start_matches("/dev/").replace('/', "!"))
}

/// A line that the kernel says of a device; empty if it does not.
fn fact(path: &str, name: &str) -> String {
    let text = fs::read(folder(path).join(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
}
