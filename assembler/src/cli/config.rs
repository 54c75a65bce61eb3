//! `hullkit config`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::Global;
use crate::manifest;

/// Print manifests merged into one, with every default written out.
#[derive(Debug, Args)]
#[command(after_help = "\
What is printed means the same as what was read, and can be built in its place. Keys of containers that are not written stay
so: their defaults are the image's, which `hullkit plan` looks up.

Examples:
  hullkit config base.yml web.yml > host.yml     one manifest out of two
  hullkit config https://example.org/host.yml    what a stranger's manifest says
  hullkit config --json host.yml | jq '.services[].image'")]
pub struct ConfigArgs {
    /// Manifests, merged left to right; `-` is standard input, `http://` and `https://` are fetched.
    #[arg(required = true, value_name = "MANIFEST")]
    pub manifests: Vec<PathBuf>,
    /// Print JSON instead of YAML.
    #[arg(long)]
    pub json: bool,
    /// Print what was written, without the defaults.
    #[arg(long)]
    pub as_written: bool,
    /// Touch no network.
    #[arg(long)]
    pub offline: bool,
}

/// Print the manifest.
///
/// # Errors
///
/// A manifest's, or standard output refuses it.
pub fn run(args: &ConfigArgs, global: &Global) -> anyhow::Result<()> {
    let registries = global.registries();
    let mut manifest = manifest::read(&args.manifests, (!args.offline).then_some(&registries))?;
    if !args.as_written {
        manifest = manifest.with_defaults();
    }
    let text = if args.json {
        serde_json::to_string_pretty(&manifest).context("could not write the manifest as JSON")? + "\n"
    } else {
        linuxkit_yaml::print(&manifest)
    };
    std::io::stdout().lock().write_all(text.as_bytes()).context("could not write the manifest")
}
