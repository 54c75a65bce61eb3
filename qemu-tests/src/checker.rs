//! The image of the checker: made from its program, for every architecture, and put into the tests' store.

use std::fs;

use anyhow::Context;
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::place::Place;
use hullkit::digest::Digest;
use hullkit::platform::Arch;
use hullkit::store::Store;

/// Name of the image.
pub const NAME: &str = "docker.io/hullkit/checker:latest";

/// Folders, with mode and owner. What a mount needs is there; `var/run` is not, for a case that misses it.
const FOLDERS: [(&str, u32, u64); 13] = [
    ("data", 0o755, 0),
    ("dev", 0o755, 0),
    ("etc", 0o755, 0),
    ("home", 0o755, 1000),
    ("mnt", 0o755, 0),
    ("opt", 0o755, 0),
    ("proc", 0o755, 0),
    ("run", 0o755, 0),
    ("srv", 0o755, 0),
    ("sys", 0o755, 0),
    ("tmp", 0o1777, 0),
    ("var", 0o755, 0),
    ("vol", 0o755, 0),
];

/// Files besides the program: path, mode, owner, text.
const FILES: [(&str, u32, u64, &str); 4] = [
    ("data/hello", 0o644, 0, "hello from the image\n"),
    ("etc/passwd", 0o644, 0, "root:x:0:0::/:/checker\nuser:x:1000:1000::/home:/checker\n"),
    ("home/own", 0o600, 1000, "the user's own\n"),
    ("home/setuid", 0o4755, 1000, "set-id\n"),
];

/// Make the image of what `make checker` built, unless that is not there: cases that need it then miss it by name.
///
/// # Errors
///
/// The program cannot be read, or the store cannot be written.
pub fn publish(place: &Place) -> anyhow::Result<()> {
    let program = |arch: Arch| place.target.join("checker").join(arch.name()).join("checker");
    if !Arch::ALL.into_iter().all(|arch| program(arch).is_file()) {
        return Ok(());
    }
    let store = Store::open(&place.cache)?;
    let mut manifests = Vec::new();
    for arch in Arch::ALL {
        let path = program(arch);
        let bytes = fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))?;
        let layer = layer(&bytes).context("could not pack the checker")?;
        let digest = store.write_blob(&layer)?;
        let config = json!({
            "architecture": arch.name(), "os": "linux",
            "config": {"Entrypoint": ["/checker"], "Env": ["FROM=image"], "WorkingDir": "/home"},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]},
        });
        let config = serde_json::to_vec(&config)?;
        let config = described("config", &store.write_blob(&config)?, config.len());
        let layers = [described("layer", &digest, layer.len())];
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::ImageManifest.to_string(), "config": config, "layers": layers,
        });
        let manifest = serde_json::to_vec(&manifest)?;
        let mut entry = described("manifest", &store.write_blob(&manifest)?, manifest.len());
        entry["platform"] = json!({"os": "linux", "architecture": arch.name()});
        manifests.push(entry);
    }
    let kind = MediaType::ImageIndex.to_string();
    let index = serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}))?;
    let digest: Sha256Digest = store.write_blob(&index)?.hex().parse()?;
    store.tag(NAME, Descriptor::new(MediaType::ImageIndex, index.len() as u64, digest))?;
    Ok(())
}

fn described(what: &str, digest: &Digest, size: usize) -> serde_json::Value {
    let kind = match what {
        "config" => MediaType::ImageConfig,
        "layer" => MediaType::ImageLayer,
        _ => MediaType::ImageManifest,
    };
    json!({"mediaType": kind.to_string(), "digest": digest.to_string(), "size": size})
}

fn layer(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (path, mode, owner) in FOLDERS {
        append(&mut tar, EntryType::Directory, path, mode, owner, b"")?;
    }
    for (path, mode, owner, text) in FILES {
        append(&mut tar, EntryType::Regular, path, mode, owner, text.as_bytes())?;
    }
    append(&mut tar, EntryType::Regular, "checker", 0o755, 0, program)?;
    tar.into_inner()
}

fn append(
    tar: &mut Builder<Vec<u8>>,
    kind: EntryType,
    path: &str,
    mode: u32,
    owner: u64,
    data: &[u8],
) -> std::io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header.set_size(data.len() as u64);
    tar.append_data(&mut header, path, data)
}
