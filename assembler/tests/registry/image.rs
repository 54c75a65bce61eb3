//! Images whose content does not matter, only its size.

use std::path::Path;

use hullkit::digest::Digest;
use hullkit::platform::Arch;
use serde_json::{Value, json};

use crate::oci::{self, INDEX, MANIFEST, write};
pub(crate) use crate::oci::{Image, Layer, Packing, blob, descriptor};

pub(crate) const ARCH: Arch = Arch::Amd64;

impl Layer {
    /// Make a tar with one file of incompressible bytes.
    pub(crate) fn new(seed: u64, len: usize, packing: Packing) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(len as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("file-{seed}"), noise(seed, len).as_slice()).unwrap();
        Self::of(tar.into_inner().unwrap(), packing)
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.blob)
    }
}

/// Bytes that do not compress, equal for equal seeds (xorshift64).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

impl Image {
    pub(crate) fn new(arch: &'static str, layers: &[Layer]) -> Self {
        Self::of(arch, &json!({}), layers)
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

/// Write a layout with one image, tagged `1`.
pub(crate) fn single(folder: &Path, image: &Image) {
    write(folder, std::slice::from_ref(image));
    index(folder, vec![(descriptor(MANIFEST, &image.manifest), "1")]);
}

/// Write a layout with an index of several images, tagged `1`; among them an attestation and an entry without platform.
pub(crate) fn multi(folder: &Path, images: &[Image]) -> Digest {
    write(folder, images);
    let mut entries = Vec::new();
    for image in images {
        let mut entry = descriptor(MANIFEST, &image.manifest);
        entry["platform"] = json!({"os": "linux", "architecture": image.arch, "variant": "v9"});
        entries.push(entry);
    }
    let mut attestation = entries[0].clone();
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let mut bare = entries[0].clone();
    bare.as_object_mut().unwrap().remove("platform");
    entries.insert(0, attestation);
    entries.insert(0, bare);
    let top = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string().into_bytes();
    blob(folder, &top);
    index(folder, vec![(descriptor(INDEX, &top), "1")]);
    Digest::of(&top)
}

/// Write `index.json` with tags.
pub(crate) fn index(folder: &Path, entries: Vec<(Value, &str)>) {
    oci::index(folder, "org.opencontainers.image.ref.name", entries);
}
