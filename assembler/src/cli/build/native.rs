//! Stages 3 to 5 of a host that Hullkit's init runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::super::progress;
use super::disks::{self, Made};
use super::{Job, formats, stages};
use crate::digest::Digest;
use crate::embedded::{self, Program};
use crate::format::tar::read::Limits;
use crate::plan::boot::Root;
use crate::plan::{self, Plan};
use crate::platform::Arch;
use crate::rootfs::{self, Segments};
use crate::write::boot::Boot;
use crate::write::format::{Format, Medium};
use crate::write::listing::Inputs;
use crate::write::output::Output;
use crate::write::{self, WriteError};

/// Build everything that is wanted of one host.
pub(super) fn host(job: &Job<'_>, arch: Arch, plan: &Plan) -> anyhow::Result<(Inputs, Vec<Made>)> {
    formats::check_native(job.formats)?;
    formats::check_kept(job.formats, &plan.volumes)?;
    let wanted = disks::wanted(job, plan.boot.root)?;
    let layouts = plan.volumes.iter().filter_map(plan::volumes::Volume::layout);
    stages::pulled(&plan.images, layouts, job.store, job.registries, job.global)?;
    let roots: BTreeSet<Root> = wanted.iter().map(|wanted| wanted.root).collect();
    let carried = carried(plan, &roots)?;
    let mut programs: BTreeMap<_, _> = carried.iter().map(|(name, program)| (*name, Digest::of(program))).collect();
    let mut packed = BTreeMap::new();
    for root in roots {
        packed.insert(root, segments(job, plan, &carried, root)?);
    }
    let mut boots = BTreeMap::new();
    for wanted in wanted.iter().filter(|wanted| wanted.format.medium() != Medium::Loose) {
        if let Some(segments) = packed.get(&wanted.root).filter(|_| !boots.contains_key(&wanted.root)) {
            let stub = disks::stub(&plan.boot, job.store, arch)?;
            programs.insert("stub", Digest::of(&stub));
            let name = job.args.base_name();
            boots.insert(wanted.root, Boot::native(&name, plan, segments, stub, &wanted.format.name())?);
        }
    }
    let firmware = disks::firmware(job, &plan.boot, &plan.images)?;
    let loose = |format: Format, dir: &Path, name: &str| match packed.get(&Root::Ram) {
        Some(segments) => loose(job, plan, segments, format, dir, name),
        None => Ok(Vec::new()),
    };
    let made = disks::make(job, arch, &wanted, &boots, &firmware, &loose)?;
    Ok((inputs(plan, programs, &packed), made))
}

/// Programs that this one carries, by name.
type Carried = BTreeMap<&'static str, &'static [u8]>;

/// Find the programs that the host needs: PID 1, and what that starts.
fn carried(plan: &Plan, roots: &BTreeSet<Root>) -> anyhow::Result<Carried> {
    let needed = [
        (Program::Init, true),
        (Program::Fetch, roots.contains(&Root::Web)),
        (Program::Metadata, plan.system.metadata.is_some()),
        (Program::Storage, plan.storage.is_some()),
    ];
    let mut programs = Carried::new();
    for (program, _) in needed.into_iter().filter(|(_, needed)| *needed) {
        programs.insert(program.name(), embedded::program(program, plan.arch)?);
    }
    Ok(programs)
}

/// Stage 4: pack what is not packed yet.
fn segments(job: &Job<'_>, plan: &Plan, carried: &Carried, root: Root) -> anyhow::Result<Segments> {
    let bytes = |program: Program| carried.get(program.name()).copied().unwrap_or_default();
    let options = rootfs::Options {
        init: bytes(Program::Init),
        fetch: bytes(Program::Fetch),
        metadata: bytes(Program::Metadata),
        storage: bytes(Program::Storage),
        jobs: stages::jobs(),
        limits: Limits::default(),
        root,
    };
    let segments = rootfs::build(plan, job.store, &options, &|segment| {
        if !segment.cached && !job.global.quiet {
            eprintln!("packed {} ({})", segment.name, progress::size(segment.size));
        }
    })?;
    if job.args.explain {
        for part in segments.all() {
            let verb = if part.cached { "kept" } else { "packed" };
            eprintln!("{verb}\t{}\t{}\t{}", part.name, progress::size(part.size), part.reason);
        }
    }
    Ok(segments)
}

/// Write a format that does not boot by itself.
fn loose(
    job: &Job<'_>,
    plan: &Plan,
    segments: &Segments,
    format: Format,
    dir: &Path,
    name: &str,
) -> Result<Vec<Output>, WriteError> {
    match format {
        Format::KernelInitrd => write::initrd::outputs(plan, segments, dir, name),
        _ => streamed(job, &dir.join(format!("{name}.tar")), |out, path| write::tar::stream(plan, segments, out, path)),
    }
}

/// Write a stream to where `-o` says, standard output included, or else to `file`.
pub(super) fn streamed(
    job: &Job<'_>,
    file: &Path,
    fill: impl FnOnce(&mut dyn io::Write, &Path) -> Result<(), WriteError>,
) -> Result<Vec<Output>, WriteError> {
    let file = job.args.output.as_deref().unwrap_or(file);
    if file == Path::new("-") {
        fill(&mut io::stdout().lock(), Path::new("standard output"))?;
        return Ok(Vec::new());
    }
    let mut output = Output::create(file)?;
    fill(&mut output, file)?;
    Ok(vec![output])
}

/// Say what the host was made of.
fn inputs(plan: &Plan, programs: BTreeMap<&'static str, Digest>, packed: &BTreeMap<Root, Segments>) -> Inputs {
    Inputs {
        // Texts, numbers and lists only: there is nothing in a plan that JSON cannot say.
        plan: Digest::of(&serde_json::to_vec(plan).unwrap_or_default()),
        images: plan.images.iter().map(|(digest, image)| (image.reference.clone(), *digest)).collect(),
        programs,
        memory: packed.iter().map(|(root, segments)| (root.name().to_owned(), segments.memory_floor)).collect(),
    }
}
