//! `hullkit cache`: look into the store, fill it, empty it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use linuxkit_yaml::{Reference, RegistryReference};
use serde::Serialize;

use super::{Global, progress};
use crate::platform::Arch;
use crate::pull::{self, Policy, Resolved, Source, name_of};
use crate::store::Store;
use crate::write::{self, output::Output};

/// Look into the store, fill it, empty it.
#[derive(Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    verb: Verb,
}

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
    },
    /// Fetch images, whether or not the store knows their names.
    Pull {
        /// As a manifest writes them.
        #[arg(required = true)]
        names: Vec<Reference>,
        /// Architecture; may be repeated.
        #[arg(long, default_value_t = Arch::host())]
        arch: Arch,
    },
    /// Send images to their registries.
    Push {
        /// As `ls` prints them.
        #[arg(required = true)]
        names: Vec<Reference>,
        /// Send (one image) under another name.
        #[arg(long, value_name = "NAME")]
        remote_name: Option<Reference>,
    },
    /// Take in every image of a tar of an OCI image layout.
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
        /// Architecture.
        #[arg(long, default_value_t = Arch::host())]
        arch: Arch,
    },
    /// Remove everything.
    Clean,
    /// Remove blobs that no image needs, and files derived from them.
    Prune,
}

/// What a tar looks like.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// An OCI image layout.
    Oci,
    /// What `docker load` takes.
    Docker,
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
    match &args.verb {
        Verb::Ls { json } => list(global, *json),
        Verb::Rm { names } => remove(&global.store()?, names),
        Verb::Pull { names, arch } => fetch(global, names, *arch),
        Verb::Push { names, remote_name } => send(global, names, remote_name.as_ref()),
        Verb::Import { file } => import(global, file),
        Verb::Export { name, outfile, format, arch } => export(global, name, outfile, *format, *arch),
        Verb::Clean => free(global, false),
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

fn remove(store: &Store, names: &[Reference]) -> Result<()> {
    for name in names {
        let found = store.untag(&name_of(name))? || store.untag(&name.text())?;
        if !found {
            bail!("`{}` is not in the store; `hullkit cache ls` lists what is", name_of(name));
        }
    }
    Ok(())
}

fn fetch(global: &Global, names: &[Reference], arch: Arch) -> Result<()> {
    let (store, registries) = (global.store()?, global.registries());
    let source = Source::new(&store, &registries).with_policy(Policy::Always);
    let shown = progress::new(global.quiet);
    let mut found: Vec<Resolved> = Vec::new();
    for name in names {
        found.push(source.resolve(name, arch)?);
    }
    let names: Vec<String> = names.iter().map(name_of).collect();
    let images =
        names.iter().zip(&found).map(|(name, image)| (name.as_str(), image.origin.as_ref(), image.layers.as_slice()));
    let result = pull::fetch(images, &store, &registries, global.jobs, shown.as_ref());
    for note in registries.notes() {
        eprintln!("note: {note}");
    }
    let pulled = result?;
    if !global.quiet {
        let bytes = progress::size(pulled.bytes);
        eprintln!("{} images, {} layers fetched ({bytes})", names.len(), pulled.blobs);
    }
    Ok(())
}

fn send(global: &Global, names: &[Reference], remote: Option<&Reference>) -> Result<()> {
    if remote.is_some() && names.len() > 1 {
        bail!("`--remote-name` names one image, and {} are to be sent", names.len());
    }
    let (store, registries) = (global.store()?, global.registries());
    let shown = progress::new(global.quiet);
    for name in names {
        let text = name_of(name);
        let descriptor = store.find(&text)?.with_context(|| format!("`{text}` is not in the store"))?;
        let digest = descriptor.digest().to_string().parse()?;
        let target = registry_name(remote.unwrap_or(name))?;
        pull::push(&registries, &store, target, &digest, shown.as_ref())?;
    }
    Ok(())
}

fn import(global: &Global, file: &Path) -> Result<()> {
    let store = global.store()?;
    let names = if file == Path::new("-") {
        let mut spool = store.temporary()?;
        io::copy(&mut io::stdin().lock(), &mut spool).context("could not read stdin")?;
        pull::import_archive(&store, spool.path())?
    } else {
        pull::import_archive(&store, file)?
    };
    names.iter().try_for_each(|name| writeln!(io::stdout(), "{name}")).context("could not write to stdout")
}

fn export(global: &Global, name: &Reference, outfile: &Path, format: Format, arch: Arch) -> Result<()> {
    let (store, registries) = (global.store()?, global.registries());
    let image = Source::new(&store, &registries).with_policy(Policy::Never).resolve(name, arch)?;
    let name = name_of(name);
    let write = |out: &mut dyn Write| match format {
        Format::Oci => pull::export_oci(&store, &[(name.clone(), pull::exportable(&store, &name, &image))], out),
        Format::Docker => pull::export_docker(&store, &name, &image, out),
    };
    if outfile == Path::new("-") {
        return Ok(write(&mut io::stdout().lock())?);
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
