//! Files for a web server, from which iPXE boots a host: a script, a kernel, an initrd and, unless it is in that, the root.
//!
//! init fetches the root over HTTP or HTTPS into memory, and believes it only if it has the digest that the script names.
//!
//! Source: iPXE, "Scripting" and the settings `cwduri`.

use std::path::Path;

use super::boot::Boot;
use super::output::Output;
use super::{WriteError, io_error};
use crate::digest::Digest;
use crate::format::sparse::Sparse;

/// Make `NAME.ipxe`, `NAME-kernel`, `NAME-netboot.img` and `NAME-root.img`.
///
/// # Errors
///
/// - [`WriteError::Io`].
pub fn outputs(boot: &Boot, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
    let place = |suffix: &str| dir.join(format!("{name}{suffix}"));
    let mut outputs =
        vec![Output::of(&place("-kernel"), &boot.kernel)?, Output::of(&place("-netboot.img"), &boot.initrd)?];
    let mut words = boot.cmdline.clone();
    if let Some(root) = &boot.root {
        let path = place("-root.img");
        let digest = Digest::read(root.image.reader()).map_err(io_error("read", &path))?;
        words = format!("hullkit.root=${{cwduri}}{name}-root.img hullkit.root_sha256={} {words}", digest.hex());
        outputs.push(Output::of(&path, &root.image)?);
    }
    let script = script(name, words.trim());
    outputs.push(Output::of(&place(".ipxe"), &Sparse::of_bytes(script.as_bytes()))?);
    Ok(outputs)
}

/// Write the script. Names are relative to where it came from; under UEFI the kernel finds its initrd by the name.
fn script(name: &str, words: &str) -> String {
    format!(
        "#!ipxe\n# Boots {name} from the folder that this script lies in.\n\
         kernel {name}-kernel initrd={name}-netboot.img {words}\ninitrd {name}-netboot.img\nboot\n"
    )
}
