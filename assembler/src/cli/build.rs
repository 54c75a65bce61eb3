//! `hullkit build`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{Global, path_variable, progress};
use crate::format::tar::read::Limits;
use crate::plan::{self, Plan};
use crate::platform::Arch;
use crate::pull::{Policy, Registries, Source};
use crate::rootfs::{self, Segments};
use crate::store::Store;
use crate::write::{self, Written};
use crate::{embedded, manifest, pull};

/// Pack a manifest's images into files that boot.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Files appear whole or not at all, and one that would not change is left alone.

Examples:
  hullkit build host.yml                         host-kernel, host-initrd.img, host-cmdline
  hullkit build base.yml web.yml --name web      merge two manifests, left to right
  hullkit build --format tar --dir out host.yml  out/host.tar, the root file system alone
  hullkit build --arch arm64 --explain host.yml  for another machine; say why each part was packed")]
pub struct BuildArgs {
    /// What to build.
    #[command(flatten)]
    pub input: Input,
    /// What to write; may be repeated.
    #[arg(short, long, value_name = "FORMAT", value_enum, value_delimiter = ',', default_value = "kernel+initrd")]
    pub format: Vec<Format>,
    /// Architecture: amd64 or arm64.
    #[arg(long, value_name = "ARCH", default_value_t = Arch::host())]
    pub arch: Arch,
    /// First part of the files' names [default: the last manifest's name without its ending].
    #[arg(long)]
    pub name: Option<String>,
    /// Folder for the files; it is made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
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

/// A kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `NAME-kernel`, `NAME-initrd.img` and `NAME-cmdline`, for any loader.
    #[value(name = "kernel+initrd")]
    KernelInitrd,
    /// `NAME.tar`, the host's root file system.
    Tar,
}

/// Time of everything generated unless SOURCE_DATE_EPOCH says otherwise: LinuxKit's, 2017-04-18 16:30:00 UTC.
const EPOCH: u32 = 1_492_533_000;

impl BuildArgs {
    /// Give the first part of the files' names.
    #[must_use]
    pub fn base_name(&self) -> String {
        let last = self.input.manifests.last().filter(|path| *path != Path::new("-"));
        let stem = last.and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
        self.name.clone().or(stem).unwrap_or_else(|| "hullkit".to_owned())
    }
}

/// Build, and tell what was written.
///
/// # Errors
///
/// Any stage's.
pub fn run(args: &BuildArgs, global: &Global) -> anyhow::Result<()> {
    let written = build(args, global)?;
    if args.json {
        let rows: Vec<_> =
            written.iter().map(|file| serde_json::json!({"path": file.path, "size": file.size})).collect();
        println!("{}", serde_json::Value::from(rows));
    } else if !global.quiet {
        for file in &written {
            println!("{}\t{}", file.path.display(), progress::size(file.size));
        }
    }
    Ok(())
}

/// Do every stage in turn.
///
/// # Errors
///
/// Any stage's.
pub fn build(args: &BuildArgs, global: &Global) -> anyhow::Result<Vec<Written>> {
    let store = global.store()?;
    let registries = global.registries();
    let plan = planned(&args.input, args.arch, &store, &registries)?;
    let init = embedded::init(args.arch)?;
    let segments = packed(&plan, init, &store, &registries, global)?;
    if args.explain {
        for part in &segments.parts {
            let verb = if part.cached { "kept" } else { "packed" };
            eprintln!("{verb}\t{}\t{}\t{}", part.name, progress::size(part.size), part.reason);
        }
    }
    let name = args.base_name();
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("could not make the folder `{}`", args.dir.display()))?;
    // Nothing gets its name before everything is written: one build's files belong together.
    let mut outputs = Vec::new();
    for format in &args.format {
        outputs.extend(match format {
            Format::KernelInitrd => write::initrd::outputs(&plan, &segments, &args.dir, &name)?,
            Format::Tar => write::tar::outputs(&plan, &segments, &args.dir, &name)?,
        });
    }
    Ok(write::publish(outputs)?)
}

/// Stages 1 and 2: from files to a plan.
///
/// # Errors
///
/// The manifest's or an image's.
pub(super) fn planned(input: &Input, arch: Arch, store: &Store, registries: &Registries) -> anyhow::Result<Plan> {
    let manifest = manifest::read(&input.manifests, (!input.naming.offline).then_some(registries))?;
    let policy = match (input.naming.pull, input.naming.offline) {
        (true, _) => Policy::Always,
        (_, true) => Policy::Never,
        _ => Policy::Missing,
    };
    let names = Source::new(store, registries).with_policy(policy);
    let options = plan::Options {
        arch,
        epoch: epoch()?,
        replace_init: input.naming.replace_init,
        places: plan::Places {
            working: std::env::current_dir().context("could not find the working directory")?,
            home: path_variable("HOME"),
        },
    };
    Ok(plan::plan(&manifest, &names, store, &options)?)
}

/// Stages 3 and 4: from a plan to packed parts.
fn packed(
    plan: &Plan,
    init: &[u8],
    store: &Store,
    registries: &Registries,
    global: &Global,
) -> anyhow::Result<Segments> {
    pull::pull(plan, store, registries, global.jobs, &*progress::new(global.quiet))?;
    for note in registries.notes() {
        eprintln!("note: {note}");
    }
    let jobs = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let options = rootfs::Options { init, jobs, limits: Limits::default() };
    Ok(rootfs::build(plan, store, &options, &|segment| {
        if !segment.cached && !global.quiet {
            eprintln!("packed {} ({})", segment.name, progress::size(segment.size));
        }
    })?)
}

/// The time of everything generated.
fn epoch() -> anyhow::Result<u32> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(EPOCH) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.with_context(|| format!("SOURCE_DATE_EPOCH is `{}`: give seconds since 1970", text.to_string_lossy()))
}
