//! The `hullkit` command: one file per verb, each with its arguments, one call and what is printed.

pub mod cache;
pub mod progress;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::pull::{Mirror, Registries, RegistryOptions};
use crate::store::Store;

/// What every verb may be told.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Folder of the content store.
    #[arg(long, value_name = "DIR", env = "HULLKIT_CACHE", global = true)]
    pub cache: Option<PathBuf>,
    /// Print errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// How many blobs to fetch at once.
    #[arg(long, value_name = "N", default_value = "8", global = true)]
    pub jobs: NonZeroUsize,
    /// Registry to ask first, for all images or for those of REGISTRY; may be repeated.
    #[arg(long = "mirror", value_name = "[REGISTRY=]URL", global = true)]
    pub mirrors: Vec<Mirror>,
    /// PEM file of authorities to trust besides the system's; may be repeated.
    #[arg(long = "cert-file", value_name = "PEM", global = true)]
    pub cert_files: Vec<PathBuf>,
    /// Registry to speak plain HTTP to; may be repeated. Those on the loopback need no mention.
    #[arg(long, value_name = "HOST[:PORT]", global = true)]
    pub insecure: Vec<String>,
    /// Folder of Docker's `config.json`; `~/.docker` by default.
    #[arg(long, value_name = "DIR", env = "DOCKER_CONFIG", global = true)]
    pub docker_config: Option<PathBuf>,
}

impl Global {
    /// Give the folder of the store: `--cache`, or `hullkit` in the user's cache folder.
    ///
    /// # Errors
    ///
    /// - Neither `--cache` nor a home folder is known.
    pub fn cache(&self) -> Result<PathBuf> {
        if let Some(cache) = &self.cache {
            return Ok(cache.clone());
        }
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        base.map(|base| base.join("hullkit")).context("no folder for the store is known: set `--cache` or HOME")
    }

    /// Open the store.
    ///
    /// # Errors
    ///
    /// - The folder cannot be made or written.
    pub fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.cache()?)?)
    }

    /// Prepare to reach registries as the flags say.
    #[must_use]
    pub fn registries(&self) -> Registries {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
        Registries::new(RegistryOptions {
            insecure: self.insecure.clone(),
            mirrors: self.mirrors.clone(),
            certificates: self.cert_files.clone(),
            docker_config: self.docker_config.clone().or_else(home),
            ..RegistryOptions::default()
        })
    }
}
