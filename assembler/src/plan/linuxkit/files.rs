//! The manifest's `files`, as LinuxKit writes them: every missing parent anew, with the file's owner.

use std::collections::BTreeSet;

use linuxkit_yaml::{Id, Manifest, Spanned};

use super::{Entry, EntryContent, Origin, Step, What, metadata};
use crate::plan::files::{Places, clean, content};
use crate::plan::ids::Ids;
use crate::plan::{FileContent, PlanError};
use crate::store::Store;

/// Plan every entry, its parents before it.
///
/// A parent that no earlier entry of `files` made is written again although an image has it: it gets the file's owner,
/// and the file's mode with the right to search for every class that has any right.
///
/// # Errors
///
/// - [`PlanError::Manifest`]: an entry that means nothing, with its line.
/// - [`PlanError::File`], [`PlanError::Store`]: its content cannot be read or stored.
pub(super) fn plan(manifest: &Manifest, ids: &Ids, store: &Store, places: &Places) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::new();
    let mut made = BTreeSet::new();
    for (index, file) in manifest.files.iter().enumerate() {
        let wrong = |message: String| PlanError::manifest(manifest.diagnose(&file.path.at, message));
        let path = written(&file.path)
            .ok_or_else(|| wrong(format!("`{}` does not name a file below the host's root", file.path.value)))?;
        let print = |form| metadata::print(manifest, form);
        let Some(content) = content(manifest, file, store, places, &print)? else { continue };
        let owner = |id: &Option<Spanned<Id>>| {
            ids.number(id.as_ref().map(|id| &id.value)).map_err(|error| wrong(error.to_string()))
        };
        let directory = content == FileContent::Directory;
        let said = file.mode.as_ref().filter(|mode| !mode.text.is_empty()).map(|mode| mode.bits & 0o7777);
        let mode = said.unwrap_or(if directory { 0o700 } else { 0o600 });
        let (uid, gid) = (owner(&file.uid)?, owner(&file.gid)?);
        let origin = Origin { source: "linuxkit.files".to_owned(), location: format!("files[{index}]") };
        let mut push = |path: String, content, mode| {
            let entry = Entry { path, content, mode, uid, gid };
            steps.push(Step { origin: origin.clone(), what: What::Entry(entry) });
        };
        for parent in parents(&path) {
            if made.insert(parent.clone()) {
                push(parent, EntryContent::Directory, searchable(mode));
            }
        }
        made.insert(path.clone());
        let content = match content {
            FileContent::Directory | FileContent::Parent => EntryContent::Directory,
            FileContent::Symlink(target) => EntryContent::Symlink(target),
            FileContent::Blob(digest, size) => EntryContent::Blob(digest, size),
        };
        push(path, content, mode);
    }
    Ok(steps)
}

/// Give a path as LinuxKit writes it: one slash less at its start, else as it stands, unless that could name something
/// outside of the root.
fn written(path: &str) -> Option<String> {
    let clean = clean(path)?;
    let verbatim = path.strip_prefix('/').unwrap_or(path);
    Some(if verbatim.starts_with('/') { clean } else { verbatim.to_owned() })
}

/// List the folders a path lies in, outermost first. A path that ends in a slash lies in itself.
fn parents(path: &str) -> Vec<String> {
    let folder = path.rfind('/').map_or("", |slash| &path[..slash]);
    let parts: Vec<&str> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (1..=parts.len()).map(|count| parts[..count].join("/")).collect()
}

/// Add the right to search a folder for every class that has a right to the file.
fn searchable(mode: u32) -> u32 {
    [0o700, 0o070, 0o007].into_iter().filter(|class| mode & class != 0).fold(mode, |mode, class| mode | class & 0o111)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_searchable_for_whoever_has_a_right() {
        for (mode, want) in [(0o600, 0o700), (0o644, 0o755), (0o400, 0o500), (0o060, 0o070), (0, 0), (0o4755, 0o4755)] {
            assert_eq!(searchable(mode), want, "{mode:o}");
        }
    }

    #[test]
    fn a_path_is_written_as_it_stands_but_stays_below_the_root() {
        for (path, want) in [("/etc/x", "etc/x"), ("./x", "./x"), ("//x", "x"), ("a/e/", "a/e/")] {
            assert_eq!(written(path).as_deref(), Some(want));
        }
        assert_eq!(written("../x"), None);
        assert_eq!(parents("a/b//c"), ["a", "a/b"]);
        assert_eq!(parents("a/e/"), ["a", "a/e"]);
        assert_eq!(parents("./x"), Vec::<String>::new());
    }
}
