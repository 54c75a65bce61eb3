//! Images that lie on this machine: imported into the store, by content.
//!
//! An image layout names everything by digest, so looking at its `index.json` is enough to know whether it changed. For
//! archives and plain trees the store remembers what they looked like when they were imported ([`memo`]).

mod archive;
mod docker;
mod files;
mod layout;
mod memo;
mod pack;
mod rootfs;
mod synthesis;

use std::path::{Path, PathBuf};

use linuxkit_yaml::Reference;

use self::memo::Memo;
use super::error::PullError;
use crate::digest::Digest;
use crate::platform::Arch;
use crate::store::Store;

use self::layout::import_layout;

pub(super) use self::docker::import as import_docker;
pub(super) use self::files::{Files, blob_name, lacks};

/// Bring an image into the store, unless it is there unchanged. Out: digest of its index or manifest.
///
/// In: `whole`, which tells whether everything a digest leads to is in the store.
pub(super) fn import(
    store: &Store,
    reference: &Reference,
    arch: Arch,
    whole: impl Fn(Digest) -> bool,
) -> Result<Digest, PullError> {
    let text = reference.to_string();
    match reference {
        Reference::Registry(_) => Err(PullError::Offline { reference: text }),
        Reference::OciLayout { dir, tag } => {
            let (path, tag) = locate(dir, tag.as_deref());
            import_layout(store, &Files::folder(&path), tag.as_deref(), arch, &text)
        }
        Reference::OciArchive { file, tag } => {
            let (path, tag) = locate(file, tag.as_deref());
            remembering(store, &path, &text, arch, whole, || {
                import_layout(store, &Files::archive(store, &path)?, tag.as_deref(), arch, &text)
            })
        }
        Reference::DockerArchive { file, tag } => {
            let (path, tag) = locate(file, tag.as_deref());
            remembering(store, &path, &text, arch, whole, || {
                docker::import(store, &Files::archive(store, &path)?, tag.as_deref(), &text)
            })
        }
        Reference::Rootfs { path } => {
            let path = PathBuf::from(path);
            remembering(store, &path, &text, arch, whole, || rootfs::import(store, &path, arch, &text))
        }
    }
}

/// Import, unless the memo of an earlier import still fits.
fn remembering(
    store: &Store,
    path: &Path,
    text: &str,
    arch: Arch,
    whole: impl Fn(Digest) -> bool,
    import: impl FnOnce() -> Result<Digest, PullError>,
) -> Result<Digest, PullError> {
    let memo = Memo::of(store, path, text, arch)?;
    if let Some(digest) = memo.recall().filter(|digest| whole(*digest)) {
        return Ok(digest);
    }
    let digest = import()?;
    memo.keep(store, &digest)?;
    Ok(digest)
}

/// Find the file that `PATH[:tag]` means. A tag may hold a colon (`repository:tag` in Docker's archives), and so may a
/// path: of the ways to cut the text, the one whose path exists is taken.
fn locate(path: &str, tag: Option<&str>) -> (PathBuf, Option<String>) {
    let whole = match tag {
        Some(tag) => format!("{path}:{tag}"),
        None => path.to_owned(),
    };
    if Path::new(path).exists() {
        return (path.into(), tag.map(str::to_owned));
    }
    if Path::new(&whole).exists() {
        return (whole.into(), None);
    }
    let cuts = whole.match_indices(':').map(|(at, _)| (&whole[..at], &whole[at + 1..]));
    let fits = cuts.into_iter().find(|(path, _)| !path.is_empty() && Path::new(path).exists());
    fits.map_or_else(|| (path.into(), tag.map(str::to_owned)), |(path, tag)| (path.into(), Some(tag.to_owned())))
}

#[cfg(test)]
mod tests;
