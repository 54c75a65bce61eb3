//! What a kernel says of itself, checked.

use std::mem::size_of;

use zerocopy::FromBytes;

use super::BiosError;
use super::layout::{CMDLINE_MOST, HEADER, LOADED_HIGH, MEMORY_END, PAGE, SETUP_HEADER, SETUP_MOST, SetupHeader};

/// Bytes of a kernel that [`Kernel::read`] needs.
pub const HEAD: usize = SETUP_HEADER + size_of::<SetupHeader>();
/// Version of the protocol that brought `init_size` and `pref_address`.
const VERSION: u16 = 0x020a;
/// Where memory that a kernel may be loaded to starts.
const HIGH: u64 = 0x10_0000;

/// A kernel's needs. Holding it proves: the kernel can be loaded by this loader, at an address of the loader's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Bytes that run in real mode, a multiple of 512.
    pub(super) setup: u32,
    /// Bytes of the rest.
    pub(super) rest: u64,
    /// Lowest address it is loaded to, a multiple of `alignment`.
    pub(super) preferred: u32,
    /// Bytes it needs there.
    pub(super) needs: u32,
    /// A power of two.
    pub(super) alignment: u32,
    /// End of the memory that the initrd may take.
    pub(super) initrd_end: u32,
    /// Most bytes of the command line, without its zero.
    pub(super) cmdline: usize,
}

impl Kernel {
    /// Read the header of a bzImage.
    ///
    /// In: its first [`HEAD`] bytes or more.
    ///
    /// # Errors
    ///
    /// - [`BiosError::NotKernel`], [`BiosError::Old`], [`BiosError::Low`], [`BiosError::Fixed`], [`BiosError::Damaged`],
    ///   [`BiosError::Large`]: it cannot be booted from a BIOS.
    ///
    /// # Source
    ///
    /// Linux, `Documentation/arch/x86/boot.rst`, "Details of Header Fields".
    pub fn read(bytes: &[u8]) -> Result<Self, BiosError> {
        let head = bytes.get(SETUP_HEADER..).and_then(|bytes| SetupHeader::read_from_prefix(bytes).ok());
        let (head, _) = head.filter(|(head, _)| &head.header == HEADER).ok_or(BiosError::NotKernel)?;
        let version = head.version.get();
        if version < VERSION {
            return Err(BiosError::Old { version });
        }
        if head.loadflags & LOADED_HIGH == 0 {
            return Err(BiosError::Low);
        }
        if head.relocatable_kernel == 0 {
            return Err(BiosError::Fixed);
        }
        let damaged = |what| BiosError::Damaged { what };
        let sectors = if head.setup_sects == 0 { 4 } else { u32::from(head.setup_sects) };
        let setup = (sectors + 1) * 512;
        if setup > SETUP_MOST {
            return Err(damaged("its setup takes more than 32 KiB"));
        }
        let alignment = head.kernel_alignment.get();
        if !alignment.is_power_of_two() || alignment < PAGE {
            return Err(damaged("its alignment is not a power of two of at least 4096"));
        }
        let rest = u64::from(head.syssize.get()) * 16;
        let needs = u64::from(head.init_size.get()).max(rest);
        let wanted = head.pref_address.get().max(HIGH);
        let preferred = wanted.checked_next_multiple_of(u64::from(alignment)).unwrap_or(u64::MAX);
        let end = preferred.saturating_add(needs);
        if end > u64::from(MEMORY_END) {
            return Err(BiosError::Large { end });
        }
        let narrow = |number| u32::try_from(number).map_err(|_| BiosError::Large { end });
        Ok(Self {
            setup,
            rest,
            preferred: narrow(preferred)?,
            needs: narrow(needs)?,
            alignment,
            initrd_end: head.initrd_addr_max.get().saturating_add(1).min(MEMORY_END),
            cmdline: usize::try_from(head.cmdline_size.get()).unwrap_or(usize::MAX).min(CMDLINE_MOST - 1),
        })
    }

    /// Give the bytes of the whole kernel that its header speaks of.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.setup) + self.rest
    }

    /// Tell whether there is nothing of it, which is never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Give the most bytes of a command line, without its zero.
    #[must_use]
    pub fn cmdline_most(&self) -> usize {
        self.cmdline
    }

    /// Give the most bytes of an initrd, on a machine that has all memory there can be.
    #[must_use]
    pub fn initrd_most(&self) -> u64 {
        u64::from(self.initrd_end / PAGE * PAGE).saturating_sub(self.end())
    }

    /// Take a kernel whose file has more bytes than its header speaks of: a signature, or what pads it.
    ///
    /// # Errors
    ///
    /// - [`BiosError::Large`]: they do not fit below 4 GiB.
    pub(super) fn with_rest(&self, rest: u64) -> Result<Self, BiosError> {
        let needs = rest.max(self.needs.into());
        let end = u64::from(self.preferred).saturating_add(needs);
        match u32::try_from(needs) {
            Ok(needs) if end <= u64::from(MEMORY_END) => Ok(Self { rest, needs, ..*self }),
            _ => Err(BiosError::Large { end }),
        }
    }

    /// Give the first byte behind the memory that the kernel needs, a multiple of a page.
    pub(super) fn end(&self) -> u64 {
        (u64::from(self.preferred) + u64::from(self.needs)).next_multiple_of(u64::from(PAGE))
    }
}
