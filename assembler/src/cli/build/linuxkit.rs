//! Stages 3 to 5 of a host that LinuxKit's init runs. Its images are always in memory: that init knows no other root.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;

use super::disks::{self, Made};
use super::native::streamed;
use super::{Job, flags, stages};
use crate::digest::Digest;
use crate::format::tar::read::Limits;
use crate::plan::LinuxkitPlan;
use crate::plan::boot::Root;
use crate::platform::Arch;
use crate::rootfs;
use crate::write::WriteError;
use crate::write::boot::Boot;
use crate::write::format::{Format, Medium};
use crate::write::linuxkit::filesystem::{self, Filesystem};
use crate::write::linuxkit::initrd::Packed;
use crate::write::linuxkit::{Host, tar};
use crate::write::listing::Inputs;
use crate::write::output::Output;

/// Build everything that is wanted of one host.
pub(super) fn host(job: &Job<'_>, arch: Arch, plan: &LinuxkitPlan) -> anyhow::Result<(Inputs, Vec<Made>)> {
    if [job.args.root, plan.boot.root].contains(&Some(Root::Disk)) {
        bail!(
            "LinuxKit's init has its root in memory: leave `root: disk` out, or let Hullkit's stand in with --replace-init"
        );
    }
    let wanted = disks::wanted(job, Some(Root::Ram))?;
    stages::pulled(&plan.images, plan.layouts(), job.store, job.registries, job.global)?;
    let args = &job.args.linuxkit;
    let options = rootfs::linuxkit::Options {
        jobs: stages::jobs(),
        limits: Limits::default(),
        decompress_kernel: args.decompress_kernel,
    };
    let bill = match args.no_sbom {
        true => None,
        false => Some(rootfs::linuxkit::bill(plan, job.store, &flags::created(args)?)?),
    };
    let sbom = bill.as_deref().map(|text| (args.sbom_output.as_str(), text));
    let host = Host { plan, store: job.store, options, sbom };
    if job.formats.contains(&Format::KernelSquashfs) && !job.global.quiet {
        eprintln!(
            "note: kernel+squashfs loses extended attributes, and makes copies of hard links; kernel+erofs keeps both"
        );
    }
    let boots_alone = |format: &Format| format.medium() != Medium::Loose;
    let in_initrd = |format: &Format| matches!(format, Format::KernelInitrd | Format::TarKernelInitrd);
    let packed = match job.formats.iter().any(|format| boots_alone(format) || in_initrd(format)) {
        true => Some(Packed::new(&host)?),
        false => None,
    };
    let (mut boots, mut programs) = (BTreeMap::new(), BTreeMap::new());
    if let (Some(format), Some(packed)) = (job.formats.iter().find(|format| boots_alone(format)), &packed) {
        let stub = disks::stub(&plan.boot, job.store, arch)?;
        programs.insert("stub", Digest::of(&stub));
        boots.insert(Root::Ram, Boot::linuxkit(&job.args.base_name(), plan, packed, stub, &format.name())?);
    }
    let firmware = disks::firmware(job, &plan.boot, &plan.images)?;
    let loose = |format: Format, dir: &Path, name: &str| loose(job, &host, packed.as_ref(), format, dir, name);
    let made = disks::make(job, arch, &wanted, &boots, &firmware, &loose)?;
    Ok((inputs(plan, programs), made))
}

/// Write a format that does not boot by itself.
fn loose(
    job: &Job<'_>,
    host: &Host<'_>,
    packed: Option<&Packed>,
    format: Format,
    dir: &Path,
    name: &str,
) -> Result<Vec<Output>, WriteError> {
    let filesystem = |kind| filesystem::outputs(host, kind, dir, name);
    match (format, packed) {
        (Format::KernelInitrd, Some(packed)) => Ok(packed.outputs(dir, name)),
        (Format::TarKernelInitrd, Some(packed)) => packed.bundle(dir, name),
        (Format::KernelSquashfs, _) => filesystem(Filesystem::Squashfs),
        (Format::KernelErofs, _) => filesystem(Filesystem::Erofs),
        (Format::KernelIso, _) => filesystem(Filesystem::Iso),
        (Format::Docker, _) => {
            streamed(job, &dir.join(format!("{name}.docker")), |out, path| tar::docker(host, out, path))
        }
        _ => streamed(job, &dir.join(format!("{name}.tar")), |out, path| tar::tar(host, out, path)),
    }
}

/// Say what the host was made of.
fn inputs(plan: &LinuxkitPlan, programs: BTreeMap<&'static str, Digest>) -> Inputs {
    Inputs {
        // Texts, numbers and lists only: there is nothing in a plan that JSON cannot say.
        plan: Digest::of(&serde_json::to_vec(plan).unwrap_or_default()),
        images: plan.images.iter().map(|(digest, image)| (image.reference.clone(), *digest)).collect(),
        programs,
        memory: BTreeMap::new(),
    }
}
