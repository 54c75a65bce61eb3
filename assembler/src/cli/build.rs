//! `hullkit build`.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use super::{Global, path_variable, progress};
use crate::digest::Digest;
use crate::format::tar::read::Limits;
use crate::plan::{self, Image, Layout, LinuxkitPlan, Plan};
use crate::platform::Arch;
use crate::pull::{Policy, Registries, Source, Whole};
use crate::rootfs::{self, Segments};
use crate::store::Store;
use crate::write::linuxkit::Host;
use crate::write::linuxkit::filesystem::Filesystem;
use crate::write::output::Output;
use crate::write::{self, WriteError, Written};
use crate::{embedded, manifest, pull};

/// Pack a manifest's images into files that boot.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Files appear whole or not at all, and one that would not change is left alone.

Examples:
  hullkit build host.yml                         host-kernel, host-initrd.img, host-cmdline
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
    /// Architecture: amd64 or arm64.
    #[arg(long, value_name = "ARCH", default_value_t = Arch::host())]
    pub arch: Arch,
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

/// Flags that `linuxkit build` has as well.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "LinuxKit's layout")]
pub struct LinuxkitArgs {
    /// Unpack the kernel, for loaders that take none that is compressed.
    #[arg(long)]
    pub decompress_kernel: bool,
    /// Leave the SPDX bill of materials out.
    #[arg(long)]
    pub no_sbom: bool,
    /// Path of the bill of materials in the root.
    #[arg(long, value_name = "PATH", default_value = "sbom.spdx.json")]
    pub sbom_output: String,
    /// Date the bill of materials today, which makes every build differ.
    #[arg(long)]
    pub sbom_current_time: bool,
    /// An earlier build; the content store makes it needless, so it is only checked to be there.
    #[arg(long, value_name = "FILE", conflicts_with = "pull")]
    pub input_tar: Option<PathBuf>,
    /// Size of disk images, as in 512M or 2G; the formats there are need none.
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// Refused: images come from registries, from the store, or from `docker save` (`docker-archive:FILE`).
    #[arg(long, hide = true)]
    pub docker: bool,
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
    /// `NAME.docker`, the same with a Dockerfile, for `docker build` (LinuxKit's layout only).
    Docker,
    /// `NAME-initrd.tar` with kernel, initrd.img, cmdline and ucode.cpio (LinuxKit's layout only).
    TarKernelInitrd,
    /// `NAME-kernel`, `NAME-cmdline` and `NAME-squashfs.img` (LinuxKit's layout only).
    #[value(name = "kernel+squashfs")]
    KernelSquashfs,
    /// `NAME-kernel`, `NAME-cmdline` and `NAME-erofs.img` (LinuxKit's layout only).
    #[value(name = "kernel+erofs")]
    KernelErofs,
    /// `NAME-kernel`, `NAME-cmdline` and `NAME.iso`, which does not boot by itself (LinuxKit's layout only).
    #[value(name = "kernel+iso")]
    KernelIso,
}

