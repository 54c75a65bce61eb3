//! `hullkit plan`.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Args;

use super::Global;
use super::build::{Input, Planned, planned, read};
use crate::platform::Arch;

/// Print what a manifest means today: every image by digest, every container's final configuration.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is fetched but manifests and image configurations. Equal plans give equal bytes when they are built.

Example:
  hullkit plan host.yml | jq '.images | keys'")]
pub struct PlanArgs {
    /// What to plan.
    #[command(flatten)]
    pub input: Input,
    /// Architecture: amd64 or arm64.
    #[arg(long, value_name = "ARCH", default_value_t = Arch::host())]
    pub arch: Arch,
}

/// Print the plan as JSON.
///
/// # Errors
///
/// The manifest, an image or standard output.
pub fn run(args: &PlanArgs, global: &Global) -> anyhow::Result<()> {
    let store = global.store()?;
    let registries = global.registries();
    let plan = planned(&read(&args.input, &registries)?, &args.input.naming, args.arch, false, &store, &registries)?;
    let mut out = std::io::stdout().lock();
    let printed = match &plan {
        Planned::Native(plan) => serde_json::to_writer_pretty(&mut out, plan),
        Planned::Linuxkit(plan) => serde_json::to_writer_pretty(&mut out, plan),
    };
    printed.context("could not write the plan")?;
    writeln!(out).context("could not write the plan")
}
