//! `hullkit build`.

mod disks;
mod flags;
mod formats;
mod linuxkit;
mod native;
mod size;
mod stages;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, anyhow};
use clap::Args;
use linuxkit_yaml::Manifest;

use super::Global;
use crate::manifest;
use crate::plan::boot::Root;
use crate::platform::Arch;
use crate::pull::Registries;
use crate::store::Store;
use crate::write::format::{Format, Medium};
use crate::write::listing::{self, Inputs};
use crate::write::output::publish_listed;

pub use flags::LinuxkitArgs;
pub use size::Size;
pub(super) use stages::{Planned, planned, read};
pub use table::Built;

/// Pack a manifest's images into files that boot.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Files appear whole or not at all, and one that would not change is left alone. With formats of disks come NAME-SHA256SUMS and
NAME-manifest.json. With several architectures each file's NAME is followed by -ARCH.

Examples:
  hullkit build host.yml                         host-kernel, host-initrd.img, host-cmdline
  hullkit build -f raw,iso host.yml              host.raw, host.iso: disks and sticks, for BIOS and UEFI
  hullkit build -f raw,qcow2 --arch amd64,arm64 host.yml
                                                 host-amd64.raw, host-arm64.raw, host-amd64.qcow2, host-arm64.qcow2
  hullkit build -f raw --size 10G host.yml       a disk with room behind what is on it
  hullkit build base.yml web.yml --name web      merge two manifests, left to right
  hullkit build --format tar --dir out host.yml  out/host.tar, the root file system alone
  hullkit build -o - host.yml | tar t            the same, to standard output
  hullkit build --arch arm64 --explain host.yml  for another machine; say why each part was packed")]
pub struct BuildArgs {
    /// What to build.
    #[command(flatten)]
    pub input: Input,
    /// What to write; may be repeated [default: kernel+initrd, or tar with -o].
    #[arg(short, long, value_name = "FORMAT", value_enum, value_delimiter = ',')]
    pub format: Vec<Format>,
    /// Architecture: amd64 or arm64; may be repeated.
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_values_t = [Arch::host()])]
    pub arch: Vec<Arch>,
    /// Where the services' images are: in the initrd, or beside it: on the disk, in the ISO, in netboot's NAME-root.img
    /// [default: disk where a format has such a place, else ram].
    #[arg(long, value_name = "WHERE", value_enum)]
    pub root: Option<Root>,
    /// Least size of disks: 512M, 10G, or a number of GiB [default: what is needed].
    #[arg(long, value_name = "SIZE")]
    pub size: Option<Size>,
    /// First part of the files' names [default: the last manifest's name without its ending].
    #[arg(long)]
    pub name: Option<String>,
    /// Folder for the files; it is made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Write one tar or docker archive here; `-` is standard output.
    #[arg(short, long = "output", alias = "o", value_name = "FILE", conflicts_with_all = ["name", "dir", "json"])]
    pub output: Option<PathBuf>,
    /// Print the merged manifest and build nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// What LinuxKit's users are used to say.
    #[command(flatten)]
    pub linuxkit: LinuxkitArgs,
    /// Say of each part whether it was packed, and why.
    #[arg(long)]
    pub explain: bool,
    /// Print what was written as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which manifests.
#[derive(Debug, Clone, Args)]
pub struct Input {
    /// Manifests, merged left to right; `-` is standard input, `http://` and `https://` are fetched.
    #[arg(required = true, value_name = "MANIFEST")]
    pub manifests: Vec<PathBuf>,
    /// Public keys that may log in by SSH, for a service that looks in /etc/hullkit/authorized_keys; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Vec<PathBuf>,
    /// What images' names mean.
    #[command(flatten)]
    pub naming: Naming,
}

/// What images' names mean.
#[derive(Debug, Clone, Args)]
pub struct Naming {
    /// Ask the registries what each tag means today, though the store knows an answer.
    #[arg(long, conflicts_with = "offline")]
    pub pull: bool,
    /// Touch no network: use what the store has.
    #[arg(long)]
    pub offline: bool,
    /// Let Hullkit's init stand in for the images that `init` names.
    #[arg(long)]
    pub replace_init: bool,
}

impl BuildArgs {
    /// What a verb asks for that boots what is built: files in a folder of its own, without a bill of materials.
    pub(crate) fn to_boot(input: Input, format: Vec<Format>, arch: Arch, dir: PathBuf) -> Self {
        Self {
            input,
            format,
            arch: vec![arch],
            root: None,
            size: None,
            name: None,
            dir,
            output: None,
            dry_run: false,
            linuxkit: LinuxkitArgs { no_sbom: true, ..LinuxkitArgs::default() },
            explain: false,
            json: false,
        }
    }

