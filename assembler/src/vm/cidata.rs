//! User data as a machine finds it: a CD labelled `cidata`, as cloud-init's NoCloud has it.

use std::fs;
use std::path::Path;

use super::{Bus, DiskLayout, Drive, VmError, Writes};
use crate::digest::Digest;
use crate::format::iso9660::write::{Image, Options};
use crate::format::sparse::Sparse;
use crate::format::tree::{Attributes, Content, Entry, REGULAR, Tree};

/// Most bytes of user data: what a host takes.
const MOST: u64 = 1 << 20;

/// Write a CD with user data into a file, and describe the drive that holds it.
///
/// Equal user data give equal CDs: what the host is known by is made of it.
///
/// # Errors
///
/// - [`VmError::Read`]: the user data cannot be read.
/// - [`VmError::Metadata`]: they are too long, or the CD cannot be written.
pub fn cidata(user_data: &Path, into: &Path) -> Result<Drive, VmError> {
    let failed =
        |cause: Box<dyn std::error::Error + Send + Sync>| VmError::Metadata { path: user_data.to_owned(), cause };
    let data = fs::read(user_data).map_err(|cause| VmError::Read { path: user_data.to_owned(), cause })?;
    if data.len() as u64 > MOST {
        return Err(failed(format!("it has {} bytes, and a host takes {MOST}", data.len()).into()));
    }
    let about = format!("instance-id: hullkit-{}\n", Digest::of(&data).short());
    let (mut bytes, mut entries) = (Vec::new(), Vec::new());
    for (name, content) in [("meta-data", about.as_bytes()), ("user-data", data.as_slice())] {
        let place = Content::File { offset: bytes.len() as u64, size: content.len() as u64 };
        let attributes = Attributes { mode: REGULAR | 0o444, ..Attributes::default() };
        entries.push(Entry { path: name.into(), attributes, content: place });
        bytes.extend_from_slice(content);
    }
    let tree = Tree::from_entries(entries, 0).map_err(|cause| failed(cause.into()))?;
    let image = Image::new(&tree, Options::new("cidata".to_owned(), 0)).map_err(|cause| failed(cause.into()))?;
    let image = image.sparse(&Sparse::of_bytes(bytes)).map_err(|cause| failed(cause.into()))?;
    let mut cd = fs::File::create(into).map_err(|cause| failed(cause.into()))?;
    std::io::copy(&mut image.reader(), &mut cd).map_err(|cause| failed(cause.into()))?;
    Ok(Drive { path: into.to_owned(), layout: DiskLayout::Raw, bus: Bus::Cdrom, writes: Writes::Discarded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cd_is_labelled_and_holds_both_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, into) = (folder.path().join("u"), folder.path().join("cd.iso"));
        fs::write(&from, "#hullkit\nhostname: a\n").expect("a writable folder");
        assert_eq!(cidata(&from, &into).expect("a CD").bus, Bus::Cdrom);
        let cd = fs::read(&into).expect("a CD");
        assert!(cd[0x8028..].starts_with(b"cidata  "));
        let has = |text: &[u8]| cd.windows(text.len()).any(|part| part == text);
        assert!(has(b"#hullkit\nhostname: a\n") && has(b"instance-id: hullkit-") && has(b"user-data"));
    }
}
