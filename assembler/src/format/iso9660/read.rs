//! An image to values: what the tests hold against what was to be written. Bounded: what an image says of lengths takes no more
//! memory than there are bytes, or one of the limits here.

use std::collections::BTreeSet;
use std::io::Read;
use std::mem::size_of;

use zerocopy::FromBytes;

use super::layout::{
    Both32, Continuation, DIRECTORY, Entry, JOLIET, MULTI_EXTENT, PARENT, PRIMARY, Posix, Record, SECTOR, SELF,
    STANDARD, SUPPLEMENTARY, SYSTEM_SECTORS, TERMINATOR, VolumeDescriptor,
};
use super::rock_ridge::{CONTINUE, CURRENT, MODIFIED, PARENT as DOT_DOT, ROOT, device_numbers};
use super::{IsoError, date};
use crate::format::tree::{Contents, PATH_MAX, push};

/// Most names that are listed.
const NAMES_MAX: usize = 4 << 20;
/// Most volume descriptors that are looked at.
const DESCRIPTORS_MAX: u64 = 32;
/// Most continuations of one name, as in Linux.
const CONTINUATIONS_MAX: usize = 32;
/// Most bytes of a directory that are read.
const DIRECTORY_MAX: u64 = 1 << 30;

/// Which of an image's trees to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The primary one with its short names.
    Primary,
    /// The same with what Rock Ridge says.
    RockRidge,
    /// Joliet's.
    Joliet,
}

/// What Rock Ridge says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posixly {
    /// Attributes, if they are said.
    pub posix: Option<Posix>,
    /// Time of last change, seconds since 1970.
    pub mtime: Option<i64>,
    /// Numbers of a device, major and minor.
    pub device: Option<(u32, u32)>,
    /// The name; empty if it is not said.
    pub name: Vec<u8>,
    /// A link's target; empty for everything else.
    pub target: Vec<u8>,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// First sector.
    pub sector: u32,
    /// Bytes.
    pub size: u32,
}

/// One name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path, relative to the root, which is empty.
    pub path: Vec<u8>,
    /// Offset of its record in bytes from the image's start; of the root that of the record in the volume descriptor.
    pub offset: u64,
    /// Where the data is, in order; at least one.
    pub sections: Vec<Section>,
    /// Time of last change, seconds since 1970, from the record.
    pub mtime: i64,
    /// Whether it is a directory.
    pub directory: bool,
    /// What Rock Ridge says; nothing if it is not read.
    pub rock: Posixly,
}

impl Found {
    /// Give the length of the data in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.sections.iter().map(|section| u64::from(section.size)).sum()
    }
}

/// An image being read.
#[expect(missing_debug_implementations, reason = "contents need not be shown")]
pub struct Reader<'i> {
    image: &'i dyn Contents,
    names: Names,
    /// The volume descriptor of the tree that is read.
    pub head: VolumeDescriptor,
    /// Offset of that descriptor in bytes.
    pub offset: u64,
}

/// One record and where it stands.
struct Raw {
    offset: u64,
    head: Record,
    name: Vec<u8>,
    behind: Vec<u8>,
    /// What further records say of the same file.
    more: Vec<Record>,
}

impl<'i> Reader<'i> {
    /// Find the volume descriptor of one of the trees.
    ///
    /// # Errors
    ///
    /// - [`IsoError::Damaged`]: there is none, or its sectors are not of 2048 bytes.
    /// - [`IsoError::Io`].
    pub fn new(image: &'i dyn Contents, names: Names) -> Result<Self, IsoError> {
        for sector in SYSTEM_SECTORS..SYSTEM_SECTORS + DESCRIPTORS_MAX {
            let offset = sector * SECTOR;
            let damaged = |what| IsoError::Damaged { offset, what };
            let bytes = bytes(image, offset, SECTOR)?;
            let head =
                VolumeDescriptor::read_from_bytes(&bytes).map_err(|_| damaged("the image ends in its descriptors"))?;
            if head.standard != *STANDARD {
                return Err(damaged("no volume descriptor starts with these bytes"));
            }
            let wanted = match names {
                Names::Joliet => head.kind == SUPPLEMENTARY && head.escapes.starts_with(JOLIET),
                Names::Primary | Names::RockRidge => head.kind == PRIMARY,
            };
            if wanted && u64::from(head.block_size.little.get()) != SECTOR {
                return Err(damaged("its sectors are not of 2048 bytes"));
            }
            if wanted {
                return Ok(Self { image, names, head, offset });
            }
            if head.kind == TERMINATOR {
                break;
            }
        }
        Err(IsoError::Damaged { offset: SYSTEM_SECTORS * SECTOR, what: "no descriptor of the wanted kind" })
    }

