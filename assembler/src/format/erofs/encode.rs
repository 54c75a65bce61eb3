//! Inodes, attributes and directories to bytes.

use std::mem::size_of;

use zerocopy::IntoBytes;

use super::ErofsError;
use super::layout::{
    BLOCK, CompactInode, DataLayout, Dirent, ExtendedInode, PREFIXES, XATTR_ALIGN, XattrEntry, XattrHeader, device,
    file_type,
};
use super::place::Inode;
use crate::format::tree::{Children, Content, Node, Tree, shown};

/// Append an inode without its attributes.
pub(super) fn push_inode(node: &Node, inode: &Inode, out: &mut Vec<u8>) {
    let layout = if inode.inline { DataLayout::Inline } else { DataLayout::Plain };
    let format = layout.format(inode.extended).into();
    // Checked when places were given: xattrs, devices and, for compact inodes, all that is narrow there.
    let xattr_count = match inode.xattrs {
        0 => 0,
        size => 1 + narrow::<u16>((size - size_of::<XattrHeader>() as u64) / XATTR_ALIGN as u64),
    };
    let block = match node.content {
        Content::Device(major, minor) => device(major, minor).unwrap_or_default(),
        _ => inode.block,
    };
    let attributes = &node.attributes;
    let mode = narrow::<u16>(u64::from(attributes.mode)).into();
    if inode.extended {
        let inode = ExtendedInode {
            format,
            xattr_count: xattr_count.into(),
            mode,
            reserved: 0.into(),
            size: inode.size.into(),
            block: block.into(),
            ino: inode.ino.into(),
            uid: attributes.uid.into(),
            gid: attributes.gid.into(),
            mtime: attributes.mtime.cast_unsigned().into(),
            nanoseconds: attributes.nanoseconds.into(),
            nlink: inode.nlink.into(),
            reserved2: [0; 16],
        };
        out.extend_from_slice(inode.as_bytes());
    } else {
        let inode = CompactInode {
            format,
            xattr_count: xattr_count.into(),
            mode,
            nlink: narrow::<u16>(u64::from(inode.nlink)).into(),
            size: narrow::<u32>(inode.size).into(),
            reserved: 0.into(),
            block: block.into(),
            ino: inode.ino.into(),
            uid: narrow::<u16>(u64::from(attributes.uid)).into(),
            gid: narrow::<u16>(u64::from(attributes.gid)).into(),
            reserved2: 0.into(),
        };
        out.extend_from_slice(inode.as_bytes());
    }
}

/// Tell whether 32 bytes are too few for an inode.
pub(super) fn is_extended(node: &Node, inode: &Inode, time: u64) -> bool {
    let attributes = &node.attributes;
    let narrow = [attributes.uid, attributes.gid, inode.nlink].iter().all(|value| u16::try_from(*value).is_ok());
    let same = u64::try_from(attributes.mtime) == Ok(time) && attributes.nanoseconds == 0;
    !(narrow && same && u32::try_from(inode.size).is_ok())
}

/// Narrow a number that is known to fit.
pub(super) fn narrow<T: TryFrom<u64> + Default>(value: u64) -> T {
    T::try_from(value).unwrap_or_default()
}

/// Give the bytes of a directory: blocks, each with its entries and then their names, all sorted; the last one is cut off behind them.
pub(super) fn directory(tree: &Tree, children: &Children, index: usize, nid: impl Fn(usize) -> u64) -> Vec<u8> {
    let mut names: Vec<(&[u8], usize)> = vec![(b".", index), (b"..", children.parent(index))];
    names.extend(children.of(index).iter().map(|child| (tree.nodes()[*child].name(), tree.data(*child))));
    // The kernel searches by halves: `!` and `-` come before `.`.
    names.sort_unstable();
    let mut bytes = Vec::new();
    let mut left = names.as_slice();
    while !left.is_empty() {
        let mut used = 0;
        let count = left.iter().take_while(|(name, _)| {
            used += size_of::<Dirent>() + name.len();
            used as u64 <= BLOCK
        });
        // A name has at most 255 bytes, so that several fit.
        let (block, rest) = left.split_at(count.count().max(1));
        bytes.resize(bytes.len().next_multiple_of(narrow(BLOCK)), 0);
        let mut name_offset = block.len() * size_of::<Dirent>();
        for (name, node) in block {
            let dirent = Dirent {
                nid: nid(*node).into(),
                name_offset: narrow::<u16>(name_offset as u64).into(),
                file_type: file_type(tree.nodes()[*node].attributes.mode),
                reserved: 0,
            };
            bytes.extend_from_slice(dirent.as_bytes());
            name_offset += name.len();
        }
        for (name, _) in block {
            bytes.extend_from_slice(name);
        }
        left = rest;
    }
    bytes
}

/// Give the bytes of a file's attributes, and check what else has too little room in an image.
pub(super) fn xattrs(node: &Node) -> Result<Vec<u8>, ErofsError> {
    let refuse = |name: &[u8], what| ErofsError::Xattr { path: shown(&node.path), name: shown(name), what };
    if let Content::Device(major, minor) = node.content
        && device(major, minor).is_none()
    {
        return Err(refuse(b"rdev", "numbers of a device end at 4095 and 1048575"));
    }
    let mut bytes = Vec::new();
    if node.attributes.xattrs.is_empty() {
        return Ok(bytes);
    }
    bytes.extend_from_slice(XattrHeader::default().as_bytes());
    for (name, value) in &node.attributes.xattrs {
        let found = PREFIXES.iter().find_map(|(prefix, start)| {
            let rest = name.strip_prefix(*start)?;
            // Those of access lists are whole names; others need something behind the dot.
            (rest.is_empty() != start.ends_with(b".")).then_some((*prefix, rest))
        });
        let Some((prefix, rest)) = found else {
            return Err(refuse(name, "EROFS has no number for the start of this name"));
        };
        let name_len = u8::try_from(rest.len()).map_err(|_| refuse(name, "its name is longer than 255 bytes"))?;
        let value_len = u16::try_from(value.len()).map_err(|_| refuse(name, "its value is longer than 65535 bytes"))?;
        bytes.extend_from_slice(XattrEntry { name_len, prefix, value_len: value_len.into() }.as_bytes());
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(XATTR_ALIGN), 0);
        if bytes.len() / XATTR_ALIGN > usize::from(u16::MAX) {
            return Err(refuse(name, "attributes of one file end at 256 KiB"));
        }
    }
    Ok(bytes)
}
