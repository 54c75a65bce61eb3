//! A stub, a kernel and an initrd to one program.

use std::mem::size_of;
use std::ops::Range;

use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::kernel::Kernel;
use super::layout::{CODE, Coff, DATA, DIRECTORY, EXECUTE, Machine, Optional, READ, SECURITY, SectionHeader};
use super::read::{Image, read};
use super::{ALIGN, PeError};
use crate::format::sparse::Sparse;

/// What stands before a stub's version.
const STUB_VERSION: &[u8] = b"LoaderInfo: systemd-stub ";
/// First version of the stub that has the firmware load the kernel.
const STUB_LOADS: u32 = 252;
/// Bytes of a section's header.
const HEADER: u64 = size_of::<SectionHeader>() as u64;

/// What is added to a stub. Empty ones get no section.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'p> {
    /// The system's `os-release`.
    pub osrel: &'p str,
    /// The kernel's command line, without a NUL.
    pub cmdline: &'p str,
    /// The kernel's version.
    pub uname: &'p str,
    /// The initrd.
    pub initrd: &'p Sparse,
    /// The kernel: an x86 bzImage or an arm64 Image.
    pub linux: &'p Sparse,
}

/// A unified kernel image, and where its parts are in the file, in bytes; each starts at a multiple of [`ALIGN`], and zeros follow
/// up to the next one.
#[derive(Debug)]
pub struct Uki {
    /// All of it, a multiple of [`ALIGN`].
    pub image: Sparse,
    /// The kernel.
    pub linux: Range<u64>,
    /// The initrd.
    pub initrd: Range<u64>,
    /// The command line.
    pub cmdline: Range<u64>,
}

/// Add a kernel and what it needs to a stub.
///
/// In: `stub`, a systemd-stub. What it has behind its last section, symbols and signatures among it, is left out. Of the kernel,
/// headers are read; of the initrd, nothing. Equal input gives equal images.
///
/// # Errors
///
/// - [`PeError::Stub`]: it is no stub for this machine, or its headers have no room.
/// - [`PeError::Kernel`], [`PeError::Cmdline`], [`PeError::Text`], [`PeError::TooLarge`].
/// - [`PeError::Io`].
///
/// # Source
///
/// UAPI Group, Unified Kernel Image (UAPI.5).
pub fn uki(machine: Machine, stub: &[u8], parts: &Parts<'_>) -> Result<Uki, PeError> {
    let kernel = Kernel::read(machine, parts.linux)?;
    check_texts(parts, kernel.cmdline_max)?;
    let refused = |cause| PeError::Stub { machine, cause: Box::new(cause) };
    let sections = [".osrel", ".uname", ".cmdline", ".initrd", ".linux"];
    let contents = [parts.osrel, parts.uname, parts.cmdline].map(|text| Sparse::of_bytes(text.as_bytes()));
    let contents = contents.iter().chain([parts.initrd, parts.linux]);
    let added = sections.into_iter().zip(contents).filter(|(_, contents)| contents.size() > 0).collect::<Vec<_>>();
    let mut writer = Writer::new(machine, stub, added.len()).map_err(refused)?;
    let mut places = Vec::with_capacity(added.len());
    for (name, contents) in &added {
        places.push((*name, writer.add(name, contents)?));
    }
    // A kernel that is started where it lies needs more room than it takes in the file.
    if !kernel.fetches_initrd || !loads(stub) {
        writer.room(kernel.memory)?;
    }
    let image = writer.finish()?;
    let place = |name| places.iter().find(|place| place.0 == name).map_or(0..0, |place| place.1.clone());
    Ok(Uki { image, linux: place(".linux"), initrd: place(".initrd"), cmdline: place(".cmdline") })
}

struct Writer {
    stub: Image,
    /// The file up to the end of the stub's last section.
    head: Vec<u8>,
    headers: Vec<SectionHeader>,
    image: Sparse,
    /// First address behind all sections.
    address: u64,
}

impl Writer {
    /// Take a stub apart, and see whether so many sections can be added.
    fn new(machine: Machine, stub: &[u8], count: usize) -> Result<Self, PeError> {
        let whole = Sparse::of_bytes(stub);
        let stub = read(&whole)?;
        if stub.coff.machine != machine.number() {
            return Err(PeError::Machine { want: machine, found: stub.coff.machine.get() });
        }
        let headers = stub.sections.iter().map(|section| section.header).collect::<Vec<_>>();
        let table_end = stub.table + headers.len() as u64 * HEADER;
        // Headers end where the first section starts, in the file as in memory.
        let limit = headers.iter().filter(|header| header.size > 0).flat_map(|header| [header.offset, header.address]);
        let limit = limit.chain([stub.optional.headers]).map(U32::get).min().unwrap_or_default();
        let room = u64::from(limit).saturating_sub(table_end) / HEADER;
        if room < count as u64 {
            return Err(PeError::Headers { room, want: count });
        }
        let end = headers.iter().map(|header| u64::from(header.offset.get()) + u64::from(header.size.get())).max();
        let mut head = vec![0; usize::try_from(end.unwrap_or_default()).unwrap_or_default()];
        whole.read_at(0, &mut head)?;
        let address = headers.iter().map(|header| u64::from(header.address.get()) + span(header)).max();
        let image = Sparse::new((head.len() as u64).next_multiple_of(ALIGN));
        let mut writer = Self { stub, head, headers, image, address: address.unwrap_or_default() };
        writer.close_gap();
        Ok(writer)
    }

