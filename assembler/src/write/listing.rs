//! What was built, for programs: `NAME-SHA256SUMS`, which `sha256sum -c` reads, and `NAME-manifest.json`.
//!
//! Both name files relative to the folder that they are in. Neither says when or where it was made.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::WriteError;
use super::format::Format;
use super::output::{Output, Written};
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::plan::boot::Root;
use crate::platform::Arch;

/// Version of the list's form.
const VERSION: u32 = 1;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct What {
    /// Of which format it is, or part of.
    pub format: Format,
    /// For which machines.
    pub arch: Arch,
    /// Where the host's images are while it runs.
    pub root: Root,
}

/// What a host was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// Digest of the plan: equal ones give equal files.
    pub plan: Digest,
    /// Every image by the name that the manifest has for it, with the digest of its manifest for this architecture.
    pub images: BTreeMap<String, Digest>,
    /// Programs that came with `hullkit`, by name: `init`, what it starts if the host needs it, and the boot `stub` of a UKI.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<&'static str, Digest>,
    /// Least memory of a machine that boots it, in bytes, by where the images are; empty if it is not known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub memory: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Listing<'l> {
    version: u32,
    name: &'l str,
    source_date_epoch: u32,
    files: Vec<File>,
    hosts: BTreeMap<Arch, &'l Inputs>,
}

#[derive(Serialize)]
struct File {
    path: String,
    format: String,
    arch: Arch,
    root: &'static str,
    size: u64,
    sha256: String,
}

/// Make both lists of a build.
///
/// In: `written`, every file with its digest; `hosts`, what each architecture's files were made of.
///
/// # Errors
///
/// - [`WriteError::Io`].
pub fn outputs(
    dir: &Path,
    name: &str,
    epoch: u32,
    written: &[(What, &Written)],
    hosts: &BTreeMap<Arch, Inputs>,
) -> Result<Vec<Output>, WriteError> {
    let mut files: Vec<File> = written.iter().map(|(what, written)| file(*what, written)).collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let sums: String = files.iter().map(|file| format!("{}  {}\n", file.sha256, file.path)).collect();
    let hosts = hosts.iter().map(|(arch, inputs)| (*arch, inputs)).collect();
    let listing = Listing { version: VERSION, name, source_date_epoch: epoch, files, hosts };
    // Texts, numbers and lists only: there is nothing in it that JSON cannot say.
    let mut json = serde_json::to_vec_pretty(&listing).unwrap_or_default();
    json.push(b'\n');
    Ok(vec![
        Output::of(&dir.join(format!("{name}-SHA256SUMS")), &Sparse::of_bytes(sums.into_bytes())),
        Output::of(&dir.join(format!("{name}-manifest.json")), &Sparse::of_bytes(json)),
    ])
}

fn file(what: What, written: &Written) -> File {
    let name = written.path.file_name().unwrap_or_default();
    File {
        path: name.to_string_lossy().into_owned(),
        format: what.format.name(),
        arch: what.arch,
        root: what.root.name(),
        size: written.size,
        sha256: written.digest.map(|digest| digest.hex()).unwrap_or_default(),
    }
}
