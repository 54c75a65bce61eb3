//! The kernel and its initrd: segments joined end to end.
//!
//! ```text
//! microcode, plain cpio | pad to 4 | init | modules | image | image | ... | system
//! ```
//!
//! The kernel unpacks the archives one after another, each with its own compression; microcode must come first, and plain.
//!
//! Source: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`; `Documentation/arch/x86/microcode.rst`.

use std::fs;
use std::path::Path;

use super::output::{Output, Piece};
use super::{WriteError, io_error};
use crate::format::cpio::layout::padding;
use crate::plan::Plan;
use crate::rootfs::Segments;

/// Name of the format, as users write it.
const FORMAT: &str = "kernel+initrd";

/// Make `NAME-kernel`, `NAME-initrd.img` and `NAME-cmdline`, to be published together with what else is made.
///
/// # Errors
///
/// - [`WriteError::NoKernel`]: the plan has none.
/// - [`WriteError::Io`].
pub fn outputs(plan: &Plan, segments: &Segments, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
    let (Some(planned), Some(files)) = (&plan.kernel, &segments.kernel) else {
        return Err(WriteError::NoKernel { format: FORMAT });
    };
    let place = |suffix: &str| dir.join(format!("{name}-{suffix}"));
    Ok(vec![
        Output::join(&place("kernel"), &[Piece::File(&files.binary)])?,
        Output::join(&place("initrd.img"), &pieces(segments)?)?,
        Output::join(&place("cmdline"), &[Piece::Bytes(planned.cmdline.as_bytes())])?,
    ])
}

/// List what an initrd is joined of, padding included.
///
/// # Errors
///
/// - [`WriteError::Io`]: a piece is not there.
pub fn pieces(segments: &Segments) -> Result<Vec<Piece<'_>>, WriteError> {
    let ucode = segments.kernel.as_ref().and_then(|files| files.ucode.as_deref());
    let mut pieces = Vec::new();
    for path in ucode.into_iter().chain(segments.parts.iter().map(|part| part.path.as_path())) {
        let len = fs::metadata(path).map_err(io_error("read", path))?.len();
        pieces.push(Piece::File(path));
        // All zeros: the kernel skips them between two archives.
        pieces.push(Piece::Bytes(&[0; 3][..padding(len)]));
    }
    Ok(pieces)
}
