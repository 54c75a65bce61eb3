//! `hullkit cache`: look into the store, fill it, empty it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use linuxkit_yaml::{Reference, RegistryReference};
use serde::Serialize;

use super::{Global, progress};
use crate::format::tar::read::Limits;
use crate::plan::Image;
use crate::platform::Arch;
use crate::pull::{self, Policy, Registries, Resolved, Source, name_of};
use crate::rootfs;
use crate::store::Store;
use crate::write::{self, output::Output};

/// Look into the store, fill it, empty it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CacheArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Ask the Docker engine for images; it is not spoken to.
    #[arg(long, global = true, hide = true)]
    docker: bool,
}

const EXAMPLES: &str = "\
Examples:
  hullkit cache pull redis:7 --platform linux/amd64 --platform linux/arm64
  hullkit cache ls
  hullkit cache export redis:7 --outfile redis.tar --format docker --name mine/redis:7
  hullkit cache export redis:7 --outfile - --format filesystem | tar t
  hullkit cache push mine/redis:7 --remote-name registry.example.org/redis:7 --with-arch-tags
  hullkit cache clean --published-only";

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the images.
    Ls {
        /// Print JSON, one array.
        #[arg(long)]
        json: bool,
    },
    /// Forget images; `prune` frees their space.
    Rm {
        /// As `ls` prints them, or as a manifest writes them.
        #[arg(required = true)]
        names: Vec<Reference>,
        /// Only those that their registry has with the same digest.
        #[arg(long)]
        published_only: bool,
    },
    /// Fetch images, whether or not the store knows their names.
    Pull {
        /// As a manifest writes them.
        #[arg(required = true)]
        names: Vec<Reference>,
        /// Platform; may be repeated.
        #[arg(long = "arch", visible_alias = "platform", value_name = "ARCH", default_values_t = [Arch::host()])]
        arches: Vec<Arch>,
    },
    /// Send images to their registries; one that has the name already keeps what it has.
    Push {
        /// As `ls` prints them.
        #[arg(required = true)]
        names: Vec<Reference>,
        /// Send (one image) under another name.
        #[arg(long, value_name = "NAME")]
        remote_name: Option<Reference>,
        /// Send each image of an index under a name of its own as well: `NAME:TAG-amd64`, `NAME:TAG-arm64`.
        #[arg(long)]
        with_arch_tags: bool,
        /// Send even if the registry has the name with other content.
        #[arg(long = "override")]
        replace: bool,
    },
    /// Take in every image of a tar: an OCI image layout, or what `docker save` writes.
    Import {
        /// The tar; `-` for stdin.
        file: PathBuf,
    },
    /// Write an image as a tar.
    Export {
        /// As `ls` prints it.
        name: Reference,
        /// The tar; `-` for stdout.
        #[arg(long)]
        outfile: PathBuf,
        /// What other tools shall find in it.
        #[arg(long, value_enum, default_value_t = Format::Oci)]
        format: Format,
        /// One platform, of those that the name leads to [default: all that are complete as `oci`, else this machine's].
        #[arg(long, visible_alias = "arch", value_name = "OS/ARCH")]
        platform: Option<Arch>,
        /// Name of the image in the tar [default: NAME].
        #[arg(long = "name", value_name = "NAME")]
        new_name: Option<Reference>,
    },
    /// Remove everything.
    Clean {
        /// Only images that their registry has with the same digest.
        #[arg(long)]
        published_only: bool,
    },
    /// Remove blobs that no image needs, and files derived from them.
    Prune,
}

/// What a tar looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An OCI image layout.
    Oci,
    /// What `docker load` takes.
    Docker,
    /// The image's files, its layers laid over one another by OCI's rules; nothing is added or left out.
    Filesystem,
}

/// One line of `ls`.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    digest: String,
    #[serde(rename = "mediaType")]
    media_type: String,
}

