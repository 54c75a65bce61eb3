//! Stages 1 to 3 as the command runs them: what the flags mean for each.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use anyhow::Context as _;
use linuxkit_yaml::Manifest;

use super::super::{Global, path_variable, progress};
use super::{Input, Naming};
use crate::digest::Digest;
use crate::plan::{self, Image, Layout, LinuxkitPlan, Plan};
use crate::platform::Arch;
use crate::pull::{Policy, Registries, Source, Whole};
use crate::store::Store;
use crate::{manifest, pull};

/// Time of everything generated unless SOURCE_DATE_EPOCH says otherwise: LinuxKit's, 2017-04-18 16:30:00 UTC.
const EPOCH: u32 = 1_492_533_000;

/// Stage 1: from files to a manifest.
///
/// # Errors
///
/// The manifest's.
pub(in super::super) fn read(input: &Input, registries: &Registries) -> anyhow::Result<Manifest> {
    let mut manifest = manifest::read(&input.manifests, (!input.naming.offline).then_some(registries))?;
    manifest::add_ssh_keys(&mut manifest, &input.ssh_key)?;
    Ok(manifest)
}

/// A plan of either layout.
#[derive(Debug)]
pub(in super::super) enum Planned {
    /// Hullkit's init runs it.
    Native(Box<Plan>),
    /// LinuxKit's init runs it.
    Linuxkit(LinuxkitPlan),
}

/// Stage 2: from a manifest to a plan.
///
/// In: `sbom`, whether a bill of materials will be wanted.
///
/// # Errors
///
/// An image's, or what the manifest asks for cannot be.
pub(in super::super) fn planned(
    manifest: &Manifest,
    naming: &Naming,
    arch: Arch,
    sbom: bool,
    store: &Store,
    registries: &Registries,
) -> anyhow::Result<Planned> {
    let policy = match (naming.pull, naming.offline) {
        (true, _) => Policy::Always,
        (_, true) => Policy::Never,
        _ => Policy::Missing,
    };
    let names = Source::new(store, registries).with_policy(policy);
    let options = plan::Options {
        arch,
        epoch: epoch()?,
        replace_init: naming.replace_init,
        sbom,
        places: plan::Places {
            working: std::env::current_dir().context("could not find the working directory")?,
            home: path_variable("HOME"),
        },
    };
    Ok(match Layout::of(manifest, options.replace_init) {
        Layout::Native => Planned::Native(Box::new(plan::plan(manifest, &names, store, &options)?)),
        Layout::Linuxkit => Planned::Linuxkit(plan::linuxkit::plan(manifest, &names, store, &options)?),
    })
}

/// Stage 3: bring what is missing.
pub(super) fn pulled<'a>(
    images: &'a BTreeMap<Digest, Image>,
    layouts: impl Iterator<Item = &'a Whole>,
    store: &Store,
    registries: &Registries,
    global: &Global,
) -> anyhow::Result<()> {
    pull::pull(images, layouts, store, registries, global.jobs.unwrap_or(pull::JOBS), &*progress::new(global.quiet))?;
    for note in registries.notes() {
        eprintln!("note: {note}");
    }
    Ok(())
}

/// How many things are done at once.
pub(super) fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The time of everything generated.
pub(super) fn epoch() -> anyhow::Result<u32> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(EPOCH) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.with_context(|| format!("SOURCE_DATE_EPOCH is `{}`: give seconds since 1970", text.to_string_lossy()))
}
