//! Stage 2 of 5. In: a manifest. Out: a [`Plan`], in which every name is a digest and every default is filled in.
//! Touches: the store, and the registries it asks for what the store does not know. Does not: fetch a layer.

pub mod boot;
mod container;
pub mod files;
mod health;
pub mod ids;
pub mod linuxkit;
mod logs;
mod order;
pub mod resources;
mod seccomp;
mod security;
pub mod spec;
mod storage;
pub mod volumes;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hullkit_init::contract::{self, Contract};
use linuxkit_yaml::{
    ContainerConfig, Diagnostic, Healthcheck, HostMetadata, Manifest, ManifestError, Position, Reference, Section,
    Storage,
};
use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};

pub use files::Places;
pub use linuxkit::LinuxkitPlan;

use crate::digest::Digest;
use crate::platform::Arch;
use crate::pull::{PullError, Resolved, Whole, name_of};
use crate::store::{Store, StoreError};

/// Version of the plan's JSON form.
pub const VERSION: u32 = 1;

/// What a manifest means today, for one architecture. Equal plans give equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Always [`VERSION`] when written.
    pub version: u32,
    /// Architecture of every image, and of the machine that will boot.
    pub arch: Arch,
    /// Time of everything generated, in seconds since 1970.
    pub epoch: u32,
    /// The kernel, absent for a root file system that is not booted.
    pub kernel: Option<Kernel>,
    /// Every image by the digest of its manifest for this architecture.
    pub images: BTreeMap<Digest, Image>,
    /// Files written into the host's root after the images, in order; parents come before children.
    pub files: Vec<PlannedFile>,
    /// Directories that containers bind by name, in the manifest's order.
    pub volumes: Vec<volumes::Volume>,
    /// Which disks the host takes into use when it boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<contract::storage::Order>,
    /// What disks and the like are made with.
    #[serde(default, skip_serializing_if = "boot::Boot::is_empty")]
    pub boot: boot::Boot,
    /// What init will be told. `lower` of each container already names the image's folder.
    pub system: Contract,
    /// Containers whose image names its user by name: looked up in the image's own `/etc/passwd` when its layers are here.
    pub users: Vec<NamedUser>,
}

/// Where the kernel comes from, and what is taken of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Digest of the kernel image's manifest, a key of [`Plan::images`].
    pub image: Digest,
    /// Kernel command line, without a newline.
    pub cmdline: String,
    /// File name of the kernel in the image's root.
    pub binary: String,
    /// File name of the tar of modules in the image's root; absent if the manifest says `none`.
    pub tar: Option<String>,
    /// File name of the microcode archive in the image's root, if wanted.
    pub ucode: Option<String>,
    /// Modules to keep, with what they need; all of them if absent.
    pub modules: Option<Vec<String>>,
    /// Modules to keep besides, if the kernel has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spare_modules: Vec<String>,
}

/// One image for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The name under which the manifest asks for it (the first one, if there are several).
    pub reference: String,
    /// Where missing layers are fetched; absent if the image was imported whole into the store.
    #[serde(skip)]
    pub origin: Option<Reference>,
    /// Digest of what the name leads to: the index, or the image's own manifest.
    pub index: Digest,
    /// Digest of the image configuration.
    pub config: Digest,
    /// Layers, lowest first.
    pub layers: Vec<Layer>,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the blob as stored and transferred.
    pub digest: Digest,
    /// Length of the blob in bytes.
    pub size: u64,
    /// How the blob is compressed.
    pub compression: Compression,
    /// Digest of the uncompressed tar, from the image configuration.
    pub diff_id: Digest,
}

/// How a layer's tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// One entry of the manifest's `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Path relative to the host's root, without a leading `/`, without `.` or `..`.
    pub path: String,
    /// What it is.
    pub content: FileContent,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What an entry of `files` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileContent {
    /// A directory.
    Directory,
    /// A directory that only other entries need: left as it is if something made it before.
    Parent,
    /// A symbolic link to this target.
    Symlink(String),
    /// A regular file: its blob in the store (small or large, it was imported when the plan was made), and its length.
    Blob(Digest, u64),
}