/// Do what the arguments say.
///
/// # Errors
///
/// - Whatever the store or a registry refuses.
pub fn run(args: &CacheArgs, global: &Global) -> Result<()> {
    if args.docker {
        bail!(
            "hullkit does not speak to a Docker engine: `docker save NAME | hullkit cache import -` brings an image over, or a manifest names the saved file as `docker-archive:FILE`"
        );
    }
    match &args.verb {
        Verb::Ls { json } => list(global, *json),
        Verb::Rm { names, published_only } => remove(global, names, *published_only),
        Verb::Pull { names, arches } => fetch(global, names, arches),
        Verb::Push { names, remote_name, with_arch_tags, replace } => send(
            global,
            names,
            &Sending { remote: remote_name.as_ref(), arch_tags: *with_arch_tags, replace: *replace },
        ),
        Verb::Import { file } => import(global, file),
        Verb::Export { name, outfile, format, platform, new_name } => {
            export(global, name, outfile, *format, *platform, new_name.as_ref())
        }
        Verb::Clean { published_only: true } => clean_published(global),
        Verb::Clean { published_only: false } => free(global, false),
        Verb::Prune => free(global, true),
    }
}

fn list(global: &Global, json: bool) -> Result<()> {
    let row = |(name, descriptor): (String, oci_spec::image::Descriptor)| Row {
        name,
        digest: descriptor.digest().to_string(),
        media_type: descriptor.media_type().to_string(),
    };
    let rows: Vec<Row> = global.store()?.names()?.into_iter().map(row).collect();
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        writeln!(out)?;
        return Ok(());
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    for row in rows {
        writeln!(out, "{:width$}  {}", row.name, row.digest)?;
    }
    Ok(())
}

fn remove(global: &Global, names: &[Reference], published_only: bool) -> Result<()> {
    let (store, registries) = (global.store()?, global.registries());
    let known = store.names()?;
    for name in names {
        let text = name.text();
        let stored = [name_of(name), text.into_owned()].into_iter().find(|stored| known.contains_key(stored));
        let Some(stored) = stored else {
            bail!("`{}` is not in the store; `hullkit cache ls` lists what is", name_of(name));
        };
        if !published_only || is_published(global, &store, &registries, &stored)? {
            store.untag(&stored)?;
        }
    }
    Ok(())
}

/// Forget every image that its registry has as well, and free the space.
fn clean_published(global: &Global) -> Result<()> {
    {
        let (store, registries) = (global.store()?, global.registries());
        for name in store.names()?.into_keys() {
            if is_published(global, &store, &registries, &name)? {
                store.untag(&name)?;
            }
        }
    }
    free(global, true)
}

/// Tell whether a registry has an image of the store, byte for byte; if not, say why it stays.
fn is_published(global: &Global, store: &Store, registries: &Registries, name: &str) -> Result<bool> {
    let stays = |why: &str| {
        if !global.quiet {
            eprintln!("{name} stays: {why}");
        }
        Ok(false)
    };
    let Some(descriptor) = store.find(name)? else { return Ok(false) };
    let Ok(Reference::Registry(reference)) = name.parse() else { return stays("it is no name in a registry") };
    match pull::published(registries, &reference) {
        Ok(Some(digest)) if digest.to_string() == descriptor.digest().to_string() => Ok(true),
        Ok(Some(digest)) => stays(&format!("its registry has another one, {digest}")),
        Ok(None) => stays("its registry does not have it"),
        // What cannot be confirmed is kept, and the others are looked at.
        Err(error) => stays(&error.to_string()),
    }
}

fn fetch(global: &Global, names: &[Reference], arches: &[Arch]) -> Result<()> {
    let (store, registries) = (global.store()?, global.registries());
    let source = Source::new(&store, &registries).with_policy(Policy::Always);
    let shown = progress::new(global.quiet);
    let mut found: Vec<(String, Resolved)> = Vec::new();
    for name in names {
        for arch in arches {
            found.push((name_of(name), source.resolve(name, *arch)?));
        }
    }
    let images = found.iter().map(|(name, image)| (name.as_str(), image.origin.as_ref(), pull::sizes(&image.layers)));
    let result = pull::fetch(images, &store, &registries, global.jobs.unwrap_or(pull::JOBS), shown.as_ref());
    for note in registries.notes() {
        eprintln!("note: {note}");
    }
    let pulled = result?;
    if !global.quiet {
        let bytes = progress::size(pulled.bytes);
        eprintln!("{} images, {} layers fetched ({bytes})", found.len(), pulled.blobs);
    }
    Ok(())
}

/// How images are sent.
struct Sending<'a> {
    remote: Option<&'a Reference>,
    arch_tags: bool,
    replace: bool,
}

