//! A distribution's kernel package, laid out as LinuxKit's kernel images are: `kernel` and `kernel.tar`.
//!
//! Source: LinuxKit, `kernel/Dockerfile`, read for behaviour; `docs/kernels.md`.

use std::collections::BTreeMap;
use std::io;

use tar::Builder;

use super::error::PackageError;
use super::layer::append;
use super::tree::{Entry, Kind, Tree};

/// What a kernel package's name begins with. What such a package depends on serves a running Debian (an initramfs
/// generator, `kmod`), and a kernel image holds none of it.
pub const PACKAGES: &str = "linux-image-";

/// Where packages keep the kernel.
const VMLINUZ: &str = "boot/vmlinuz-";

/// Where packages keep modules, once `/lib` is merged into `/usr`.
const MODULES: &str = "usr/lib/modules";

/// Turn the files of kernel packages into those of a kernel image.
///
/// The kernel is left as it is: a bzImage on amd64, a plain or zboot image on arm64; firmware and QEMU start all three.
/// `kernel.tar` holds the modules under `lib/modules`, where LinuxKit's images have them; copyright files stay beside it.
///
/// # Errors
///
/// - [`PackageError::Tree`]: there is no kernel, or more than one.
/// - [`PackageError::Io`].
pub fn lay_out(tree: &mut Tree) -> Result<(), PackageError> {
    let refuse = |reason| PackageError::Tree { path: VMLINUZ.to_owned() + "*", reason };
    let mut kernels = tree.entries().filter(|(path, _)| path.starts_with(VMLINUZ)).map(|(_, entry)| entry.clone());
    let kernel = kernels.next().ok_or_else(|| refuse("is in none of the packages"))?;
    if kernels.next().is_some() {
        return Err(refuse("is there twice: an image holds one kernel"));
    }
    drop(kernels);
    let time = tree.newest();
    let span = tree.append(|tree, out| modules(tree, out, time)).map_err(|cause| PackageError::Io {
        action: "write",
        path: "kernel.tar".into(),
        cause,
    })?;
    let keep = |path: &str| path.split('/').zip(["usr", "share", "doc"]).all(|(part, want)| part == want);
    let mut entries: BTreeMap<String, Entry> =
        tree.entries().filter(|(path, _)| keep(path)).map(|(path, entry)| (path.to_owned(), entry.clone())).collect();
    let archive = Entry { kind: Kind::File(span), mode: 0o644, uid: 0, gid: 0, mtime: None };
    entries.insert("kernel".to_owned(), Entry { mode: 0o644, ..kernel });
    entries.insert("kernel.tar".to_owned(), archive);
    tree.replace(entries);
    Ok(())
}

/// Write the modules as a tar, sorted.
fn modules(tree: &Tree, out: &mut dyn io::Write, time: u64) -> io::Result<()> {
    let mut archive = Builder::new(out);
    let mut links = BTreeMap::new();
    let folder = Entry { kind: Kind::Directory, mode: 0o755, uid: 0, gid: 0, mtime: None };
    append(&mut archive, tree, "lib", &folder, time, &mut links)?;
    for (path, entry) in tree.entries() {
        if let Some(rest) = path.strip_prefix(MODULES).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            append(&mut archive, tree, &format!("lib/modules{rest}"), entry, time, &mut links)?;
        }
    }
    archive.finish()
}
