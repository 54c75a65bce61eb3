//! The command line: one file per verb, each its arguments, one call, and what is printed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this folder is for")]

pub mod build;
pub mod cache;
pub mod completion;
pub mod config;
pub mod ctl;
pub mod lint;
pub mod machines;
pub mod notices;
pub mod pkg;
pub mod plan;
pub mod progress;
pub mod report;
pub mod run;
pub mod schema;
pub mod test;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::pull::{Mirror, Registries, RegistryOptions};
use crate::store::Store;

/// Build, boot and test immutable container hosts from one YAML manifest.
#[derive(Debug, Parser)]
#[command(name = "hullkit", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What every verb understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  hullkit pkg build examples/images/*          make the images of the examples from Debian packages
  hullkit build examples/01-hello.yml          write 01-hello-kernel, 01-hello-initrd.img, 01-hello-cmdline
  hullkit run examples/01-hello.yml --publish 8080:80
                                               boot it in QEMU, its port 80 on 127.0.0.1:8080
  hullkit test examples/01-hello.yml           does it boot, do its services work? an exit code for scripts
  hullkit plan examples/01-hello.yml | jq .    see what would be built, by digest
  hullkit lint --portable host.yml             what is wrong with it, and what LinuxKit would not understand

`hullkit VERB --help` tells more about each verb.";

/// One verb of the command.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Pack a manifest's images into files that boot.
    Build(build::BuildArgs),
    /// Boot a manifest, or what was built of it, in QEMU.
    Run(run::RunArgs),
    /// Boot what is built of a manifest, and decide whether it is what its test says.
    Test(test::TestArgs),
    /// Print what a manifest means today: every image by digest, every container's final configuration.
    Plan(plan::PlanArgs),
    /// List the machines that run, and those that ran on their own.
    Ps(machines::PsArgs),
    /// See and use the console of a machine that runs on its own.
    Attach(machines::AttachArgs),
    /// End machines.
    Stop(machines::StopArgs),
    /// Forget machines that have ended.
    Rm(machines::RmArgs),
    /// Tell what is wrong, or probably not meant, in a manifest.
    Lint(lint::LintArgs),
    /// Ask a running machine what its containers do, and tell it what to do.
    Ctl(ctl::CtlArgs),
    /// Print manifests merged into one, with every default written out.
    Config(config::ConfigArgs),
    /// Print the JSON Schema of manifests or tests, for editors.
    Schema(schema::SchemaArgs),
    /// Make OCI images from recipes.
    #[command(subcommand)]
    Pkg(pkg::PkgCommand),
    /// Look into the content store, fill it, empty it.
    Cache(cache::CacheArgs),
    /// Print whose work goes into what is built, and under which terms.
    Notices(notices::NoticesArgs),
    /// Print the completion script of a shell.
    Completion(completion::CompletionArgs),
    /// Start QEMU so that it ends with this program.
    #[command(name = crate::vm::launch::WORD, hide = true)]
    Launch(run::LaunchArgs),
}

/// What every verb understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Content store [default: $LINUXKIT_CACHE, $XDG_CACHE_HOME/hullkit or ~/.cache/hullkit].
    #[arg(long, global = true, value_name = "DIR", env = "HULLKIT_CACHE", help_heading = "Global options")]
    pub cache: Option<PathBuf>,
    /// Say nothing but errors.
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// LinuxKit's words for how much to say: 0 is `--quiet`; 1, 2 and 3 are the same here.
    #[arg(short, long, global = true, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=3), help_heading = "Global options")]
    pub verbose: Option<u8>,
    /// How many blobs to transfer, or machines to test, at once [default: a few blobs, one machine].
    #[arg(long, global = true, value_name = "N", help_heading = "Global options")]
    pub jobs: Option<NonZeroUsize>,
    /// Ask this registry first: [REGISTRY=]URL; may be repeated. Those in $LINUXKIT_MIRROR come before.
    #[arg(long = "mirror", global = true, value_name = "[REG=]URL", help_heading = "Registry options")]
    pub mirrors: Vec<Mirror>,
    /// Trust the certificates in this PEM file too; may be repeated.
    #[arg(long = "cert-file", global = true, value_name = "PEM", help_heading = "Registry options")]
    pub cert_files: Vec<PathBuf>,
    /// Speak plain HTTP to this registry (one on the loopback needs no mention); may be repeated.
    #[arg(long, global = true, value_name = "HOST[:PORT]", help_heading = "Registry options")]
    pub insecure: Vec<String>,
    /// Folder of Docker's `config.json`, where logins are [default: ~/.docker].
    #[arg(long, global = true, value_name = "DIR", env = "DOCKER_CONFIG", help_heading = "Registry options")]
    pub docker_config: Option<PathBuf>,
}

