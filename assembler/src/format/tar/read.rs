//! A tar stream to members, in one pass and bounded memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::{EntryType, Header};

use super::{Kind, Member, TarError};

/// Length of a header, and what data is padded to, in bytes.
pub const BLOCK: usize = 512;

/// How much of a foreign archive is read before it is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Length of the uncompressed stream, in bytes.
    pub bytes: u64,
    /// Number of members.
    pub members: u64,
    /// Length of a path or link target, in bytes.
    pub path: u64,
    /// Length of all extended headers together, in bytes: names and attributes that do not fit in a block.
    pub extended: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 30, members: 2_000_000, path: 4096, extended: 512 << 20 }
    }
}

/// Longest extended header of one member, in bytes: an attribute's value may have 64 KiB.
const EXTENDED: u64 = 1 << 20;

/// Prefix of the records that carry extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// A tar stream being read.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    limits: Limits,
    offset: u64,
    left: u64,
    members: u64,
    extended: u64,
}

/// What extended headers said about the next member.
#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// Start reading at the first header.
    pub fn new(inner: R, limits: Limits) -> Self {
        Self { inner, limits, offset: 0, left: 0, members: 0, extended: 0 }
    }

    /// Give back the stream, wherever it stands.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Skip what is left of the current member's data, and read the next one; `None` at the archive's end.
    ///
    /// # Errors
    ///
    /// - Any [`TarError`]; the stream cannot be read on afterwards.
    ///
    /// # Source
    ///
    /// POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
    pub fn next_member(&mut self) -> Result<Option<Member>, TarError> {
        let mut extended = Extended::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = number(&header.as_old().size).ok_or_else(|| self.damaged("a length is not a number"))?;
            match header.entry_type() {
                EntryType::GNULongName => extended.path = Some(cut(self.text(size)?)),
                EntryType::GNULongLink => extended.link = Some(cut(self.text(size)?)),
                EntryType::XHeader => extended.records = self.records(size)?,
                // Global records are comments in practice (git archive); other readers drop them as well.
                EntryType::XGlobalHeader => drop(self.records(size)?),
                _ => return self.member(&header, size, extended).map(Some),
            }
        }
    }

    fn member(&mut self, header: &Header, size: u64, extended: Extended) -> Result<Member, TarError> {
        self.members += 1;
        if self.members > self.limits.members {
            return Err(TarError::Limit { what: "the number of files", limit: self.limits.members });
        }
        let Extended { path, link, mut records } = extended;
        let old = header.as_old();
        let text = |value: Option<Vec<u8>>| value.filter(|value| !value.is_empty());
        let path = text(records.remove(&b"path"[..])).or(path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = text(records.remove(&b"linkpath"[..]))
            .or(link)
            .unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let shown = String::from_utf8_lossy(&path).into_owned();
        let refuse = |what| TarError::Entry { path: shown.clone(), what };
        for name in [&path, &link] {
            if name.len() as u64 > self.limits.path {
                return Err(refuse("its path or target is too long"));
            }
            if name.contains(&0) {
                return Err(refuse("its path or target holds a NUL"));
            }
        }
        if records.keys().any(|key| key.starts_with(b"GNU.sparse.")) || header.entry_type().is_gnu_sparse() {
            return Err(refuse("sparse files in layers are not supported; pack it without `--sparse`"));
        }
        let kind = kind(header, &path).ok_or_else(|| refuse("its type is unknown"))?;
        let decimal = |key: &[u8], field: &[u8]| match records.get(key) {
            Some(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok()),
            None => number(field),
        };
        let small = |value: Option<u64>| value.and_then(|value| u32::try_from(value).ok());
        let uid = small(decimal(b"uid", &old.uid)).ok_or_else(|| refuse("its owner is not a number of 32 bits"))?;
        let gid = small(decimal(b"gid", &old.gid)).ok_or_else(|| refuse("its group is not a number of 32 bits"))?;
        let size = if records.contains_key(&b"size"[..]) { decimal(b"size", b"") } else { Some(size) };
        let size = size.ok_or_else(|| refuse("its length is not a number"))?;
        // Whatever a header says, only files have data: so do containerd and GNU tar read it.
        let size = if kind == Kind::File { size } else { 0 };
        self.left = size;
        if self.offset.saturating_add(size) > self.limits.bytes {
            return Err(self.too_long());
        }
        let time = match records.get(&b"mtime"[..]) {
            Some(text) => time(text),
            None => signed(&old.mtime).map(|seconds| (seconds, 0)),
        };
        let (mtime, nanos) = time.ok_or_else(|| refuse("its time is not a number"))?;
        let called = |key: &[u8], field: Option<&[u8]>| {
            records.get(key).cloned().unwrap_or_else(|| field.unwrap_or_default().to_vec())
        };
        let names = (called(b"uname", header.username_bytes()), called(b"gname", header.groupname_bytes()));
        let mode = number(&old.mode).ok_or_else(|| refuse("its mode is not a number"))?;
        Ok(Member {
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            mtime,
            nanos,
            names,
            records: Vec::new(),
            device: if matches!(kind, Kind::Char | Kind::Block) {
                device(header).ok_or_else(|| refuse("its device numbers are not numbers"))?
            } else {
                (0, 0)
            },
            link: if matches!(kind, Kind::HardLink | Kind::Symlink) { link } else { Vec::new() },
            xattrs: xattrs(records),
            offset: self.offset,
            path,
            kind,
            uid,
            gid,
            size,
        })
    }

    /// Pass over the rest of the data and its padding.
    fn skip(&mut self) -> Result<(), TarError> {
        let left = self.left;
        let skipped = io::copy(&mut (&mut self.inner).take(left), &mut io::sink())?;
        self.offset = self.offset.saturating_add(skipped);
        if skipped != left {
            return Err(TarError::Truncated { offset: self.offset });
        }
        self.left = 0;
        let mut padding = [0; BLOCK];
        let len = usize::try_from(self.offset.wrapping_neg() % BLOCK as u64).unwrap_or_default();
        match self.fill(&mut padding[..len])? {
            read if read == len => Ok(()),
            _ => Err(TarError::Truncated { offset: self.offset }),
        }
    }

    /// Read a block and check that it is a header; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let offset = self.offset;
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            // An archive without its two blocks of zeros is common enough; the digest tells a cut one.
            0 => return Ok(None),
            BLOCK => {}
            _ if offset == 0 => return Err(TarError::NotTar),
            _ => return Err(TarError::Truncated { offset: self.offset }),
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        if number(&header.as_old().cksum) != Some(sum(&block)) {
            return Err(if offset == 0 {
                TarError::NotTar
            } else {
                TarError::Damaged { offset, what: "no header stands where one should" }
            });
        }
        Ok(Some(header.clone()))
    }

    /// Read an extended header's data.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > EXTENDED {
            return Err(TarError::Limit { what: "the extended header of a file", limit: EXTENDED });
        }
        self.extended = self.extended.saturating_add(size);
        if self.extended > self.limits.extended {
            return Err(TarError::Limit { what: "the extended headers together", limit: self.limits.extended });
        }
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        let read = self.fill(&mut text)?;
        if read != text.len() {
            return Err(TarError::Truncated { offset: self.offset });
        }
        Ok(text)
    }

    /// Read the records of a pax header: `LENGTH KEY=VALUE\n`, the value any bytes.
    fn records(&mut self, size: u64) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, TarError> {
        let text = self.text(size)?;
        parse_records(&text).ok_or_else(|| self.damaged("an extended header is not made of records"))
    }

    /// Read until `bytes` is full or the stream ends; gives how many came.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, TarError> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(TarError::Io(cause)),
            }
        }
        self.offset = self.offset.saturating_add(filled as u64);
        if self.offset > self.limits.bytes {
            return Err(self.too_long());
        }
        Ok(filled)
    }

    fn too_long(&self) -> TarError {
        TarError::Limit { what: "the uncompressed length in bytes", limit: self.limits.bytes }
    }

    fn damaged(&self, what: &'static str) -> TarError {
        TarError::Damaged { offset: self.offset, what }
    }
}

