//! The `storage` section: disks that a host takes into use when it boots.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::decode::SPLIT;
use crate::encrypt::Encrypt;
use crate::logs::Bytes;
use crate::network::as_text;
use crate::node::shorten;
use crate::period::Period;
use crate::reference::{DEFAULT_REGISTRY, Reference, RegistryReference};
use crate::span::{Position, Spanned};

/// Disks, and the image with the tools that they are formatted with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Image with the tools; hullkit/storage:latest if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Spanned<Reference>>,
    /// Disks, in the order in which they are taken.
    pub disks: Vec<StorageDisk>,
}

/// Image with the tools, unless the manifest names one.
static TOOLS: LazyLock<Reference> = LazyLock::new(|| {
    Reference::Registry(RegistryReference {
        registry: DEFAULT_REGISTRY.to_owned(),
        repository: "hullkit/storage".to_owned(),
        tag: Some("latest".to_owned()),
        digest: None,
        text: "hullkit/storage:latest".to_owned(),
    })
});

impl Storage {
    /// Give the image with the tools, and the place that asks for it; nothing if there are no disks.
    #[must_use]
    pub fn tools(&self) -> Option<(&Reference, &Position)> {
        let first = self.disks.first()?;
        Some(self.image.as_ref().map_or((&*TOOLS, &first.name.at), |image| (&image.value, &image.at)))
    }
}

/// One disk: a file system, or partitions with one each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StorageDisk {
    /// What messages call it, and its label unless one is given; unique.
    pub name: Spanned<String>,
    /// Which disk it is: all that is given must hold.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<DiskMatch>,
    /// How long it is waited for; 30s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Spanned<Period>>,
    /// Boot without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Take it whatever it holds, and lose that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wipe: Option<Spanned<bool>>,
    /// Partitions, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<StoragePartition>,
    /// The file system of a disk without partitions.
    #[serde(flatten)]
    pub volume: StorageVolume,
}

impl StorageDisk {
    /// How long a disk is waited for unless it is said.
    pub const TIMEOUT: Period = Period(Duration::from_secs(30));
}

/// Which disk is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskMatch {
    /// Glob (`*`, `?`) over its path below /dev, such as /dev/vd*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// Its size, such as >=10G.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Spanned<SizeMatch>>,
    /// Glob over its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Spanned<String>>,
    /// Label of the file system that it holds before it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Spanned<String>>,
    /// It holds nothing before it is taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StoragePartition {
    /// Its name in the partition table, and its label unless one is given; unique on its disk.
    pub name: Spanned<String>,
    /// Its length; the rest of the disk if absent, which only the last can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Spanned<Bytes>>,
    /// Its file system.
    #[serde(flatten)]
    pub volume: StorageVolume,
}

/// A file system, or swap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageVolume {
    /// What it is formatted as, if it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Spanned<StorageFormat>>,
    /// Its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Spanned<String>>,
    /// Where it is mounted on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<Spanned<String>>,
    /// Options of the mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Spanned<String>>,
    /// Let it take the room that there is, at every boot; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grow: Option<Spanned<bool>>,
    /// It is encrypted (LUKS2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<Encrypt>,
}

impl StorageVolume {
    /// Give its first key that is there, with its place.
    pub(crate) fn first_key(&self) -> Option<(&'static str, Position)> {
        let keys = [
            ("format", self.format.as_ref().map(|format| &format.at)),
            ("label", self.label.as_ref().map(|label| &label.at)),
            ("mount", self.mount.as_ref().map(|mount| &mount.at)),
            ("options", self.options.first().map(|option| &option.at)),
            ("grow", self.grow.as_ref().map(|grow| &grow.at)),
            ("encrypt", self.encrypt.as_ref().map(|encrypt| &encrypt.key.at)),
        ];
        keys.into_iter().find_map(|(key, at)| Some((key, at?.clone())))
    }
}

/// What a volume is formatted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StorageFormat {
    /// ext4
    Ext4,
    /// XFS
    Xfs,
    /// Btrfs
    Btrfs,
    /// FAT with long names
    Vfat,
    /// Room for what memory does not hold
    Swap,
}

impl StorageFormat {
    /// Longest label in bytes.
    #[must_use]
    pub fn longest_label(self) -> usize {
        match self {
            Self::Xfs => 12,
            Self::Vfat => 11,
            Self::Btrfs => 255,
            Self::Ext4 | Self::Swap => 16,
        }
    }
}