    /// List every name of the tree, sorted by path.
    ///
    /// # Errors
    ///
    /// - [`IsoError::Damaged`]: also if a directory is its own descendant or has two names, or if numbers in both byte orders differ.
    /// - [`IsoError::Io`].
    pub fn walk(&self) -> Result<Vec<Found>, IsoError> {
        let root = Raw {
            offset: self.offset + 0x9c,
            head: self.head.root,
            name: SELF.to_vec(),
            behind: Vec::new(),
            more: Vec::new(),
        };
        let mut ahead = vec![self.found(&root, Vec::new())?];
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        while let Some(mut directory) = ahead.pop() {
            let damaged = |what| IsoError::Damaged { offset: directory.offset, what };
            let Some(section) = directory.sections.first().copied().filter(|section| seen.insert(section.sector))
            else {
                return Err(damaged("a directory has two names"));
            };
            for raw in self.records(section)? {
                if raw.name == PARENT {
                    continue;
                }
                if raw.name == SELF {
                    // A directory's own attributes; those of the root are nowhere else.
                    let rock = self.rock(&raw)?;
                    if directory.path.is_empty() {
                        directory.rock = rock;
                    }
                    continue;
                }
                let child = self.found(&raw, directory.path.clone())?;
                if child.path.len() > PATH_MAX || found.len() + ahead.len() > NAMES_MAX {
                    return Err(damaged("a path is too long, or there are too many"));
                }
                if child.directory {
                    ahead.push(child);
                } else {
                    found.push(child);
                }
            }
            found.push(directory);
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Read a file's data whole.
    ///
    /// # Errors
    ///
    /// - [`IsoError::Damaged`]: the image ends before.
    /// - [`IsoError::Io`].
    pub fn data(&self, found: &Found) -> Result<Vec<u8>, IsoError> {
        let mut data = Vec::new();
        for section in &found.sections {
            let offset = u64::from(section.sector) * SECTOR;
            let part = bytes(self.image, offset, u64::from(section.size))?;
            if part.len() as u64 != u64::from(section.size) {
                return Err(IsoError::Damaged { offset, what: "the image ends too early" });
            }
            data.extend_from_slice(&part);
        }
        Ok(data)
    }

    /// Read the little-endian path table: sector, number of the parent and name of each directory.
    ///
    /// # Errors
    ///
    /// - [`IsoError::Damaged`]: also if the big-endian one says something else.
    /// - [`IsoError::Io`].
    pub fn path_table(&self) -> Result<Vec<(u32, u16, Vec<u8>)>, IsoError> {
        let size = u64::from(number(self.head.path_table_size, self.offset)?);
        let [little, _] = self.head.path_table_little;
        let [big, _] = self.head.path_table_big;
        let tables = [u64::from(little.get()) * SECTOR, u64::from(big.get()) * SECTOR];
        let damaged = |what| IsoError::Damaged { offset: tables[0], what };
        let [little, big] = [bytes(self.image, tables[0], size)?, bytes(self.image, tables[1], size)?];
        if little.len() as u64 != size || big.len() as u64 != size {
            return Err(damaged("path tables end too early"));
        }
        let mut table = Vec::new();
        let (mut one, mut other) = (little.as_slice(), big.as_slice());
        while let [length, _, rest @ ..] = one {
            let entry = |rest: &[u8]| {
                let (sector, rest) = rest.split_first_chunk::<4>()?;
                let (parent, rest) = rest.split_first_chunk::<2>()?;
                let (name, rest) = rest.split_at_checked(usize::from(*length))?;
                Some((*sector, *parent, name.to_vec(), rest.len().checked_sub(usize::from(length % 2))?))
            };
            let twin = other.get(2..).and_then(entry).ok_or(damaged("path tables end too early"))?;
            let (sector, parent, name, left) = entry(rest).ok_or(damaged("path tables end too early"))?;
            let found = (u32::from_le_bytes(sector), u16::from_le_bytes(parent), name);
            if found != (u32::from_be_bytes(twin.0), u16::from_be_bytes(twin.1), twin.2) {
                return Err(damaged("path tables differ"));
            }
            table.push(found);
            one = one.get(one.len() - left..).unwrap_or_default();
            other = other.get(other.len() - left..).unwrap_or_default();
        }
        Ok(table)
    }

    /// Read the records of a directory; those of one file become one.
    fn records(&self, directory: Section) -> Result<Vec<Raw>, IsoError> {
        let (start, size) = (u64::from(directory.sector) * SECTOR, u64::from(directory.size));
        let data = bytes(self.image, start, size.min(DIRECTORY_MAX))?;
        if data.len() as u64 != size {
            return Err(IsoError::Damaged { offset: start, what: "a directory is cut off" });
        }
        let mut records: Vec<Raw> = Vec::new();
        // Whether the last record says that its file goes on in the next one.
        let mut open = false;
        for (sector, bytes) in data.chunks(2048).enumerate() {
            let mut at = 0;
            // A length of zero ends a sector.
            while let Some(length) = bytes.get(at).copied().filter(|length| *length > 0) {
                let offset = start + sector as u64 * SECTOR + at as u64;
                let damaged = |what| IsoError::Damaged { offset, what };
                let record = bytes.get(at..at + usize::from(length)).ok_or(damaged("a record leaves its sector"))?;
                let (head, rest) = Record::read_from_prefix(record).map_err(|_| damaged("a record is too short"))?;
                let (name, rest) =
                    rest.split_at_checked(usize::from(head.name_len)).ok_or(damaged("a name leaves its record"))?;
                if name.is_empty() {
                    return Err(damaged("a name is empty"));
                }
                let behind = rest.get((head.name_len + 1) as usize % 2..).unwrap_or_default();
                at += usize::from(length);
                let goes_on = head.flags & MULTI_EXTENT != 0;
                if (open || goes_on) && head.flags & DIRECTORY != 0 {
                    return Err(damaged("a directory has several sections"));
                }
                match records.last_mut().filter(|_| open) {
                    Some(last) if last.name == name => last.more.push(head),
                    Some(_) => return Err(damaged("the next section of a file is missing")),
                    None => {
                        let (name, behind, more) = (name.to_vec(), behind.to_vec(), Vec::new());
                        records.push(Raw { offset, head, name, behind, more });
                    }
                }
                open = goes_on;
            }
        }
        if open {
            return Err(IsoError::Damaged { offset: start, what: "the next section of a file is missing" });
        }
        Ok(records)
    }

    fn found(&self, raw: &Raw, mut path: Vec<u8>) -> Result<Found, IsoError> {
        let Raw { offset, head, name, more, .. } = raw;
        let rock = if self.names == Names::RockRidge { self.rock(raw)? } else { Posixly::default() };
        if name != SELF {
            let name = match self.names {
                Names::RockRidge if !rock.name.is_empty() => rock.name.clone(),
                Names::Joliet => {
                    let units = name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                    let text = char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER));
                    text.collect::<String>().into_bytes()
                }
                _ => name.clone(),
            };
            if name.contains(&b'/') || name.contains(&0) {
                return Err(IsoError::Damaged { offset: *offset, what: "a name holds a slash or a NUL" });
            }
            push(&mut path, &name);
        }
        let section = |head: &Record| -> Result<Section, IsoError> {
            Ok(Section { sector: number(head.extent, *offset)?, size: number(head.size, *offset)? })
        };
        Ok(Found {
            path,
            offset: *offset,
            sections: std::iter::once(head).chain(more).map(section).collect::<Result<_, _>>()?,
            mtime: date::seconds(head.date),
            directory: head.flags & DIRECTORY != 0,
            rock,
        })
    }

