//! The root file system of a host that LinuxKit's init runs, as one stream of entries.
//!
//! ```text
//! steps of the plan --> kernel | image, flattened | entry of our own --> Sink: tar, cpio, ...
//! ```
//!
//! The entries come in LinuxKit's order, and a name may come more than once: the last one is meant.

mod flatten;
mod kernel;
mod layout;
mod sbom;

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::{RootfsError, layer, parallel, path};
use crate::digest::Digest;
use crate::format::tar::read::Limits;
use crate::format::tar::{Kind, Member};
use crate::plan::linuxkit::{Entry, EntryContent, LinuxkitPlan, Origin, Resolver, Step, What};
use crate::plan::{Image, Layer};
use crate::store::Store;

pub use sbom::bill;

/// Name of Alpine's database of installed packages.
const PACKAGES: &[u8] = b"lib/apk/db/installed";

/// Longest package database that is joined with others, in bytes.
const PACKAGES_MAX: u64 = 64 << 20;

/// Who takes the entries.
pub trait Sink {
    /// Why an entry could not be taken, or not be made.
    type Error: From<RootfsError>;

    /// Take one entry; its data must be read to its end.
    ///
    /// # Errors
    ///
    /// - The sink's.
    fn append(&mut self, member: &Member, data: &mut dyn Read) -> Result<(), Self::Error>;
}

/// What writing the stream depends on besides the plan.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many layers are checked at the same time; at least 1.
    pub jobs: usize,
    /// How much of a layer is read before it is refused.
    pub limits: Limits,
    /// Unpack a compressed kernel, for loaders that cannot.
    pub decompress_kernel: bool,
}

/// Write everything the plan lists.
///
/// Equal plans give equal calls of the sink.
///
/// # Errors
///
/// - Any [`RootfsError`], in the sink's words; the sink's own.
pub fn write<S: Sink>(plan: &LinuxkitPlan, store: &Store, options: &Options, sink: &mut S) -> Result<(), S::Error> {
    check(plan, store, options)?;
    let mut packages = Vec::new();
    for Step { origin, what } in &plan.steps {
        let mut stream = Stream { plan, store, options, origin, sink: &mut *sink };
        match what {
            What::Kernel(kernel) => stream.kernel(kernel)?,
            What::Image { image, folder, resolver, packages: collected } => {
                let image = stream.image(image)?;
                let collected = collected.then_some(&mut packages);
                stream.flattened(image, folder, *resolver, collected)?;
            }
            What::Packages => stream.packages(&packages)?,
            What::Layout { folder, name, image } => stream.layout(folder, name, image)?,
            What::Entry(entry) => stream.entry(entry)?,
        }
    }
    Ok(())
}

/// Walk every layer that was never walked, so that none is used before its digest is known to be right.
fn check(plan: &LinuxkitPlan, store: &Store, options: &Options) -> Result<(), RootfsError> {
    let layers: BTreeMap<_, (&Image, &Layer)> = plan
        .images
        .values()
        .flat_map(|image| image.layers.iter().map(move |layer| (layer.diff_id, (image, layer))))
        .collect();
    let layers: Vec<_> = layers.into_values().collect();
    parallel(options.jobs, &layers, |(image, layer)| layer::index(store, &image.reference, layer, options.limits))
        .into_iter()
        .try_for_each(|checked| checked.map(drop))
}

/// One step on its way into the sink.
struct Stream<'a, S> {
    plan: &'a LinuxkitPlan,
    store: &'a Store,
    options: &'a Options,
    origin: &'a Origin,
    sink: &'a mut S,
}