    /// Have the stub's last section reach up to the first one that is added: signers warn of bytes that belong to no section.
    fn close_gap(&mut self) {
        let (end, padded) = (self.head.len() as u64, self.image.size());
        let Some(last) = self.headers.iter_mut().max_by_key(|header| header.offset.get()) else { return };
        let start = u64::from(last.address.get());
        if start + span(last) == self.address {
            last.size = narrow(u64::from(last.size.get()) + padded - end);
            self.address = start + span(last);
        }
    }

    /// Add a section. Out: its bytes in the file.
    fn add(&mut self, name: &str, contents: &Sparse) -> Result<Range<u64>, PeError> {
        let (offset, size) = (self.image.size(), contents.size());
        self.image.append(contents);
        self.image.pad(ALIGN);
        let step = ALIGN.max(u64::from(self.stub.optional.section_align.get()));
        let address = self.address.next_multiple_of(step);
        self.address = address.saturating_add(self.image.size() - offset);
        check_size(self.image.size().max(self.address))?;
        let mut header = SectionHeader::new_zeroed();
        header.name[..name.len()].copy_from_slice(name.as_bytes());
        (header.virtual_size, header.address) = (narrow(size), narrow(address));
        (header.size, header.offset) = (narrow(self.image.size() - offset), narrow(offset));
        // Started where it lies, the kernel is code.
        header.characteristics = U32::new(if name == ".linux" { CODE | EXECUTE | READ } else { DATA | READ });
        self.headers.push(header);
        Ok(offset..offset + size)
    }

    /// Make the memory from the last section's start on at least so many bytes.
    fn room(&mut self, memory: u64) -> Result<(), PeError> {
        let start = self.headers.last().map(|header| u64::from(header.address.get())).unwrap_or_default();
        self.address = self.address.max(start.saturating_add(memory));
        check_size(self.address)
    }

    /// Write the headers.
    fn finish(mut self) -> Result<Sparse, PeError> {
        let bytes = |kind: u32| {
            let sections = self.headers.iter().filter(|header| header.characteristics.get() & kind != 0);
            sections.map(|header| u64::from(header.size.get())).sum::<u64>()
        };
        let mut coff = self.stub.coff;
        coff.sections = u16::try_from(self.headers.len()).unwrap_or(u16::MAX).into();
        (coff.symbols, coff.symbol_count) = (U32::ZERO, U32::ZERO);
        let mut optional = self.stub.optional;
        (optional.code, optional.data) = (narrow(bytes(CODE)), narrow(bytes(DATA)));
        let step = u64::from(optional.section_align.get()).max(1);
        let memory = self.address.next_multiple_of(step);
        check_size(memory)?;
        optional.image = narrow(memory);
        // The sum would need every byte to be read; UEFI takes zero, and does not look at others.
        optional.checksum = U32::ZERO;
        let optional_offset = self.stub.coff_offset + size_of::<Coff>() as u64;
        self.patch(self.stub.coff_offset, coff.as_bytes());
        self.patch(optional_offset, optional.as_bytes());
        if u64::from(optional.directories.get()) > SECURITY {
            let directory = optional_offset + size_of::<Optional>() as u64 + SECURITY * DIRECTORY;
            if directory + DIRECTORY <= self.stub.table {
                self.patch(directory, &[0; 8]);
            }
        }
        let table = self.headers.iter().flat_map(|header| header.as_bytes().to_vec()).collect::<Vec<_>>();
        self.patch(self.stub.table, &table);
        self.image.put_bytes(0, self.head)?;
        Ok(self.image)
    }

    /// Overwrite bytes of the headers, which were read from there.
    fn patch(&mut self, offset: u64, bytes: &[u8]) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = self.head.get_mut(start..).and_then(|rest| rest.get_mut(..bytes.len()));
        if let Some(part) = part {
            part.copy_from_slice(bytes);
        }
    }
}

/// Give the bytes that a section takes in memory.
fn span(header: &SectionHeader) -> u64 {
    u64::from(header.virtual_size.get().max(header.size.get()))
}

/// Refuse texts that would not arrive as they are.
fn check_texts(parts: &Parts<'_>, most: u64) -> Result<(), PeError> {
    let Parts { osrel, cmdline, uname, .. } = parts;
    for (section, text, lines) in [(".osrel", osrel, true), (".cmdline", cmdline, false), (".uname", uname, false)] {
        if text.contains('\0') {
            return Err(PeError::Text { section, what: "a NUL" });
        }
        if !lines && text.contains(['\n', '\r']) {
            return Err(PeError::Text { section, what: "a line's end" });
        }
    }
    let len = cmdline.len() as u64;
    if len > most { Err(PeError::Cmdline { len, most }) } else { Ok(()) }
}

/// Tell whether a stub has the firmware load the kernel, rather than start it where it lies.
fn loads(stub: &[u8]) -> bool {
    let found = stub.windows(STUB_VERSION.len()).position(|window| window == STUB_VERSION);
    let version = found.and_then(|at| stub.get(at + STUB_VERSION.len()..)).unwrap_or_default();
    let digits = version.iter().take(9).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')) >= STUB_LOADS
}

fn check_size(size: u64) -> Result<(), PeError> {
    if u32::try_from(size).is_ok() { Ok(()) } else { Err(PeError::TooLarge { size }) }
}

/// Give a number that was seen to fit by [`check_size`].
fn narrow(value: u64) -> U32 {
    U32::new(u32::try_from(value).unwrap_or(u32::MAX))
}
