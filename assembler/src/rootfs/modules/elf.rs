//! The `.modinfo` section of a kernel module: 64-bit little-endian ELF, as on x86_64, arm64 and riscv64.

/// Why a file is not a module that can be indexed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfError {
    /// It does not begin as a 64-bit little-endian ELF file does.
    #[error("not a 64-bit little-endian ELF file")]
    Ident,
    /// A header points outside the file.
    #[error("{what} lies outside the file")]
    Bounds {
        /// What was looked for.
        what: &'static str,
    },
    /// There is no section of that name.
    #[error("no `.modinfo` section")]
    NoModinfo,
}

/// Section header number that says the real one is in the first section's `sh_link`.
const SHN_XINDEX: u16 = 0xffff;

/// Bytes of one `Elf64_Shdr`.
const SECTION_HEADER: usize = 0x40;

/// Find the bytes of `.modinfo`.
///
/// In: a whole, decompressed `.ko` file. Out: the section, zero-terminated `key=value` strings with padding.
///
/// # Errors
///
/// - [`ElfError::Ident`]: some other kind of file.
/// - [`ElfError::Bounds`]: cut short, or made to mislead.
/// - [`ElfError::NoModinfo`]: an object file, but no module.
///
/// # Source
///
/// System V ABI, chapter 4, "ELF Header" and "Sections"; `Elf64_Ehdr`, `Elf64_Shdr`.
pub(super) fn modinfo(file: &[u8]) -> Result<&[u8], ElfError> {
    // e_ident: magic, ELFCLASS64, ELFDATA2LSB.
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return Err(ElfError::Ident);
    }
    let header = ElfError::Bounds { what: "the ELF header" };
    let table = word(file, 0x28).ok_or(header)?;
    let (Some(entry), Some(count), Some(names)) = (half(file, 0x3a), half(file, 0x3c), half(file, 0x3e)) else {
        return Err(ElfError::Bounds { what: "the ELF header" });
    };
    // A stride shorter than a header would let a small file claim any number of sections.
    if usize::from(entry) < SECTION_HEADER {
        return Err(ElfError::Bounds { what: "the section table" });
    }
    let section = |index: u64| -> Result<&[u8], ElfError> {
        let at = index.checked_mul(u64::from(entry)).and_then(|skip| table.checked_add(skip));
        at.and_then(|at| slice(file, at, SECTION_HEADER as u64)).ok_or(ElfError::Bounds { what: "the section table" })
    };
    // Counts that do not fit 16 bits live in the first section header, which is otherwise unused.
    let count = if count == 0 { word(section(0)?, 0x20).unwrap_or(0) } else { u64::from(count) };
    let names = if names == SHN_XINDEX { long(section(0)?, 0x28).unwrap_or(0) } else { u32::from(names) };
    let names = contents(file, section(u64::from(names))?).ok_or(ElfError::Bounds { what: "the section names" })?;
    for index in 0..count {
        let header = section(index)?;
        let name = long(header, 0).and_then(|at| names.get(usize::try_from(at).ok()?..));
        if name.is_some_and(|name| name.starts_with(b".modinfo\0")) {
            return contents(file, header).ok_or(ElfError::Bounds { what: "the `.modinfo` section" });
        }
    }
    Err(ElfError::NoModinfo)
}

/// Bytes of the section that `header` describes.
fn contents<'a>(file: &'a [u8], header: &[u8]) -> Option<&'a [u8]> {
    slice(file, word(header, 0x18)?, word(header, 0x20)?)
}

fn slice(file: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(at).ok()?;
    let end = usize::try_from(at.checked_add(len)?).ok()?;
    file.get(start..end)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
