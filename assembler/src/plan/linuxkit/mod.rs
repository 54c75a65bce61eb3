//! A host that LinuxKit's own init runs: what lies where, in the order in which LinuxKit writes it.
//!
//! ```text
//! kernel        boot/cmdline, boot/kernel, what kernel.tar holds
//! init          images unpacked into the root, one over the other
//! volumes       containers/volumes/NAME/{lower,tmp,merged}
//! containers    containers/SECTION/NAME/{lower|rootfs,config.json,tmp,runtime.json}
//! files         last, so that they win
//! ```
//!
//! Later entries win over earlier ones of the same name. Where LinuxKit is odd this is odd in the same way, so that a
//! manifest means the same with both; `docs/compatibility.md` lists the exceptions.

mod files;
mod metadata;

use std::collections::BTreeMap;

use linuxkit_yaml::{Manifest, ManifestError, Section, Volume};
use serde::{Deserialize, Serialize};

use super::boot::Boot;
use super::spec::{self, json};
use super::{Found, Image, Kernel, Layout, Names, Options, PlanError, container, find, ids, volumes};
use crate::digest::Digest;
use crate::platform::Arch;
use crate::pull::{Whole, name_of};
use crate::store::Store;

/// What a manifest means today in LinuxKit's layout. Equal plans give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxkitPlan {
    /// Always [`VERSION`](super::VERSION) when written.
    pub version: u32,
    /// Architecture of every image, and of the machine that will boot.
    pub arch: Arch,
    /// Time of everything generated, in seconds since 1970.
    pub epoch: u32,
    /// Every image by the digest of its manifest for this architecture.
    pub images: BTreeMap<Digest, Image>,
    /// What disks and the like are made with.
    #[serde(default, skip_serializing_if = "Boot::is_empty")]
    pub boot: Boot,
    /// SPDX documents, as blobs in the store, by the image they are about; empty if no bill of materials is wanted.
    pub statements: BTreeMap<Digest, Vec<Digest>>,
    /// What is written, in order.
    pub steps: Vec<Step>,
}

/// One step of writing the root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it comes from.
    pub origin: Origin,
    /// What is written.
    pub what: What,
}

/// Where an entry comes from: LinuxKit notes it beside every entry of its archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The image, as the manifest names it with Docker's defaults filled in, or one of LinuxKit's own words.
    pub source: String,
    /// Place in the manifest: `kernel`, `init[0]`, `services[1]`.
    pub location: String,
}

/// What one step writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The kernel, its command line, its microcode and its modules.
    Kernel(Kernel),
    /// All files of an image, below a folder.
    Image {
        /// A key of [`LinuxkitPlan::images`].
        image: Digest,
        /// Folder, relative, with a slash at its end; empty for the host's root.
        folder: String,
        /// What becomes of the image's name servers.
        resolver: Resolver,
        /// Whether package databases found here are joined with those of its kind.
        packages: bool,
    },
    /// The package databases that the images before this step brought, joined; nothing if there were fewer than two.
    Packages,
    /// An OCI image layout below a folder.
    Layout {
        /// Folder, relative, with a slash at its end.
        folder: String,
        /// The image's name, which the layout's index gives it.
        name: String,
        /// The image with all that belongs to it.
        image: Whole,
    },
    /// One entry of our own making.
    Entry(Entry),
}

/// What an image's `etc/resolv.conf` becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolver {
    /// A link to where the host's DHCP client writes.
    Link,
    /// A file that says there are none.
    Comment,
}

/// An entry that no image brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path as it is written, relative.
    pub path: String,
    /// What it is.
    pub content: EntryContent,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What an entry of our own making holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryContent {
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(String),
    /// A file with this text.
    Text(String),
    /// A file: its blob in the store, and its length in bytes.
    Blob(Digest, u64),
}

impl LinuxkitPlan {
    /// List the images of which layouts are written.
    pub fn layouts(&self) -> impl Iterator<Item = &Whole> {
        self.steps.iter().filter_map(|step| match &step.what {
            What::Layout { image, .. } => Some(image),
            _ => None,
        })
    }
}

impl Entry {
    fn directory(path: impl Into<String>) -> Self {
        Self { path: path.into(), content: EntryContent::Directory, mode: 0o755, uid: 0, gid: 0 }
    }