fn send(global: &Global, names: &[Reference], how: &Sending<'_>) -> Result<()> {
    if how.remote.is_some() && names.len() > 1 {
        bail!("`--remote-name` names one image, and {} are to be sent", names.len());
    }
    let (store, registries) = (global.store()?, global.registries());
    let shown = progress::new(global.quiet);
    for name in names {
        let text = name_of(name);
        let descriptor = store.find(&text)?.with_context(|| format!("`{text}` is not in the store"))?;
        let digest = descriptor.digest().to_string().parse()?;
        let target = registry_name(how.remote.unwrap_or(name))?;
        let there = if how.replace { None } else { pull::published(&registries, target)? };
        match there {
            Some(there) if there != digest => {
                // LinuxKit calls this a success as well.
                eprintln!("note: {target} is in the registry with other content ({there}); `--override` replaces it");
                continue;
            }
            Some(_) => {
                if !global.quiet {
                    eprintln!("{target} is in the registry already");
                }
            }
            None => pull::push(&registries, &store, target, &digest, shown.as_ref())?,
        }
        if how.arch_tags {
            let tag = target.tag_or_latest().context("`--with-arch-tags` needs a name with a tag")?;
            for (arch, image) in pull::platforms(&store, &text, &digest)? {
                let target = RegistryReference { tag: Some(format!("{tag}-{arch}")), digest: None, ..target.clone() };
                pull::push(&registries, &store, &target, &image, shown.as_ref())?;
            }
        }
    }
    Ok(())
}

fn import(global: &Global, file: &Path) -> Result<()> {
    let store = global.store()?;
    let imported = if file == Path::new("-") {
        let mut spool = store.temporary()?;
        io::copy(&mut io::stdin().lock(), &mut spool).context("could not read stdin")?;
        pull::import_archive(&store, spool.path())?
    } else {
        pull::import_archive(&store, file)?
    };
    for digest in imported.nameless.iter().filter(|_| !global.quiet) {
        eprintln!("note: image {digest} of the archive has no name there, and is left out");
    }
    imported.names.iter().try_for_each(|name| writeln!(io::stdout(), "{name}")).context("could not write to stdout")
}

fn export(
    global: &Global,
    name: &Reference,
    outfile: &Path,
    format: Format,
    platform: Option<Arch>,
    new_name: Option<&Reference>,
) -> Result<()> {
    let (store, registries) = (global.store()?, global.registries());
    let arch = platform.unwrap_or_else(Arch::host);
    let image = Source::new(&store, &registries).with_policy(Policy::Never).resolve(name, arch)?;
    let (stored, name) = (name_of(name), name_of(new_name.unwrap_or(name)));
    if let Some(layer) = image.layers.iter().find(|layer| !store.has(&layer.digest)) {
        bail!("layer {} of `{stored}` is not in the store: `hullkit cache pull {stored}` fetches it", layer.digest);
    }
    let write = |out: &mut dyn Write| -> Result<()> {
        match format {
            Format::Oci => {
                let top = platform.map_or_else(|| pull::exportable(&store, &name, &image), |_| image.digest);
                pull::export_oci(&store, &[(name.clone(), top)], out)?;
            }
            Format::Docker => pull::export_docker(&store, &name, &image, out)?,
            Format::Filesystem => {
                let image = Image {
                    reference: stored.clone(),
                    origin: None,
                    index: image.top,
                    config: image.config_digest,
                    layers: image.layers.clone(),
                };
                rootfs::export::export(&store, &image, Limits::default(), out)?;
            }
        }
        Ok(())
    };
    if outfile == Path::new("-") {
        return write(&mut BufWriter::with_capacity(256 << 10, io::stdout().lock()));
    }
    let mut output = Output::create(outfile)?;
    write(&mut BufWriter::with_capacity(256 << 10, &mut output))?;
    write::publish(vec![output])?;
    Ok(())
}

/// Remove what no name leads to, or everything.
fn free(global: &Global, keep_named: bool) -> Result<()> {
    let root = global.store()?.root().to_owned();
    let waiting = || {
        if !global.quiet {
            eprintln!("waiting for another hullkit that uses the store");
        }
    };
    let sole = Store::open_alone(&root, waiting)?;
    let freed = if keep_named { sole.retain(&pull::live(sole.store())?)? } else { sole.clear()? };
    if !global.quiet {
        eprintln!("{} files removed ({})", freed.files, progress::size(freed.bytes));
    }
    Ok(())
}

/// Only names of registries can be sent to.
fn registry_name(reference: &Reference) -> Result<&RegistryReference> {
    match reference {
        Reference::Registry(name) => Ok(name),
        other => bail!("`{other}` is no name in a registry; `--remote-name` gives one"),
    }
}
