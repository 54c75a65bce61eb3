//! Documents for images that came without: equal images give equal bytes.

use serde::Serialize;

use crate::digest::Digest;
use crate::plan::Compression;
use crate::platform::Arch;

/// A layer that lies in the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerBlob {
    /// Its digest.
    pub(super) digest: Digest,
    /// Its length in bytes.
    pub(super) size: u64,
    /// How it is compressed.
    pub(super) compression: Compression,
}

/// Fields are written in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: Digest,
    size: u64,
}

#[derive(Serialize)]
struct Config {
    architecture: Arch,
    os: &'static str,
    config: Empty,
    rootfs: RootFs,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<Digest>,
}

/// Write an image manifest.
pub(super) fn manifest(config: &Digest, config_size: u64, layers: &[LayerBlob]) -> Vec<u8> {
    let layer = |layer: &LayerBlob| Descriptor {
        media_type: match layer.compression {
            Compression::None => "application/vnd.oci.image.layer.v1.tar",
            Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        },
        digest: layer.digest,
        size: layer.size,
    };
    json(&Manifest {
        schema_version: 2,
        media_type: "application/vnd.oci.image.manifest.v1+json",
        config: Descriptor {
            media_type: "application/vnd.oci.image.config.v1+json",
            digest: *config,
            size: config_size,
        },
        layers: layers.iter().map(layer).collect(),
    })
}

/// Write the configuration of an image of one layer that says nothing else.
pub(super) fn config(arch: Arch, diff_id: Digest) -> Vec<u8> {
    let rootfs = RootFs { kind: "layers", diff_ids: vec![diff_id] };
    json(&Config { architecture: arch, os: "linux", config: Empty {}, rootfs })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of texts and numbers are JSON")
}