    fn text(path: String, text: String) -> Self {
        Self { path, content: EntryContent::Text(text), mode: 0o644, uid: 0, gid: 0 }
    }
}

/// Make the plan of a manifest for LinuxKit's init.
///
/// # Errors
///
/// - [`PlanError`]: by what is wrong; problems of containers are collected and told together.
pub fn plan(
    manifest: &Manifest,
    names: &dyn Names,
    store: &Store,
    options: &Options,
) -> Result<LinuxkitPlan, PlanError> {
    let problems = volumes::check(manifest, Layout::Linuxkit);
    if !problems.is_empty() {
        return Err(ManifestError { diagnostics: problems }.into());
    }
    let ids = ids::Ids::of(manifest);
    let found = find(super::wanted(manifest, Layout::Linuxkit), names, options.arch)?;
    let mut planner = Planner { manifest, ids: &ids, found: &found, steps: Vec::new(), extracted: BTreeMap::new() };
    planner.kernel();
    planner.init();
    for (index, volume) in manifest.volumes.iter().enumerate() {
        planner.volume(index, volume, names, options)?;
    }
    planner.containers()?;
    let steps = planner.steps.into_iter().chain(files::plan(manifest, &ids, store, &options.places)?).collect();
    let images = super::images(&found);
    let statements = if options.sbom { statements(&images, names)? } else { BTreeMap::new() };
    let boot = super::boot::plan(manifest, &found, store, &options.places)?;
    let (arch, epoch) = (options.arch, options.epoch);
    Ok(LinuxkitPlan { version: super::VERSION, arch, epoch, images, boot, statements, steps })
}

/// Find the SPDX documents of every image that has any.
fn statements(images: &BTreeMap<Digest, Image>, names: &dyn Names) -> Result<BTreeMap<Digest, Vec<Digest>>, PlanError> {
    let mut statements = BTreeMap::new();
    for (digest, image) in images {
        let found = names
            .statements(image, digest)
            .map_err(|cause| PlanError::Sbom { reference: image.reference.clone(), cause: Box::new(cause) })?;
        if !found.is_empty() {
            statements.insert(*digest, found);
        }
    }
    Ok(statements)
}

/// The steps while they are being listed.
struct Planner<'a> {
    manifest: &'a Manifest,
    ids: &'a ids::Ids,
    found: &'a BTreeMap<String, Found>,
    steps: Vec<Step>,
    /// Where the images of containers are unpacked, by their names: each is unpacked once.
    extracted: BTreeMap<String, String>,
}

