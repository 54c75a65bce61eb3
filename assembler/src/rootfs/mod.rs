//! Stage 4 of 5. In: a [`Plan`] whose blobs are in the [`Store`]. Out: [`Segments`], each image packed once by its digest.
//! Touches: the store's folders of derived files. Does not: write outside the store, or ask the network.
//!
//! ```text
//! blob --layer--> Index --tree--> Tree --pack--> archive --segment--> store: segments/<key>.cpio.zst
//!      one walk,          whiteouts,     files in     checked,
//!      digest checked     links          layer order  compressed
//!                                   `--erofs--> file system --------> store: segments/<key>.erofs --root--> Root
//! ```
//!
//! With a root in RAM all segments are archives and together the initrd; with a root on a disk or a web server the images are file
//! systems, each of which is mounted where it lies in one [`Root`], and the initrd has what is needed to reach that.
//!
//! No file's content is ever in memory: a layer is decompressed once for its index, and once more when its image is packed.

pub mod export;
pub mod firmware;
pub mod layer;
pub mod linuxkit;
pub mod memory;
pub mod modules;
pub mod path;
pub mod root;
pub mod tree;

mod ahead;
mod erofs;
mod image;
mod kernel;
mod pack;
mod record;
mod segment;
mod system;
mod users;
mod volumes;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hullkit_init::contract;

use crate::digest::Digest;
use crate::format::cpio::CpioError;
use crate::format::tar::TarError;
use crate::format::tar::read::Limits;
use crate::plan::boot::Root as RootKind;
use crate::plan::{Image, Layer, Plan};
use crate::store::{Store, StoreError};
use modules::boot::Way;
use root::Part;

pub use kernel::KernelFiles;
pub use root::Root;
pub use segment::Segment;

