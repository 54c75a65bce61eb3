//! The manifest's `storage`: which disks the host takes into use when it boots, and what with.

use std::collections::BTreeMap;

use hullkit_init::contract::metadata::CONFIG;
use hullkit_init::contract::storage::{Content, Disk, Format, Key, Match, Order, Partition, Volume};
use linuxkit_yaml::{Diagnostic, Encrypt, Manifest, Storage, StorageDisk, StorageFormat, StorageVolume};

use super::{Found, Layout, Plan};
use crate::pull::name_of;

/// Registers of the TPM that a key is bound to unless the manifest says: the state of Secure Boot.
const PCRS: [u8; 1] = [7];

/// Tell what LinuxKit's init does not know.
pub(super) fn check(manifest: &Manifest, layout: Layout) -> Vec<Diagnostic> {
    let first =
        manifest.storage.iter().filter(|_| layout == Layout::Linuxkit).find_map(|storage| storage.disks.first());
    let problem = |disk: &StorageDisk| {
        let problem = manifest.diagnose(&disk.name.at, "LinuxKit's init does not know `storage`");
        problem.with_hint("let Hullkit's init stand in for it with --replace-init, or format disks in `onboot`")
    };
    first.map(problem).into_iter().collect()
}

/// Decide about every disk. In: what was found, the image with the tools among it. Out: nothing if there are no disks.
pub(super) fn plan(manifest: &Manifest, found: &BTreeMap<String, Found>) -> Option<Order> {
    let storage = manifest.storage.as_ref()?;
    let (tools, _) = storage.tools()?;
    let image = found.get(&name_of(tools))?.resolved.digest;
    Some(Order { tools: Plan::image_root(&image), disks: disks(storage) })
}

fn disks(storage: &Storage) -> Vec<Disk> {
    storage.disks.iter().filter_map(disk).collect()
}

/// Translate a disk; one without a format was refused when the manifest was read.
fn disk(disk: &StorageDisk) -> Option<Disk> {
    let content = if disk.partitions.is_empty() {
        Content::Volume(volume(&disk.name, &disk.volume)?)
    } else {
        let partitions = disk.partitions.iter().map(|partition| {
            let size = partition.size.as_ref().map(|size| size.value.0);
            Some(Partition {
                name: partition.name.value.clone(),
                size,
                volume: volume(&partition.name, &partition.volume)?,
            })
        });
        Content::Partitions(partitions.collect::<Option<_>>()?)
    };
    let text = |text: &Option<linuxkit_yaml::Spanned<String>>| text.as_ref().map(|text| text.value.clone());
    let matches = disk.matches.as_ref().map(|matches| Match {
        path: text(&matches.path),
        least: matches.size.as_ref().and_then(|size| size.value.least),
        most: matches.size.as_ref().and_then(|size| size.value.most),
        serial: text(&matches.serial),
        label: text(&matches.label),
        empty: matches.empty,
    });
    let timeout = disk.timeout.as_ref().map_or(StorageDisk::TIMEOUT, |timeout| timeout.value);
    Some(Disk {
        name: disk.name.value.clone(),
        matches: matches.unwrap_or_default(),
        timeout: u64::try_from(timeout.0.as_millis()).unwrap_or(u64::MAX),
        optional: disk.optional,
        wipe: disk.wipe.as_ref().is_some_and(|wipe| wipe.value),
        content,
    })
}

fn volume(owner: &str, volume: &StorageVolume) -> Option<Volume> {
    let format = match volume.format.as_ref()?.value {
        StorageFormat::Ext4 => Format::Ext4,
        StorageFormat::Xfs => Format::Xfs,
        StorageFormat::Btrfs => Format::Btrfs,
        StorageFormat::Vfat => Format::Vfat,
        StorageFormat::Swap => Format::Swap,
    };
    Some(Volume {
        format,
        label: volume.label.as_ref().map_or(owner, |label| label).to_owned(),
        mount: volume.mount.as_ref().map(|mount| mount.value.clone()),
        options: volume.options.iter().map(|option| option.value.clone()).collect(),
        grow: volume.grow.as_ref().is_none_or(|grow| grow.value),
        key: volume.encrypt.as_ref().and_then(key),
    })
}

fn key(encrypt: &Encrypt) -> Option<Key> {
    let source = &encrypt.key.value;
    let brought = source.metadata.as_ref().map(|name| format!("{CONFIG}/{}", name.value));
    let file = source.file.as_ref().map(|file| file.value.clone()).or(brought);
    let pcrs = |tpm: &linuxkit_yaml::Tpm| match &tpm.pcrs {
        Some(pcrs) => pcrs.iter().map(|pcr| pcr.value).collect(),
        None => PCRS.to_vec(),
    };
    source.tpm.as_ref().map(|tpm| Key::Tpm(pcrs(tpm))).or(file.map(Key::File))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_filled_in() {
        let text = "
metadata: {}
storage:
  disks:
    - name: data
      format: ext4
      encrypt: {key: {tpm: {}}}
    - name: parted
      match: {size: \">=1G\", serial: \"a*\"}
      partitions:
        - {name: one, size: 10G, format: xfs, grow: false}
        - {name: two, format: btrfs, label: 2nd, encrypt: {key: {metadata: disk.key}}}
";
        let manifest = linuxkit_yaml::parse(text, "t.yml").unwrap();
        let [data, parted] = &disks(manifest.storage.as_ref().unwrap())[..] else { panic!("two disks") };
        assert_eq!((data.timeout, data.optional, data.wipe), (30_000, false, false));
        let Content::Volume(volume) = &data.content else { panic!("a volume") };
        assert_eq!((volume.label.as_str(), volume.grow, &volume.key), ("data", true, &Some(Key::Tpm(vec![7]))));
        assert_eq!((parted.matches.least, parted.matches.most), (Some(1 << 30), None));
        let Content::Partitions(partitions) = &parted.content else { panic!("partitions") };
        assert_eq!(partitions[0].size, Some(10 << 30));
        assert_eq!((partitions[0].volume.label.as_str(), partitions[0].volume.grow), ("one", false));
        assert_eq!(partitions[1].volume.label, "2nd");
        assert_eq!(partitions[1].volume.key, Some(Key::File("/run/config/disk.key".to_owned())));
    }
}
