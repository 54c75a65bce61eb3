//! Stage 2 of 5. In: a manifest. Out: a [`Plan`], in which every name is a digest and every default is filled in.
//! Touches: the store, and the registries it asks for what the store does not know. Does not: fetch a layer.

use std::collections::BTreeMap;

use hullkit_init::contract::Contract;
use linuxkit_yaml::Reference;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::platform::Arch;

/// Version of the plan's JSON form.
pub const VERSION: u32 = 1;

/// What a manifest means today, for one architecture. Equal plans give equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Always [`VERSION`] when written.
    pub version: u32,
    /// Architecture of every image, and of the machine that will boot.
    pub arch: Arch,
    /// Time of everything generated, in seconds since 1970.
    pub epoch: u32,
    /// The kernel, absent for a root file system that is not booted.
    pub kernel: Option<Kernel>,
    /// Every image by the digest of its manifest for this architecture.
    pub images: BTreeMap<Digest, Image>,
    /// Files written into the host's root after the images, in order; parents come before children.
    pub files: Vec<PlannedFile>,
    /// What init will be told. `lower` of each container already names the image's folder.
    pub system: Contract,
    /// Containers whose image names its user by name: looked up in the image's own `/etc/passwd` when its layers are here.
    pub users: Vec<NamedUser>,
}

/// Where the kernel comes from, and what is taken of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Digest of the kernel image's manifest, a key of [`Plan::images`].
    pub image: Digest,
    /// Kernel command line, without a newline.
    pub cmdline: String,
    /// File name of the kernel in the image's root.
    pub binary: String,
    /// File name of the tar of modules in the image's root; absent if the manifest says `none`.
    pub tar: Option<String>,
    /// File name of the microcode archive in the image's root, if wanted.
    pub ucode: Option<String>,
    /// Modules to keep, with what they need; all of them if absent.
    pub modules: Option<Vec<String>>,
}

/// One image for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The name under which the manifest asks for it (the first one, if there are several).
    pub reference: String,
    /// Where missing layers are fetched; absent if the image was imported whole into the store.
    #[serde(skip)]
    pub origin: Option<Reference>,
    /// Digest of the image configuration.
    pub config: Digest,
    /// Layers, lowest first.
    pub layers: Vec<Layer>,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the blob as stored and transferred.
    pub digest: Digest,
    /// Length of the blob in bytes.
    pub size: u64,
    /// How the blob is compressed.
    pub compression: Compression,
    /// Digest of the uncompressed tar, from the image configuration.
    pub diff_id: Digest,
}

/// How a layer's tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// One entry of the manifest's `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Path relative to the host's root, without a leading `/`, without `.` or `..`.
    pub path: String,
    /// What it is.
    pub content: FileContent,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What an entry of `files` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileContent {
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(String),
    /// A regular file: its blob in the store (small or large, it was imported when the plan was made), and its length.
    Blob(Digest, u64),
}

/// A container whose process runs as a user that only the image can translate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedUser {
    /// `onboot`, `services` or `onshutdown`.
    pub section: String,
    /// Position in that section, from 0.
    pub index: usize,
    /// The image, a key of [`Plan::images`].
    pub image: Digest,
    /// `user` or `user:group` as the image configuration has it.
    pub user: String,
}
