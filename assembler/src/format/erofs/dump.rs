//! An image as text, for golden tests and for people.

use std::fmt::Write as _;

use super::ErofsError;
use super::layout::{DataLayout, SUPER_OFFSET};
use super::read::Reader;
use crate::format::tree::{self, Contents, shown};

/// List an image: the superblock, then one line a name: offset of the inode, slot, kind of inode and place of the data, mode, links,
/// owner, time, size or device, path, target, attributes.
///
/// # Errors
///
/// - [`ErofsError::Damaged`], [`ErofsError::Io`].
pub fn dump(image: &dyn Contents) -> Result<String, ErofsError> {
    let reader = Reader::new(image)?;
    let head = reader.super_block;
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{SUPER_OFFSET:08x} super root {} inodes {} blocks {} t{} uuid {:032x} `{}`",
        head.root,
        head.inodes,
        head.blocks,
        head.time,
        u128::from_be_bytes(head.uuid),
        shown(&head.volume).trim_end_matches('\0'),
    );
    for (path, inode) in reader.walk()? {
        let attributes = &inode.attributes;
        let layout = match inode.layout {
            DataLayout::Plain => "plain",
            DataLayout::Inline => "inline",
        };
        let _ = write!(
            text,
            "{:08x} nid {} {} {layout} at {:x} {:06o} x{} {}:{} t{}.{:09}",
            inode.offset,
            inode.nid,
            if inode.extended { "extended" } else { "compact" },
            inode.block,
            attributes.mode,
            inode.nlink,
            attributes.uid,
            attributes.gid,
            attributes.mtime,
            attributes.nanoseconds,
        );
        let _ = match attributes.mode & tree::TYPE {
            tree::CHAR | tree::BLOCK => write!(text, " rdev {}:{}", inode.device.0, inode.device.1),
            _ => write!(text, " {}", inode.size),
        };
        let _ = write!(text, " /{}", shown(&path));
        if inode.is(tree::SYMLINK) {
            let _ = write!(text, " -> {}", shown(&reader.data(&inode)?));
        }
        for (name, value) in &attributes.xattrs {
            let _ = write!(text, " [{}={}]", shown(name), value.escape_ascii());
        }
        text.push('\n');
    }
    Ok(text)
}