/// Why a root file system could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootfsError {
    /// A layer's bytes are not a layer.
    #[error("could not read layer {layer} of `{image}`")]
    Layer {
        /// The image, as the manifest names it.
        image: String,
        /// The layer's blob.
        layer: Digest,
        /// What is wrong with it.
        #[source]
        cause: TarError,
    },
    /// A layer's bytes are not those its image was built with.
    #[error("layer {layer} of `{image}` unpacks to {got}; its configuration says {want}")]
    DiffId {
        /// The image, as the manifest names it.
        image: String,
        /// The layer's blob.
        layer: Digest,
        /// The digest in the image's configuration.
        want: Digest,
        /// The digest of the uncompressed bytes.
        got: Digest,
    },
    /// A layer holds something that does not stay within the image's root.
    #[error("layer {layer} of `{image}` is refused")]
    Path {
        /// The image, as the manifest names it.
        image: String,
        /// The layer's blob.
        layer: Digest,
        /// Which entry, and why.
        #[source]
        cause: path::PathError,
    },
    /// A layer that could be read once could not be read again.
    #[error("could not read a layer a second time")]
    Reread(#[source] TarError),
    /// Something cannot be held by the archive, or was written wrong.
    #[error("could not pack `{what}`")]
    Pack {
        /// The segment's name.
        what: String,
        /// What the archive's writer or its reader said.
        #[source]
        cause: CpioError,
    },
    /// Something cannot be held by a file system, or could not be written into one.
    #[error("could not pack `{what}`")]
    Image {
        /// The segment's name.
        what: String,
        /// What did not fit, or failed.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// As [`RootfsError::Pack`], before the segment's name is known.
    #[error("could not pack")]
    Cpio(#[from] CpioError),
    /// The kernel's image lacks a file, or has it in another form.
    #[error("kernel image `{image}`: {what}")]
    Kernel {
        /// The image, as the manifest names it.
        image: String,
        /// What is missing or wrong.
        what: String,
    },
    /// The tar of modules in the kernel's image cannot be read.
    #[error("could not read `{file}` of kernel image `{image}`")]
    Modules {
        /// The image, as the manifest names it.
        image: String,
        /// The tar's name in it.
        file: String,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An image's user cannot be turned into numbers.
    #[error("`{image}` runs as `{user}`: {what}")]
    User {
        /// The image, as the manifest names it.
        image: String,
        /// The user, as the image's configuration has it.
        user: String,
        /// What is missing.
        what: String,
    },
    /// The plan does not fit together.
    #[error("the plan names {0}, which it does not have")]
    Plan(String),
    /// A file that no list in JSON can name.
    #[error("`{path}` of `{image}` {what}")]
    Unnameable {
        /// The image, as the manifest names it.
        image: String,
        /// The path, as far as it is text.
        path: String,
        /// Why it needs a name that is text.
        what: &'static str,
    },
    /// What was attested about an image is no SPDX document.
    #[error("the statement {digest} about `{image}` is not an SPDX document; --no-sbom builds without")]
    Statement {
        /// The image, as the manifest names it.
        image: String,
        /// The statement.
        digest: Digest,
        /// What the parser said.
        #[source]
        cause: serde_json::Error,
    },
    /// A file that has to be held in memory is too long for that.
    #[error("`{path}` of `{image}` has {size} bytes; {limit} are the limit for what is joined or unpacked")]
    TooLarge {
        /// The image, as the manifest names it.
        image: String,
        /// The file.
        path: String,
        /// Its length in bytes.
        size: u64,
        /// How many bytes are allowed.
        limit: u64,
    },
    /// A format needs a board's firmware.
    #[error("`rpi` needs the board's firmware: name an image that has it in `boot.firmware`")]
    NoFirmware,
    /// A derived file could not be read or written.
    #[error("could not {action} `{path}`")]
    Cache {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a build needs besides the plan.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The program that becomes `/init`, for the plan's architecture.
    pub init: &'a [u8],
    /// The program that fetches a root from a web server; looked at for such roots alone.
    pub fetch: &'a [u8],
    /// The program that asks for metadata; looked at for hosts alone that have any.
    pub metadata: &'a [u8],
    /// The program that takes disks into use; looked at for hosts alone that have such.
    pub storage: &'a [u8],
    /// How many segments are packed at the same time; at least 1.
    pub jobs: usize,
    /// How much of a layer is read before it is refused.
    pub limits: Limits,
    /// Where the images are.
    pub root: RootKind,
}

/// A root file system in pieces, in the order in which they are joined.
#[derive(Debug, Clone)]
pub struct Segments {
    /// The pieces of the initrd: init, what asks for metadata if anybody is to be asked, what takes disks into use if there are any, modules, images in the order of their digests,
    /// system. With a root beside it: init, what fetches the root if it is to be fetched, what asks, what takes disks, boot modules, system.
    pub parts: Vec<Segment>,
    /// What is taken from the kernel's image as files; absent if the plan has no kernel.
    pub kernel: Option<KernelFiles>,
    /// The root beside the initrd; absent if all is in that.
    pub root: Option<Root>,
    /// Least memory of a machine that boots it, in bytes, as far as it can be told from outside.
    pub memory_floor: u64,
}

impl Segments {
    /// List everything that was packed: what is in the initrd, and what is on a disk.
    pub fn all(&self) -> impl Iterator<Item = &Segment> {
        self.parts.iter().chain(self.root.iter().flat_map(|root| &root.parts))
    }
}

/// Pack what the plan names and the store does not have packed yet.
///
/// In: a plan all of whose layers are in the store; `progress`, called once for each segment, from several threads.
/// Out: the pieces of the native layout. Equal plans, and equal programs in `options.init`, give equal bytes, however
/// many jobs there are.
///
/// # Errors
///
/// - Any [`RootfsError`]; what was packed before the error stays in the store.
pub fn build(
    plan: &Plan,
    store: &Store,
    options: &Options<'_>,
    progress: &(dyn Fn(&Segment) + Sync),
) -> Result<Segments, RootfsError> {
    let told = |segment: Segment| {
        progress(&segment);
        segment
    };
    let mut parts = vec![told(system::base(store, options.init)?)];
    if options.root == RootKind::Web {
        parts.push(told(system::program(store, "fetch", contract::FETCH, options.fetch)?));
    }
    if plan.system.metadata.is_some() {
        parts.push(told(system::program(store, "metadata", contract::metadata::PROGRAM, options.metadata)?));
    }
    if plan.storage.is_some() {
        parts.push(told(system::program(store, "storage", contract::storage::PROGRAM, options.storage)?));
    }
    let mut mounted = Vec::new();
    let kernel = match &plan.kernel {
        Some(kernel) => {
            match options.root {
                RootKind::Ram => parts.extend(kernel::modules(plan, kernel, store, options.limits)?.map(told)),
                RootKind::Disk | RootKind::Web => {
                    let way = if options.root == RootKind::Web { Way::Network } else { Way::Disk };
                    if let Some((boot, all)) = kernel::boot_modules(plan, kernel, way, store, options.limits)? {
                        parts.push(told(boot));
                        mounted.push(Part::modules(told(all)));
                    }
                }
            }
            Some(kernel::files(plan, kernel, store, options.limits)?)
        }
        None => None,
    };
    let images = images(plan);
    // The layers first, each alone: one large image would otherwise keep a single processor busy.
    let layers = unpacked_layers(store, &images, options.root);
    for indexed in parallel(options.jobs, &layers, |(image, layer)| layer::index(store, image, layer, options.limits)) {
        indexed?;
    }
    let packed = parallel(options.jobs, &images, |(digest, image)| {
        let pack = match options.root {
            RootKind::Ram => image::segment,
            RootKind::Disk | RootKind::Web => image::erofs,
        };
        pack(store, digest, image, options.limits).map(told)
    });
    for ((digest, _), segment) in images.iter().zip(packed) {
        match options.root {
            RootKind::Ram => parts.push(segment?),
            RootKind::Disk | RootKind::Web => mounted.push(Part::image(digest, segment?)),
        }
    }
    for volume in &plan.volumes {
        match options.root {
            RootKind::Ram => parts.extend(volumes::layout(volume, store)?.map(told)),
            RootKind::Disk | RootKind::Web => {
                let segment = volumes::layout_erofs(volume, store)?.map(told);
                mounted.extend(segment.map(|segment| Part::volume(volume, segment)));
            }
        }
    }
    let root = match options.root {
        RootKind::Ram => None,
        RootKind::Disk | RootKind::Web => Some(Root::new(mounted, plan.epoch)?),
    };
    let mut contract = users::resolve(plan, store, options.limits)?;
    contract.root = root.as_ref().map(Root::contract);
    let mut fetched = 0;
    if options.root == RootKind::Web {
        web::bring_up(&mut contract);
        fetched = root.as_ref().map_or(0, |root| root.image.size());
    }
    contract.memory = memory::floor(&parts, system::unpacked(plan, &contract), fetched);
    parts.push(told(system::system(plan, &contract, store)?));
    let memory_floor = memory::machine(&parts, fetched, plan.arch);
    Ok(Segments { parts, kernel, root, memory_floor })
}

/// List the images that some container runs or that are volumes; the kernel's and a board's firmware are not, unless they are such.
fn images(plan: &Plan) -> Vec<(Digest, &Image)> {
    let system = &plan.system;
    let containers = [&system.onboot, &system.services, &system.onshutdown];
    let lowers = containers.into_iter().flatten().map(|container| container.lower.as_str());
    let lowers: BTreeSet<&str> = lowers.chain(system.volumes.iter().map(|volume| volume.lower.as_str())).collect();
    let others = plan.kernel.as_ref().map(|kernel| kernel.image).into_iter().chain(plan.boot.firmware);
    let others: BTreeSet<Digest> = others.collect();
    let used = |digest: &Digest| !others.contains(digest) || lowers.contains(Plan::image_root(digest).as_str());
    plan.images.iter().filter(|(digest, _)| used(digest)).map(|(digest, image)| (*digest, image)).collect()
}

/// List the layers of all images that have to be packed, each once.
fn unpacked_layers<'a>(store: &Store, images: &[(Digest, &'a Image)], root: RootKind) -> Vec<(&'a str, &'a Layer)> {
    let mut layers = BTreeMap::new();
    for (_, image) in images.iter().filter(|(digest, _)| !image::is_packed(store, digest, root)) {
        layers.extend(image.layers.iter().map(|layer| (layer.diff_id, (image.reference.as_str(), layer))));
    }
    layers.into_values().collect()
}

/// Find an image of the plan.
fn planned<'a>(plan: &'a Plan, digest: &Digest) -> Result<&'a Image, RootfsError> {
    plan.images.get(digest).ok_or_else(|| RootfsError::Plan(format!("image {digest}")))
}

/// Do something with each item, `jobs` at a time; results stand in the items' order. After a failure no more are begun.
fn parallel<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, RootfsError> + Sync,
) -> Vec<Result<R, RootfsError>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            let result = work(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.push((at, result));
        }
        done
    };
    let jobs = jobs.clamp(1, items.len().max(1));
    let mut done: Vec<(usize, Result<R, RootfsError>)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Where the contract lies in an archive.
fn contract_path() -> &'static str {
    segment::relative(contract::PATH)
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
