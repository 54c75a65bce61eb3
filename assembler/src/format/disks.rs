//! Disks to try formats with, and what foreign tools make of them. A tool that is missing is a failure.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::sparse::Sparse;
use crate::digest::Digest;

/// An identity for whatever wants one.
pub(super) const ID: [u8; 16] = *b"0123456789abcdef";
/// 2023-11-14.
pub(super) const TIME: u32 = 1_700_000_000;

/// Make bytes that no compressor likes.
pub(super) fn noise(len: usize, mut seed: u32) -> Vec<u8> {
    std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(len)
    .collect()
}

/// Put bytes at places.
fn disk(size: u64, parts: &[(u64, usize)]) -> Sparse {
    let mut disk = Sparse::new(size);
    for ((at, len), seed) in parts.iter().zip(1..) {
        disk.put_bytes(*at, noise(*len, seed)).unwrap();
    }
    disk
}

/// Disks of odd sizes, with what is there aligned to nothing.
pub(super) fn odd() -> Vec<(&'static str, Sparse)> {
    const MIB: u64 = 1 << 20;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&noise(3_000_000, 99)).unwrap();
    let mut of_file = disk(40 * MIB + 1024, &[(0, 512)]);
    of_file.put(5 * MIB - 7, &Sparse::of_file(file).unwrap().slice(1, 2_999_990)).unwrap();
    let far: &[(u64, usize)] =
        &[(0, 512), (2 * MIB - 3, 7), (17 * MIB, 2_500_000), (4096 * MIB - 100, 200), (5120 * MIB - 16_896, 16_896)];
    vec![
        ("a sector", disk(512, &[(0, 512)])),
        ("no sector", disk(513, &[(100, 413)])),
        ("a hole", disk(3 * MIB, &[])),
        ("a MiB and a sector", small()),
        ("a file in it", of_file),
        ("far apart", disk(5120 * MIB, far)),
    ]
}

/// A disk of two blocks of 1 MiB, quickly made.
pub(super) fn small() -> Sparse {
    disk((1 << 20) + 512, &[((1 << 20) - 5, 517)])
}

/// Small disks with a few bytes.
pub(super) fn any() -> impl Strategy<Value = Sparse> {
    let parts = prop::collection::vec((0..6_u64 << 20, 1..3000_usize), 0..6);
    (0..12_000_000_u64, parts).prop_map(|(tail, parts)| {
        let mut disk = Sparse::new((6 << 20) + 3000 + tail);
        for ((at, len), seed) in parts.into_iter().zip(7..) {
            // What would stand over another is left out.
            let _ = disk.put_bytes(at, noise(len, seed));
        }
        disk
    })
}

/// Hold two disks against each other; one may have zeros behind the other's end.
#[track_caller]
pub(super) fn same(one: &Sparse, other: &Sparse) {
    for extent in one.extents().chain(other.extents()) {
        for start in (extent.offset..extent.end()).step_by(1 << 20) {
            let len = usize::try_from((extent.end() - start).min(1 << 20)).unwrap();
            let (mut left, mut right) = (vec![0; len], vec![1; len]);
            one.read_at(start, &mut left).unwrap();
            other.read_at(start, &mut right).unwrap();
            assert!(left == right, "bytes from {start} on differ");
        }
    }
}

/// Change some bytes of a file, and cut it.
pub(super) fn damaged(file: &Sparse, changes: &[(usize, u8)], cut: usize) -> Sparse {
    // Headers and tables of the small disks all lie within.
    let len = usize::try_from(file.size().min(4 << 20)).unwrap();
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes).unwrap();
    for (at, byte) in changes {
        bytes[at % len] = *byte;
    }
    bytes.truncate(len - cut % len);
    Sparse::of_bytes(bytes)
}

/// Write a file with holes.
pub(super) fn save(disk: &Sparse, path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(disk.size()).unwrap();
    for extent in disk.extents() {
        let mut bytes = vec![0; usize::try_from(extent.len).unwrap()];
        disk.read_at(extent.offset, &mut bytes).unwrap();
        file.write_all_at(&bytes, extent.offset).unwrap();
    }
}

/// Run a judge, which must be there and be content.
#[track_caller]
pub(super) fn judge(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Let QEMU say that a file is a disk of this length with these bytes.
#[track_caller]
pub(super) fn qemu_agrees(disk: &Sparse, file: &Sparse, format: &str, size: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (raw, image) = (folder.path().join("raw"), folder.path().join("image"));
    save(disk, &raw);
    save(file, &image);
    let qemu = || Command::new("qemu-img");
    if format != "vpc" {
        judge(qemu().args(["check", "-f", format]).arg(&image));
    }
    // One may be longer than the other, with zeros.
    judge(qemu().args(["compare", "-f", "raw", "-F", format]).arg(&raw).arg(&image));
    let info = judge(qemu().args(["info", "--output=json", "-f", format]).arg(&image));
    assert!(info.contains(&format!("\"virtual-size\": {size},")), "{info}");
}

/// Hold what a compressor makes of the odd disks against its foreign decompressor and against another number of threads.
#[track_caller]
pub(super) fn unpacks(tool: &str, write: impl Fn(&Sparse, usize, &mut Vec<u8>) -> io::Result<()>) {
    const MIB: u64 = 1 << 20;
    let holes = disk(100 * MIB + 3, &[(0, 9), (31 * MIB - 5, 9), (33 * MIB, 100_000), (90 * MIB, 5)]);
    // Not the one of 5 GiB: tools that unpack have no use for holes.
    for (name, disk) in odd().into_iter().take(5).chain([("holes", holes), ("nothing", Sparse::new(0))]) {
        let (mut one, mut three) = (Vec::new(), Vec::new());
        write(&disk, 1, &mut one).unwrap();
        write(&disk, 3, &mut three).unwrap();
        assert!(one == three, "{name}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packed");
        std::fs::write(&path, &one).unwrap();
        judge(Command::new(tool).arg("-t").stdin(File::open(&path).unwrap()));
        let output = Command::new(tool).arg("-dc").stdin(File::open(&path).unwrap()).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let mut bytes = Vec::new();
        disk.reader().read_to_end(&mut bytes).unwrap();
        assert!(output.stdout == bytes, "{name}");
    }
}

/// Name all bytes of a small file.
pub(super) fn digest(file: &Sparse) -> String {
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    Digest::of(&bytes).short()
}

/// Hold text against a golden file, or write that if `BLESS` is set.
#[track_caller]
pub(super) fn golden(found: &str, path: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(path, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(path).unwrap());
}