/// Sizes of disks that are meant, both ends included: `>=10G`, `<=2T`, or `10G` for exactly that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeMatch {
    /// Least, in bytes.
    pub least: Option<u64>,
    /// Greatest.
    pub most: Option<u64>,
}

impl FromStr for SizeMatch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{}` is no size of a disk, such as >=10G, <=2T or 512M", shorten(text));
        let bytes = |text: &str| text.trim_start().parse().map_err(wrong).map(|Bytes(bytes)| bytes);
        if let Some(rest) = text.strip_prefix(">=") {
            return bytes(rest).map(|least| Self { least: Some(least), most: None });
        }
        if let Some(rest) = text.strip_prefix("<=") {
            return bytes(rest).map(|most| Self { least: None, most: Some(most) });
        }
        bytes(text).map(|exact| Self { least: Some(exact), most: Some(exact) })
    }
}

impl fmt::Display for SizeMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (Some(least), Some(_)) => Bytes(least).fmt(f),
            (Some(least), None) => write!(f, ">={}", Bytes(least)),
            (None, most) => write!(f, "<={}", Bytes(most.unwrap_or(u64::MAX))),
        }
    }
}

as_text! {
    SizeMatch: "A size of disks, such as >=10G, <=2T or 512M.",
}

/// The keys of a disk that are not its file system's.
#[derive(Deserialize)]
#[serde(rename = "StorageDisk")]
struct DiskHead {
    name: Spanned<String>,
    #[serde(rename = "match", default)]
    matches: Option<DiskMatch>,
    #[serde(default)]
    timeout: Option<Spanned<Period>>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    wipe: Option<Spanned<bool>>,
    #[serde(default)]
    partitions: Vec<StoragePartition>,
}

/// The keys of a partition that are not its file system's.
#[derive(Deserialize)]
#[serde(rename = "StoragePartition")]
struct PartitionHead {
    name: Spanned<String>,
    #[serde(default)]
    size: Option<Spanned<Bytes>>,
}

impl<'de> Deserialize<'de> for StorageDisk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const HEAD: &[&str] = &["name", "match", "timeout", "optional", "wipe", "partitions"];
        let (volume, head) = deserializer.deserialize_struct(SPLIT, HEAD, HalvesVisitor::new("a disk"))?;
        let DiskHead { name, matches, timeout, optional, wipe, partitions } = head;
        Ok(Self { name, matches, timeout, optional, wipe, partitions, volume })
    }
}

impl<'de> Deserialize<'de> for StoragePartition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = HalvesVisitor::new("a partition");
        let (volume, PartitionHead { name, size }) =
            deserializer.deserialize_struct(SPLIT, &["name", "size"], visitor)?;
        Ok(Self { name, size, volume })
    }
}

/// Takes a mapping in two halves: its file system, and the rest.
struct HalvesVisitor<T> {
    what: &'static str,
    rest: std::marker::PhantomData<T>,
}

impl<T> HalvesVisitor<T> {
    fn new(what: &'static str) -> Self {
        Self { what, rest: std::marker::PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for HalvesVisitor<T> {
    type Value = (StorageVolume, T);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut halves: A) -> Result<Self::Value, A::Error> {
        let short = || serde::de::Error::custom("half a mapping");
        Ok((halves.next_element()?.ok_or_else(short)?, halves.next_element()?.ok_or_else(short)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds_and_units() {
        let (gib, tib) = (1 << 30, 1 << 40);
        let cases = [
            (">=10G", Some((Some(10 * gib), None))),
            (">= 1G", Some((Some(gib), None))),
            ("<=2T", Some((None, Some(2 * tib)))),
            ("512M", Some((Some(1 << 29), Some(1 << 29)))),
            (">1G", None),
            (">=", None),
            ("", None),
            ("big", None),
        ];
        for (text, want) in cases {
            let got = text.parse::<SizeMatch>().ok();
            assert_eq!(got.map(|size| (size.least, size.most)), want, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_what_is_read(bytes: u64, kind in 0..3) {
            let ends = [(Some(bytes), None), (None, Some(bytes)), (Some(bytes), Some(bytes))];
            let (least, most) = ends[usize::try_from(kind).unwrap()];
            let size = SizeMatch { least, most };
            proptest::prop_assert_eq!(size.to_string().parse(), Ok(size));
        }
    }
}