/// Reads the current member's data.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.inner).take(self.left).read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset = self.offset.saturating_add(read as u64);
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

fn kind(header: &Header, path: &[u8]) -> Option<Kind> {
    Some(match header.entry_type().as_byte() {
        // Archives older than POSIX mark a directory by its name alone.
        0 if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return None,
    })
}

/// Read a number field: octal text, or the base-256 form GNU tar uses for large values; an empty field is 0.
fn number(field: &[u8]) -> Option<u64> {
    u64::try_from(signed(field)?).ok()
}

/// As [`number`], where base 256 may be negative.
fn signed(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let start = if first & 0x40 != 0 { -1_i64 } else { 0 };
        let start = start << 6 | i64::from(first & 0x3f);
        return rest.iter().try_fold(start, |value, byte| value.checked_mul(256)?.checked_add(i64::from(*byte)));
    }
    let digits = field.split(|byte| *byte == 0).next()?.trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    // `from_str_radix` would take a sign as well.
    if !digits.iter().all(|digit| matches!(digit, b'0'..=b'7')) {
        return None;
    }
    i64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

/// Read a pax time as seconds, rounded down, and nanoseconds: `-1.5` is two seconds before 1970 and a half after that.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.get(..fraction.len().min(9))?;
    let nanos: u32 = format!("{digits:0<9}").parse().ok()?;
    match (whole.starts_with('-'), nanos) {
        (_, 0) | (false, _) => Some((seconds, nanos)),
        (true, _) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
    }
}

fn device(header: &Header) -> Option<(u32, u32)> {
    let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
        (Some(ustar), _) => (ustar.dev_major, ustar.dev_minor),
        (None, Some(gnu)) => (gnu.dev_major, gnu.dev_minor),
        (None, None) => return Some((0, 0)),
    };
    Some((u32::try_from(number(&major)?).ok()?, u32::try_from(number(&minor)?).ok()?))
}

/// Add up a header's bytes, its checksum field taken as spaces.
fn sum(block: &[u8; BLOCK]) -> u64 {
    block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum()
}

/// Cut a GNU long name at its NUL.
fn cut(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(end) = text.iter().position(|byte| *byte == 0) {
        text.truncate(end);
    }
    text
}

fn parse_records(mut text: &[u8]) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut records = BTreeMap::new();
    // GNU tar pads the last block with NULs inside the announced length; nothing else may follow.
    while text.first().is_some_and(|byte| *byte != 0) {
        let space = text.iter().take(20).position(|byte| *byte == b' ')?;
        let len: usize = std::str::from_utf8(text.get(..space)?).ok()?.parse().ok()?;
        let record = text.get(space.checked_add(1)?..len)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let (key, value) = record.split_at_checked(equals)?;
        records.insert(key.to_vec(), value.get(1..)?.to_vec());
        text = text.get(len..)?;
    }
    Some(records)
}

fn xattrs(records: BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let named = |(key, value): (Vec<u8>, Vec<u8>)| Some((key.strip_prefix(XATTR)?.to_vec(), value));
    records.into_iter().filter_map(named).collect()
}
