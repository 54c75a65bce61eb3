//! What a kernel says of itself.

use super::PeError;
use super::layout::{Arm64Header, Machine, SETUP_HEADER, SetupHeader, XLF_EFI_HANDOVER_64, XLF_KERNEL_64};
use super::read::{at, read};
use crate::format::sparse::Sparse;

/// Most bytes of the command line on arm64, the NUL not counted.
///
/// Source: Linux, `arch/arm64/include/uapi/asm/setup.h`, `COMMAND_LINE_SIZE`.
const CMDLINE_ARM64: u64 = 2047;
/// Version of the boot protocol that says how long a command line may be and how much memory the kernel needs; 3.8 has it.
const PROTOCOL: u16 = 0x20b;
/// The one that says the first of these.
const CMDLINE_PROTOCOL: u16 = 0x206;
/// Most bytes of a version.
const VERSION_MAX: usize = 64;
/// How far into an arm64 kernel its version is looked for, in bytes, and how much is read at a time.
const SEARCH: (u64, u64) = (128 << 20, 1 << 20);
/// What stands before it.
const BANNER: &[u8] = b"Linux version ";
/// First bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A kernel that UEFI can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Most bytes of its command line, the NUL not counted.
    pub cmdline_max: u64,
    /// Bytes that must be there from its first one on if it is started where it lies.
    pub memory: u64,
    /// Whether it is 5.8 or newer, so that the firmware can load it and it fetches its initrd itself.
    pub fetches_initrd: bool,
}

impl Kernel {
    /// Look at a kernel.
    ///
    /// # Errors
    ///
    /// - [`PeError::Kernel`]: UEFI cannot start it on this machine.
    /// - [`PeError::Io`].
    pub fn read(machine: Machine, linux: &Sparse) -> Result<Self, PeError> {
        let refused = |what| PeError::Kernel { machine, what };
        if at(linux, 0).is_ok_and(|start: [u8; 2]| start == GZIP) {
            return Err(refused("it is compressed with gzip, and must be unpacked first"));
        }
        let image = read(linux).map_err(|error| match error {
            PeError::Io(cause) => PeError::Io(cause),
            _ => refused("it is no program for UEFI; it was built without CONFIG_EFI_STUB, or is no kernel"),
        })?;
        if image.coff.machine != machine.number() {
            return Err(refused("it is for another machine"));
        }
        let size = linux.size().max(u64::from(image.optional.image.get()));
        // Linux, `include/linux/pe.h`, `LINUX_EFISTUB_MAJOR_VERSION`.
        let fetches_initrd = image.optional.versions[2] >= 1;
        match machine {
            Machine::Arm64 => {
                let head: Arm64Header = at(linux, 0)?;
                // A kernel that unpacks itself does not say.
                let memory = if head.magic == *b"ARM\x64" { head.image_size.get() } else { 0 };
                Ok(Self { cmdline_max: CMDLINE_ARM64, memory: size.max(memory), fetches_initrd })
            }
            Machine::X64 => {
                let head = setup_header(linux).ok_or_else(|| refused("it is no bzImage"))?;
                let flags = head.xloadflags.get();
                let what = match () {
                    () if head.version < PROTOCOL => "it is older than 3.8",
                    () if flags & XLF_KERNEL_64 == 0 => "it is a kernel for 32 bits",
                    () if !fetches_initrd && flags & XLF_EFI_HANDOVER_64 == 0 => {
                        "it is older than 5.8 and was built without the entry point for EFI handover"
                    }
                    () if head.relocatable == 0 => "it was built without CONFIG_RELOCATABLE",
                    () => {
                        // It unpacks itself to the next multiple of its alignment.
                        let memory = u64::from(head.init_size.get()) + u64::from(head.alignment.get());
                        let cmdline_max = u64::from(head.cmdline_size.get());
                        return Ok(Self { cmdline_max, memory: size.max(memory), fetches_initrd });
                    }
                };
                Err(refused(what))
            }
        }
    }
}

/// Tell how many bytes a kernel's command line may have, the NUL not counted; it loses what is behind them.
///
/// Out: nothing if it does not say, as one that is no bzImage or older than 2.6.22.
///
/// # Source
///
/// Linux, `Documentation/arch/x86/boot.rst`, `cmdline_size`, which protocol 2.06 brought.
#[must_use]
pub fn cmdline_max(machine: Machine, linux: &Sparse) -> Option<u64> {
    match machine {
        Machine::Arm64 => Some(CMDLINE_ARM64),
        Machine::X64 => {
            let head = setup_header(linux).filter(|head| head.version >= CMDLINE_PROTOCOL)?;
            Some(head.cmdline_size.get().into())
        }
    }
}

/// Tell a kernel's version, as `uname -r` does: `6.1.0-18-cloud-amd64`.
///
/// Out: nothing if it does not say; an arm64 kernel that is compressed does not.
///
/// # Errors
///
/// - [`PeError::Io`].
pub fn kernel_version(machine: Machine, linux: &Sparse) -> Result<Option<String>, PeError> {
    match machine {
        Machine::X64 => {
            let Some(head) = setup_header(linux).filter(|head| head.kernel_version != 0) else { return Ok(None) };
            let mut text = [0; VERSION_MAX];
            linux.read_at(u64::from(head.kernel_version.get()) + 0x200, &mut text)?;
            Ok(version(&text))
        }
        Machine::Arm64 => banner(linux),
    }
}

/// Find the text that the kernel greets with.
fn banner(linux: &Sparse) -> Result<Option<String>, PeError> {
    let (most, step) = SEARCH;
    let overlap = BANNER.len() + VERSION_MAX;
    let mut buffer = vec![0; usize::try_from(step).unwrap_or_default() + overlap];
    for offset in (0..linux.size().min(most)).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        linux.read_at(offset, &mut buffer)?;
        let found = buffer.windows(overlap).filter(|window| window.starts_with(BANNER));
        // The kernel also holds the text to print others by, in which no number follows.
        let mut versions = found.filter_map(|window| version(window.get(BANNER.len()..)?));
        if let Some(version) = versions.next() {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// Cut the version out of a text that starts with it.
fn version(text: &[u8]) -> Option<String> {
    let word = text.split(|byte| !byte.is_ascii_graphic()).next()?;
    let ends = word.len() < text.len() && word.first().is_some_and(u8::is_ascii_digit);
    std::str::from_utf8(word).ok().filter(|_| ends).map(ToOwned::to_owned)
}

fn setup_header(linux: &Sparse) -> Option<SetupHeader> {
    let head: SetupHeader = at(linux, SETUP_HEADER).ok()?;
    (head.boot_flag == [0x55, 0xaa] && head.header == *b"HdrS").then_some(head)
}