    /// Read what Rock Ridge says behind a name, wherever it is.
    fn rock(&self, raw: &Raw) -> Result<Posixly, IsoError> {
        let mut found = Posixly::default();
        let mut area = raw.behind.clone();
        // Whether the next part of a target goes on where the last one ended.
        let mut joined = true;
        for _ in 0..CONTINUATIONS_MAX {
            let mut next = None;
            let mut rest = area.as_slice();
            // Zeros end an area, and so does what is too short for an entry.
            while let Some((head, _)) = Entry::read_from_prefix(rest).ok().filter(|(head, _)| head.length > 0) {
                let damaged = |what| IsoError::Damaged { offset: raw.offset, what };
                let (entry, behind) =
                    rest.split_at_checked(usize::from(head.length)).ok_or(damaged("an entry leaves its area"))?;
                let data = entry.get(size_of::<Entry>()..).ok_or(damaged("an entry is shorter than its head"))?;
                let short = |_| damaged("an entry is too short");
                match &head.signature {
                    b"CE" => next = Some(Continuation::read_from_bytes(data).map_err(|_| short(()))?),
                    b"PX" => found.posix = Some(posix(data).ok_or_else(|| short(()))?),
                    b"PN" => {
                        let numbers = <[Both32; 2]>::read_from_bytes(data).map_err(|_| short(()))?;
                        let numbers = [number(numbers[0], raw.offset)?, number(numbers[1], raw.offset)?];
                        found.device = Some(device_numbers(numbers));
                    }
                    b"TF" => {
                        // Times stand in the order of their bits; only creation stands before change.
                        let flags = data.first().copied().unwrap_or_default();
                        let at = 1 + 7 * usize::from(flags & 1);
                        let time = data.get(at..).and_then(|rest| rest.first_chunk::<7>());
                        if flags & (MODIFIED | 0x80) == MODIFIED {
                            found.mtime = Some(date::seconds(*time.ok_or_else(|| short(()))?));
                        }
                    }
                    b"NM" => found.name.extend_from_slice(data.get(1..).unwrap_or_default()),
                    b"SL" => target(data.get(1..).unwrap_or_default(), &mut found.target, &mut joined)
                        .ok_or_else(|| short(()))?,
                    _ => {}
                }
                if found.name.len() > PATH_MAX || found.target.len() > 2 * PATH_MAX {
                    return Err(damaged("a name or a target is too long"));
                }
                rest = behind;
            }
            let Some(next) = next else { return Ok(found) };
            let offset = u64::from(number(next.sector, raw.offset)?) * SECTOR;
            let (start, length) = (number(next.offset, raw.offset)?, number(next.length, raw.offset)?);
            if u64::from(start) + u64::from(length) > SECTOR {
                return Err(IsoError::Damaged { offset: raw.offset, what: "a continuation leaves its sector" });
            }
            area = bytes(self.image, offset + u64::from(start), u64::from(length))?;
        }
        Err(IsoError::Damaged { offset: raw.offset, what: "too many continuations" })
    }
}

