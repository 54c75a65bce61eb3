//! The host's own files: init and its directories, the contract, and what the manifest's `files` add.

use std::io::{self, Read, Write};

use hullkit_init::contract::Contract;
use hullkit_init::contract::storage::PATH as STORAGE;

use super::memory::Memory;
use super::segment::{Key, Packer, Segment, relative, segment};
use super::{RootfsError, contract_path, path, volumes};
use crate::digest::Digest;
use crate::format::cpio::layout;
use crate::format::cpio::write::Attributes;
use crate::plan::{FileContent, Plan, PlannedFile};
use crate::store::Store;

/// Directories that init mounts over or writes into, with their permission bits.
const DIRECTORIES: [(&str, u32); 14] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/lib", 0o755),
];

/// Find or pack init and the directories it needs.
pub(crate) fn base(store: &Store, init: &[u8]) -> Result<Segment, RootfsError> {
    let key = Key::new("base", [("init", Digest::of(init).to_string())]);
    segment(store, "init", &key, |packer| {
        for (path, mode) in DIRECTORIES {
            packer.append(
                path.as_bytes(),
                Attributes { mode: layout::DIRECTORY | mode, ..Attributes::default() },
                &[],
            )?;
        }
        // The kernel opens it for init's standard streams before init can mount anything.
        let console = Attributes { mode: layout::CHAR | 0o600, rdev: (5, 1), ..Attributes::default() };
        packer.append(b"dev/console", console, &[])?;
        packer.append(b"init", Attributes { mode: layout::REGULAR | 0o755, ..Attributes::default() }, init)
    })
}

/// Find or pack a program that init starts, named `what` in messages, at an absolute `path`.
pub(crate) fn program(store: &Store, what: &'static str, path: &str, program: &[u8]) -> Result<Segment, RootfsError> {
    let key = Key::new(what, [(what, Digest::of(program).to_string())]);
    segment(store, what, &key, |packer| {
        let path = relative(path).as_bytes();
        packer.append(path::split(path).0, Attributes::directory(0), &[])?;
        packer.append(path, Attributes { mode: layout::REGULAR | 0o755, ..Attributes::default() }, program)
    })
}

/// Give the memory that the contract and the manifest's files take once they are unpacked, in bytes.
pub(crate) fn unpacked(plan: &Plan, contract: &Contract) -> u64 {
    let mut memory = Memory::default();
    memory.add(serde_json::to_vec(contract).unwrap_or_default().len() as u64);
    for file in &plan.files {
        memory.add(if let FileContent::Blob(_, size) = file.content { size } else { 0 });
    }
    memory.bytes()
}

/// Find or pack the contract and the manifest's files.
pub(crate) fn system(plan: &Plan, contract: &Contract, store: &Store) -> Result<Segment, RootfsError> {
    let json = serde_json::to_vec(contract)
        .map_err(|cause| RootfsError::Plan(format!("something JSON cannot say ({cause})")))?;
    let files = serde_json::to_vec(&plan.files).unwrap_or_default();
    let storage = plan.storage.as_ref().map(|order| serde_json::to_vec(order).unwrap_or_default());
    let inputs = [
        ("contract", Digest::of(&json).to_string()),
        ("storage", Digest::of(storage.as_deref().unwrap_or_default()).to_string()),
        ("files", Digest::of(&files).to_string()),
        ("epoch", plan.epoch.to_string()),
    ];
    segment(store, "system", &Key::new("system", inputs), |packer| {
        let contract = contract_path();
        let (folder, _) = path::split(contract.as_bytes());
        packer.append(folder, Attributes::directory(plan.epoch), &[])?;
        packer.append(contract.as_bytes(), Attributes::file(plan.epoch), &json)?;
        if let Some(order) = &storage {
            packer.append(relative(STORAGE).as_bytes(), Attributes::file(plan.epoch), order)?;
        }
        volumes::folders(packer, &plan.volumes)?;
        plan.files.iter().try_for_each(|file| write_file(packer, file, plan.epoch, store))
    })
}

fn write_file<W: Write>(
    packer: &mut Packer<W>,
    file: &PlannedFile,
    epoch: u32,
    store: &Store,
) -> Result<(), RootfsError> {
    let PlannedFile { path, content, mode, uid, gid } = file;
    let attributes = |kind| Attributes { mode: kind | mode, uid: *uid, gid: *gid, mtime: epoch, rdev: (0, 0) };
    let path = path.as_bytes();
    match content {
        FileContent::Parent if DIRECTORIES.iter().any(|(made, _)| made.as_bytes() == path) => Ok(()),
        FileContent::Directory | FileContent::Parent => packer.append(path, attributes(layout::DIRECTORY), &[]),
        FileContent::Symlink(target) => packer.append(path, attributes(layout::SYMLINK), target.as_bytes()),
        FileContent::Blob(digest, size) => {
            let mut blob = io::BufReader::new(store.open_blob(digest)?);
            packer.append_linked(&[path], attributes(layout::REGULAR), *size, blob.by_ref())
        }
    }
}