impl<'a, S: Sink> Stream<'a, S> {
    /// Find an image of the plan.
    fn image(&self, digest: &Digest) -> Result<&'a Image, RootfsError> {
        self.plan.images.get(digest).ok_or_else(|| RootfsError::Plan(format!("image {digest}")))
    }

    /// Hand an entry on, with the note where it comes from.
    fn append(&mut self, member: Member, data: &mut dyn Read) -> Result<(), S::Error> {
        let note = |key: &str, value: &str| (format!("LINUXKIT.{key}").into_bytes(), value.as_bytes().to_vec());
        let records = vec![note("location", &self.origin.location), note("source", &self.origin.source)];
        self.sink.append(&Member { records, ..member }, data)
    }

    /// Write an entry of our own making.
    fn made(&mut self, path: &str, kind: Kind, mode: u32, data: &[u8]) -> Result<(), S::Error> {
        let mtime = i64::from(self.plan.epoch);
        let member = Member { path: path.into(), kind, mode, mtime, size: data.len() as u64, ..Member::default() };
        self.append(member, &mut &*data)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), S::Error> {
        let member = Member {
            path: entry.path.clone().into_bytes(),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: i64::from(self.plan.epoch),
            ..Member::default()
        };
        match &entry.content {
            EntryContent::Directory => self.append(Member { kind: Kind::Directory, ..member }, &mut io::empty()),
            EntryContent::Symlink(target) => {
                let link = target.clone().into_bytes();
                self.append(Member { kind: Kind::Symlink, link, ..member }, &mut io::empty())
            }
            EntryContent::Text(text) => self.append(Member { size: text.len() as u64, ..member }, &mut text.as_bytes()),
            EntryContent::Blob(digest, size) => {
                let mut blob = self.store.open_blob(digest).map_err(RootfsError::from)?;
                self.append(Member { size: *size, ..member }, &mut blob)
            }
        }
    }

    /// Write an image below a folder: without what a container never sees of it, with what every container must have.
    fn flattened(
        &mut self,
        image: &Image,
        folder: &str,
        resolver: Resolver,
        mut packages: Option<&mut Vec<Vec<u8>>>,
    ) -> Result<(), S::Error> {
        let mut mtab = false;
        let (store, limits) = (self.store, self.options.limits);
        flatten::flatten(store, image, limits, |member, data| {
            let path = member.path.as_slice();
            if EXCLUDED.iter().any(|name| name.as_bytes() == path) {
                return Ok(());
            }
            let member = self.below(folder, resolver, member);
            match member {
                Shown::Replaced(member, text) => self.append(member, &mut text.as_bytes()),
                Shown::AsIs(member) if packages.is_some() && member.path == PACKAGES && member.kind == Kind::File => {
                    let text = database(image, &member, data)?;
                    self.append(member, &mut text.as_slice())?;
                    packages.iter_mut().for_each(|packages| packages.push(text.clone()));
                    Ok(())
                }
                Shown::AsIs(member) => {
                    mtab |= member.path == [folder.as_bytes(), MTAB.as_bytes()].concat();
                    self.append(member, data)
                }
            }
        })?;
        for added in ADDED {
            if added.path == MTAB && mtab {
                continue;
            }
            let member = Member {
                path: added.path.into(),
                kind: added.kind,
                mode: added.mode,
                link: added.link.into(),
                ..Member::default()
            };
            match self.below(folder, resolver, member) {
                Shown::Replaced(member, text) => self.append(member, &mut text.as_bytes())?,
                Shown::AsIs(member) => {
                    self.append(Member { mtime: i64::from(self.plan.epoch), ..member }, &mut io::empty())?
                }
            }
        }
        Ok(())
    }

    /// Move a member of an image below a folder, and replace it if the host has its own idea of it.
    fn below(&self, folder: &str, resolver: Resolver, member: Member) -> Shown {
        let prefixed = |path: &[u8]| [folder.as_bytes(), path].concat();
        let epoch = i64::from(self.plan.epoch);
        let replaced = REPLACED.iter().find(|(name, _)| name.as_bytes() == member.path);
        let path = if member.path.is_empty() { prefixed(b".") } else { prefixed(&member.path) };
        match replaced {
            Some((name, _)) if *name == RESOLV && resolver == Resolver::Link => {
                let link = RESOLV_TARGET.into();
                let member = Member { path, kind: Kind::Symlink, link, size: 0, mtime: epoch, nanos: 0, ..member };
                Shown::Replaced(member, "")
            }
            Some((_, text)) => {
                // A link's own mode is no mode for the file that takes its place.
                let mode = if member.kind == Kind::File { member.mode } else { 0o644 };
                let size = text.len() as u64;
                let link = Vec::new();
                let member = Member { path, kind: Kind::File, mode, link, size, mtime: epoch, nanos: 0, ..member };
                Shown::Replaced(member, text)
            }
            None => {
                let fixed = member.path == MTAB.as_bytes();
                let (mtime, nanos) = if fixed { (epoch, 0) } else { (member.mtime, member.nanos) };
                let link = if member.kind == Kind::HardLink { prefixed(&member.link) } else { member.link };
                Shown::AsIs(Member { path, link, mtime, nanos, ..member })
            }
        }
    }

    /// Join package databases, so that the last one does not hide the others.
    fn packages(&mut self, databases: &[Vec<u8>]) -> Result<(), S::Error> {
        if databases.len() < 2 {
            return Ok(());
        }
        let text: Vec<u8> = databases.iter().flat_map(|text| [text.as_slice(), b"\n\n"]).flatten().copied().collect();
        let member = Member { path: PACKAGES.into(), mode: 0o644, size: text.len() as u64, ..Member::default() };
        self.append(member, &mut text.as_slice())
    }
}

