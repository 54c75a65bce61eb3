//! What disks cannot be: their names, what is on them, where that is mounted, and where keys come from.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{NAME_MAX, hinted, unique};
use crate::encrypt::Encrypt;
use crate::manifest::Manifest;
use crate::node::shorten;
use crate::problem::Problems;
use crate::span::Spanned;
use crate::storage::{DiskMatch, Storage, StorageDisk, StorageFormat, StorageVolume};

/// Longest name of a disk or partition, in bytes: of a partition, GPT takes 36 characters.
const LONGEST_NAME: usize = 36;

/// What Hullkit's own partitions begin with.
const OWN_PREFIX: &str = "hullkit-";

/// Smallest partition in bytes: smaller ones than what partitions are laid out in are none.
const SMALLEST: u64 = 1 << 20;

/// Folders that hold what the host itself is made of: no disk is mounted on them, or below.
const CLOSED: [&str; 16] = [
    "bin",
    "boot",
    "containers",
    "dev",
    "etc",
    "hullkit",
    "images",
    "init",
    "lib",
    "lib64",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
];

/// How long a boot may wait for a disk.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Registers of a TPM.
const PCRS: u8 = 24;

/// Report disks that have one name.
pub(crate) fn disk_names(manifest: &Manifest, problems: &mut Problems<'_>) {
    unique("disks", manifest.storage.iter().flat_map(|storage| &storage.disks).map(|disk| &disk.name), problems);
}

/// Check every disk. In: `wounded`, places of values beside which something wrong was left out.
pub(super) fn check(manifest: &Manifest, wounded: &BTreeSet<(u32, u32)>, problems: &mut Problems<'_>) {
    let Some(storage) = &manifest.storage else { return };
    disk_names(manifest, problems);
    let context = Context { manifest, wounded };
    for disk in &storage.disks {
        one(disk, &context, problems);
    }
    mounts(storage, problems);
}

/// What the checks of one disk need to know of the rest.
struct Context<'a> {
    manifest: &'a Manifest,
    wounded: &'a BTreeSet<(u32, u32)>,
}

fn one(disk: &StorageDisk, context: &Context<'_>, problems: &mut Problems<'_>) {
    name("disk", &disk.name, problems);
    if let Some(matches) = &disk.matches {
        pattern(matches, problems);
    }
    if let Some(timeout) = disk.timeout.as_ref().filter(|timeout| timeout.value.0 > LONGEST_WAIT) {
        problems.add(&timeout.at, "`timeout` is at most 10m: a boot waits for it");
    }
    if let Some(wipe) = disk.wipe.as_ref().filter(|wipe| wipe.value && !names_one(disk.matches.as_ref())) {
        let hint = "give `match` a `path`, `serial` or `label`: it takes a disk whatever that holds";
        hinted(problems, &wipe.at, format!("`wipe` could take any disk for `{}`", disk.name), hint);
    }
    if disk.partitions.is_empty() {
        return volume(&disk.name, &disk.volume, context, problems);
    }
    if let Some((key, at)) = disk.volume.first_key() {
        let message =
            format!("`{key}` is for a disk without partitions: of `{}`, each partition has its own", disk.name);
        problems.add(&at, message);
    }
    unique("partitions", disk.partitions.iter().map(|partition| &partition.name), problems);
    let last = disk.partitions.len().saturating_sub(1);
    for (position, partition) in disk.partitions.iter().enumerate() {
        name("partition", &partition.name, problems);
        match &partition.size {
            None if position < last => {
                let message = format!("partition `{}` has no `size`", shorten(&partition.name));
                hinted(problems, &partition.name.at, message, "only the last takes the rest of the disk");
            }
            Some(size) if size.value.0 < SMALLEST => {
                problems.add(&size.at, "a partition has at least 1M");
            }
            _ => {}
        }
        volume(&partition.name, &partition.volume, context, problems);
    }
}

fn name(what: &str, name: &Spanned<String>, problems: &mut Problems<'_>) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let own = name.starts_with(OWN_PREFIX);
    if own || name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(legal) {
        let message = format!("`{}` cannot be the name of a {what}", shorten(name));
        let hint = if own {
            "names with `hullkit-` are Hullkit's own"
        } else {
            "1 to 36 lower-case letters, digits, `_` and `-`"
        };
        hinted(problems, &name.at, message, hint);
    }
}

/// Tell whether a match is about one disk rather than about any of a kind.
fn names_one(matches: Option<&DiskMatch>) -> bool {
    matches.is_some_and(|matches| matches.path.is_some() || matches.serial.is_some() || matches.label.is_some())
}

fn pattern(matches: &DiskMatch, problems: &mut Problems<'_>) {
    let Some(path) = &matches.path else { return };
    if !path.starts_with("/dev/") || path.split('/').any(|part| matches!(part, "." | "..")) {
        let message = format!("`{}` is no path of a disk", shorten(path));
        hinted(problems, &path.at, message, "such as /dev/vdb or /dev/nvme*");
    }
}