/// Read `PX`; writers of the older version leave the serial number out.
fn posix(data: &[u8]) -> Option<Posix> {
    let whole = [data, &[0; size_of::<Both32>()]].concat();
    Posix::read_from_prefix(&whole).ok().map(|(posix, _)| posix).filter(|_| data.len() >= size_of::<Posix>() - 8)
}

/// Append the components of one `SL` to a target.
fn target(mut rest: &[u8], target: &mut Vec<u8>, joined: &mut bool) -> Option<()> {
    while let [flags, length, behind @ ..] = rest {
        let (text, behind) = behind.split_at_checked(usize::from(*length))?;
        if !*joined {
            target.push(b'/');
        }
        match flags & !CONTINUE {
            CURRENT => target.push(b'.'),
            DOT_DOT => target.extend_from_slice(b".."),
            ROOT => target.push(b'/'),
            _ => target.extend_from_slice(text),
        }
        *joined = flags & (CONTINUE | ROOT) != 0;
        rest = behind;
    }
    Some(())
}

/// Take a number that is there in both byte orders.
fn number(both: Both32, offset: u64) -> Result<u32, IsoError> {
    let (little, big) = (both.little.get(), both.big.get());
    if little != big {
        return Err(IsoError::Damaged { offset, what: "a number differs between its two byte orders" });
    }
    Ok(little)
}

/// Read up to `size` bytes; no more memory is taken than there are bytes.
fn bytes(image: &dyn Contents, offset: u64, size: u64) -> Result<Vec<u8>, IsoError> {
    let mut bytes = Vec::new();
    image.reader(offset, size)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
