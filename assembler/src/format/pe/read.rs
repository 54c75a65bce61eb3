//! A program's headers, read with care: they may be anyone's.

use std::fmt::Write as _;
use std::mem::size_of;
use std::ops::Range;

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::PeError;
use super::layout::{COFF_POINTER, Coff, DOS_MAGIC, Optional, PE_MAGIC, PE32_PLUS, SectionHeader};
use crate::format::sparse::Sparse;

/// Most sections that a loader takes.
///
/// Source: PE Format, "COFF File Header", `NumberOfSections`.
const SECTIONS_MAX: u16 = 96;

/// A program's headers.
#[derive(Debug, Clone)]
pub struct Image {
    /// Offset of [`Image::coff`] in the file, in bytes.
    pub coff_offset: u64,
    /// The first header.
    pub coff: Coff,
    /// The second one.
    pub optional: Optional,
    /// Offset of the table of sections in the file, in bytes.
    pub table: u64,
    /// The sections, in the order of the table.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its name; what is no text is replaced.
    pub name: String,
    /// What the table says.
    pub header: SectionHeader,
}

impl Section {
    /// Give its true bytes in the file: as many as in memory, unless fewer are there.
    #[must_use]
    pub fn bytes(&self) -> Range<u64> {
        let start = u64::from(self.header.offset.get());
        start..start + u64::from(self.header.size.get().min(self.header.virtual_size.get()))
    }
}

impl Image {
    /// Find a section by its name; the first one of this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// Read a program's headers.
///
/// Out: sections whose bytes all lie within the file.
///
/// # Errors
///
/// - [`PeError::Damaged`]: it is no 64-bit program, or names bytes that are not there.
/// - [`PeError::Io`].
pub fn read(file: &Sparse) -> Result<Image, PeError> {
    let damaged = |offset, what| PeError::Damaged { offset, what };
    let magic: [u8; 2] = at(file, 0)?;
    if magic != DOS_MAGIC {
        return Err(damaged(0, "it does not start with `MZ`"));
    }
    let coff_offset = u64::from(u32::from_le_bytes(at(file, COFF_POINTER)?));
    let coff: Coff = at(file, coff_offset)?;
    if coff.signature != PE_MAGIC {
        return Err(damaged(coff_offset, "there is no `PE` header"));
    }
    let optional_offset = coff_offset + size_of::<Coff>() as u64;
    let optional: Optional = at(file, optional_offset)?;
    if optional.magic != PE32_PLUS || usize::from(coff.optional.get()) < size_of::<Optional>() {
        return Err(damaged(optional_offset, "it is no program for 64 bits"));
    }
    if coff.sections > SECTIONS_MAX {
        return Err(damaged(coff_offset, "it has more than 96 sections"));
    }
    let table = optional_offset + u64::from(coff.optional.get());
    let mut sections = Vec::new();
    for index in 0..u64::from(coff.sections.get()) {
        let offset = table + index * size_of::<SectionHeader>() as u64;
        let header: SectionHeader = at(file, offset)?;
        if u64::from(header.offset.get()) + u64::from(header.size.get()) > file.size() {
            return Err(damaged(offset, "a section lies behind the end of the file"));
        }
        let name = header.name.split(|byte| *byte == 0).next().unwrap_or_default();
        sections.push(Section { name: String::from_utf8_lossy(name).into_owned(), header });
    }
    Ok(Image { coff_offset, coff, optional, table, sections })
}

/// List a program's sections: offset and bytes in the file, address and bytes in memory, flags, name.
///
/// # Errors
///
/// - As [`read`].
pub fn dump(file: &Sparse) -> Result<String, PeError> {
    let image = read(file)?;
    let (coff, optional) = (&image.coff, &image.optional);
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:08x} machine {:04x} sections {} symbols {} code {:x} data {:x} entry {:x} image {:x} headers {:x} checksum {:x}",
        image.coff_offset,
        coff.machine.get(),
        coff.sections,
        coff.symbol_count,
        optional.code.get(),
        optional.data.get(),
        optional.entry.get(),
        optional.image.get(),
        optional.headers.get(),
        optional.checksum.get(),
    );
    for Section { name, header } in &image.sections {
        let _ = writeln!(
            text,
            "{:08x} +{:x} at {:x} +{:x} {:08x} {name}",
            header.offset.get(),
            header.size.get(),
            header.address.get(),
            header.virtual_size.get(),
            header.characteristics.get(),
        );
    }
    Ok(text)
}

/// Read a structure.
pub(super) fn at<T: FromBytes + FromZeros + IntoBytes>(file: &Sparse, offset: u64) -> Result<T, PeError> {
    let mut value = T::new_zeroed();
    if offset.checked_add(size_of::<T>() as u64).is_none_or(|end| end > file.size()) {
        return Err(PeError::Damaged { offset, what: "the file ends here" });
    }
    file.read_at(offset, value.as_mut_bytes())?;
    Ok(value)
}
