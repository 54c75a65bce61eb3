//! Beside the five stages. In: an image recipe, a folder with a `build.yml`. Out: an OCI image for several architectures in the
//! [`Store`], under its name. Touches: the store, and through the host's apt the package mirrors. Does not: run anything of
//! what it packs.

pub mod apt;
pub mod deb;
pub mod dockerfile;
pub mod error;
pub mod export;
pub mod glob;
pub mod image;
pub mod kernel;
pub mod layer;
pub mod recipe;
pub mod tag;
pub mod tree;
mod unpack;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io;

use oci_spec::image::Descriptor;
use serde::{Deserialize, Serialize};

use self::apt::{Apt, Package};
pub use self::error::PackageError;
use self::error::io_error;
use self::recipe::{Content, Loaded, Rootfs};
use self::tree::Tree;
use crate::digest::Digest;
use crate::platform::Arch;
use crate::store::Store;

/// Counted up whenever equal recipes give other bytes than before; part of every cache key.
const FORMAT: u32 = 2;

/// How recipes are built.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Architectures; those of each recipe if empty.
    pub arches: Vec<Arch>,
    /// Build what is already there.
    pub force: bool,
    /// Fetch apt's lists even if they are current.
    pub refresh: bool,
    /// `SOURCE_DATE_EPOCH`: the latest time anything in an image may have; that of the newest package if absent.
    pub epoch: Option<u64>,
    /// In place of each recipe's organisation.
    pub org: Option<String>,
    /// In place of each recipe's tag.
    pub tag: Option<String>,
}

/// What happens, for whoever watches.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// apt's lists of an architecture are fetched or checked.
    Lists(Arch),
    /// The lists could not be fetched; older ones are used.
    Stale(Arch, &'a str),
    /// Packages are fetched, unless they are here.
    Packages(&'a str, Arch, &'a [Package]),
    /// Files are unpacked and packed.
    Pack(&'a str, Arch),
    /// One architecture is in the store.
    Done(&'a str, Arch, &'a Built),
}

/// One architecture of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Built {
    /// Its manifest.
    pub manifest: Descriptor,
    /// Digest of the configuration.
    pub config: Digest,
    /// Digests of the layers, lowest first.
    pub layers: Vec<Digest>,
    /// Length of the layers in bytes.
    pub size: u64,
    /// Length of the layer's tar in bytes, if it was packed here.
    pub unpacked: Option<u64>,
    /// Packages in it: name and version.
    pub packages: Vec<(String, String)>,
    /// It was there already.
    #[serde(skip)]
    pub cached: bool,
}

/// An image with all its architectures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Image {
    /// Its full name, under which the store has it.
    pub reference: String,
    /// Its index.
    pub index: Descriptor,
    /// What is in it.
    pub arches: BTreeMap<Arch, Built>,
}

/// Builds recipes, one after the other, with one set of apt's lists.
#[derive(Debug)]
pub struct Builder<'a> {
    store: &'a Store,
    options: Options,
    apt: BTreeMap<Arch, Apt>,
    // Taken with the first recipe that needs apt, and kept: what was resolved must still be in the lists when it is fetched.
    lock: Option<apt::Lock>,
}

impl<'a> Builder<'a> {
    /// Prepare to build into `store`.
    #[must_use]
    pub fn new(store: &'a Store, options: Options) -> Self {
        Self { store, options, apt: BTreeMap::new(), lock: None }
    }