impl Global {
    /// Add what the environment says in LinuxKit's words.
    ///
    /// # Errors
    ///
    /// `LINUXKIT_MIRROR` names no mirror; `--quiet` and `--verbose` contradict each other.
    fn completed(&self) -> anyhow::Result<Self> {
        let mut global = self.clone();
        match self.verbose {
            Some(0) => global.quiet = true,
            Some(loud) if self.quiet => anyhow::bail!("`--quiet` and `--verbose {loud}` contradict each other"),
            _ => {}
        }
        if let Some(list) = std::env::var_os("LINUXKIT_MIRROR") {
            let list = list.to_string_lossy();
            let words = list.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
            let mirrors = words.map(str::parse).collect::<Result<Vec<Mirror>, _>>();
            global.mirrors = mirrors.context("could not use LINUXKIT_MIRROR")?;
            global.mirrors.extend(self.mirrors.iter().cloned());
        }
        // Hullkit's own variable has been read with the command line, so it comes first.
        global.cache = global.cache.or_else(|| path_variable("LINUXKIT_CACHE"));
        Ok(global)
    }

    /// Open the content store.
    ///
    /// # Errors
    ///
    /// There is no place for it, or it cannot be made.
    pub fn store(&self) -> anyhow::Result<Store> {
        let place = match (&self.cache, path_variable("XDG_CACHE_HOME"), path_variable("HOME")) {
            (Some(cache), _, _) => cache.clone(),
            (None, Some(caches), _) => caches.join("hullkit"),
            (None, None, Some(home)) => home.join(".cache/hullkit"),
            (None, None, None) => anyhow::bail!("no place for the content store: set HOME, or give --cache DIR"),
        };
        Store::open(&place).with_context(|| format!("could not open the content store `{}`", place.display()))
    }

    /// Take note of how registries are to be reached; nothing is asked yet.
    #[must_use]
    pub fn registries(&self) -> Registries {
        let docker = self.docker_config.clone().or_else(|| Some(path_variable("HOME")?.join(".docker")));
        Registries::new(RegistryOptions {
            insecure: self.insecure.clone(),
            mirrors: self.mirrors.clone(),
            certificates: self.cert_files.clone(),
            docker_config: docker,
            ..RegistryOptions::default()
        })
    }
}

/// Read a path from the environment; an empty one is none.
fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Do what the command line says. Out: the exit code of a verb that ended as it should.
///
/// # Errors
///
/// Whatever stopped the verb, as a chain of causes.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = &cli.global.completed()?;
    match cli.verb {
        Verb::Build(args) => build::run(&args, global)?,
        Verb::Run(args) => return run::run(&args, global),
        Verb::Test(args) => return Ok(test::run(&args, global)),
        Verb::Plan(args) => plan::run(&args, global)?,
        Verb::Ctl(args) => return Ok(ctl::run(&args)),
        Verb::Ps(args) => machines::ps(&args)?,
        Verb::Attach(args) => machines::attach(&args)?,
        Verb::Stop(args) => machines::stop(&args)?,
        Verb::Rm(args) => machines::rm(&args)?,
        Verb::Lint(args) => return lint::run(&args, global),
        Verb::Config(args) => config::run(&args, global)?,
        Verb::Schema(args) => schema::run(&args)?,
        Verb::Pkg(command) => pkg::run(&command, global)?,
        Verb::Cache(args) => cache::run(&args, global)?,
        Verb::Notices(args) => notices::run(&args)?,
        Verb::Completion(args) => completion::run(&args)?,
        Verb::Launch(args) => return run::become_qemu(&args),
    }
    Ok(ExitCode::SUCCESS)
}