/// A container whose process runs as a user that only the image can translate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedUser {
    /// `onboot`, `services` or `onshutdown`.
    pub section: String,
    /// Position in that section, from 0.
    pub index: usize,
    /// The image, a key of [`Plan::images`].
    pub image: Digest,
    /// `user` or `user:group` as the image configuration has it.
    pub user: String,
}

impl Plan {
    /// Give the folder of an image on the host: an absolute path.
    #[must_use]
    pub fn image_root(digest: &Digest) -> String {
        format!("{}/{}/rootfs", contract::IMAGES, digest.short())
    }
}

/// Label in which an image says how it wants to be run.
const LABEL: &str = "org.mobyproject.config";

/// How many names are asked for at once.
const JOBS: usize = 8;

/// Who turns an image's name into what it names.
pub trait Names: Sync {
    /// Find the image of this name for this architecture; its manifest and configuration are in the store afterwards.
    ///
    /// # Errors
    ///
    /// - [`PullError`]: there is none, or it could not be asked for.
    fn resolve(&self, reference: &Reference, arch: Arch) -> Result<Resolved, PullError>;

    /// Find the image of this name with all its blobs, for these platforms or for all; its documents are in the store
    /// afterwards.
    ///
    /// # Errors
    ///
    /// - [`PullError`]: there is none, or it could not be asked for.
    fn whole(&self, reference: &Reference, arch: Arch, platforms: &[String]) -> Result<Whole, PullError>;

    /// Find the SPDX documents of an image by the digest of its manifest; they are in the store afterwards.
    ///
    /// # Errors
    ///
    /// - [`PullError`]: they are announced and cannot be had.
    fn statements(&self, image: &Image, manifest: &Digest) -> Result<Vec<Digest>, PullError>;
}

/// What a plan depends on besides the manifest.
#[derive(Debug, Clone)]
pub struct Options {
    /// Architecture to plan for.
    pub arch: Arch,
    /// Time of everything generated, in seconds since 1970.
    pub epoch: u32,
    /// Let Hullkit's init stand in for the images that `init` names.
    pub replace_init: bool,
    /// Look for what a bill of materials is made of.
    pub sbom: bool,
    /// Where `files` reads its sources.
    pub places: Places,
}

/// How a host is laid out, which is the same as: whose init runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Hullkit's init is in charge.
    Native,
    /// The images that `init` names bring an init, or nothing boots what is built.
    Linuxkit,
}

impl Layout {
    /// Tell which layout a manifest asks for.
    ///
    /// In: `replace_init`, whether Hullkit's init stands in for the images that `init` names. A manifest that names
    /// neither an init nor a kernel is a root file system for somebody else, which is what LinuxKit makes of it.
    #[must_use]
    pub fn of(manifest: &Manifest, replace_init: bool) -> Self {
        let boots = manifest.kernel.as_ref().is_some_and(|kernel| kernel.image.is_some());
        let native = match &manifest.init {
            Some(_) => manifest.builtin_init(),
            None => boots,
        };
        if native || replace_init { Self::Native } else { Self::Linuxkit }
    }
}

