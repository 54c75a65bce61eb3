//! Several manifests into one, left to right: later files add to lists and override single values.
//!
//! | section | rule |
//! |---|---|
//! | `kernel.image`, `.cmdline`, `.binary` | the last that is not empty |
//! | `kernel.tar`, `.ucode` | the last that is given, empty or not |
//! | `init`, `onboot`, `onshutdown`, `services`, `files` | one list after the other; service names stay unique |
//! | `volumes` | one list after the other; a volume may be repeated word for word, but not with another content |
//! | `trust`, `hostname`, `wait_online` | the last that is given |
//! | `network` | by rule name: a later rule replaces an earlier one in its place, new ones follow |
//! | `time` | servers: one list after the other; `optional` if any says so |
//! | `boot`, `metadata` | key by key, the last that is given |
//! | `storage` | `image`: the last that is given; disks: one list after the other, their names stay unique |
//! | `modules.include`, `.load` | one list after the other |
//! | `sysctl` | by key, the last wins |
//!
//! Merging is associative. It differs from LinuxKit in volumes: there only those of the last file could be bound, so that people
//! repeat them, and two different volumes of one name go unnoticed.

use crate::boot::Boot;
use crate::check::{disk_names, first_at, services};
use crate::code::Code;
use crate::error::ManifestError;
use crate::kernel::Kernel;
use crate::logs::Logs;
use crate::manifest::Manifest;
use crate::metadata::HostMetadata;
use crate::modules::Modules;
use crate::network::Network;
use crate::problem::Problems;
use crate::span::{Sources, Spanned};
use crate::storage::Storage;
use crate::time::Time;
use crate::volume::Volume;

/// Merge manifests, left to right.
///
/// In: manifests from [`crate::parse()`]. Out: one manifest; every position still names the file it came from. Without any
/// input the result is the empty manifest.
///
/// # Errors
///
/// [`ManifestError`] if two services have one name, or two volumes one name and not one content.
pub fn merge(manifests: impl IntoIterator<Item = Manifest>) -> Result<Manifest, ManifestError> {
    let mut inputs: Vec<Manifest> = manifests.into_iter().collect();
    let mut sources = Sources::default();
    for input in &mut inputs {
        sources.append(std::mem::take(&mut input.sources));
    }
    let mut problems = Problems::new(&sources);
    let merged = inputs.into_iter().reduce(|first, later| two(first, later, &mut problems)).unwrap_or_default();
    services(&merged, &mut problems);
    disk_names(&merged, &mut problems);
    if problems.is_empty() { Ok(Manifest { sources, ..merged }) } else { Err(problems.into_error()) }
}

fn two(mut first: Manifest, later: Manifest, problems: &mut Problems<'_>) -> Manifest {
    volumes(&mut first.volumes, later.volumes, problems);
    for (key, value) in later.sysctl {
        // The key as well, so that its position is that of the value.
        first.sysctl.remove(&key);
        first.sysctl.insert(key, value);
    }
    Manifest {
        kernel: either(first.kernel, later.kernel, kernel),
        init: either(first.init, later.init, concatenate),
        onboot: concatenate(first.onboot, later.onboot),
        onshutdown: concatenate(first.onshutdown, later.onshutdown),
        services: concatenate(first.services, later.services),
        volumes: first.volumes,
        files: concatenate(first.files, later.files),
        trust: later.trust.or(first.trust),
        hostname: later.hostname.or(first.hostname),
        network: either(first.network, later.network, network),
        metadata: either(first.metadata, later.metadata, metadata),
        storage: either(first.storage, later.storage, storage),
        wait_online: later.wait_online.or(first.wait_online),
        time: either(first.time, later.time, time),
        boot: either(first.boot, later.boot, boot),
        logs: either(first.logs, later.logs, logs),
        metrics: later.metrics.or(first.metrics),
        modules: either(first.modules, later.modules, modules),
        sysctl: first.sysctl,
        sources: first.sources,
    }
}

fn either<T>(first: Option<T>, later: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (first, later) {
        (Some(first), Some(later)) => Some(both(first, later)),
        (first, later) => first.or(later),
    }
}

fn concatenate<T>(mut first: Vec<T>, later: Vec<T>) -> Vec<T> {
    first.extend(later);
    first
}

fn kernel(first: Kernel, later: Kernel) -> Kernel {
    Kernel {
        image: later.image.or(first.image),
        cmdline: last_with_text(first.cmdline, later.cmdline),
        binary: last_with_text(first.binary, later.binary),
        tar: later.tar.or(first.tar),
        ucode: later.ucode.or(first.ucode),
    }
}

fn last_with_text(first: Option<Spanned<String>>, later: Option<Spanned<String>>) -> Option<Spanned<String>> {
    match later {
        Some(later) if !later.is_empty() || first.is_none() => Some(later),
        _ => first,
    }
}

fn volumes(merged: &mut Vec<Volume>, later: Vec<Volume>, problems: &mut Problems<'_>) {
    for volume in later {
        match merged.iter().find(|known| known.name == volume.name) {
            None => merged.push(volume),
            Some(known) if *known == volume => (),
            Some(known) => {
                let first = first_at(&known.name.at, &volume.name.at);
                let message = format!("volume `{}` is another one in {first}", volume.name);
                if let Some(diagnostic) = problems.add(&volume.name.at, message) {
                    diagnostic.code = Code::Duplicate;
                }
            }
        }
    }
}

fn network(mut first: Network, later: Network) -> Network {
    for (name, rule) in later.rules {
        match first.rules.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => *known = (name, rule),
            None => first.rules.push((name, rule)),
        }
    }
    first
}

fn metadata(first: HostMetadata, later: HostMetadata) -> HostMetadata {
    HostMetadata {
        providers: if later.providers.is_empty() { first.providers } else { later.providers },
        timeout: later.timeout.or(first.timeout),
        allow: later.allow.or(first.allow),
    }
}

fn storage(first: Storage, later: Storage) -> Storage {
    Storage { image: later.image.or(first.image), disks: concatenate(first.disks, later.disks) }
}

fn time(first: Time, later: Time) -> Time {
    Time { servers: concatenate(first.servers, later.servers), optional: first.optional || later.optional }
}

fn boot(first: Boot, later: Boot) -> Boot {
    Boot {
        root: later.root.or(first.root),
        stub: later.stub.or(first.stub),
        firmware: later.firmware.or(first.firmware),
        on_failure: later.on_failure.or(first.on_failure),
        watchdog: later.watchdog.or(first.watchdog),
    }
}

fn logs(first: Logs, later: Logs) -> Logs {
    Logs {
        console: later.console.or(first.console),
        volume: later.volume.or(first.volume),
        max_size: later.max_size.or(first.max_size),
        max_files: later.max_files.or(first.max_files),
        forward: concatenate(first.forward, later.forward),
    }
}

fn modules(first: Modules, later: Modules) -> Modules {
    Modules { include: either(first.include, later.include, concatenate), load: concatenate(first.load, later.load) }
}