    /// Build one recipe for all wanted architectures and put it under its name.
    ///
    /// Equal recipes and equal packages give equal digests. What is in the store already is not built again.
    ///
    /// # Errors
    ///
    /// - Every [`PackageError`]; the name keeps what it had.
    pub fn build(&mut self, recipe: &Loaded, watch: &dyn Fn(&Event<'_>)) -> Result<Image, PackageError> {
        let name = tag::name(recipe, self.options.org.as_deref(), self.options.tag.as_deref())?;
        let arches = self.arches(recipe)?;
        let mut built = BTreeMap::new();
        for arch in arches {
            let done = match &recipe.recipe.rootfs {
                Some(rootfs) => self.build_arch(recipe, rootfs, arch, &name, watch)?,
                None => {
                    watch(&Event::Pack(&name, arch));
                    dockerfile::build(self.store, recipe, arch)?
                }
            };
            watch(&Event::Done(&name, arch, &done));
            built.insert(arch, done);
        }
        let manifests: Vec<Descriptor> = built.values().map(|built| built.manifest.clone()).collect();
        let index = image::index(self.store, &manifests)?;
        let reference = tag::canonical(&name);
        self.store.tag(&reference, index.clone())?;
        Ok(Image { reference, index, arches: built })
    }

    /// Tell for which architectures a recipe is built.
    fn arches(&self, recipe: &Loaded) -> Result<Vec<Arch>, PackageError> {
        let known = recipe.recipe.known_arches();
        let wanted = if self.options.arches.is_empty() { known.clone() } else { self.options.arches.clone() };
        let unknown = wanted.iter().find(|arch| !known.contains(arch));
        let refuse = |reason| Err(PackageError::Unusable { path: recipe.folder.join(recipe::FILE), reason });
        match unknown {
            Some(arch) => refuse(format!("its `arches` do not name {arch}; say `--platforms` with those it names")),
            None if wanted.is_empty() => refuse("its `arches` name none of amd64 and arm64".to_owned()),
            None => Ok(wanted),
        }
    }

    /// Build one architecture, or find it built.
    fn build_arch(
        &mut self,
        recipe: &Loaded,
        rootfs: &Rootfs,
        arch: Arch,
        name: &str,
        watch: &dyn Fn(&Event<'_>),
    ) -> Result<Built, PackageError> {
        let packages = self.resolve(recipe, rootfs, arch, watch)?;
        let path = self.store.folder("packages").join(key(recipe, arch, &packages, self.options.epoch).hex());
        let known = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Built>(&bytes).ok());
        if let Some(built) = known.filter(|built| !self.options.force && self.has(built)) {
            return Ok(Built { cached: true, ..built });
        }
        watch(&Event::Packages(name, arch, &packages));
        let files = match self.apt.get(&arch) {
            Some(apt) => apt.fetch(&packages)?,
            None => Vec::new(),
        };
        watch(&Event::Pack(name, arch));
        let mut tree = Tree::new(self.store)?;
        if !packages.is_empty() {
            tree.merge_usr()?;
        }
        for (package, file) in packages.iter().zip(&files) {
            let file = File::open(file).map_err(io_error("open", file))?;
            unpack::package(&mut tree, rootfs, package, io::BufReader::new(file))?;
        }
        unpack::files(&mut tree, recipe, rootfs)?;
        tree.prune_merged();
        if rootfs.kernel {
            kernel::lay_out(&mut tree)?;
        }
        let epoch = self.options.epoch.unwrap_or(u64::MAX);
        let time = tree.newest().min(epoch);
        let layer = layer::write(&tree, self.store, epoch, time)?;
        let (manifest, config) = image::manifest(self.store, &recipe.recipe, arch, &layer, time)?;
        let packages = packages.into_iter().map(|package| (package.name, package.version)).collect();
        let built = Built {
            manifest,
            config,
            layers: vec![layer.digest],
            size: layer.size,
            unpacked: Some(layer.unpacked),
            packages,
            cached: false,
        };
        let mut out = self.store.temporary()?;
        serde_json::to_writer(&mut out, &built).map_err(io::Error::from).map_err(io_error("write", &path))?;
        out.persist(&path)?;
        Ok(built)
    }

    /// Ask apt for the packages of a recipe.
    fn resolve(
        &mut self,
        recipe: &Loaded,
        rootfs: &Rootfs,
        arch: Arch,
        watch: &dyn Fn(&Event<'_>),
    ) -> Result<Vec<Package>, PackageError> {
        let names = recipe.recipe.packages(arch);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let apt = self.apt(arch, watch)?;
        let mut packages = apt.resolve(&names, &rootfs.exclude)?;
        packages.retain(|package| !rootfs.kernel || package.name.starts_with(kernel::PACKAGES));
        Ok(packages)
    }

    /// Give the lists of one architecture, opened at the first call.
    fn apt(&mut self, arch: Arch, watch: &dyn Fn(&Event<'_>)) -> Result<&Apt, PackageError> {
        let lock = match &mut self.lock {
            Some(lock) => lock,
            free => free.insert(apt::Lock::take(self.store)?),
        };
        match self.apt.entry(arch) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                watch(&Event::Lists(arch));
                let apt = place.insert(Apt::open(lock, arch, self.options.refresh)?);
                if let Some(reason) = apt.stale() {
                    watch(&Event::Stale(arch, reason));
                }
                Ok(apt)
            }
        }
    }

    /// Tell whether everything of a built image is still in the store.
    fn has(&self, built: &Built) -> bool {
        let manifest = built.manifest.digest().to_string().parse();
        manifest
            .is_ok_and(|digest| [digest, built.config].iter().chain(&built.layers).all(|digest| self.store.has(digest)))
    }
}

/// Name everything the bytes of an image follow from.
fn key(recipe: &Loaded, arch: Arch, packages: &[Package], epoch: Option<u64>) -> Digest {
    let mut text = format!("{FORMAT} {arch} {epoch:?} {}\n", Digest::of(&recipe.text));
    for (content, _) in &recipe.contents {
        if let Content::Bytes(bytes) = content {
            text += &format!("{}\n", Digest::of(bytes));
        }
    }
    for package in packages {
        text += &format!("{} {}\n", package.file, package.sha256);
    }
    Digest::of(text.as_bytes())
}

#[cfg(test)]
mod tests;
