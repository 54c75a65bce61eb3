//! `hullkit schema`.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Args;

/// Print the JSON Schema of manifests, or of tests (draft 2020-12), for editors.
#[derive(Debug, Args)]
#[command(after_help = "\
It says of keys and types what the parser says; what only the parser knows, such as names that must differ, `hullkit lint` tells.

Example:
  hullkit schema > hullkit.schema.json
  (then, as the first line of a manifest: # yaml-language-server: $schema=hullkit.schema.json)")]
pub struct SchemaArgs {
    /// That of tests, `NAME.test.yml`.
    #[arg(long)]
    test: bool,
}

/// Print the schema.
///
/// # Errors
///
/// Standard output refuses it.
pub fn run(args: &SchemaArgs) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let schema = if args.test { linuxkit_yaml::test_schema() } else { linuxkit_yaml::schema() };
    serde_json::to_writer_pretty(&mut out, &schema).context("could not write the schema")?;
    writeln!(out).context("could not write the schema")
}
