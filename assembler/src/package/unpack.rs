//! Files into a [`Tree`]: those of packages, then the recipe's own.

use std::io;

use tar::{Archive, EntryType};

use super::apt::Package;
use super::error::{PackageError, io_error};
use super::recipe::{Content, Loaded, Rootfs};
use super::tree::{Entry, Kind, Tree};
use super::{deb, glob};

/// Lay the files of one package, less those the recipe drops. No script of it is run.
///
/// # Errors
///
/// - [`PackageError::Deb`], [`PackageError::Tree`].
pub(super) fn package(
    tree: &mut Tree,
    rootfs: &Rootfs,
    package: &Package,
    file: impl io::Read,
) -> Result<(), PackageError> {
    let broken = |reason: String| PackageError::Deb { file: package.file.clone(), reason };
    let failed = |cause: io::Error| broken(cause.to_string());
    let mut archive = Archive::new(deb::data(file).map_err(failed)?);
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| broken("a name in it is not UTF-8".to_owned()))
        };
        let path = tree.resolve(&text(&entry.path_bytes())?)?;
        if is_dropped(rootfs, &path, entry.header().entry_type()) {
            continue;
        }
        let target = entry.link_name_bytes().map(|bytes| text(&bytes)).transpose()?.unwrap_or_default();
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(target),
            EntryType::Regular | EntryType::Continuous => Kind::File(tree.spool(&mut entry).map_err(failed)?),
            EntryType::Link => match tree.get(&tree.resolve(&target)?).map(|entry| entry.kind.clone()) {
                Some(kind @ Kind::File(_)) => kind,
                _ => return Err(broken(format!("`{path}` is a link to `{target}`, which is no file laid before it"))),
            },
            _ => return Err(broken(format!("`{path}` is neither file, folder nor link"))),
        };
        let header = entry.header();
        let laid = Entry {
            kind,
            mode: header.mode().map_err(failed)? & 0o7777,
            uid: header.uid().map_err(failed)?,
            gid: header.gid().map_err(failed)?,
            mtime: Some(header.mtime().map_err(failed)?),
        };
        tree.lay(&path, laid)?;
    }
    Ok(())
}

/// Tell whether a recipe leaves a package's file out. Copyright files stay, and the links by which packages share them.
fn is_dropped(rootfs: &Rootfs, path: &str, kind: EntryType) -> bool {
    let copyright = glob::matches("usr/share/doc/*/copyright", path)
        || (kind == EntryType::Symlink && glob::matches("usr/share/doc/*", path));
    !copyright && rootfs.drop.iter().any(|pattern| glob::matches(pattern, path))
}

/// Lay the recipe's own files over those of the packages.
///
/// # Errors
///
/// - [`PackageError::Tree`], [`PackageError::Io`].
pub(super) fn files(tree: &mut Tree, recipe: &Loaded, rootfs: &Rootfs) -> Result<(), PackageError> {
    for (file, (content, mode)) in rootfs.files.iter().zip(&recipe.contents) {
        let kind = match content {
            Content::Directory => Kind::Directory,
            Content::Symlink(target) => Kind::Symlink(target.clone()),
            Content::Bytes(bytes) => {
                let spooled = tree.spool(&mut bytes.as_slice());
                Kind::File(spooled.map_err(io_error("write", recipe.folder.as_path()))?)
            }
        };
        let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { *mode };
        tree.lay(&file.path, Entry { kind, mode, uid: file.uid.into(), gid: file.gid.into(), mtime: None })?;
    }
    Ok(())
}
