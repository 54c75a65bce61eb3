//! What is taken of the kernel's image: the kernel itself, microcode, and the modules.

use std::io::{self, Read};
use std::path::PathBuf;

use super::segment::{Key, Segment, segment};
use super::tree::{Content, Tree};
use super::{RootfsError, image, pack, planned};
use crate::format::tar::read::{Limits, Reader};
use crate::format::tar::{Member, TarError};
use crate::plan::{Image, Kernel, Plan};
use crate::store::Store;

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
        let tree = unpack(&place, file, limits)?;
        pack::tree(packer, &tree, b"", &|_| place.open())
    })
    .map(Some)
}

/// Read the tar of modules as if it were a layer of its own.
fn unpack(place: &Place<'_>, file: &str, limits: Limits) -> Result<Tree, RootfsError> {
    let unreadable = |cause: Box<dyn std::error::Error + Send + Sync>| RootfsError::Modules {
        image: place.image.reference.clone(),
        file: file.to_owned(),
        cause,
    };
    let mut reader = Reader::new(place.open()?, limits);
    let mut members: Vec<Member> = Vec::new();
    while let Some(member) = reader.next_member().map_err(|cause| unreadable(Box::new(cause)))? {
        members.push(member);
    }
    let mut tree = Tree::default();
    tree.apply(0, || Ok(members.iter().cloned().map(Ok)), |cause| unreadable(Box::new(cause)))?;
    Ok(tree)
}
