//! What is taken of the kernel's image: the kernel itself, microcode, and the modules.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::PathBuf;

use hullkit_init::contract::{self, ModuleIndex};

use super::modules::{Builder, select};
use super::segment::{Key, Segment, relative, segment};
use super::tree::{Content, Tree};
use super::{RootfsError, image, pack, path, planned};
use crate::format::cpio::write::Attributes;
use crate::format::tar::read::{Limits, Reader};
use crate::format::tar::{Kind, Member, TarError};
use crate::plan::{Image, Kernel, Plan};
use crate::store::Store;

/// Why the tar of modules cannot be used: it is no tar, leaves its root, or holds modules that are none.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Files of the kernel's image, taken out and kept in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelFiles {
    /// The kernel.
    pub binary: PathBuf,
    /// An uncompressed cpio archive with microcode, if the plan wants it.
    pub ucode: Option<PathBuf>,
}

/// One file of the kernel's image: where its bytes lie.
struct Place<'a> {
    store: &'a Store,
    image: &'a Image,
    layer: u16,
    offset: u64,
    size: u64,
}

impl Place<'_> {
    /// Give the file's bytes.
    fn open(&self) -> Result<Box<dyn Read + Send>, RootfsError> {
        let mut stream = image::open(self.store, self.image, self.layer)?;
        io::copy(&mut (&mut stream).take(self.offset), &mut io::sink())
            .map_err(|cause| RootfsError::Reread(cause.into()))?;
        Ok(Box::new(stream.take(self.size)))
    }
}

fn find<'a>(store: &'a Store, image: &'a Image, tree: &Tree, file: &str) -> Result<Place<'a>, RootfsError> {
    let missing = || RootfsError::Kernel { image: image.reference.clone(), what: format!("it has no file `{file}`") };
    let inode = tree.file(file.as_bytes()).ok_or_else(missing)?;
    let Content::Data { offset, size } = inode.content else { return Err(missing()) };
    Ok(Place { store, image, layer: inode.layer, offset, size })
}

/// Find the kernel and its microcode in the store, or take them out of the image.
pub(crate) fn files(plan: &Plan, kernel: &Kernel, store: &Store, limits: Limits) -> Result<KernelFiles, RootfsError> {
    let image = planned(plan, &kernel.image)?;
    let take = |file: &str| -> Result<PathBuf, RootfsError> {
        let key = Key::new("kernel", [("image", kernel.image.to_string()), ("file", file.to_owned())]);
        let path = store.folder("kernels").join(key.digest().hex());
        if !path.is_file() {
            let place = find(store, image, &image::tree(store, image, limits)?, file)?;
            let mut out = store.temporary()?;
            let unwritten = |cause| RootfsError::Cache { action: "write", path: path.clone(), cause };
            let copied = io::copy(&mut place.open()?, &mut out).map_err(unwritten)?;
            if copied != place.size {
                return Err(RootfsError::Reread(TarError::Truncated { offset: place.offset.saturating_add(copied) }));
            }
            out.persist(&path)?;
        }
        Ok(path)
    };
    Ok(KernelFiles { binary: take(&kernel.binary)?, ucode: kernel.ucode.as_deref().map(take).transpose()? })
}

/// Find or pack the kernel's modules, if the plan wants any.
pub(crate) fn modules(
    plan: &Plan,
    kernel: &Kernel,
    store: &Store,
    limits: Limits,
) -> Result<Option<Segment>, RootfsError> {
    let Some(file) = &kernel.tar else { return Ok(None) };
    let image = planned(plan, &kernel.image)?;
    let selection = kernel.modules.as_ref().map_or_else(|| "all".to_owned(), |modules| modules.join(" "));
    let inputs = [("image", kernel.image.to_string()), ("tar", file.clone()), ("modules", selection)];
    segment(store, "modules", &Key::new("modules", inputs), |packer| {
        let place = find(store, image, &image::tree(store, image, limits)?, file)?;
        let unusable = |cause| RootfsError::Modules { image: image.reference.clone(), file: file.clone(), cause };
        let (mut tree, index) = unpack(&place, limits).map_err(unusable)?;
        let index = match &kernel.modules {
            Some(include) => keep(&mut tree, &index, include).map_err(unusable)?,
            None => index,
        };
        if !index.release.is_empty() {
            let path = relative(contract::MODULES_PATH).as_bytes();
            packer.append(path::split(path).0, Attributes::directory(0), &[])?;
            // Strings and numbers only: there is nothing in it that JSON cannot say.
            packer.append(path, Attributes::file(0), &serde_json::to_vec(&index).unwrap_or_default())?;
        }
        pack::tree(packer, &tree, b"", &|_| place.open())
    })
    .map(Some)
}

/// Read the tar of modules as if it were a layer of its own, and index the modules in it.
fn unpack(place: &Place<'_>, limits: Limits) -> Result<(Tree, ModuleIndex), Cause> {
    let mut reader = Reader::new(place.open()?, limits);
    let mut builder = Builder::new();
    let mut members: Vec<Member> = Vec::new();
    while let Some(member) = reader.next_member()? {
        if let (Kind::File, Ok(path)) = (member.kind, std::str::from_utf8(&member.path)) {
            builder.add(path, member.size, &mut reader)?;
        }
        members.push(member);
    }
    let mut tree = Tree::default();
    tree.apply(0, || Ok(members.iter().cloned().map(Ok)), Cause::from)?;
    Ok((tree, builder.finish()?))
}

/// Drop the modules nobody asked for; whatever else the tar has stays.
fn keep(tree: &mut Tree, all: &ModuleIndex, include: &[String]) -> Result<ModuleIndex, Cause> {
    let kept = select(all, include)?;
    let paths: BTreeSet<&str> = kept.modules.iter().map(|module| module.path.as_str()).collect();
    for module in &all.modules {
        if !paths.contains(module.path.as_str()) {
            tree.remove(relative(&module.path).as_bytes());
        }
    }
    Ok(kept)
}
