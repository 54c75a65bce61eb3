//! The root that is not in the initial RAM file system. In: the contract's [`Root`] and the kernel command line. Out: every image of
//! it mounted where the contract says, and the modules that it brings loaded.
//!
//! ```text
//!  /dev/vda   | ... | partition 3: outer EROFS | ...        found by its superblock, never mounted
//!                      | head | image | image |
//!                                |       `---- loop device: start of the outer one + offset, length -> mounted read-only
//!                                `------------ another
//! ```
//!
//! All that is read of a disk before the kernel mounts it may be hostile: reads are bounded, numbers checked, nothing panics.

pub mod erofs;
pub mod probe;
mod search;
pub mod wanted;
pub mod web;

use std::io;
use std::path::Path;
use std::rc::Rc;

use rustix::mount::MountFlags;

use crate::boot::BootError;
use crate::contract::{Root, RootImage};
use crate::early::drivers;
use crate::host::Host;
use crate::sys::{Access, MountCall, Sys};
use wanted::Wanted;

/// Where a root is: in a block device or in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The block device or file, an absolute path.
    pub path: String,
    /// The partition's position in the table of the device, from 1; the root is that of the device if absent.
    pub partition: Option<usize>,
    /// Where it starts, in bytes from the start of `path`.
    pub offset: u64,
    /// Bytes that are there for it.
    pub room: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.partition {
            Some(number) => write!(f, "{} (partition {number})", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// Why there is no root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// Nothing that was seen is what was looked for.
    #[error("no disk holds the root, {wanted} (looked for {seconds} s)")]
    Missing {
        /// How it is named.
        wanted: String,
        /// How long it was looked for.
        seconds: u64,
        /// Every block device: its size and what is on it, lines for people.
        seen: Vec<String>,
    },
    /// The root of another build: its images are at other places.
    #[error("{place} holds the root of another build: its UUID is {found}, and this host's is {uuid}")]
    Other {
        /// Where it is.
        place: Place,
        /// What is there.
        found: String,
        /// What the contract names.
        uuid: String,
    },
    /// A copy that was cut off.
    #[error("the root on {place} is cut off: it has {size} bytes, and there are {}", place.room)]
    Short {
        /// Where it is.
        place: Place,
        /// Its length, in bytes.
        size: u64,
    },
    /// Nobody says which bytes are to be believed.
    #[error("the root at {url} has no digest")]
    NoDigest {
        /// Where it is.
        url: String,
    },
    /// No room for a root that is fetched.
    #[error("could not make room for the root: {} MiB", size.div_ceil(1 << 20))]
    Room {
        /// Its length, in bytes.
        size: u64,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// The child that fetches the root failed.
    #[error("could not fetch the root from {url}: {why}")]
    Fetch {
        /// Where it is.
        url: String,
        /// What it said last.
        why: String,
        /// What it said before that, its last lines.
        said: Vec<String>,
        /// Something else lies there.
        other: bool,
    },
    /// The contract contradicts itself.
    #[error("`{target}` does not lie in the root: {size} bytes at {offset}")]
    Outside {
        /// Where it was to be mounted.
        target: String,
        /// Its place in the root, in bytes.
        offset: u64,
        /// Its length, in bytes.
        size: u64,
    },
    /// No loop device.
    #[error("could not make the part of {place} that is `{target}` a block device")]
    Attach {
        /// Where the root is.
        place: Place,
        /// Where it was to be mounted.
        target: String,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// The kernel refused the file system, or the place for it.
    #[error("could not mount `{target}` from {place}")]
    Mount {
        /// Where the root is.
        place: Place,
        /// Where it was to be mounted.
        target: String,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
}

impl RootError {
    /// What a person can try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "attach the disk, or add its driver to the image (`modules.include`); `hullkit.root=UUID=…|LABEL=…|/dev/…` on the \
                 kernel command line names another, `hullkit.root_timeout=SECONDS` waits longer"
            }
            Self::Other { .. } => {
                "let kernel, initrd and root come from one build; `hullkit.root=` on the kernel command line names another root"
            }
            Self::NoDigest { .. } => {
                "say `hullkit.root_sha256=` on the kernel command line: the build's `NAME.ipxe` has both words"
            }
            Self::Room { .. } => "use a kernel with `tmpfs` built in",
            Self::Fetch { other: true, .. } => {
                "let all files of the server come from one build: script, kernel, initrd and root; the script names the root's digest"
            }
            Self::Fetch { .. } => {
                "see that the server has the file and that this host reaches it; `hullkit.root=` on the kernel command line names \
                 another address, `hullkit.root_timeout=SECONDS` goes on longer without an answer"
            }
            Self::Short { .. } => "write the image to the disk again, all of it, or give the disk its full size",
            Self::Outside { .. } => "build the image again, with the `hullkit` this init came with",
            Self::Attach { .. } => {
                "add the module `loop` to the image (`modules.include`), or use a kernel that has it built in"
            }
            Self::Mount { cause, .. } if cause.raw_os_error() == Some(libc::ENODEV) => {
                "add the module `erofs` to the image (`modules.include`), or use a kernel that has it built in"
            }
            Self::Mount { .. } => {
                "see what the kernel says of erofs above; if the disk is damaged, write the image to it again"
            }
        }
    }

    /// Lines that help to see what is wrong, under a title.
    #[must_use]
    pub fn details(&self) -> Option<(&'static str, &[String])> {
        match self {
            Self::Missing { seen, .. } => Some(("block devices", seen)),
            Self::Fetch { said, .. } => Some(("what `hullkit-fetch` said before", said)),
            _ => None,
        }
    }
}

/// Find the root and mount what is in it; then load the modules that only it has. A host whose images are in the initial RAM
/// file system has none.
///
/// # Errors
///
/// [`BootError::Root`].
pub fn enter<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    let named = host.options.root.clone();
    let Some(root) = &contract.root else {
        if let Some(wanted) = named {
            host.say(&format!("`hullkit.root={wanted}` means nothing here: this host's images are in its initrd"));
        }
        return Ok(());
    };
    match named.unwrap_or_else(|| Wanted::Uuid(root.uuid.clone())) {
        // Its stage comes when there is a network.
        Wanted::Web(_) => Ok(()),
        wanted => Ok(take(host, root, &wanted)?),
    }
}