impl Planner<'_> {
    fn push(&mut self, origin: &Origin, what: What) {
        self.steps.push(Step { origin: origin.clone(), what });
    }

    fn kernel(&mut self) {
        let Some(kernel) = super::kernel(self.manifest, self.found) else { return };
        let Some(image) = self.manifest.kernel.as_ref().and_then(|kernel| kernel.image.as_ref()) else { return };
        self.push(&Origin { source: image.to_string(), location: "kernel".to_owned() }, What::Kernel(kernel));
    }

    fn init(&mut self) {
        let entries = self.manifest.init.iter().flatten().filter_map(|entry| entry.image());
        for (index, image) in entries.enumerate() {
            let Some(found) = self.found.get(&name_of(image)) else { continue };
            let origin = Origin { source: image.to_string(), location: format!("init[{index}]") };
            let what = What::Image {
                image: found.resolved.digest,
                folder: String::new(),
                resolver: Resolver::Link,
                packages: true,
            };
            self.push(&origin, what);
        }
        let origin = Origin { source: "LINUXKIT.apkinit".to_owned(), location: "init".to_owned() };
        self.push(&origin, What::Packages);
    }

    fn volume(&mut self, index: usize, volume: &Volume, names: &dyn Names, options: &Options) -> Result<(), PlanError> {
        let base = format!("containers/volumes/{}", volume.name.value);
        let source = volume.image.as_ref().map_or_else(|| "empty".to_owned(), ToString::to_string);
        let origin = Origin { source, location: format!("volume[{index}]") };
        let folder = format!("{base}/lower/");
        self.folders(&folder, &origin);
        if let Some(image) = &volume.image {
            let what = match volumes::flattened(volume) {
                None => {
                    let image = volumes::layout(volume, image, names, options.arch)?;
                    What::Layout { folder, name: origin.source.clone(), image }
                }
                Some(image) => {
                    let Some(found) = self.found.get(&name_of(image)) else { return Ok(()) };
                    let image = found.resolved.digest;
                    What::Image { image, folder, resolver: Resolver::Link, packages: false }
                }
            };
            self.push(&origin, what);
        }
        let origin = Origin { source: "linuxkit.volumes".to_owned(), ..origin };
        for name in ["tmp", "merged"] {
            self.push(&origin, What::Entry(Entry::directory(format!("{base}/{name}/"))));
        }
        Ok(())
    }

    fn containers(&mut self) -> Result<(), PlanError> {
        let mut problems = Vec::new();
        let mut counts = BTreeMap::new();
        for (section, entry) in self.manifest.containers() {
            let Some(one) = self.found.get(&name_of(&entry.image)) else { continue };
            let index = counts.entry(section).or_insert(0_usize);
            let number = if section == Section::Services { String::new() } else { format!("{index:03}-") };
            let bundle = format!("containers/{}/{number}{}", section.key(), entry.name.value);
            let origin = Origin { source: entry.image.to_string(), location: format!("{}[{index}]", section.key()) };
            *index += 1;
            let input = container::Input {
                layout: Layout::Linuxkit,
                manifest: self.manifest,
                ids: self.ids,
                section,
                entry,
                label: &one.label,
                image: &one.config,
                health: None,
                confined: false,
            };
            match container::config(&input) {
                Ok(config) => {
                    self.bundle(&bundle, &origin, one.resolved.digest, &config, container::runtime(&input))?;
                }
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ManifestError { diagnostics: problems }.into()) }
    }

    /// Write what runc and LinuxKit's `service` need to run one container.
    fn bundle(
        &mut self,
        bundle: &str,
        origin: &Origin,
        image: Digest,
        config: &spec::Config,
        mut runtime: spec::runtime::Runtime,
    ) -> Result<(), PlanError> {
        let readonly = config.root.readonly;
        let own = format!("{bundle}/{}", if readonly { "rootfs" } else { "lower" });
        let shared = self.extracted.get(&origin.source).cloned();
        let root = shared.clone().unwrap_or_else(|| own.clone());
        if shared.is_some() {
            self.folders(bundle, origin);
        } else {
            self.folders(&own, origin);
            let folder = format!("{own}/");
            self.push(origin, What::Image { image, folder, resolver: Resolver::Comment, packages: false });
            self.extracted.insert(origin.source.clone(), own);
        }
        let text = json::to_string(config).map_err(PlanError::Json)?;
        self.push(origin, What::Entry(Entry::text(format!("{bundle}/config.json"), text)));
        if !readonly {
            self.push(origin, What::Entry(Entry::directory(format!("{bundle}/tmp"))));
        }
        if !readonly || shared.is_some() {
            self.push(origin, What::Entry(Entry::directory(format!("{bundle}/rootfs"))));
        }
        runtime.mounts.splice(0..0, root_mounts(bundle, &root, readonly));
        let text = json::to_string(&runtime).map_err(PlanError::Json)?;
        self.push(origin, What::Entry(Entry::text(format!("{bundle}/runtime.json"), text)));
        Ok(())
    }

    /// Write a folder and all it lies in, as LinuxKit does for every container anew.
    fn folders(&mut self, path: &str, origin: &Origin) {
        let path = path.trim_end_matches('/');
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            self.push(origin, What::Entry(Entry::directory(&path[..end])));
        }
    }
}

/// The mounts that make a container's root: the image itself, or an overlay over it that ends with the container.
fn root_mounts(bundle: &str, root: &str, readonly: bool) -> Vec<spec::Mount> {
    let mount = |kind: &str, source: &str, destination: &str, options: Vec<String>| spec::Mount {
        destination: format!("/{bundle}/{destination}"),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options,
        ..spec::Mount::default()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if readonly {
        return vec![mount("", &format!("/{root}"), "rootfs", words(&["bind"]))];
    }
    let overlay = vec![
        format!("lowerdir=/{root}"),
        format!("upperdir=/{bundle}/tmp/upper"),
        format!("workdir=/{bundle}/tmp/work"),
    ];
    vec![
        mount("tmpfs", "tmpfs", "tmp", Vec::new()),
        mount("", "", "tmp", words(&["remount", "private"])),
        mount("overlay", "overlay", "rootfs", overlay),
    ]
}