/// Check a file system.
fn volume(owner: &Spanned<String>, volume: &StorageVolume, context: &Context<'_>, problems: &mut Problems<'_>) {
    let Some(format) = &volume.format else {
        // One that was given and is wrong is told already.
        if !context.wounded.contains(&(owner.at.line, owner.at.column)) {
            let message = format!("`format` is missing in `{}`", shorten(owner));
            hinted(problems, &owner.at, message, "one of ext4, xfs, btrfs, vfat, swap; or give the disk partitions");
        }
        return;
    };
    label(owner, volume, format.value, problems);
    if format.value == StorageFormat::Swap {
        let first = volume.options.first().map(|option| ("options", &option.at));
        if let Some((key, at)) = volume.mount.as_ref().map(|mount| ("mount", &mount.at)).or(first) {
            problems.add(at, format!("swap is not mounted, so it has no `{key}`"));
        }
    }
    if let Some(mount) = &volume.mount {
        place(mount, problems);
    } else if let Some(option) = volume.options.first().filter(|_| format.value != StorageFormat::Swap) {
        problems.add(&option.at, "`options` are those of `mount`, which is not given");
    }
    for option in &volume.options {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-=.:+/".contains(c);
        if option.is_empty() || !option.chars().all(legal) {
            let message = format!("`{}` is no option of a mount", shorten(option));
            hinted(problems, &option.at, message, "one item of the list for each, such as noatime");
        }
    }
    if let Some(encrypt) = &volume.encrypt {
        key(encrypt, context.manifest, problems);
    }
}

fn label(owner: &Spanned<String>, volume: &StorageVolume, format: StorageFormat, problems: &mut Problems<'_>) {
    let label = volume.label.as_ref().unwrap_or(owner);
    let most = format.longest_label();
    let legal = |c: char| c.is_ascii_graphic() && !"\"\\/*?<>|:;,[]+=.`$".contains(c);
    if label.is_empty() || label.len() > most || !label.chars().all(legal) {
        let message = format!("`{}` cannot be the label of this file system", shorten(label));
        let hint = format!("give a `label` of 1 to {most} letters, digits, `_` and `-`");
        hinted(problems, &label.at, message, &hint);
    }
}

fn place(mount: &Spanned<String>, problems: &mut Problems<'_>) {
    let parts = || mount.split('/').skip(1);
    let whole =
        mount.starts_with('/') && parts().all(|part| !matches!(part, "" | "." | "..") && part.len() <= NAME_MAX);
    let first = parts().next().unwrap_or_default();
    if !whole || mount.chars().any(char::is_control) {
        hinted(
            problems,
            &mount.at,
            format!("`{}` is no place for a mount", shorten(mount)),
            "an absolute path without `..`, such as /var/lib/data",
        );
    } else if CLOSED.contains(&first) {
        let message = format!("`/{first}` is the host's own: no disk is mounted there");
        hinted(problems, &mount.at, message, "such as /var/lib/data, /srv or /data");
    }
}

/// Report mounts that hide one another.
fn mounts(storage: &Storage, problems: &mut Problems<'_>) {
    let volumes = storage.disks.iter().flat_map(|disk| {
        std::iter::once(&disk.volume).chain(disk.partitions.iter().map(|partition| &partition.volume))
    });
    let mut earlier: Vec<&Spanned<String>> = Vec::new();
    for mount in volumes.filter_map(|volume| volume.mount.as_ref()) {
        let below = |one: &&&Spanned<String>| {
            one.value == mount.value || one.strip_prefix(mount.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        if let Some(hidden) = earlier.iter().find(below) {
            let message = format!("a mount at `{}` hides the one at `{}`", shorten(mount), shorten(hidden));
            hinted(problems, &mount.at, message, "what is mounted above comes first in the list");
        }
        earlier.push(mount);
    }
}

/// Check where a key comes from.
fn key(encrypt: &Encrypt, manifest: &Manifest, problems: &mut Problems<'_>) {
    let source = &encrypt.key;
    let given = [source.tpm.is_some(), source.file.is_some(), source.metadata.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        problems.add(&source.at, "a key comes from one of `tpm`, `file` and `metadata`");
    }
    for pcr in source.tpm.iter().flat_map(|tpm| tpm.pcrs.iter().flatten()).filter(|pcr| pcr.value >= PCRS) {
        problems.add(&pcr.at, "the registers of a TPM are 0 to 23");
    }
    let walks = |path: &str| path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if let Some(file) = &source.file {
        let inner = file.strip_prefix('/').unwrap_or_default();
        if inner.is_empty() || walks(inner) {
            let message = format!("`{}` is no absolute path of a file", shorten(file));
            problems.add(&file.at, message);
        } else if manifest.files.iter().any(|one| one.path.trim_start_matches('/') == inner) {
            let message = format!(
                "`{}` is one of `files`: its key is in the image, and everybody who has that can read it",
                shorten(file)
            );
            hinted(problems, &file.at, message, "a file that something brings when the host boots, such as metadata");
        }
    }
    if let Some(name) = &source.metadata {
        if name.is_empty() || walks(name) {
            let message = format!("`{}` is no file below /run/config", shorten(name));
            hinted(problems, &name.at, message, "such as disk.key, which user data brings as /run/config/disk.key");
        } else if manifest.metadata.is_none() {
            problems.add(&name.at, "a key from metadata needs the section `metadata`, which is not there");
        }
    }
}
