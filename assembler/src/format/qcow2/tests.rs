use std::fs;
use std::io::{Cursor, Read as _};

use proptest::prelude::*;

use super::dump::dump;
use super::layout::{CLUSTER, Entry, LARGEST};
use super::read::Image;
use super::{Compression, Qcow2Error, compressed, plain};
use crate::digest::Digest;
use crate::format::blocks::fixture::{disks, noise, same};
use crate::format::sparse::Sparse;

const BOTH: [Compression; 2] = [Compression::Zlib, Compression::Zstd];

fn packed(disk: &Sparse, compression: Compression, jobs: usize) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    compressed(disk, compression, jobs, &mut out).unwrap();
    out.into_inner()
}

fn bytes(file: &Sparse) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.reader().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Text across clusters, noise, zeros that are there, and the end of a second L2 table.
fn disk() -> Sparse {
    let mut disk = Sparse::new((600 << 20) + 512);
    disk.put_bytes(100_000, b"some text ".repeat(10_000)).unwrap();
    disk.put_bytes(10 * CLUSTER, noise(70_000)).unwrap();
    disk.put_bytes(20 * CLUSTER, vec![0; 65536]).unwrap();
    disk.put_bytes(600 << 20, *b"the end").unwrap();
    disk
}

#[test]
fn qcow2_one_of_everything() {
    let disk = disk();
    let plain = plain(&disk).unwrap();
    let zlib = packed(&disk, Compression::Zlib, 2);
    let zstd = packed(&disk, Compression::Zstd, 2);
    let found = [dump(&plain), dump(&Sparse::of_bytes(zlib.clone())), dump(&Sparse::of_bytes(zstd.clone()))];
    let found = found.map(Result::unwrap).join("\n");
    if std::env::var_os("BLESS").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/format/qcow2/golden.txt"), &found).unwrap();
        return;
    }
    assert_eq!(found, include_str!("golden.txt"));
    assert_eq!(
        [&bytes(&plain), &zlib, &zstd].map(|file| Digest::of(file).short()),
        ["7356b7852a24", "1ad3e36c23f3", "7d05c6b4356e"]
    );
}

#[test]
fn a_plain_file_is_made_of_the_disks_own_extents() {
    let disk = disk();
    let file = plain(&disk).unwrap();
    // Header, L1, two L2, refcounts: what else is there is the disk's, and its holes are holes.
    let tables = file.slice(0, 6 * CLUSTER);
    assert_eq!(file.allocated() - tables.allocated(), disk.allocated());
    assert_eq!(file.size() % CLUSTER, 0);
}

#[test]
fn what_does_not_shrink_stands_as_it_is() {
    let mut disk = Sparse::new(64 * CLUSTER);
    disk.put_bytes(0, b"text".repeat(100_000)).unwrap();
    disk.put_bytes(8 * CLUSTER, noise(40 * 65536)).unwrap();
    for compression in BOTH {
        let file = Sparse::of_bytes(packed(&disk, compression, 3));
        let clusters = Image::open(&file).unwrap().clusters().unwrap();
        let plain = clusters.iter().filter(|(_, entry)| matches!(entry, Entry::Plain { .. })).count();
        assert_eq!((plain, clusters.len()), (40, 47));
        // Header, one of packed ones, 40, and the tables.
        assert_eq!(file.size(), (1 + 1 + 40 + 4) * CLUSTER, "{compression:?}");
    }
}

#[test]
fn disks_that_cannot_be_said_are_refused() {
    for (size, wanted) in [(513, "no multiple of 512"), (LARGEST + 512, "it ends at 2251799813685248")] {
        let error = plain(&Sparse::new(size)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        let error = compressed(&Sparse::new(size), Compression::Zlib, 1, &mut Cursor::new(Vec::new())).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
    plain(&Sparse::new(LARGEST)).unwrap();
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    fs::write(&path, noise(100_000)).unwrap();
    let mut disk = Sparse::new(1 << 20);
    disk.put(0, &Sparse::of_file(fs::File::open(&path).unwrap()).unwrap()).unwrap();
    fs::write(&path, "short").unwrap();
    let error = compressed(&disk, Compression::Zlib, 2, &mut Cursor::new(Vec::new())).unwrap_err();
    assert!(matches!(error, Qcow2Error::Io(_)), "{error}");
}

fn read_all(file: &Sparse) -> Result<Vec<(u64, Vec<u8>)>, Qcow2Error> {
    let image = Image::open(file)?;
    image.clusters()?.into_iter().map(|(number, entry)| Ok((number, image.read(entry)?))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read(disk in disks()) {
        prop_assert!(same(&disk, 65536, &read_all(&plain(&disk).unwrap()).unwrap()));
        for compression in BOTH {
            let file = packed(&disk, compression, 1);
            prop_assert!(file == packed(&disk, compression, 3));
            prop_assert!(same(&disk, 65536, &read_all(&Sparse::of_bytes(file)).unwrap()));
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(changes in proptest::collection::vec((0..400_usize, any::<u8>(), 0..4_usize), 1..20)) {
        let mut disk = Sparse::new(3 * CLUSTER);
        disk.put_bytes(0, b"text".repeat(20_000)).unwrap();
        let mut file = packed(&disk, Compression::Zlib, 1);
        for (at, byte, part) in changes {
            // In the header, the data, L1 and L2.
            file[at + part * 65536] = byte;
        }
        let file = Sparse::of_bytes(file);
        let _ = (dump(&file), read_all(&file));
    }
}
