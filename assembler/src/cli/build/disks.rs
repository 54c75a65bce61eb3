//! From what boots to the files it boots from: the part that both layouts share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{Job, formats, stages};
use crate::digest::Digest;
use crate::embedded::{self, Program};
use crate::format::parallel::in_order;
use crate::format::sparse::Sparse;
use crate::format::tar::read::Limits;
use crate::plan::Image;
use crate::plan::boot::{self, Root};
use crate::platform::Arch;
use crate::rootfs::{self, RootfsError};
use crate::store::Store;
use crate::write::boot::Boot;
use crate::write::container::Disk;
use crate::write::format::{Firmware, Format, Medium};
use crate::write::listing::What;
use crate::write::output::Output;
use crate::write::{self, WriteError};

/// A file on its way to its name.
pub(super) struct Made {
    pub(super) what: What,
    pub(super) output: Output,
    /// How long it took, alone or with its like.
    pub(super) time: Duration,
}

/// A format, and where its host's images are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) format: Format,
    pub(super) root: Root,
}

/// What makes the files of a format that does not boot by itself: their folder, and the first part of their names.
pub(super) type Loose<'l> = dyn Fn(Format, &Path, &str) -> Result<Vec<Output>, WriteError> + Sync + 'l;

/// Tell where the images of every format are.
pub(super) fn wanted(job: &Job<'_>, said: Option<Root>) -> anyhow::Result<Vec<Wanted>> {
    let one = |format: &Format| Ok(Wanted { format: *format, root: formats::root(job.args, said, *format)? });
    job.formats.iter().map(one).collect()
}

/// Give the program that UEFI starts: the manifest's, or the one that was built in.
pub(super) fn stub(boot: &boot::Boot, store: &Store, arch: Arch) -> anyhow::Result<Cow<'static, [u8]>> {
    match &boot.stub {
        Some(digest) => {
            let path = store.blob_path(digest);
            let bytes = std::fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))?;
            Ok(Cow::Owned(bytes))
        }
        None => Ok(Cow::Borrowed(embedded::program(Program::Stub, arch)?)),
    }
}

/// Take out the files of a board's firmware, if a format wants them.
pub(super) fn firmware(
    job: &Job<'_>,
    boot: &boot::Boot,
    images: &BTreeMap<Digest, Image>,
) -> Result<BTreeMap<String, Sparse>, RootfsError> {
    if !job.formats.contains(&Format::Rpi) {
        return Ok(BTreeMap::new());
    }
    rootfs::firmware::files(boot.firmware.as_ref(), images, job.store, Limits::default())
}

/// Make the files of all formats, several side by side.
///
/// In: `boots`, what boots by where its images are; `firmware`, the files of a board's; `loose`, which makes the files of formats
/// that do not boot by themselves.
pub(super) fn make(
    job: &Job<'_>,
    arch: Arch,
    wanted: &[Wanted],
    boots: &BTreeMap<Root, Boot>,
    firmware: &BTreeMap<String, Sparse>,
    loose: &Loose<'_>,
) -> anyhow::Result<Vec<Made>> {
    let (dir, name) = (&job.args.dir, job.args.file_name(arch));
    let size = job.args.size.map(super::Size::bytes);
    let mut disks: BTreeMap<(Root, Firmware), Disk<'_>> = BTreeMap::new();
    for Wanted { format, root } in wanted {
        if let (Medium::Disk(firmware), Some(boot)) = (format.medium(), boots.get(root))
            && let Some(firmware) = firmware.on(arch)
            && !disks.contains_key(&(*root, firmware))
        {
            disks.insert((*root, firmware), Disk::new(boot, firmware, size, job.store)?);
        }
    }
    let jobs = stages::jobs();
    let one = |wanted: &Wanted| -> Result<Vec<Output>, WriteError> {
        let Wanted { format, root } = *wanted;
        let none = || WriteError::NoKernel { format: format.name() };
        let path = dir.join(format!("{name}{}", format.ending().unwrap_or_default()));
        Ok(match format.medium() {
            Medium::Loose => loose(format, dir, &name)?,
            Medium::Uki => vec![Output::of(&path, &boots.get(&root).ok_or_else(none)?.uki()?.image)],
            Medium::Disk(firmware) => {
                let disk = firmware.on(arch).and_then(|firmware| disks.get(&(root, firmware)));
                vec![disk.ok_or_else(none)?.output(format, &path, jobs)?]
            }
            Medium::Iso(firmware) => {
                let boot = boots.get(&root).ok_or_else(none)?;
                let firmware = firmware.on(arch).ok_or_else(none)?;
                vec![Output::of(&path, &write::iso::iso(boot, firmware)?)]
            }
            Medium::Netboot => write::netboot::outputs(boots.get(&root).ok_or_else(none)?, dir, &name)?,
            Medium::Card => {
                let boot = boots.get(&root).ok_or_else(none)?;
                vec![Output::of(&path, &write::card::card(boot, firmware, size)?)]
            }
        })
    };
    let timed = |wanted: &Wanted| {
        let started = Instant::now();
        let outputs = one(wanted);
        let time = started.elapsed();
        (What { format: wanted.format, arch, root: wanted.root }, outputs, time)
    };
    let mut made = Vec::new();
    in_order(jobs, wanted, timed, |(what, outputs, time)| {
        made.extend(outputs?.into_iter().map(|output| Made { what, output, time }));
        Ok::<_, WriteError>(())
    })?;
    Ok(made)
}
