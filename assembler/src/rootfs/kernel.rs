//! What is taken of the kernel's image: the kernel itself, microcode, and the modules.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;

use hullkit_init::contract::{self, ModuleIndex};

use super::modules::boot::Way;
use super::modules::{self, Builder, select};
use super::segment::{self, Key, Packer, Segment, relative, segment};
use super::tree::{Content, Inode, Tree};
use super::{RootfsError, erofs, image, pack, path, planned};
use crate::format::cpio::write::Attributes;
use crate::format::tar::read::{Limits, Reader};
use crate::format::tar::{Kind, Member, TarError};
use crate::plan::{Image, Kernel, Plan};
use crate::store::Store;

/// Where the modules are, in every root.
pub(crate) const FOLDER: &str = "/lib/modules";

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
    let source = Source { image: planned(plan, &kernel.image)?, file, store, limits };
    segment(store, "modules", &Key::new("modules", source.inputs(kernel)), |packer| {
        let Unpacked { place, mut tree, index } = source.unpack()?;
        let index = source.keep(&mut tree, index, kernel)?;
        append(packer, &tree, &index, &place)
    })
    .map(Some)
}

/// Find or pack the kernel's modules in two pieces, if it has any: an archive of those that a root is reached with in this way, and
/// a file system of all that the plan wants, whose root is the folder of modules.
pub(crate) fn boot_modules(
    plan: &Plan,
    kernel: &Kernel,
    way: Way,
    store: &Store,
    limits: Limits,
) -> Result<Option<(Segment, Segment)>, RootfsError> {
    let Some(file) = &kernel.tar else { return Ok(None) };
    let source = Source { image: planned(plan, &kernel.image)?, file, store, limits };
    let once = OnceCell::new();
    let [image, tar, _] = source.inputs(kernel);
    let boot_key = Key::new("boot modules", [image, tar, ("choice", way.choice().to_string())]);
    let boot = segment(store, "boot modules", &boot_key, |packer| {
        let Unpacked { place, tree, index } = source.unpacked(&once)?;
        let index = modules::boot::boot(index, way).map_err(|cause| source.unusable(cause.into()))?;
        let mut tree = tree.clone();
        keep_boot(&mut tree, &index);
        append(packer, &tree, &index, place)
    })?;
    let all_key = Key::erofs("modules", source.inputs(kernel));
    let all = segment::erofs(store, "modules", &all_key, |file, uuid| {
        let Unpacked { place, tree, index } = source.unpacked(&once)?;
        let mut tree = tree.clone();
        let mut index = source.keep(&mut tree, index.clone(), kernel)?;
        let merged = index.modules.first().is_some_and(|module| module.path.starts_with("/usr/"));
        let folder = if merged { "usr/lib/modules" } else { relative(FOLDER) };
        let mut tree = tree.take(folder.as_bytes()).unwrap_or_default();
        for module in &mut index.modules {
            if let Some(path) = module.path.strip_prefix("/usr") {
                module.path = path.to_owned();
            }
        }
        let json = serde_json::to_vec(&index).unwrap_or_default();
        if !index.release.is_empty() {
            let name = contract::ROOT_MODULES_PATH.strip_prefix(FOLDER).map(relative).unwrap_or_default();
            tree.put(name.as_bytes(), Inode::file(1, json.len() as u64));
        }
        let open: &pack::Open<'_> =
            &|layer| if layer == 0 { place.open() } else { Ok(Box::new(Cursor::new(json.clone()))) };
        erofs::write(("modules", "modules", uuid), &tree, file, open)
    })?;
    Ok(Some((boot, all)))
}

/// Write the list of modules where init looks for it, if there are any, and then the tree.
fn append<W: Write>(
    packer: &mut Packer<W>,
    tree: &Tree,
    index: &ModuleIndex,
    place: &Place<'_>,
) -> Result<(), RootfsError> {
    if !index.release.is_empty() {
        let path = relative(contract::MODULES_PATH).as_bytes();
        packer.append(path::split(path).0, Attributes::directory(0), &[])?;
        // Strings and numbers only: there is nothing in it that JSON cannot say.
        packer.append(path, Attributes::file(0), &serde_json::to_vec(index).unwrap_or_default())?;
    }
    pack::tree(packer, tree, b"", &|_| place.open())
}

/// The tar of modules of a kernel's image.
struct Source<'a> {
    image: &'a Image,
    file: &'a str,
    store: &'a Store,
    limits: Limits,
}

/// What is in it.
struct Unpacked<'a> {
    place: Place<'a>,
    tree: Tree,
    index: ModuleIndex,
}

impl<'a> Source<'a> {
    /// List what a choice of its modules is made of.
    fn inputs(&self, kernel: &Kernel) -> [(&'static str, String); 3] {
        let chosen = |modules: &Vec<String>| [modules.as_slice(), kernel.spare_modules.as_slice()].concat().join(" ");
        let selection = kernel.modules.as_ref().map_or_else(|| "all".to_owned(), chosen);
        [("image", kernel.image.to_string()), ("tar", self.file.to_owned()), ("modules", selection)]
    }

    /// Read the tar as if it were a layer of its own, and index the modules in it.
    fn unpack(&self) -> Result<Unpacked<'a>, RootfsError> {
        let place = find(self.store, self.image, &image::tree(self.store, self.image, self.limits)?, self.file)?;
        let (tree, index) = unpack(&place, self.limits).map_err(|cause| self.unusable(cause))?;
        Ok(Unpacked { place, tree, index })
    }

    /// As [`Source::unpack`], but once.
    fn unpacked<'u>(&self, once: &'u OnceCell<Unpacked<'a>>) -> Result<&'u Unpacked<'a>, RootfsError> {
        match once.get() {
            Some(unpacked) => Ok(unpacked),
            None => {
                let unpacked = self.unpack()?;
                Ok(once.get_or_init(|| unpacked))
            }
        }
    }

    /// Drop the modules nobody asked for.
    fn keep(&self, tree: &mut Tree, index: ModuleIndex, kernel: &Kernel) -> Result<ModuleIndex, RootfsError> {
        match &kernel.modules {
            Some(include) => {
                let spare = kernel.spare_modules.iter().filter(|name| modules::has(&index, name));
                let include: Vec<String> = include.iter().chain(spare).cloned().collect();
                keep(tree, &index, &include).map_err(|cause| self.unusable(cause))
            }
            None => Ok(index),
        }
    }

    fn unusable(&self, cause: Cause) -> RootfsError {
        RootfsError::Modules { image: self.image.reference.clone(), file: self.file.to_owned(), cause }
    }
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

/// Drop all that lies in the folder of modules but these and the folders they are in; whatever else the tar has stays.
fn keep_boot(tree: &mut Tree, kept: &ModuleIndex) {
    let kept: BTreeSet<&[u8]> = kept.modules.iter().map(|module| relative(&module.path).as_bytes()).collect();
    let is_parent = |path: &[u8]| {
        let below = [path, b"/"].concat();
        kept.range(below.as_slice()..).next().is_some_and(|next| next.starts_with(&below))
    };
    let is_dropped = |path: &[u8]| {
        let inside = path.strip_prefix(b"usr/").unwrap_or(path).starts_with(b"lib/modules/");
        inside && !kept.contains(path) && !is_parent(path)
    };
    let dropped: Vec<Vec<u8>> =
        tree.iter().map(|(path, ..)| path).filter(|path| is_dropped(path)).map(Vec::from).collect();
    dropped.iter().for_each(|path| tree.remove(path));
}
