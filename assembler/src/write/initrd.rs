//! The kernel and its initrd: segments joined end to end.
//!
//! ```text
//! microcode, plain cpio | pad to 4 | init | modules | image | image | ... | system
//! ```
//!
//! The kernel unpacks the archives one after another, each with its own compression; microcode must come first, and plain.
//!
//! Source: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`; `Documentation/arch/x86/microcode.rst`.

use std::path::Path;

use super::WriteError;
use super::output::{Output, Written, publish};
use crate::format::cpio::layout::padding;
use crate::plan::Plan;
use crate::rootfs::Segments;

/// Name of the format, as users write it.
const FORMAT: &str = "kernel+initrd";

/// Write `NAME-kernel`, `NAME-initrd.img` and `NAME-cmdline` into a folder: all of them, or none.
///
/// # Errors
///
/// - [`WriteError::NoKernel`]: the plan has none.
/// - [`WriteError::Io`].
pub fn kernel_initrd(plan: &Plan, segments: &Segments, dir: &Path, name: &str) -> Result<Vec<Written>, WriteError> {
    publish(outputs(plan, segments, dir, name)?)
}

/// As [`kernel_initrd`], up to the point where the files would appear: for who makes several formats at once.
///
/// # Errors
///
/// - As [`kernel_initrd`].
pub fn outputs(plan: &Plan, segments: &Segments, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
    let (Some(planned), Some(files)) = (&plan.kernel, &segments.kernel) else {
        return Err(WriteError::NoKernel { format: FORMAT });
    };
    let mut kernel = Output::create(&dir.join(format!("{name}-kernel")))?;
    kernel.append_file(&files.binary)?;
    let mut initrd = Output::create(&dir.join(format!("{name}-initrd.img")))?;
    join(segments, &mut initrd)?;
    let mut cmdline = Output::create(&dir.join(format!("{name}-cmdline")))?;
    cmdline.append(planned.cmdline.as_bytes())?;
    Ok(vec![kernel, initrd, cmdline])
}

/// Join the segments into one initrd; gives its length in bytes.
///
/// # Errors
///
/// - [`WriteError::Io`].
pub fn join(segments: &Segments, out: &mut Output) -> Result<u64, WriteError> {
    let ucode = segments.kernel.as_ref().and_then(|files| files.ucode.as_deref());
    let mut len = 0;
    for path in ucode.into_iter().chain(segments.parts.iter().map(|part| part.path.as_path())) {
        len += out.append_file(path)?;
        out.append(&[0; 3][..padding(len)])?;
        len += padding(len) as u64;
    }
    Ok(len)
}
