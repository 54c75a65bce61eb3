//! A tar of files, read by name. The tar is hostile: lengths, names and links are checked before anything follows them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::files::{Opened, regular};
use crate::pull::error::PullError;
use crate::store::{Store, Temporary};

/// Most bytes a compressed archive may grow to.
const UNPACKED_MAX: u64 = 64 << 30;

/// Most members; an image of 500 layers in Docker's old form has 1,500.
const MEMBERS_MAX: usize = 100_000;

/// Longest name or extended header, in bytes.
const NAME_MAX: u64 = 64 << 10;

/// Most links followed to reach a file.
const LINKS_MAX: usize = 8;

/// An open tar and where its members lie.
#[derive(Debug)]
pub(in crate::pull) struct Archive {
    path: PathBuf,
    bytes: Bytes,
    members: BTreeMap<String, Member>,
}

/// The tar's bytes: the file itself, or what it unpacked to.
#[derive(Debug)]
enum Bytes {
    Plain(File),
    Unpacked(Temporary),
}

/// One member.
#[derive(Debug)]
enum Member {
    Data { offset: u64, size: u64 },
    Link(String),
}

impl Bytes {
    fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Unpacked(temporary) => temporary.file(),
        }
    }
}

impl Archive {
    /// Open a tar, unpacking it into the store's folder first if it is compressed, and list its members.
    pub(super) fn open(store: &Store, path: &Path) -> Result<Self, PullError> {
        let trouble = |cause| PullError::Source { action: "read", path: path.to_owned(), cause };
        let (file, _) = regular(path).map_err(trouble)?;
        let bytes = match decompressor(file.try_clone().map_err(trouble)?).map_err(trouble)? {
            None => Bytes::Plain(file),
            Some(reader) => Bytes::Unpacked(unpack(store, reader, path)?),
        };
        let len = bytes.file().metadata().map_err(trouble)?.len();
        let members = list(bytes.file(), len).map_err(trouble)?;
        Ok(Self { path: path.to_owned(), bytes, members })
    }

    /// Give the path of the archive.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Open a member by name, following links inside the archive.
    pub(super) fn member(&self, name: &str) -> Result<Option<Opened<'_>>, PullError> {
        let Some(mut name) = clean("", name) else { return Err(self.refuse(format!("`{name}` leads out of it"))) };
        for _ in 0..LINKS_MAX {
            match self.members.get(&name) {
                None => return Ok(None),
                Some(Member::Data { offset, size }) => {
                    let slice = Slice { file: self.bytes.file(), at: *offset, left: *size };
                    return Ok(Some((Box::new(slice), *size)));
                }
                Some(Member::Link(target)) => name.clone_from(target),
            }
        }
        Err(self.refuse(format!("`{name}` is a link that leads nowhere")))
    }

    fn refuse(&self, reason: String) -> PullError {
        PullError::Unusable { reference: self.path.display().to_string(), reason }
    }
}

/// A stretch of a file.
struct Slice<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Give the decompressor a file's first bytes ask for, or none.
pub(super) fn decompressor(file: File) -> io::Result<Option<Box<dyn Read>>> {
    let mut magic = [0; 4];
    let read = file.read_at(&mut magic, 0)?;
    Ok(match &magic[..read] {
        [0x1f, 0x8b, ..] => {
            Some(Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(128 << 10, file))))
        }
        [0x28, 0xb5, 0x2f, 0xfd] => Some(Box::new(zstd::Decoder::new(file)?)),
        _ => None,
    })
}

/// Unpack into a file that vanishes with its handle.
fn unpack(store: &Store, reader: Box<dyn Read>, path: &Path) -> Result<Temporary, PullError> {
    let trouble = |cause| PullError::Source { action: "unpack", path: path.to_owned(), cause };
    let mut out = store.temporary()?;
    let copied = io::copy(&mut reader.take(UNPACKED_MAX + 1), &mut out).map_err(trouble)?;
    if copied > UNPACKED_MAX {
        return Err(trouble(invalid(format!("it unpacks to more than {UNPACKED_MAX} bytes"))));
    }
    out.flush().map_err(trouble)?;
    Ok(out)
}

