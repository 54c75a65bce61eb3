//! Images made in code, as OCI image layouts on disk.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use hullkit::digest::Digest;
use hullkit::platform::Arch;
use serde_json::{Value, json};

pub(crate) const ARCH: Arch = Arch::Amd64;

/// One layer: a tar with one file of incompressible bytes.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) blob: Vec<u8>,
    pub(crate) diff_id: Digest,
    kind: &'static str,
}

#[derive(Clone, Copy)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Layer {
    pub(crate) fn new(seed: u64, len: usize, packing: Packing) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(len as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("file-{seed}"), noise(seed, len).as_slice()).unwrap();
        let tar = tar.into_inner().unwrap();
        let diff_id = Digest::of(&tar);
        let (blob, kind) = match packing {
            Packing::Plain => (tar, "application/vnd.oci.image.layer.v1.tar"),
            Packing::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(&tar).unwrap();
                (out.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip")
            }
            Packing::Zstd => {
                (zstd::encode_all(tar.as_slice(), 1).unwrap(), "application/vnd.oci.image.layer.v1.tar+zstd")
            }
        };
        Self { blob, diff_id, kind }
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

/// A manifest and its configuration.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    layers: Vec<Layer>,
    pub(crate) arch: &'static str,
}

impl Image {
    pub(crate) fn new(arch: &'static str, layers: &[Layer]) -> Self {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        let config = json!({"architecture": arch, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = config.to_string().into_bytes();
        let described: Vec<Value> = layers.iter().map(|layer| descriptor(layer.kind, &layer.blob)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": described,
        });
        Self { config, manifest: manifest.to_string().into_bytes(), layers: layers.to_vec(), arch }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

pub(crate) fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// Write a layout with one image, tagged `1`.
pub(crate) fn single(folder: &Path, image: &Image) {
    write(folder, std::slice::from_ref(image));
    let top = descriptor("application/vnd.oci.image.manifest.v1+json", &image.manifest);
    index(folder, vec![(top, "1")]);
}

/// Write a layout with an index of several images, tagged `1`; among them an attestation and an entry without platform.
pub(crate) fn multi(folder: &Path, images: &[Image]) -> Digest {
    write(folder, images);
    let mut entries = Vec::new();
    for image in images {
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &image.manifest);
        entry["platform"] = json!({"os": "linux", "architecture": image.arch, "variant": "v9"});
        entries.push(entry);
    }
    let mut attestation = entries[0].clone();
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let mut bare = entries[0].clone();
    bare.as_object_mut().unwrap().remove("platform");
    entries.insert(0, attestation);
    entries.insert(0, bare);
    let kind = "application/vnd.oci.image.index.v1+json";
    let top = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).to_string().into_bytes();
    blob(folder, &top);
    index(folder, vec![(descriptor(kind, &top), "1")]);
    Digest::of(&top)
}

fn write(folder: &Path, images: &[Image]) {
    for image in images {
        for layer in &image.layers {
            blob(folder, &layer.blob);
        }
        blob(folder, &image.config);
        blob(folder, &image.manifest);
    }
}

pub(crate) fn blob(folder: &Path, bytes: &[u8]) {
    let path = folder.join("blobs/sha256");
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join(Digest::of(bytes).hex()), bytes).unwrap();
}

pub(crate) fn index(folder: &Path, entries: Vec<(Value, &str)>) {
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(mut entry, tag)| {
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
            entry
        })
        .collect();
    fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": entries}).to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
