//! Two layers of any bytes: read, and laid over one another.
#![no_main]

use hullkit::format::tar::read::{Limits, Reader};
use hullkit::rootfs::tree::Tree;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { bytes: 1 << 20, members: 1000, path: 4096, extended: 1 << 20 };
    let mut tree = Tree::default();
    // The two layers share the input: what the first makes, the second meets.
    for (number, half) in (0_u16..).zip([bytes, bytes.split_at(bytes.len() / 1024 * 512).1]) {
        let mut reader = Reader::new(half, limits);
        let members: Vec<_> = std::iter::from_fn(|| reader.next_member().ok().flatten()).collect();
        let applied = tree.apply(number, || Ok(members.iter().cloned().map(Ok)), |refused| refused);
        if applied.is_err() {
            return;
        }
    }
    for (path, _, inode) in tree.iter() {
        assert!(!path.split(|byte| *byte == b'/').any(|part| part == b".."));
        assert_eq!(tree.get(path), Some(inode));
    }
});
