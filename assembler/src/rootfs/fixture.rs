//! Layers, images and plans made by hand, for tests.

use std::io::Write;

use hullkit_init::contract::Contract;
use tar::{EntryType, Header};

use super::Options;
use crate::digest::Digest;
use crate::format::tar::read::Limits;
use crate::plan::{Compression, Image, Kernel, Layer, Plan};
use crate::platform::Arch;
use crate::store::Store;

/// One entry of a layer: type, path, link target or data.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: EntryType,
    pub(crate) path: String,
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) xattrs: Vec<(&'static str, Vec<u8>)>,
}

impl Entry {
    fn new(kind: EntryType, path: &str, data: &[u8], mode: u32) -> Self {
        Self { kind, path: path.to_owned(), data: data.to_vec(), mode, xattrs: Vec::new() }
    }
}

pub(crate) fn file(path: &str, data: &str) -> Entry {
    Entry::new(EntryType::Regular, path, data.as_bytes(), 0o644)
}

pub(crate) fn dir(path: &str) -> Entry {
    Entry::new(EntryType::Directory, path, b"", 0o755)
}

pub(crate) fn symlink(path: &str, target: &str) -> Entry {
    Entry::new(EntryType::Symlink, path, target.as_bytes(), 0o777)
}

pub(crate) fn hardlink(path: &str, target: &str) -> Entry {
    Entry::new(EntryType::Link, path, target.as_bytes(), 0o644)
}

pub(crate) fn fifo(path: &str) -> Entry {
    Entry::new(EntryType::Fifo, path, b"", 0o600)
}

/// Make a layer's tar.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        if !entry.xattrs.is_empty() {
            let named: Vec<(String, &[u8])> =
                entry.xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice())).collect();
            builder.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), *value))).unwrap();
        }
        let linked = matches!(entry.kind, EntryType::Symlink | EntryType::Link);
        let mut header = Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(if linked { 0 } else { entry.data.len() as u64 });
        // Set raw, because the crate refuses what the tests want to see refused by us.
        let name = &mut header.as_old_mut().name;
        name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        if linked {
            header.set_link_name_literal(&entry.data).unwrap();
        }
        header.set_cksum();
        builder.append(&header, if linked { &b""[..] } else { &entry.data }).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Put a layer into the store.
pub(crate) fn layer(store: &Store, tar: &[u8], compression: Compression) -> Layer {
    let blob = match compression {
        Compression::None => tar.to_vec(),
        Compression::Zstd => zstd::encode_all(tar, 1).unwrap(),
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(tar).unwrap();
            out.finish().unwrap()
        }
    };
    let digest = store.write_blob(&blob).unwrap();
    Layer { digest, size: blob.len() as u64, compression, diff_id: Digest::of(tar) }
}

/// Make an image of gzip layers.
pub(crate) fn image(store: &Store, reference: &str, layers: &[Vec<Entry>]) -> Image {
    Image {
        reference: reference.to_owned(),
        origin: None,
        index: Digest::of(reference.as_bytes()),
        config: Digest::of(b"{}"),
        layers: layers.iter().map(|entries| layer(store, &tar(entries), Compression::Gzip)).collect(),
    }
}

/// Make a plan of a kernel and some images; an image's digest is that of its reference.
pub(crate) fn plan(kernel: Option<Image>, images: Vec<Image>) -> Plan {
    let planned = kernel.as_ref().map(|image| Kernel {
        image: Digest::of(image.reference.as_bytes()),
        cmdline: "console=ttyS0".to_owned(),
        binary: "kernel".to_owned(),
        tar: Some("kernel.tar".to_owned()),
        ucode: None,
        modules: None,
        spare_modules: Vec::new(),
    });
    let images = kernel.into_iter().chain(images);
    Plan {
        boot: crate::plan::boot::Boot::default(),
        version: crate::plan::VERSION,
        arch: Arch::Amd64,
        epoch: 1_700_000_000,
        kernel: planned,
        images: images.map(|image| (Digest::of(image.reference.as_bytes()), image)).collect(),
        files: Vec::new(),
        volumes: Vec::new(),
        storage: None,
        system: Contract { version: hullkit_init::contract::VERSION, ..Contract::default() },
        users: Vec::new(),
    }
}

pub(crate) fn options(init: &[u8]) -> Options<'_> {
    Options {
        init,
        fetch: b"FETCH",
        metadata: b"METADATA",
        storage: b"STORAGE",
        jobs: 2,
        limits: Limits::default(),
        root: crate::plan::boot::Root::Ram,
    }
}
