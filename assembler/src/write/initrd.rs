//! The kernel and its initrd: segments joined end to end.
//!
//! ```text
//! microcode, plain cpio | pad to 4 | init | modules | image | image | ... | system
//! ```
//!
//! The kernel unpacks the archives one after another, each with its own compression; microcode must come first, and plain.
//!
//! Source: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`; `Documentation/arch/x86/microcode.rst`.

use std::fs::File;
use std::path::Path;

use super::boot::check_cmdline;
use super::output::Output;
use super::{WriteError, io_error};
use crate::format::sparse::Sparse;
use crate::plan::Plan;
use crate::rootfs::Segments;

/// Name of the format, as users write it.
const FORMAT: &str = "kernel+initrd";

/// Make `NAME-kernel`, `NAME-initrd.img` and `NAME-cmdline`, to be published together with what else is made.
///
/// # Errors
///
/// - [`WriteError::NoKernel`]: the plan has none.
/// - [`WriteError::Cmdline`].
/// - [`WriteError::Io`].
pub fn outputs(plan: &Plan, segments: &Segments, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
    let (Some(planned), Some(files)) = (&plan.kernel, &segments.kernel) else {
        return Err(WriteError::NoKernel { format: FORMAT.to_owned() });
    };
    let kernel = whole(&files.binary)?;
    check_cmdline(plan.arch, &kernel, &planned.cmdline)?;
    let place = |suffix: &str| dir.join(format!("{name}-{suffix}"));
    Ok(vec![
        Output::of(&place("kernel"), &kernel),
        Output::of(&place("initrd.img"), &joined(segments)?),
        Output::of(&place("cmdline"), &Sparse::of_bytes(planned.cmdline.as_bytes())),
    ])
}

/// Join the pieces of an initrd.
///
/// # Errors
///
/// - [`WriteError::Io`]: a piece is not there.
pub fn joined(segments: &Segments) -> Result<Sparse, WriteError> {
    let ucode = segments.kernel.as_ref().and_then(|files| files.ucode.as_deref());
    let mut initrd = Sparse::default();
    for path in ucode.into_iter().chain(segments.parts.iter().map(|part| part.path.as_path())) {
        initrd.append(&whole(path)?);
        // Zeros: the kernel skips them between two archives.
        initrd.pad(4);
    }
    Ok(initrd)
}

/// Refer to all of a file.
pub(super) fn whole(path: &Path) -> Result<Sparse, WriteError> {
    File::open(path).and_then(Sparse::of_file).map_err(io_error("read", path))
}
