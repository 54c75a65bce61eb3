//! The manifest's `files`: what each entry holds, who owns it, and the directories it needs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use linuxkit_yaml::{Diagnostic, File, Manifest, Metadata};

use super::ids::Ids;
use super::{FileContent, PlanError, PlannedFile};
use crate::store::Store;

/// Where `source` is read from.
#[derive(Debug, Clone)]
pub struct Places {
    /// What relative paths are relative to: the working directory, as in LinuxKit.
    pub working: PathBuf,
    /// What `~/` stands for, if anything.
    pub home: Option<PathBuf>,
}

/// Plan every entry, its content imported into the store, its missing parents before it.
///
/// A parent that only `files` needs gets mode 0755 and belongs to root; one that an image brings keeps what the image
/// gave it, because the entry for it is only made if nothing is there (unlike LinuxKit, which changes its mode).
///
/// # Errors
///
/// - [`PlanError::Manifest`]: an entry that means nothing, with its line.
/// - [`PlanError::File`], [`PlanError::Store`]: its content cannot be read or stored.
pub fn plan(manifest: &Manifest, ids: &Ids, store: &Store, places: &Places) -> Result<Vec<PlannedFile>, PlanError> {
    let mut planned = Vec::new();
    let mut made = BTreeSet::new();
    for file in &manifest.files {
        let at = &file.path.at;
        let wrong = |message: String| PlanError::manifest(manifest.diagnose(at, message));
        let path = clean(&file.path)
            .ok_or_else(|| wrong(format!("`{}` does not name a file below the host's root", file.path.value)))?;
        let Some(content) = content(manifest, file, store, places, &|form| print(manifest, form))? else { continue };
        let owner = |id: &Option<linuxkit_yaml::Spanned<linuxkit_yaml::Id>>| {
            ids.number(id.as_ref().map(|id| &id.value)).map_err(|error| wrong(error.to_string()))
        };
        let directory = content == FileContent::Directory;
        let written = file.mode.as_ref().filter(|mode| !mode.text.is_empty()).map(|mode| mode.bits & 0o7777);
        let mode = written.unwrap_or(if directory { 0o700 } else { 0o600 });
        let (uid, gid) = (owner(&file.uid)?, owner(&file.gid)?);
        for (end, _) in path.match_indices('/') {
            let parent = path[..end].to_owned();
            if made.insert(parent.clone()) {
                planned.push(PlannedFile { path: parent, content: FileContent::Parent, mode: 0o755, uid: 0, gid: 0 });
            }
        }
        made.insert(path.clone());
        planned.push(PlannedFile { path, content, mode, uid, gid });
    }
    Ok(planned)
}

/// Tell what is wrong with paths and owners, and read nothing.
pub(super) fn check(manifest: &Manifest, ids: &Ids) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for file in &manifest.files {
        if clean(&file.path).is_none() {
            let message = format!("`{}` does not name a file below the host's root", file.path.value);
            problems.push(manifest.diagnose(&file.path.at, message));
        }
        for id in [&file.uid, &file.gid].into_iter().flatten() {
            problems
                .extend(ids.number(Some(&id.value)).err().map(|error| manifest.diagnose(&id.at, error.to_string())));
        }
    }
    problems
}

/// Bring a path into the form of [`PlannedFile::path`]; none if it names the root itself or leads out of it.
pub(super) fn clean(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.is_empty() && !parts.contains(&"..") && !path.contains('\0')).then(|| parts.join("/"))
}

/// Write the manifest into itself.
fn print(manifest: &Manifest, form: Metadata) -> Result<Vec<u8>, PlanError> {
    match form {
        Metadata::Yaml => Ok(linuxkit_yaml::print(manifest).into_bytes()),
        Metadata::Json => serde_json::to_vec_pretty(manifest).map_err(PlanError::Json),
    }
}

/// Find out what an entry holds; nothing if it is optional and its source is not there.
///
/// In: `print`, which writes the manifest into itself.
pub(super) fn content(
    manifest: &Manifest,
    file: &File,
    store: &Store,
    places: &Places,
    print: &dyn Fn(Metadata) -> Result<Vec<u8>, PlanError>,
) -> Result<Option<FileContent>, PlanError> {
    let wrong = |message: &str| Err(PlanError::manifest(manifest.diagnose(&file.path.at, message)));
    let directory = file.directory == Some(true);
    let sources = usize::from(file.source.is_some()) + usize::from(file.metadata.is_some());
    let inline = directory || file.symlink.is_some() || file.contents.is_some();
    match (inline, sources) {
        (false, 0) => {
            return wrong("this file has no content: give `contents`, `source`, `metadata`, `symlink` or `directory`");
        }
        (false, 2) => return wrong("`source` and `metadata` exclude each other"),
        (true, 1..) => return wrong("`source` and `metadata` do not go with `contents`, `symlink` or `directory`"),
        _ if directory && file.contents.is_some() => return wrong("a directory has no `contents`"),
        _ => {}
    }
    if directory {
        return Ok(Some(FileContent::Directory));
    }
    if let Some(target) = &file.symlink {
        return Ok(Some(FileContent::Symlink(target.value.clone())));
    }
    let bytes = if let Some(contents) = &file.contents {
        contents.as_bytes().to_vec()
    } else if let Some(metadata) = &file.metadata {
        print(**metadata)?
    } else {
        let Some(source) = &file.source else { return Ok(None) };
        return import(&expand(source, places), file.optional == Some(true), store);
    };
    let length = bytes.len() as u64;
    Ok(Some(FileContent::Blob(store.write_blob(&bytes)?, length)))
}

/// Make a source's path absolute.
pub(super) fn expand(source: &str, places: &Places) -> PathBuf {
    match (source.strip_prefix("~/"), &places.home) {
        (Some(rest), Some(home)) if !rest.is_empty() => home.join(rest),
        _ => places.working.join(source),
    }
}

/// Stream a file of the build machine into the store.
pub(super) fn import(path: &Path, optional: bool, store: &Store) -> Result<Option<FileContent>, PlanError> {
    let failed = |cause: io::Error| PlanError::File { path: path.to_owned(), cause };
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(cause) if optional && cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    let mut writer = store.writer()?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        io::Write::write_all(&mut writer, &buffer[..read]).map_err(failed)?;
    }
    let (digest, length) = writer.commit(None)?;
    Ok(Some(FileContent::Blob(digest, length)))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn a_path_stays_below_the_root() {
        for (path, want) in [("/etc/motd", "etc/motd"), ("etc//x/./y/", "etc/x/y"), ("a", "a")] {
            assert_eq!(clean(path).as_deref(), Some(want));
        }
        for path in ["", "/", ".", "../x", "a/../../b", "a\0b"] {
            assert_eq!(clean(path), None, "{path:?}");
        }
    }
}