/// Why a manifest has no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The manifest asks for what cannot be, at a place that is shown.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// An image could not be found.
    #[error("{place}: could not find the image `{reference}` for {arch}")]
    Image {
        /// Where the manifest names it.
        place: Position,
        /// Its name.
        reference: String,
        /// The architecture asked for.
        arch: Arch,
        /// Why.
        #[source]
        cause: Box<PullError>,
    },
    /// An image's configuration is not one.
    #[error("the configuration of `{reference}` is not an OCI image configuration")]
    Config {
        /// The image.
        reference: String,
        /// What the parser said.
        #[source]
        cause: oci_spec::OciSpecError,
    },
    /// An image's label is not what LinuxKit defines.
    #[error("the label {LABEL} of `{reference}` cannot be used")]
    Label {
        /// The image.
        reference: String,
        /// What is wrong in it.
        #[source]
        cause: ManifestError,
    },
    /// What was attested about an image is not to be had.
    #[error("could not find the bill of materials of `{reference}`")]
    Sbom {
        /// The image.
        reference: String,
        /// Why.
        #[source]
        cause: Box<PullError>,
    },
    /// A `source` of `files` could not be read.
    #[error("could not read `{path}`, a `source` of `files`")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The manifest could not be written into itself.
    #[error("could not write the manifest as JSON")]
    Json(#[source] serde_json::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlanError {
    /// Wrap one problem of the manifest.
    fn manifest(problem: Diagnostic) -> Self {
        Self::Manifest(problem.into())
    }
}

/// An image as found, with what it says about itself.
#[derive(Debug)]
struct Found {
    reference: String,
    resolved: Resolved,
    config: ImageConfiguration,
    label: ContainerConfig,
    health: Option<Healthcheck>,
}

/// Make the plan of a manifest.
///
/// Equal manifests, images and options give equal plans.
///
/// # Errors
///
/// - [`PlanError`]: by what is wrong; problems of the manifest are collected and told together.
pub fn plan(manifest: &Manifest, names: &dyn Names, store: &Store, options: &Options) -> Result<Plan, PlanError> {
    let ids = ids::Ids::of(manifest);
    let found = find(wanted(manifest, Layout::Native), names, options.arch)?;
    let volumes = volumes::plan(manifest, names, options.arch, |name| found.get(name).map(|one| one.resolved.digest))?;
    let storage = storage::plan(manifest, &found);
    let mut system = Contract {
        version: contract::VERSION,
        built: options.epoch.into(),
        time: manifest.time.as_ref().map(hullkit_init::manifest::time),
        hostname: manifest.hostname.as_ref().map(|name| name.value.clone()),
        sysctl: manifest.sysctl.iter().map(|(name, value)| (name.value.clone(), value.0.clone())).collect(),
        modules: manifest.modules.iter().flat_map(|modules| &modules.load).map(|name| name.value.clone()).collect(),
        network: manifest.network.as_ref().map(hullkit_init::manifest::interfaces).unwrap_or_default(),
        wait_online: manifest.wait_online.as_ref().map(|period| hullkit_init::manifest::units(**period, 1).into()),
        logs: manifest.logs.as_ref().map(logs::plan).unwrap_or_default(),
        metrics: manifest.metrics.as_ref().map(|metrics| metrics.listen.value.0),
        metadata: manifest.metadata.as_ref().map(asked),
        storage: storage.as_ref().map(contract::storage::Order::modules),
        volumes: volumes.iter().map(volumes::Volume::contract).collect(),
        on_failure: boot::on_failure(manifest),
        watchdog: boot::watchdog(manifest),
        // What the images of a manifest for LinuxKit's init do there, they expect services to be there for.
        onshutdown_first: options.replace_init && !manifest.builtin_init(),
        ..Contract::default()
    };
    let users = containers(manifest, &ids, &found, options, &mut system)?;
    let mut kernel = kernel(manifest, &found);
    if let Some(kernel) = &mut kernel {
        kernel.spare_modules = spare_modules(&system);
    }
    need_modules(&mut kernel, &mut system);
    Ok(Plan {
        version: VERSION,
        arch: options.arch,
        epoch: options.epoch,
        kernel,
        images: images(&found),
        files: files::plan(manifest, &ids, store, &options.places)?,
        volumes,
        storage,
        boot: boot::plan(manifest, &found, store, &options.places)?,
        system,
        users,
    })
}

