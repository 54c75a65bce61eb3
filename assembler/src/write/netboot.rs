//! Files for a web server, from which iPXE boots a host: a script, a kernel and an initrd with everything in it.
//!
//! Source: iPXE, "Scripting".

use std::path::Path;

use super::WriteError;
use super::boot::Boot;
use super::output::Output;
use crate::format::sparse::Sparse;

/// Make `NAME.ipxe`, `NAME-kernel` and `NAME-netboot.img`.
///
/// # Errors
///
/// - [`WriteError::Io`].
pub fn outputs(boot: &Boot, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
    let place = |suffix: &str| dir.join(format!("{name}{suffix}"));
    let script = script(name, &boot.cmdline);
    Ok(vec![
        Output::of(&place(".ipxe"), &Sparse::of_bytes(script.as_bytes()))?,
        Output::of(&place("-kernel"), &boot.kernel)?,
        Output::of(&place("-netboot.img"), &boot.initrd)?,
    ])
}

/// Write the script. Names are relative to where it came from; under UEFI the kernel finds its initrd by the name.
fn script(name: &str, cmdline: &str) -> String {
    format!(
        "#!ipxe\n# Boots {name} from the folder that this script lies in.\n\
         kernel {name}-kernel initrd={name}-netboot.img {cmdline}\ninitrd {name}-netboot.img\nboot\n"
    )
}
