//! `hullkit pkg`: image recipes into OCI images.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use linuxkit_yaml::Reference;

use super::{Global, progress};
use crate::package::{Builder, Event, Image, Options, export, recipe, tag};
use crate::platform::Arch;
use crate::pull;
use crate::store::Store;

/// Make images out of recipes.
#[derive(Debug, Subcommand)]
pub enum PkgCommand {
    /// Build the images of one or more recipe folders, without Docker and without root
    Build(BuildArgs),
    /// Print the name the image of a recipe folder gets
    ShowTag(ShowTagArgs),
}

/// How names are made.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// Organisation in the image's name, in place of the recipe's
    #[arg(long, env = "LINUXKIT_PKG_ORG")]
    pub org: Option<String>,
    /// Tag or template, in place of the recipe's
    #[arg(long)]
    pub tag: Option<String>,
}

/// What `pkg build` is told.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Folders with a build.yml
    #[arg(required = true, value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Platforms to build for, in place of the recipe's arches: linux/amd64,linux/arm64
    #[arg(long, visible_alias = "arch", value_delimiter = ',', value_name = "OS/ARCH")]
    pub platforms: Vec<Arch>,
    /// Push the images to their registries once they are built
    #[arg(long)]
    pub push: bool,
    /// Write the images elsewhere too: oci:DIR or oci-archive:FILE
    #[arg(long, value_name = "FORM:PATH")]
    pub output: Option<export::Target>,
    /// Names of the images
    #[command(flatten)]
    pub names: NameArgs,
    /// Build what is in the store already
    #[arg(long)]
    pub force: bool,
    /// Ask the package mirrors what is new, even if that was done within the hour
    #[arg(long)]
    pub refresh: bool,
    /// Latest time of anything in the images, in seconds since 1970; otherwise that of the newest package
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    pub epoch: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `pkg show-tag` is told.
#[derive(Debug, Args)]
pub struct ShowTagArgs {
    /// Folder with a build.yml
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Print the registry too
    #[arg(long)]
    pub canonical: bool,
    /// Names of the image
    #[command(flatten)]
    pub names: NameArgs,
}

/// Run the command on the store.
///
/// # Errors
///
/// - The first recipe that cannot be read or built, by folder; what was built before it stays in the store.
/// - The registry, if the images are to be pushed.
pub fn run(command: &PkgCommand, global: &Global) -> Result<()> {
    match command {
        PkgCommand::Build(arguments) => build(arguments, global),
        PkgCommand::ShowTag(arguments) => show_tag(arguments),
    }
}

fn show_tag(arguments: &ShowTagArgs) -> Result<()> {
    let recipe = recipe::load(&arguments.folder)?;
    let name = tag::name(&recipe, arguments.names.org.as_deref(), arguments.names.tag.as_deref())?;
    let name = if arguments.canonical { tag::canonical(&name) } else { name };
    writeln!(io::stdout(), "{name}").context("could not print the name")
}

fn build(arguments: &BuildArgs, global: &Global) -> Result<()> {
    // All recipes are read before the first is built: a typing error in the last should not cost the others' time.
    let recipes = arguments.folders.iter().map(|folder| recipe::load(folder)).collect::<Result<Vec<_>, _>>()?;
    let store = global.store()?;
    let options = Options {
        arches: arguments.platforms.clone(),
        force: arguments.force,
        refresh: arguments.refresh,
        epoch: arguments.epoch,
        org: arguments.names.org.clone(),
        tag: arguments.names.tag.clone(),
    };
    let mut builder = Builder::new(&store, options);
    let mut images = Vec::new();
    for recipe in &recipes {
        let watch = |event: &Event<'_>| {
            if !global.quiet {
                // A closed terminal is no reason to stop building.
                let _ = writeln!(io::stderr(), "{}", line(event));
            }
        };
        let image = builder.build(recipe, &watch);
        images.push(image.with_context(|| format!("could not build `{}`", recipe.folder.display()))?);
    }
    if let Some(target) = &arguments.output {
        export::write(&store, &images, target)?;
    }
    if arguments.push {
        push(&images, &store, global)?;
    }
    print(&images, arguments.json)
}

/// Send the images to the registries their names name.
fn push(images: &[Image], store: &Store, global: &Global) -> Result<()> {
    let (registries, shown) = (global.registries(), progress::new(global.quiet));
    for image in images {
        let Reference::Registry(name) = image.reference.parse()? else { continue };
        pull::push(&registries, store, &name, &image.index.digest().to_string().parse()?, shown.as_ref())?;
    }
    Ok(())
}

/// Put what happens into one line.
fn line(event: &Event<'_>) -> String {
    let megabytes = |bytes: u64| format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
    match event {
        Event::Lists(arch) => format!("apt: package lists of {arch}"),
        Event::Stale(arch, reason) => {
            format!("apt: no newer package lists of {arch} ({reason}); going on with those here")
        }
        Event::Packages(name, arch, packages) => {
            let bytes = packages.iter().map(|package| package.size).sum();
            format!("{name} {arch}: {} packages, {}", packages.len(), megabytes(bytes))
        }
        Event::Pack(name, arch) => format!("{name} {arch}: packing"),
        Event::Done(name, arch, built) => {
            let how = if built.cached { "unchanged" } else { "built" };
            let unpacked = built.unpacked.map(|bytes| format!(", {} unpacked", megabytes(bytes))).unwrap_or_default();
            format!("{name} {arch}: {how}, {} compressed{unpacked}", megabytes(built.size))
        }
    }
}

/// Print the result: full names with digests, or all of it as JSON.
fn print(images: &[Image], json: bool) -> Result<()> {
    let mut text = String::new();
    if json {
        text = serde_json::to_string_pretty(images)? + "\n";
    } else {
        for image in images {
            text += &format!("{}@{}\n", image.reference, image.index.digest());
        }
    }
    io::stdout().write_all(text.as_bytes()).context("could not print the result")
}
