use std::process::Command;

use flate2::Compression;
use proptest::prelude::*;

use super::layout::{GIB, MAX, number, value};
use super::read::{self, dump};
use super::{GcpError, tar};
use crate::format::disks::{self, TIME, golden, judge, same};
use crate::format::gzip;
use crate::format::sparse::Sparse;

/// A disk with more regions than the header and one block hold, two of which touch.
fn many() -> Sparse {
    let mut disk = Sparse::new(9 * GIB + 5);
    for at in 0..60 {
        disk.put_bytes(at * 150 * (1 << 20) + at, *b"a few bytes").unwrap();
    }
    disk.put_bytes(400, *b"in the first block").unwrap();
    disk
}

#[test]
fn gnu_tar_unpacks_the_same_disk() {
    for (name, disk) in disks::odd().into_iter().chain([("many regions", many())]) {
        let folder = tempfile::tempdir().unwrap();
        let packed = folder.path().join("image.tar.gz");
        let mut file = std::fs::File::create(&packed).unwrap();
        gzip::write(&tar(&disk, TIME).unwrap(), Compression::new(6), 2, &mut file).unwrap();
        judge(Command::new("tar").arg("xzSf").arg(&packed).arg("-C").arg(folder.path()));
        let raw = Sparse::of_file(std::fs::File::open(folder.path().join("disk.raw")).unwrap()).unwrap();
        assert_eq!(raw.size(), disk.size().next_multiple_of(GIB), "{name}");
        let (wanted, mut padded) = (folder.path().join("wanted"), disk.clone());
        padded.pad(GIB);
        disks::save(&padded, &wanted);
        let mut compare = Command::new("qemu-img");
        judge(
            compare.args(["compare", "-s", "-f", "raw", "-F", "raw"]).arg(&wanted).arg(folder.path().join("disk.raw")),
        );
        let listed = judge(Command::new("tar").args(["--utc", "--full-time", "-tvf"]).arg(&packed));
        assert_eq!(listed, format!("-rw-r--r-- root/root {:>9} 2023-11-14 22:13:20 disk.raw\n", raw.size()), "{name}");
    }
}

#[test]
fn gnu_tar_writes_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let disk = many();
    let mut padded = disk.clone();
    padded.pad(GIB);
    disks::save(&padded, &folder.path().join("disk.raw"));
    let path = folder.path().join("tar");
    let mut pack = Command::new("tar");
    judge(pack.args(["--format=oldgnu", "-Scf"]).arg(&path).arg("-C").arg(folder.path()).arg("disk.raw"));
    same(&disk, &read::disk(&Sparse::of_file(std::fs::File::open(&path).unwrap()).unwrap()).unwrap());
}

#[test]
fn a_small_image() {
    golden(&dump(&tar(&many(), TIME).unwrap()).unwrap(), "src/format/gcp/golden.txt");
    assert_eq!(disks::digest(&tar(&disks::small(), TIME).unwrap()), "9fc0ccb97fbf");
}

#[test]
fn numbers_are_octal_up_to_8_gib() {
    for (found, field) in
        [(0, b"00000000000\0"), (8 * GIB - 1, b"77777777777\0"), (8 * GIB, b"\x80\0\0\0\0\0\0\x02\0\0\0\0")]
    {
        assert_eq!((number(found), value(field)), (*field, Some(found)));
    }
    assert_eq!(value(b"not a number"), None);
}

#[test]
fn an_image_ends_at_64_tib() {
    tar(&Sparse::new(MAX), TIME).unwrap();
    assert!(matches!(tar(&Sparse::new(MAX + 1), TIME), Err(GcpError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn images_read_back(disk in disks::any()) {
        same(&disk, &read::disk(&tar(&disk, TIME).unwrap()).unwrap());
    }

    #[test]
    fn gcp_reader(changes in prop::collection::vec((0..2048_usize, any::<u8>()), 0..4), cut in 0..3000_usize) {
        let archive = disks::damaged(&tar(&many(), TIME).unwrap(), &changes, cut);
        let _ = (read::disk(&archive), dump(&archive));
    }
}