impl Format {
    /// Write the format as the user did.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Time of everything generated unless SOURCE_DATE_EPOCH says otherwise: LinuxKit's, 2017-04-18 16:30:00 UTC.
const EPOCH: u32 = 1_492_533_000;

impl BuildArgs {
    /// Give the first part of the files' names.
    #[must_use]
    pub fn base_name(&self) -> String {
        let last = self.input.manifests.last().filter(|path| *path != Path::new("-"));
        let stem = last.and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
        self.name.clone().or(stem).unwrap_or_else(|| "moby".to_owned())
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
    let formats = formats(args)?;
    check_linuxkit_args(&args.linuxkit, global)?;
    let store = global.store()?;
    let registries = global.registries();
    let outputs = match planned(&args.input, args.arch, !args.linuxkit.no_sbom, &store, &registries)? {
        Planned::Native(plan) => native(args, &formats, &plan, &store, &registries, global)?,
        Planned::Linuxkit(plan) => linuxkit(args, &formats, &plan, &store, &registries, global)?,
    };
    Ok(write::publish(outputs)?)
}

/// What to write.
fn formats(args: &BuildArgs) -> anyhow::Result<Vec<Format>> {
    let formats = match (args.format.as_slice(), &args.output) {
        ([], None) => vec![Format::KernelInitrd],
        ([], Some(_)) => vec![Format::Tar],
        (formats, _) => formats.to_vec(),
    };
    if args.output.is_some() {
        let [Format::Tar | Format::Docker] = formats.as_slice() else {
            bail!("-o takes one format, tar or docker; the others are written into --dir")
        };
    }
    Ok(formats)
}

/// Say of LinuxKit's flags that have no meaning here what to use instead.
fn check_linuxkit_args(args: &LinuxkitArgs, global: &Global) -> anyhow::Result<()> {
    if args.docker {
        bail!(
            "--docker has no engine to ask here: `docker save NAME >image.tar` and `image: docker-archive:image.tar`, or \
             `hullkit cache import image.tar`, bring an image of the engine"
        );
    }
    if let Some(size) = &args.size {
        let digits = size.trim_end_matches(['M', 'G']);
        if digits.parse::<u32>().is_err() || size.len() > digits.len() + 1 {
            bail!("`{size}` is not a size: write 512M or 2G");
        }
    }
    let bill = crate::rootfs::path::clean(args.sbom_output.as_bytes());
    if !args.no_sbom && bill.map_or(true, |path| path.is_empty()) {
        bail!("`{}` does not name a file below the host's root: give --sbom-output another path", args.sbom_output);
    }
    if let Some(tar) = &args.input_tar {
        std::fs::File::open(tar).with_context(|| format!("could not open `{}`", tar.display()))?;
        if !global.quiet {
            eprintln!("note: --input-tar is not needed: what did not change is taken from the content store");
        }
    }
    Ok(())
}

/// Stages 3 to 5 of a host that Hullkit's init runs.
fn native(
    args: &BuildArgs,
    formats: &[Format],
    plan: &Plan,
    store: &Store,
    registries: &Registries,
    global: &Global,
) -> anyhow::Result<Vec<Output>> {
    let init = embedded::init(args.arch)?;
    let segments = packed(plan, init, store, registries, global)?;
    if args.explain {
        for part in &segments.parts {
            let verb = if part.cached { "kept" } else { "packed" };
            eprintln!("{verb}\t{}\t{}\t{}", part.name, progress::size(part.size), part.reason);
        }
    }
    let (dir, name) = (place(args)?, args.base_name());
    // Nothing gets its name before everything is written: one build's files belong together.
    let mut outputs = Vec::new();
    for format in formats {
        outputs.extend(match format {
            Format::KernelInitrd => write::initrd::outputs(plan, &segments, &dir, &name)?,
            Format::Tar => streamed(args, &dir.join(format!("{name}.tar")), |out, path| {
                write::tar::stream(plan, &segments, out, path)
            })?,
            other => bail!(
                "the format {} is of LinuxKit's layout: name an image in `init`, or choose kernel+initrd or tar",
                other.name()
            ),
        });
    }
    Ok(outputs)
}

/// Stages 3 to 5 of a host that LinuxKit's init runs.
fn linuxkit(
    args: &BuildArgs,
    formats: &[Format],
    plan: &LinuxkitPlan,
    store: &Store,
    registries: &Registries,
    global: &Global,
) -> anyhow::Result<Vec<Output>> {
    pulled(&plan.images, plan.layouts(), store, registries, global)?;
    let options = rootfs::linuxkit::Options {
        jobs: jobs(),
        limits: Limits::default(),
        decompress_kernel: args.linuxkit.decompress_kernel,
    };
    let bill = if args.linuxkit.no_sbom { None } else { Some(rootfs::linuxkit::bill(plan, store, &created(args)?)?) };
    let host =
        Host { plan, store, options, sbom: bill.as_deref().map(|text| (args.linuxkit.sbom_output.as_str(), text)) };
    let (dir, name) = (place(args)?, args.base_name());
    let mut outputs = Vec::new();
    for format in formats {
        let filesystem = |kind| write::linuxkit::filesystem::outputs(&host, kind, &dir, &name);
        outputs.extend(match format {
            Format::Tar => streamed(args, &dir.join(format!("{name}.tar")), |out, path| {
                write::linuxkit::tar::tar(&host, out, path)
            })?,
            Format::Docker => streamed(args, &dir.join(format!("{name}.docker")), |out, path| {
                write::linuxkit::tar::docker(&host, out, path)
            })?,
            Format::KernelInitrd => write::linuxkit::initrd::outputs(&host, &dir, &name)?,
            Format::TarKernelInitrd => write::linuxkit::initrd::bundle(&host, &dir, &name)?,
            Format::KernelSquashfs => filesystem(Filesystem::Squashfs)?,
            Format::KernelErofs => filesystem(Filesystem::Erofs)?,
            Format::KernelIso => filesystem(Filesystem::Iso)?,
        });
    }
    Ok(outputs)
}

/// Date the bill of materials.
fn created(args: &BuildArgs) -> anyhow::Result<String> {
    let seconds = if args.linuxkit.sbom_current_time {
        #[expect(clippy::disallowed_methods, reason = "the flag asks for it")]
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    } else {
        u64::from(epoch()?)
    };
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let date = chrono::DateTime::from_timestamp(seconds, 0).context("today has no date")?;
    Ok(date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// Write a stream to where `-o` says, standard output included, or else to `file`.
fn streamed(
    args: &BuildArgs,
    file: &Path,
    fill: impl FnOnce(&mut dyn io::Write, &Path) -> Result<(), WriteError>,
) -> Result<Vec<Output>, WriteError> {
    let file = args.output.as_deref().unwrap_or(file);
    if file == Path::new("-") {
        fill(&mut io::stdout().lock(), Path::new("standard output"))?;
        return Ok(Vec::new());
    }
    let mut output = Output::create(file)?;
    fill(&mut output, file)?;
    Ok(vec![output])
}

/// Make the folder for the files.
fn place(args: &BuildArgs) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("could not make the folder `{}`", args.dir.display()))?;
    Ok(args.dir.clone())
}

/// A plan of either layout.
#[derive(Debug)]
pub(super) enum Planned {
    /// Hullkit's init runs it.
    Native(Box<Plan>),
    /// LinuxKit's init runs it.
    Linuxkit(LinuxkitPlan),
}

/// Stages 1 and 2: from files to a plan.
///
/// In: `sbom`, whether a bill of materials will be wanted.
///
/// # Errors
///
/// The manifest's or an image's.
pub(super) fn planned(
    input: &Input,
    arch: Arch,
    sbom: bool,
    store: &Store,
    registries: &Registries,
) -> anyhow::Result<Planned> {
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
        sbom,
        places: plan::Places {
            working: std::env::current_dir().context("could not find the working directory")?,
            home: path_variable("HOME"),
        },
    };
    Ok(match Layout::of(&manifest, options.replace_init) {
        Layout::Native => Planned::Native(Box::new(plan::plan(&manifest, &names, store, &options)?)),
        Layout::Linuxkit => Planned::Linuxkit(plan::linuxkit::plan(&manifest, &names, store, &options)?),
    })
}

/// Stage 3: bring what is missing.
fn pulled<'a>(
    images: &'a BTreeMap<Digest, Image>,
    layouts: impl Iterator<Item = &'a Whole>,
    store: &Store,
    registries: &Registries,
    global: &Global,
) -> anyhow::Result<()> {
    pull::pull(images, layouts, store, registries, global.jobs, &*progress::new(global.quiet))?;
    for note in registries.notes() {
        eprintln!("note: {note}");
    }
    Ok(())
}

/// How many things are done at once.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Stages 3 and 4: from a plan to packed parts.
fn packed(
    plan: &Plan,
    init: &[u8],
    store: &Store,
    registries: &Registries,
    global: &Global,
) -> anyhow::Result<Segments> {
    let layouts = plan.volumes.iter().filter_map(plan::volumes::Volume::layout);
    pulled(&plan.images, layouts, store, registries, global)?;
    let options = rootfs::Options { init, jobs: jobs(), limits: Limits::default(), root: rootfs::RootKind::Ram };
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