/// List the members of a tar. Names are read here rather than by the library, which reads one of any length into memory.
fn list(file: &File, len: u64) -> io::Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    let (mut long_name, mut long_link) = (None, None);
    let mut offset = 0;
    let mut block = [0; 512];
    while offset + 512 <= len {
        file.read_exact_at(&mut block, offset)?;
        offset += 512;
        if block.iter().all(|byte| *byte == 0) {
            break;
        }
        let header = tar::Header::from_byte_slice(&block);
        check_sum(header, &block)?;
        let size = header.entry_size()?;
        let end = size.checked_next_multiple_of(512).and_then(|padded| offset.checked_add(padded));
        let Some(end) = end.filter(|_| size <= len - offset) else {
            return Err(invalid("a member is longer than the archive".to_owned()));
        };
        match header.entry_type() {
            EntryType::GNULongName => long_name = Some(text(&small(file, offset, size)?)?),
            EntryType::GNULongLink => long_link = Some(text(&small(file, offset, size)?)?),
            EntryType::XHeader => {
                let records = small(file, offset, size)?;
                for (key, value) in pax(&records)? {
                    match key {
                        "path" => long_name = Some(value.to_owned()),
                        "linkpath" => long_link = Some(value.to_owned()),
                        "size" => return Err(invalid("a member is longer than 8 GiB".to_owned())),
                        _ => {}
                    }
                }
            }
            kind => {
                let name = long_name.take().map_or_else(|| text(&header.path_bytes()), Ok)?;
                let link = long_link
                    .take()
                    .map_or_else(|| header.link_name_bytes().map(|it| text(&it)).transpose(), |it| Ok(Some(it)))?;
                if let Some((name, member)) = member(kind, &name, link, offset, size)? {
                    members.insert(name, member);
                }
            }
        }
        if members.len() > MEMBERS_MAX {
            return Err(invalid(format!("it has more than {MEMBERS_MAX} members")));
        }
        offset = end;
    }
    Ok(members)
}

/// Make a member of a header; folders and the like are none.
fn member(
    kind: EntryType,
    name: &str,
    link: Option<String>,
    offset: u64,
    size: u64,
) -> io::Result<Option<(String, Member)>> {
    let Some(name) = clean("", name).filter(|name| !name.is_empty()) else {
        let harmless = matches!(name, "." | "./" | "/");
        return if harmless { Ok(None) } else { Err(invalid(format!("member `{name}` leads out of it"))) };
    };
    let member = match kind {
        EntryType::Regular | EntryType::Continuous => Member::Data { offset, size },
        EntryType::Symlink | EntryType::Link => {
            let target = link.unwrap_or_default();
            let folder =
                if kind == EntryType::Symlink { name.rsplit_once('/').map_or("", |(folder, _)| folder) } else { "" };
            let Some(target) = clean(folder, &target).filter(|_| !target.starts_with('/')) else {
                return Err(invalid(format!("link `{name}` leads out of it, to `{target}`")));
            };
            Member::Link(target)
        }
        EntryType::Directory | EntryType::XGlobalHeader => return Ok(None),
        _ => return Err(invalid(format!("member `{name}` is neither a file nor a folder nor a link"))),
    };
    Ok(Some((name, member)))
}

/// Write a name without `.`, `..` and doubled slashes, as seen from `folder`; none if it leaves the root.
fn clean(folder: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Read a small stretch whole.
fn small(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    if size > NAME_MAX {
        return Err(invalid(format!("a name or extended header is {size} bytes long")));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Read a name; GNU ends it with a zero byte.
fn text(bytes: &[u8]) -> io::Result<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid("a name is not UTF-8".to_owned()))?;
    Ok(text.to_owned())
}

/// Read the records of an extended header: `LEN KEY=VALUE\n`, the length counting itself.
///
/// Source: POSIX.1-2017, `pax`, "pax Extended Header".
fn pax(mut bytes: &[u8]) -> io::Result<Vec<(&str, &str)>> {
    let broken = || invalid("an extended header is malformed".to_owned());
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
        let len: usize =
            std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse().ok()).ok_or_else(broken)?;
        let record = bytes.get(space + 1..len).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(broken)?;
        // Values that are not text (extended attributes) are none of ours.
        if let Some(pair) = std::str::from_utf8(record).ok().and_then(|record| record.split_once('=')) {
            records.push(pair);
        }
        bytes = &bytes[len..];
    }
    Ok(records)
}

/// Check the header's sum: what is no tar is told apart here.
fn check_sum(header: &tar::Header, block: &[u8; 512]) -> io::Result<()> {
    let sum: u32 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    if header.cksum().ok() == Some(sum) {
        Ok(())
    } else {
        Err(invalid("it is not a tar archive, or a damaged one".to_owned()))
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
