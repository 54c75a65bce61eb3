//! Members to a tar stream: ustar headers, with a pax header before those that do not fit.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::read::BLOCK;
use super::{Kind, Member, TarError};

/// Largest number in a field of eight octal digits with its NUL.
const SMALL_MAX: u64 = 0o7_777_777;

/// Largest number in a field of twelve.
const LARGE_MAX: u64 = 0o77_777_777_777;

/// A tar stream being written. Equal calls give equal bytes.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Start an archive in `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Append one member; `member.offset` means nothing here.
    ///
    /// In: `data`, which gives exactly `member.size` bytes.
    ///
    /// # Errors
    ///
    /// - [`TarError::Entry`]: `data` ended early, or a device's number does not fit; the archive is unusable.
    /// - [`TarError::Io`]: `out` refused bytes, or `data` failed; the archive is unusable.
    ///
    /// # Source
    ///
    /// POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Extended Header".
    pub fn append(&mut self, member: &Member, data: &mut dyn Read) -> Result<(), TarError> {
        self.announce(member)?;
        if self.data(data, member.size)? == member.size {
            return Ok(());
        }
        let path = String::from_utf8_lossy(&member.path).into_owned();
        Err(TarError::Entry { path, what: "it is shorter than announced" })
    }

    /// Append the headers of one member alone: whoever holds the stream puts its data behind them, padded to a multiple of 512 bytes.
    ///
    /// # Errors
    ///
    /// - [`TarError::Io`]: `out` refused bytes; the archive is unusable.
    pub fn announce(&mut self, member: &Member) -> Result<(), TarError> {
        let records = records(member);
        if !records.is_empty() {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_mode(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(records.len() as u64);
            put(&mut header.as_old_mut().name, &extended_name(&member.path));
            self.block(&mut header)?;
            self.data(&mut records.as_slice(), records.len() as u64)?;
        }
        self.block(&mut header(member))
    }

    /// End the archive and give `out` back.
    ///
    /// # Errors
    ///
    /// - [`TarError::Io`].
    pub fn finish(mut self) -> Result<W, TarError> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn block(&mut self, header: &mut Header) -> Result<(), TarError> {
        header.set_cksum();
        // POSIX allows both ends of the field; Go's, and the oldest, is six digits, a NUL and a space.
        let sum = header.cksum().unwrap_or_default();
        put(&mut header.as_old_mut().cksum, format!("{sum:06o}\0 ").as_bytes());
        Ok(self.out.write_all(header.as_bytes())?)
    }

    fn data(&mut self, data: &mut dyn Read, size: u64) -> Result<u64, TarError> {
        let copied = io::copy(&mut data.take(size), &mut self.out)?;
        let padding = usize::try_from(copied.wrapping_neg() % BLOCK as u64).unwrap_or_default();
        self.out.write_all(&[0; BLOCK][..padding])?;
        Ok(copied)
    }
}

/// Fill a header as far as its fields reach.
fn header(member: &Member) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(match member.kind {
        Kind::File => EntryType::Regular,
        Kind::HardLink => EntryType::Link,
        Kind::Symlink => EntryType::Symlink,
        Kind::Char => EntryType::Char,
        Kind::Block => EntryType::Block,
        Kind::Directory => EntryType::Directory,
        Kind::Fifo => EntryType::Fifo,
    });
    put(&mut header.as_old_mut().name, &ascii(&member.path));
    put(&mut header.as_old_mut().linkname, &ascii(&member.link));
    header.set_mode(member.mode);
    // What does not fit is 0, and stands in a record.
    let small = |number: u32| Some(u64::from(number)).filter(|number| *number <= SMALL_MAX).unwrap_or(0);
    header.set_uid(small(member.uid));
    header.set_gid(small(member.gid));
    header.set_mtime(u64::try_from(member.mtime).unwrap_or(0).min(LARGE_MAX));
    header.set_size(if member.size > LARGE_MAX { 0 } else { member.size });
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.set_device_major(member.device.0);
        ustar.set_device_minor(member.device.1);
        put(&mut ustar.uname, &ascii(&member.names.0));
        put(&mut ustar.gname, &ascii(&member.names.1));
    }
    header
}

/// Leave out what a header's text must not have; a pax record has all of it.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// Copy what fits; a pax record has the rest. What is cut must not end in a slash, which would look like a directory's.
fn put(field: &mut [u8], text: &[u8]) {
    for (slot, byte) in field.iter_mut().zip(text) {
        *slot = *byte;
    }
    if text.len() > field.len()
        && let Some(slot) = field.iter().rposition(|byte| *byte != b'/').and_then(|last| field.get_mut(last + 1))
    {
        *slot = 0;
    }
}

/// Name the header that goes before a member's, as POSIX suggests: `DIRECTORY/PaxHeaders.0/NAME`.
fn extended_name(path: &[u8]) -> Vec<u8> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (folder, name) = path.split_at(start);
    let parts = folder.split(|byte| *byte == b'/').chain([&b"PaxHeaders.0"[..], name]);
    parts.filter(|part| !matches!(*part, b"" | b".")).collect::<Vec<_>>().join(&b'/')
}

/// Say in records what a header cannot, sorted by key.
fn records(member: &Member) -> Vec<u8> {
    let mut list = member.records.clone();
    let name_max = 100;
    for (key, text) in [(&b"path"[..], &member.path), (b"linkpath", &member.link)] {
        if text.len() > name_max || !text.is_ascii() {
            list.push((key.to_vec(), text.clone()));
        }
    }
    for (key, text) in [(&b"uname"[..], &member.names.0), (b"gname", &member.names.1)] {
        if text.len() > 32 || !text.is_ascii() {
            list.push((key.to_vec(), text.clone()));
        }
    }
    for (key, value, max) in [
        (&b"uid"[..], u64::from(member.uid), SMALL_MAX),
        (b"gid", u64::from(member.gid), SMALL_MAX),
        (b"size", member.size, LARGE_MAX),
    ] {
        if value > max {
            list.push((key.to_vec(), value.to_string().into_bytes()));
        }
    }
    if member.mtime < 0 || member.nanos != 0 {
        list.push((b"mtime".to_vec(), time(member.mtime, member.nanos).into_bytes()));
    }
    for (name, value) in &member.xattrs {
        list.push(([b"SCHILY.xattr.", name.as_slice()].concat(), value.clone()));
    }
    list.sort();
    let mut records = Vec::new();
    for (key, value) in &list {
        record(&mut records, key, value);
    }
    records
}

/// Write a time as pax does: seconds, then the fraction without its trailing zeros.
fn time(seconds: i64, nanos: u32) -> String {
    // -2 s and 0.5 s are written -1.5.
    let (sign, seconds, nanos) = match (seconds < 0, nanos) {
        (true, 1..) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000_u32.saturating_sub(nanos)),
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (false, _) => ("", seconds.unsigned_abs(), nanos),
    };
    let text = format!("{sign}{seconds}.{nanos:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Append `LENGTH KEY=VALUE\n`, the length counting its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len += 1;
    }
    records.extend_from_slice(format!("{len} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}
