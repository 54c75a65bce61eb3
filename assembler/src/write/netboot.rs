//! Files for a web server, from which iPXE boots a host: a script, a kernel, an initrd, and the root unless that is in the initrd.
//!
//! ```text
//!  iPXE --NAME.ipxe--> kernel + NAME-netboot.img --hullkit.root=URL, its SHA-256--> init --NAME-root.img--> services
//! ```
//!
//! Source: iPXE, "Scripting"; its settings `cwuri` and `cwduri`.

use std::path::Path;

use super::boot::{Boot, check_cmdline, with_words};
use super::output::Output;
use super::{WriteError, io_error};
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::rootfs::Root;

/// How the script finds where it came from, unless who chains it has said so. Older iPXE knows the script's own address alone, and the
/// oldest only if DHCP gave it; who fetches the root takes the `..` out.
const BASE: &str = "isset ${cwuri} || set cwuri ${filename}\n\
                    isset ${cwduri} || set cwduri ${cwuri}/../\n\
                    isset ${base} || set base ${cwduri}\n";

/// Make `NAME.ipxe`, `NAME-kernel` and `NAME-netboot.img`, and `NAME-root.img` if the root is not in the initrd.
///
/// # Errors
///
/// - [`WriteError::Cmdline`].
/// - [`WriteError::Io`].
pub fn outputs(boot: &Boot, dir: &Path, name: &str) -> Result<Vec<Output>, WriteError> {
    let place = |suffix: &str| dir.join(format!("{name}{suffix}"));
    let (base, cmdline, root) = match &boot.root {
        None => ("", boot.cmdline.clone(), None),
        Some(Root { image, .. }) => {
            let path = place("-root.img");
            let digest = Digest::read(image.reader()).map_err(io_error("read", &path))?;
            let words = format!("hullkit.root=${{base}}{name}-root.img hullkit.root_sha256={}", digest.hex());
            (BASE, with_words(&boot.cmdline, &words), Some(Output::of(&path, image)))
        }
    };
    check_cmdline(boot.arch, &boot.kernel, &cmdline)?;
    let script = script(name, base, &cmdline);
    let mut outputs = vec![
        Output::of(&place(".ipxe"), &Sparse::of_bytes(script.as_bytes())),
        Output::of(&place("-kernel"), &boot.kernel),
        Output::of(&place("-netboot.img"), &boot.initrd),
    ];
    outputs.extend(root);
    Ok(outputs)
}

/// Write the script. Names are relative to where it came from; under UEFI the kernel finds its initrd by the name.
fn script(name: &str, base: &str, cmdline: &str) -> String {
    format!(
        "#!ipxe\n# Boots {name} from the folder that this script lies in.\n{base}\
         kernel {name}-kernel initrd={name}-netboot.img {cmdline}\ninitrd {name}-netboot.img\nboot\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_says_where_it_comes_from_only_if_the_root_does() {
        assert_eq!(
            script("host", "", "quiet"),
            "#!ipxe\n# Boots host from the folder that this script lies in.\n\
             kernel host-kernel initrd=host-netboot.img quiet\ninitrd host-netboot.img\nboot\n"
        );
        let with_root = script("host", BASE, &with_words("quiet -- x", "hullkit.root=${base}host-root.img"));
        assert!(with_root.contains("\nisset ${base} || set base ${cwduri}\nkernel host-kernel "), "{with_root}");
        assert!(with_root.contains(" quiet hullkit.root=${base}host-root.img -- x\n"), "{with_root}");
    }
}
