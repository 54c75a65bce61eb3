//! The kernel's image: the kernel under `boot`, and what its tar holds at the root.

use std::io::{self, Read};

use flate2::read::GzDecoder;

use super::flatten::flatten;
use super::{Sink, Stream};
use crate::format::tar::read::Reader;
use crate::format::tar::{Kind, Member};
use crate::plan::{Image, Kernel};
use crate::rootfs::{RootfsError, path};

/// Longest kernel that is unpacked, in bytes, before and after.
const KERNEL_MAX: u64 = 512 << 20;

/// First bytes of a gzip stream (RFC 1952, 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// First bytes of a Zstandard frame (RFC 8878, 3.1.1).
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl<S: Sink> Stream<'_, S> {
    /// Write the kernel, its command line, its microcode, and what its tar holds, in the order the image has them.
    ///
    /// # Errors
    ///
    /// - [`RootfsError::Kernel`]: the image has no kernel, no tar, or the kernel cannot be unpacked.
    pub(super) fn kernel(&mut self, kernel: &Kernel) -> Result<(), S::Error> {
        let image = self.image(&kernel.image)?;
        let (store, options) = (self.store, self.options);
        let (mut binary, mut tar, mut boot) = (false, false, false);
        flatten(store, image, options.limits, |member, data| -> Result<(), S::Error> {
            let is = |name: &str| name.as_bytes() == member.path;
            if is(&kernel.binary) {
                self.boot(&mut boot)?;
                self.made("boot/cmdline", Kind::File, 0o644, kernel.cmdline.as_bytes())?;
                binary = true;
                return self.binary(image, member, data);
            }
            if kernel.tar.as_deref().is_some_and(is) {
                tar = true;
                return self.modules(image, kernel.tar.as_deref().unwrap_or_default(), data);
            }
            if kernel.ucode.as_deref().is_some_and(is) {
                self.boot(&mut boot)?;
                return self.in_boot("boot/ucode.cpio", member, data);
            }
            Ok(())
        })?;
        let missing = |file: &str| RootfsError::Kernel {
            image: image.reference.clone(),
            what: format!("it has no file `{file}`"),
        };
        if !binary {
            return Err(missing(&kernel.binary).into());
        }
        match &kernel.tar {
            Some(file) if !tar => Err(missing(file).into()),
            _ => Ok(()),
        }
    }

    /// Write the folder of the kernel, once.
    fn boot(&mut self, written: &mut bool) -> Result<(), S::Error> {
        if std::mem::replace(written, true) {
            return Ok(());
        }
        self.made("boot", Kind::Directory, 0o755, &[])
    }

    /// Write a file of the image into `boot`.
    fn in_boot(&mut self, path: &str, member: Member, data: &mut dyn Read) -> Result<(), S::Error> {
        let (mode, size, mtime) = (member.mode, member.size, i64::from(self.plan.epoch));
        self.append(Member { path: path.into(), mode, size, mtime, ..Member::default() }, data)
    }

    fn binary(&mut self, image: &Image, member: Member, data: &mut dyn Read) -> Result<(), S::Error> {
        if !self.options.decompress_kernel {
            return self.in_boot("boot/kernel", member, data);
        }
        let wrong = |what: &str| RootfsError::Kernel { image: image.reference.clone(), what: what.to_owned() };
        if member.size > KERNEL_MAX {
            return Err(wrong("its kernel is too large to be unpacked").into());
        }
        let mut packed = Vec::new();
        data.read_to_end(&mut packed).map_err(|cause| RootfsError::Reread(cause.into()))?;
        let plain = decompress(&packed).map_err(wrong)?;
        let size = plain.len() as u64;
        self.in_boot("boot/kernel", Member { size, ..member }, &mut plain.as_slice())
    }

    /// Write what the kernel's tar holds, names as they stand in it.
    fn modules(&mut self, image: &Image, file: &str, data: &mut dyn Read) -> Result<(), S::Error> {
        let unusable = |cause: Box<dyn std::error::Error + Send + Sync>| RootfsError::Modules {
            image: image.reference.clone(),
            file: file.to_owned(),
            cause,
        };
        let mut reader = Reader::new(data, self.options.limits);
        while let Some(member) = reader.next_member().map_err(|cause| unusable(cause.into()))? {
            // Checked, and then left as it is: a leading `./` is LinuxKit's as well.
            path::clean(&member.path).map_err(|cause| unusable(cause.into()))?;
            if member.kind == Kind::HardLink {
                path::clean(&member.link).map_err(|cause| unusable(cause.into()))?;
            }
            let absolute = member.path.iter().take_while(|byte| **byte == b'/').count();
            let path = member.path.get(absolute..).unwrap_or_default().to_vec();
            self.append(Member { path, ..member }, &mut reader)?;
        }
        Ok(())
    }
}

/// Unpack a kernel: a compressed image, or the compressed payload of an x86 one.
///
/// # Source
///
/// Linux, `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header".
fn decompress(kernel: &[u8]) -> Result<Vec<u8>, &'static str> {
    if kernel.starts_with(GZIP) || kernel.starts_with(ZSTD) {
        return unpack(kernel);
    }
    let word = |at: usize| Some(u32::from_le_bytes(*kernel.get(at..)?.first_chunk()?));
    if kernel.get(0x1fe..0x200) != Some(&[0x55, 0xaa]) || kernel.get(0x202..0x206) != Some(b"HdrS") {
        return Err("its kernel is not compressed in a way that is known: build without --decompress-kernel");
    }
    let header = || {
        let version = u16::from_le_bytes(*kernel.get(0x206..)?.first_chunk()?);
        let setup = match *kernel.get(0x1f1)? {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let start = (setup + 1) * 512 + usize::try_from(word(0x248)?).ok()?;
        let payload = kernel.get(start..start.checked_add(usize::try_from(word(0x24c)?).ok()?)?)?;
        (version >= 0x208).then_some(payload)
    };
    unpack(header().ok_or("its kernel does not say where its payload is (boot protocol 2.08 does)")?)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, &'static str> {
    let stream: Box<dyn Read + '_> = if packed.starts_with(GZIP) {
        Box::new(GzDecoder::new(packed))
    } else if packed.starts_with(ZSTD) {
        // What follows the frame is the kernel's own length.
        Box::new(zstd::Decoder::with_buffer(packed).map_err(|_| DAMAGED)?.single_frame())
    } else {
        return Err("its kernel is compressed neither with gzip nor with zstd: build without --decompress-kernel");
    };
    let mut plain = Vec::new();
    let read = io::copy(&mut stream.take(KERNEL_MAX + 1), &mut plain).map_err(|_| DAMAGED)?;
    if read > KERNEL_MAX { Err("its kernel is too large to be unpacked") } else { Ok(plain) }
}

const DAMAGED: &str = "its kernel's compressed payload is damaged";
