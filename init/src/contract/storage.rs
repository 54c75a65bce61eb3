//! Storage: disks that a host takes into use when it boots. PID 1 is told in its contract only that there are any; what is to be done
//! with them, the program that does it reads from a file of its own.

use serde::{Deserialize, Serialize};

/// Where the program that takes disks into use lies, an absolute path; absent if the contract has no storage.
pub const PROGRAM: &str = "/hullkit/storage";

/// Where its [`Order`] lies, an absolute path.
pub const PATH: &str = "/hullkit/storage.json";

/// What every partition of a disk that Hullkit itself writes begins its name with: no such disk is ever taken.
pub const OWN_PREFIX: &str = "hullkit-";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Absolute path of the root file system of the image that has the tools.
    pub tools: String,
    /// Disks, in the order in which they are taken.
    pub disks: Vec<Disk>,
}

/// One disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its name, for messages; unique.
    pub name: String,
    /// Which it is.
    #[serde(default, skip_serializing_if = "Match::is_any")]
    pub matches: Match,
    /// Milliseconds that it is waited for.
    pub timeout: u64,
    /// Boot without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Take it whatever it holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wipe: bool,
    /// What it is to hold.
    pub content: Content,
}

/// Which disk is meant: all that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Pattern (`*`, `?`) over its path below `/dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Least size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<u64>,
    /// Greatest size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
    /// Pattern over its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Label of the file system that it holds before it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// It holds nothing before it is taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
}

impl Match {
    fn is_any(&self) -> bool {
        *self == Self::default()
    }
}

/// What a disk is to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// One file system.
    Volume(Volume),
    /// A table (GPT) of partitions with a file system each.
    Partitions(Vec<Partition>),
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its name in the table; unique on its disk.
    pub name: String,
    /// Its length in bytes; the rest of the disk if absent, which only the last may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What it is to hold.
    pub volume: Volume,
}

/// A file system, or swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its kind.
    pub format: Format,
    /// Its label.
    pub label: String,
    /// Where it is mounted, an absolute path; nowhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// Options of the mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Let it have all the room that there is.
    pub grow: bool,
    /// It is encrypted (LUKS2), and its key comes from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
}

/// What a volume is formatted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ext4
    Ext4,
    /// XFS
    Xfs,
    /// Btrfs
    Btrfs,
    /// FAT with long names
    Vfat,
    /// Room for what memory does not hold.
    Swap,
}

impl Format {
    /// What the kernel, `mkfs` and `blkid` call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Vfat => "vfat",
            Self::Swap => "swap",
        }
    }
}

/// Where the key of an encrypted volume comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// The machine's TPM, which gives it out only while these of its registers are what they were.
    Tpm(Vec<u8>),
    /// The bytes of this file, an absolute path.
    File(String),
}

impl Order {
    /// Kernel modules that are needed, as far as the kernel does not have them built in.
    #[must_use]
    pub fn modules(&self) -> Vec<String> {
        let volumes = || self.disks.iter().flat_map(|disk| disk.content.volumes());
        // File systems are made through a loop device.
        let mut names = vec!["loop"];
        for volume in volumes() {
            names.extend(match volume.format {
                Format::Ext4 => &["ext4"][..],
                Format::Xfs => &["xfs"],
                Format::Btrfs => &["btrfs"],
                Format::Vfat => &["vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8"],
                Format::Swap => &[],
            });
            names.extend(match volume.key {
                Some(_) => CIPHER,
                None => &[],
            });
            names.extend(match volume.key {
                Some(Key::Tpm(_)) => TPM,
                _ => &[],
            });
        }
        let mut once: Vec<String> = Vec::new();
        for name in names {
            if !once.iter().any(|known| known == name) {
                once.push(name.to_owned());
            }
        }
        once
    }
}

/// What LUKS2 is made of by default: AES in XTS.
const CIPHER: &[&str] = &["dm_mod", DM_CRYPT, "algif_skcipher", "xts", "aes_generic", "sha256_generic"];

/// The module that decrypts.
pub const DM_CRYPT: &str = "dm_crypt";

/// The same by instructions of processors, which ask for them by themselves.
pub const CIPHER_DRIVERS: [&str; 4] = ["aesni_intel", "aes_ce_blk", "sha256_ssse3", "sha2_ce"];

/// Interfaces of TPMs.
const TPM: &[&str] = &["tpm", "tpm_tis", "tpm_crb"];

impl Content {
    /// All that is to be on the disk, in its order.
    #[must_use]
    pub fn volumes(&self) -> Vec<&Volume> {
        match self {
            Self::Volume(volume) => vec![volume],
            Self::Partitions(partitions) => partitions.iter().map(|partition| &partition.volume).collect(),
        }
    }
}

/// What came of it: one line of JSON, at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Why the boot cannot go on; it can if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why a boot cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{error}")]
pub struct Failure {
    /// What is wrong, with the disk's name and path.
    pub error: String,
    /// What was seen: one line for each disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// What a person can do.
    pub hint: String,
}