/// A member of an image as it will be written.
enum Shown {
    /// As the image has it.
    AsIs(Member),
    /// With other content.
    Replaced(Member, &'static str),
}

/// Read a package database whole.
fn database(image: &Image, member: &Member, data: &mut dyn Read) -> Result<Vec<u8>, RootfsError> {
    if member.size > PACKAGES_MAX {
        return Err(RootfsError::TooLarge {
            image: image.reference.clone(),
            path: String::from_utf8_lossy(&member.path).into_owned(),
            size: member.size,
            limit: PACKAGES_MAX,
        });
    }
    let mut text = Vec::new();
    data.read_to_end(&mut text).map_err(|cause| RootfsError::Reread(cause.into()))?;
    Ok(text)
}

const MTAB: &str = "etc/mtab";
const RESOLV: &str = "etc/resolv.conf";

/// Where the name servers of the host's own images are.
const RESOLV_TARGET: &str = "/run/resolvconf/resolv.conf";

/// What is left out of every image: it describes the machine the image was made on.
const EXCLUDED: [&str; 6] = [".dockerenv", "Dockerfile", "dev/console", "dev/pts", "dev/shm", "etc/hostname"];

/// What is replaced in every image, and by what.
const REPLACED: [(&str, &str); 2] = [
    (
        "etc/hosts",
        "127.0.0.1       localhost\n\
         ::1     localhost ip6-localhost ip6-loopback\n\
         fe00::0 ip6-localnet\n\
         ff00::0 ip6-mcastprefix\n\
         ff02::1 ip6-allnodes\n\
         ff02::2 ip6-allrouters\n",
    ),
    (RESOLV, "\n# no resolv.conf configured\n"),
];

/// What every image gets after its own files.
struct Added {
    path: &'static str,
    kind: Kind,
    mode: u32,
    link: &'static str,
}

/// Always written, `etc/mtab` excepted, and so with the last word on mode and owner.
const ADDED: [Added; 9] = [
    directory("dev"),
    directory("dev/pts"),
    directory("dev/shm"),
    directory("etc"),
    Added { path: "etc/hosts", kind: Kind::File, mode: 0o644, link: "" },
    Added { path: MTAB, kind: Kind::Symlink, mode: 0o755, link: "/proc/mounts" },
    Added { path: RESOLV, kind: Kind::File, mode: 0o644, link: "" },
    directory("proc"),
    directory("sys"),
];

const fn directory(path: &'static str) -> Added {
    Added { path, kind: Kind::Directory, mode: 0o755, link: "" }
}