/// The images that a layout needs, by the names the store knows them by: the kernel's, the containers', those of volumes
/// whose files are unpacked, a board's firmware, and the tools of storage; in LinuxKit's also those of `init`.
fn wanted(manifest: &Manifest, layout: Layout) -> BTreeMap<String, (&Reference, &Position)> {
    let kernel = manifest.kernel.iter().filter_map(|kernel| kernel.image.as_ref());
    let containers = manifest.containers().map(|(_, container)| &container.image);
    let volumes = manifest.volumes.iter().filter_map(volumes::flattened);
    let init = manifest.init.iter().flatten().filter_map(|entry| Some((entry.image()?, &entry.at)));
    let firmware = manifest.boot.iter().filter_map(|boot| boot.firmware.as_ref());
    let both = kernel.chain(containers).chain(volumes).chain(firmware);
    let tools = manifest.storage.iter().filter_map(Storage::tools);
    let images: Vec<(&Reference, &Position)> = match layout {
        Layout::Native => both.map(|image| (&image.value, &image.at)).chain(tools).collect(),
        Layout::Linuxkit => both.map(|image| (&image.value, &image.at)).chain(init).collect(),
    };
    images.into_iter().map(|(image, at)| (name_of(image), (image, at))).collect()
}

/// What the plan says of every image that was found.
fn images(found: &BTreeMap<String, Found>) -> BTreeMap<Digest, Image> {
    let mut images = BTreeMap::new();
    for one in found.values() {
        images.entry(one.resolved.digest).or_insert_with(|| Image {
            reference: one.reference.clone(),
            origin: one.resolved.origin.clone(),
            index: one.resolved.top,
            config: one.resolved.config_digest,
            layers: one.resolved.layers.clone(),
        });
    }
    images
}

