//! `hullkit lint`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use linuxkit_yaml::{Code, Diagnostic, LintOptions, Manifest, Severity, lint};
use serde::Serialize;

use super::Global;
use crate::manifest;
use crate::plan::{self, Layout};

/// Tell what is wrong, or probably not meant, in a manifest.
#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 1 if there are errors, with 0 if there are warnings alone. `docs/manifest.md` lists what is looked for. No image is
looked into: what only an image can tell, `hullkit plan` does.

Examples:
  hullkit lint host.yml                       everything that is wrong with it, at once
  hullkit lint --portable base.yml web.yml    and what LinuxKit would refuse, drop or take otherwise
  hullkit lint --json host.yml | jq -r '.[] | \"\\(.file):\\(.line) \\(.code)\"'")]
pub struct LintArgs {
    /// Manifests, merged left to right; `-` is standard input, `http://` and `https://` are fetched.
    #[arg(required = true, value_name = "MANIFEST")]
    pub manifests: Vec<PathBuf>,
    /// Name everything that LinuxKit would refuse, drop or take otherwise.
    #[arg(long)]
    pub portable: bool,
    /// Judge what `build --replace-init` makes of it: Hullkit's init in place of the images that `init` names.
    #[arg(long)]
    pub replace_init: bool,
    /// Print a JSON array with an object for each finding.
    #[arg(long)]
    pub json: bool,
    /// Touch no network.
    #[arg(long)]
    pub offline: bool,
}

/// One finding, for programs. Keys stay; new ones may come.
#[derive(Debug, Serialize)]
struct Row {
    /// File as it was named, address, or `<stdin>`.
    file: String,
    /// From 1; 0 if the finding is about the whole file.
    line: u32,
    /// In characters, from 1; 0 if the finding is about the whole file.
    column: u32,
    /// `error` or `warning`.
    severity: &'static str,
    /// Which kind of finding, a word of `docs/manifest.md`.
    code: &'static str,
    /// What is wrong.
    message: String,
    /// The line, a part of it if it is very long; absent if there is none.
    line_text: Option<String>,
    /// What would be right, if that is known.
    help: Option<String>,
}

impl From<&Diagnostic> for Row {
    fn from(found: &Diagnostic) -> Self {
        Self {
            file: found.file().to_owned(),
            line: found.line(),
            column: found.column(),
            severity: found.severity().name(),
            code: found.code.name(),
            message: found.message.clone(),
            line_text: found.excerpt.as_ref().map(|excerpt| excerpt.text.clone()),
            help: found.help(),
        }
    }
}

/// Tell what a plan would refuse whatever the images are, but for places that are known to be wrong already.
fn unplannable(manifest: &Manifest, replace_init: bool, known: &[Diagnostic]) -> Vec<Diagnostic> {
    let place = |one: &Diagnostic| (one.file().to_owned(), one.line(), one.column());
    let wrong: Vec<_> = known.iter().filter(|one| one.severity() == Severity::Error).map(place).collect();
    let mut found = plan::check(manifest, Layout::of(manifest, replace_init));
    found.retain(|one| !wrong.contains(&place(one)));
    found
}

/// Print what is found. Out: the exit code, 1 if there are errors.
///
/// # Errors
///
/// Standard output refuses it.
pub fn run(args: &LintArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let registries = global.registries();
    let manifest::Examined { manifest, problems: mut found } =
        manifest::examine(&args.manifests, (!args.offline).then_some(&registries));
    if let Some(manifest) = manifest {
        let mut more = lint(&manifest, LintOptions { portable: args.portable, replace_init: args.replace_init });
        // A volume that seems missing may be in the file that could not be read.
        let whole = found.is_empty();
        more.retain(|one| whole || one.code != Code::UnknownVolume);
        if whole {
            more.extend(unplannable(&manifest, args.replace_init, &more));
        }
        more.sort_by_key(|one| (one.file().to_owned(), one.line(), one.column()));
        found.extend(more);
    }
    let count = |severity| found.iter().filter(|one| one.severity() == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let mut out = std::io::stdout().lock();
    let text = if args.json {
        let rows: Vec<Row> = found.iter().map(Row::from).collect();
        serde_json::to_string_pretty(&rows).context("could not write the findings as JSON")? + "\n"
    } else {
        let told = found.iter().filter(|one| !global.quiet || one.severity() == Severity::Error);
        told.map(|one| format!("{}[{}]: {one}\n", one.severity(), one.code)).collect()
    };
    out.write_all(text.as_bytes()).context("could not write the findings")?;
    if !global.quiet && !args.json && !found.is_empty() {
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        eprintln!("{}, {}", plural(errors, "error"), plural(warnings, "warning"));
    }
    Ok(if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