/// Wait for the root to be there, mount what is in it and load the modules that it brings.
fn take<S: Sys>(host: &mut Host<S>, root: &Root, wanted: &Wanted) -> Result<(), RootError> {
    let Some(place) = search::find(host, root, wanted)? else { return Ok(()) };
    host.disk = place.path.starts_with("/dev/").then(|| place.path.clone());
    mount(host, root, &place)?;
    drivers::load_more(host);
    Ok(())
}

/// Mount every image of a root, wherever it is.
///
/// # Errors
///
/// [`RootError::Outside`], [`RootError::Attach`], [`RootError::Mount`].
pub fn mount<S: Sys>(host: &mut Host<S>, root: &Root, place: &Place) -> Result<(), RootError> {
    for image in &root.images {
        mount_image(host, root, image, place)?;
    }
    host.say(&format!("root: {} images on {place}", root.images.len()));
    Ok(())
}

fn mount_image<S: Sys>(host: &mut Host<S>, root: &Root, image: &RootImage, place: &Place) -> Result<(), RootError> {
    let &RootImage { ref target, offset, size } = image;
    let outside = || RootError::Outside { target: target.clone(), offset, size };
    let inside = offset.checked_add(size).is_some_and(|end| end <= root.size);
    let start = place.offset.checked_add(offset).filter(|_| inside).ok_or_else(outside)?;
    let failed = |cause| RootError::Mount { place: place.clone(), target: target.clone(), cause };
    let folders: Vec<&Path> = Path::new(target).ancestors().collect();
    for folder in folders.into_iter().rev().skip(1) {
        host.sys.mkdir(&folder.display().to_string(), 0o755).map_err(failed)?;
    }
    let attach = |cause| RootError::Attach { place: place.clone(), target: target.clone(), cause };
    // Its last user is the mount, with which it goes.
    let device = host.sys.attach(&place.path, start, size, Access::Read).map_err(attach)?;
    let (source, flags) = (device.path(), MountFlags::RDONLY);
    host.sys.mount(&MountCall { source, target, kind: "erofs", flags, data: "" }).map_err(failed)
}