/// Find every image, several at once, and read what each says about itself.
fn find(
    wanted: BTreeMap<String, (&Reference, &Position)>,
    names: &dyn Names,
    arch: Arch,
) -> Result<BTreeMap<String, Found>, PlanError> {
    let wanted: Vec<(String, (&Reference, &Position))> = wanted.into_iter().collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..JOBS.min(wanted.len()) {
            scope.spawn(|| {
                while let Some((name, (image, at))) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = find_one(name, image, at, names, arch);
                    found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((name.clone(), one));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Threads finish in any order; the first problem told must be the same in every run.
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.into_iter().map(|(name, one)| Ok((name, one?))).collect()
}

/// Find one image.
fn find_one(name: &str, image: &Reference, at: &Position, names: &dyn Names, arch: Arch) -> Result<Found, PlanError> {
    let reference = name.to_owned();
    let resolved = names.resolve(image, arch).map_err(|cause| PlanError::Image {
        place: at.clone(),
        reference: reference.clone(),
        arch,
        cause: Box::new(cause),
    })?;
    let config = ImageConfiguration::from_reader(resolved.config.as_slice())
        .map_err(|cause| PlanError::Config { reference: reference.clone(), cause })?;
    let text = config.labels_of_config().and_then(|labels| labels.get(LABEL)).map_or("", String::as_str);
    let label = linuxkit_yaml::parse_label(text, name).map_err(|cause| PlanError::Label { reference, cause })?;
    let health = health::of_image(&resolved.config);
    Ok(Found { reference: name.to_owned(), resolved, config, label, health })
}

/// Compile every container into `system`; gives the users that only the images can translate.
fn containers(
    manifest: &Manifest,
    ids: &ids::Ids,
    found: &BTreeMap<String, Found>,
    options: &Options,
    system: &mut Contract,
) -> Result<Vec<NamedUser>, PlanError> {
    let (mut users, mut problems) = (Vec::new(), order::check(manifest));
    // What the images of a manifest for LinuxKit's init may do there, they may do under its replacement.
    let theirs = options.replace_init && !manifest.builtin_init();
    for (section, entry) in manifest.containers() {
        let Some(one) = found.get(&name_of(&entry.image)) else { continue };
        let image = one.resolved.digest;
        let lower = Plan::image_root(&image);
        let (label, config) = (&one.label, &one.config);
        // LinuxKit knows of no health, and a replaced init keeps that meaning.
        let health = one.health.as_ref().filter(|_| !options.replace_init);
        let confined = !theirs;
        let layout = Layout::Native;
        let input = container::Input { layout, manifest, ids, section, entry, label, image: config, health, confined };
        let mut compiled = match container::compile(input, &lower, options.arch) {
            Ok(compiled) => compiled,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        let list = match section {
            Section::Onboot => &mut system.onboot,
            Section::Services => &mut system.services,
            Section::Onshutdown => &mut system.onshutdown,
        };
        // LinuxKit runs every image as root unless the manifest says otherwise: a replaced init keeps that meaning.
        if let Some(user) = compiled.user.filter(|_| !options.replace_init) {
            users.push(NamedUser { section: section.key().to_owned(), index: list.len(), image, user });
        }
        compiled.container.filter = compiled.filter.map(|filter| position(&mut system.filters, filter));
        list.push(contract::Container { name: unique(list, &compiled.container.name), ..compiled.container });
    }
    if problems.is_empty() {
        problems.extend(order::resolve(manifest, system).err().into_iter().flatten());
    }
    if problems.is_empty() { Ok(users) } else { Err(ManifestError { diagnostics: problems }.into()) }
}

/// Where a program is in the table of those that are needed; at its end if nobody needed it before.
fn position(filters: &mut Vec<contract::Filter>, filter: contract::Filter) -> usize {
    filters.iter().position(|other| *other == filter).unwrap_or_else(|| {
        filters.push(filter);
        filters.len() - 1
    })
}

/// Make a container's name one that its section does not have yet: LinuxKit allows `onboot` to repeat one.
fn unique(list: &[contract::Container], name: &str) -> String {
    let taken = |name: &str| list.iter().any(|other| other.name == name);
    let numbered = std::iter::once(name.to_owned()).chain((2_u32..).map(|n| format!("{name}-{n}")));
    numbered.into_iter().find(|name| !taken(name)).unwrap_or_default()
}

/// Kinds of links that containers and rules of the network ask for, and the modules that know them, where the kernel does not itself.
const LINKS: [(&str, &str); 9] = [
    ("bond", "bonding"),
    ("bridge", "bridge"),
    ("dummy", "dummy"),
    ("ifb", "ifb"),
    ("ipvlan", "ipvlan"),
    ("macvlan", "macvlan"),
    ("veth", "veth"),
    ("vlan", "8021q"),
    ("wireguard", "wireguard"),
];

/// Keep the modules that no device asks for and containers need, and have them loaded: a writable container or volume is an
/// overlay over its image, what is kept lies on a partition, and network interfaces that are made are of some kind.
fn need_modules(kernel: &mut Option<Kernel>, system: &mut Contract) {
    let containers = || [&system.onboot, &system.services, &system.onshutdown].into_iter().flatten();
    let writable =
        containers().any(|container| !container.readonly) || system.volumes.iter().any(|volume| !volume.readonly);
    let persistent = system.volumes.iter().any(|volume| volume.persistent);
    let mut needed: Vec<&str> = writable.then_some("overlay").into_iter().collect();
    if persistent {
        needed.extend(["ext4", "loop"]);
    }
    for interface in containers().flat_map(|container| &container.runtime.interfaces) {
        let kind = if interface.add.is_empty() && !interface.peer.is_empty() { "veth" } else { &interface.add };
        needed.extend(LINKS.iter().find(|(known, _)| *known == kind).map(|(_, module)| module));
    }
    for kind in system.network.iter().filter_map(|rule| rule.make.as_ref()).map(contract::Link::kind) {
        needed.extend(LINKS.iter().find(|(known, _)| *known == kind).map(|(_, module)| module));
    }
    let Some(kernel) = kernel.as_mut().filter(|kernel| kernel.tar.is_some()) else { return };
    for list in kernel.modules.iter_mut().chain([&mut system.modules]) {
        for module in &needed {
            if !list.iter().any(|name| name == module) {
                list.push((*module).to_owned());
            }
        }
    }
}

/// Drivers of the devices that clouds and virtual machines put volumes with metadata on.
const FOR_VOLUMES: [&str; 6] = ["sr_mod", "sd_mod", "virtio_blk", "virtio_scsi", "ata_piix", "ahci"];

/// And other disks on.
const FOR_DISKS: [&str; 6] = ["sd_mod", "virtio_blk", "virtio_scsi", "nvme", "ata_piix", "ahci"];

/// Modules that metadata and storage are read with, as far as the kernel has them as such.
fn spare_modules(system: &Contract) -> Vec<String> {
    let metadata = system.metadata.iter().flat_map(|_| contract::metadata::MODULES.into_iter().chain(FOR_VOLUMES));
    let storage = system.storage.iter().flatten().map(String::as_str);
    let disks = system.storage.iter().flat_map(|_| FOR_DISKS);
    let decrypts = system.storage.iter().flatten().any(|name| name == contract::storage::DM_CRYPT);
    let ciphers = decrypts.then_some(contract::storage::CIPHER_DRIVERS).into_iter().flatten();
    let mut once: Vec<String> = Vec::new();
    for name in metadata.chain(storage).chain(disks).chain(ciphers) {
        if !once.iter().any(|known| known == name) {
            once.push(name.to_owned());
        }
    }
    once
}

/// Tell what no image is needed for: everything wrong with the containers, their order and the paths of `files`.
#[must_use]
pub fn check(manifest: &Manifest, layout: Layout) -> Vec<Diagnostic> {
    let ids = ids::Ids::of(manifest);
    let (label, image) = (ContainerConfig::default(), ImageConfiguration::default());
    let containers = manifest.containers().flat_map(|(section, entry)| {
        let (label, image, ids) = (&label, &image, &ids);
        let input =
            container::Input { layout, manifest, ids, section, entry, label, image, health: None, confined: false };
        container::config(&input).err().unwrap_or_default()
    });
    let more = volumes::check(manifest, layout).into_iter().chain(storage::check(manifest, layout));
    let more = more.chain(order::check(manifest));
    containers.chain(more).chain(files::check(manifest, &ids)).collect()
}

/// Who tells the host what it is.
fn asked(metadata: &HostMetadata) -> contract::metadata::Metadata {
    let timeout = metadata.timeout.as_ref().map_or(HostMetadata::TIMEOUT, |timeout| timeout.value);
    contract::metadata::Metadata {
        providers: metadata.providers.iter().map(|provider| provider.to_string()).collect(),
        timeout: u64::try_from(timeout.0.as_millis()).unwrap_or(u64::MAX),
        allow: metadata.allowed().into_iter().map(|what| what.name().to_owned()).collect(),
    }
}

/// What is taken of the kernel image.
fn kernel(manifest: &Manifest, found: &BTreeMap<String, Found>) -> Option<Kernel> {
    let kernel = manifest.kernel.as_ref()?;
    let image = found.get(&name_of(kernel.image.as_ref()?))?.resolved.digest;
    let modules = manifest.modules.as_ref().and_then(|modules| modules.include.as_ref());
    Some(Kernel {
        image,
        cmdline: kernel.cmdline.as_ref().map(|cmdline| cmdline.value.clone()).unwrap_or_default(),
        binary: kernel.binary_or_default().to_owned(),
        tar: kernel.tar_or_default().map(str::to_owned),
        ucode: kernel.ucode.as_ref().map(|ucode| ucode.value.clone()).filter(|ucode| !ucode.is_empty()),
        modules: modules.map(|names| names.iter().map(|name| name.value.clone()).collect()),
        spare_modules: Vec::new(),
    })
}
