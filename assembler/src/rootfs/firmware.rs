//! The files of a board's firmware, taken out of an image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write as _};

use super::tree::{Content, Inode};
use super::{RootfsError, image, path};
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::format::tar::read::Limits;
use crate::plan::Image;
use crate::store::Store;

/// Folders that distributions keep such files in; what lies elsewhere in the image is not the board's.
const FOLDERS: [&str; 4] = ["boot/firmware/", "usr/lib/raspi-firmware/", "usr/share/rpi-firmware/", "firmware/"];

/// Take all regular files out of an image, by their paths in the first folder of [`FOLDERS`] that the image has, or else in its root.
///
/// # Errors
///
/// - [`RootfsError::Plan`]: there is no such image.
/// - [`RootfsError`]: its layers cannot be read.
pub fn files(
    firmware: Option<&Digest>,
    images: &BTreeMap<Digest, Image>,
    store: &Store,
    limits: Limits,
) -> Result<BTreeMap<String, Sparse>, RootfsError> {
    let image = firmware.and_then(|digest| images.get(digest)).ok_or(RootfsError::NoFirmware)?;
    let tree = image::tree(store, image, limits)?;
    let named = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let is_file = |inode: &Inode| matches!(inode.content, Content::Data { .. });
    let all: Vec<(String, Inode)> = tree
        .iter()
        .filter(|(_, _, inode)| is_file(inode))
        .map(|(path, _, inode)| (named(&path::join(b"", path)), inode.clone()))
        .collect();
    let folder = FOLDERS.iter().find(|folder| all.iter().any(|(path, _)| path.starts_with(**folder))).unwrap_or(&"");
    let mut wanted: Vec<(u16, u64, u64, String)> = Vec::new();
    for (path, inode) in &all {
        if let (Some(path), Content::Data { offset, size }) = (path.strip_prefix(folder), &inode.content) {
            wanted.push((inode.layer, *offset, *size, path.to_owned()));
        }
    }
    // In the order in which the layers give them.
    wanted.sort();
    let mut spool = store.temporary()?;
    let place = spool.path().to_owned();
    let unwritten = |cause: io::Error| RootfsError::Cache { action: "write", path: place.clone(), cause };
    let mut stream: Option<(u16, u64, Box<dyn Read + Send>)> = None;
    let (mut at, mut places) = (0_u64, Vec::new());
    for (layer, offset, size, path) in wanted {
        let (mut position, mut reader) = match stream.take() {
            Some((open, position, reader)) if open == layer && position <= offset => (position, reader),
            _ => (0, image::open(store, image, layer)?),
        };
        let reread = |cause: io::Error| RootfsError::Reread(cause.into());
        io::copy(&mut (&mut reader).take(offset - position), &mut io::sink()).map_err(reread)?;
        let copied = io::copy(&mut (&mut reader).take(size), &mut spool).map_err(reread)?;
        position = offset + copied;
        stream = Some((layer, position, reader));
        places.push((path, at, copied));
        at += copied;
    }
    spool.flush().map_err(unwritten)?;
    // Open before its name goes with the temporary file.
    let file = File::open(spool.path()).and_then(Sparse::of_file).map_err(unwritten)?;
    Ok(places.into_iter().map(|(path, at, size)| (path, file.slice(at, size))).collect())
}
