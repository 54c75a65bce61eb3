//! OCI image layouts made in code: what every test target that needs images shares.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use hullkit::digest::Digest;
use serde_json::{Value, json};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// One layer, packed.
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
    /// Pack a layer's tar.
    pub(crate) fn of(tar: Vec<u8>, packing: Packing) -> Self {
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
}

/// A manifest and its configuration.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) arch: &'static str,
}

impl Image {
    /// Describe layers, lowest first. In: `config`, what the image says about its process.
    pub(crate) fn of(arch: &'static str, config: &Value, layers: &[Layer]) -> Self {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
        let config = json!({"architecture": arch, "os": "linux", "config": config, "rootfs": rootfs});
        let config = config.to_string().into_bytes();
        let described: Vec<Value> = layers.iter().map(|layer| descriptor(layer.kind, &layer.blob)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": described,
        });
        Self { config, manifest: manifest.to_string().into_bytes(), layers: layers.to_vec(), arch }
    }
}

pub(crate) fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// Write the blobs of images into a layout.
pub(crate) fn write(folder: &Path, images: &[Image]) {
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

/// Write a layout's `index.json`, and the file that says that it is a layout.
///
/// In: each entry's descriptor, and the value of its annotation `name_key`.
pub(crate) fn index(folder: &Path, name_key: &str, entries: Vec<(Value, &str)>) {
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(mut entry, name)| {
            entry["annotations"] = json!({ name_key: name });
            entry
        })
        .collect();
    fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": entries}).to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