    /// Give the first part of the files' names, whatever the architecture.
    #[must_use]
    pub fn base_name(&self) -> String {
        let last = self.input.manifests.last().filter(|path| *path != Path::new("-"));
        let stem = last.and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
        self.name.clone().or(stem).unwrap_or_else(|| "moby".to_owned())
    }

    /// Give the first part of the names of one architecture's files.
    fn file_name(&self, arch: Arch) -> String {
        if self.arch.len() > 1 { format!("{}-{arch}", self.base_name()) } else { self.base_name() }
    }
}

/// Build, and tell what was written.
///
/// # Errors
///
/// Any stage's.
pub fn run(args: &BuildArgs, global: &Global) -> anyhow::Result<()> {
    if args.dry_run {
        let registries = global.registries();
        let web = (!args.input.naming.offline).then_some(&registries);
        print!("{}", linuxkit_yaml::print(&manifest::read(&args.input.manifests, web)?));
        return Ok(());
    }
    let built = build(args, global)?;
    if args.json {
        println!("{}", table::json(&built));
    } else if !global.quiet {
        print!("{}", table::text(&built));
    }
    Ok(())
}

/// What all architectures of a build share.
struct Job<'j> {
    args: &'j BuildArgs,
    global: &'j Global,
    manifest: &'j Manifest,
    store: &'j Store,
    registries: &'j Registries,
    formats: &'j [Format],
}

/// Files of one architecture on their way to their names, and what they were made of.
struct Made {
    arch: Arch,
    files: Vec<disks::Made>,
    inputs: Inputs,
}

/// Do every stage in turn.
///
/// # Errors
///
/// Any stage's.
pub fn build(args: &BuildArgs, global: &Global) -> anyhow::Result<Vec<Built>> {
    let arches: BTreeSet<Arch> = args.arch.iter().copied().collect();
    let args = &BuildArgs { arch: arches.into_iter().collect(), ..args.clone() };
    let formats = formats::wanted(args)?;
    flags::check(&args.linuxkit, global)?;
    let epoch = stages::epoch()?;
    let store = global.store()?;
    let registries = global.registries();
    let manifest = read(&args.input, &registries)?;
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("could not make the folder `{}`", args.dir.display()))?;
    let job = Job { args, global, manifest: &manifest, store: &store, registries: &registries, formats: &formats };
    let made = thread::scope(|scope| {
        let hosts: Vec<_> = args.arch.iter().map(|arch| scope.spawn(|| host(&job, *arch))).collect();
        let broken = |_| Err(anyhow!("internal error: a build ended without a result"));
        hosts.into_iter().map(|host| host.join().unwrap_or_else(broken)).collect::<anyhow::Result<Vec<_>>>()
    })?;
    // Nothing gets its name before everything is written: one build's files belong together.
    let (mut outputs, mut hosts) = (Vec::new(), BTreeMap::new());
    for made in made {
        outputs.extend(made.files.into_iter().map(|file| (Some((file.what, file.time)), file.output)));
        hosts.insert(made.arch, made.inputs);
    }
    let listed = formats.iter().any(|format| format.medium() != Medium::Loose);
    let written = publish_listed(outputs, stages::jobs(), listed, |written| {
        if !listed {
            return Ok(Vec::new());
        }
        let files: Vec<_> = written.iter().filter_map(|(what, file)| Some(((*what)?.0, file))).collect();
        let lists = listing::outputs(&args.dir, &args.base_name(), epoch, &files, &hosts)?;
        Ok(lists.into_iter().map(|list| (None, list)).collect())
    })?;
    Ok(written.into_iter().map(|(what, file)| Built { what, file }).collect())
}

/// Stages 2 to 5 for one architecture.
fn host(job: &Job<'_>, arch: Arch) -> anyhow::Result<Made> {
    let (args, sbom) = (job.args, !job.args.linuxkit.no_sbom);
    let (inputs, files) = match planned(job.manifest, &args.input.naming, arch, sbom, job.store, job.registries)? {
        Planned::Native(plan) => native::host(job, arch, &plan)?,
        Planned::Linuxkit(plan) => linuxkit::host(job, arch, &plan)?,
    };
    Ok(Made { arch, files, inputs })
}
