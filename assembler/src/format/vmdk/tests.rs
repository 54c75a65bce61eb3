use std::fs;
use std::io::Read as _;

use proptest::prelude::*;

use super::dump::dump;
use super::layout::{GRAIN, LARGEST};
use super::read::Image;
use super::{Identity, VmdkError, sparse, stream_optimized};
use crate::digest::Digest;
use crate::format::blocks::fixture::{disks, noise, same};
use crate::format::sparse::Sparse;

const IDENTITY: Identity<'static> = Identity { cid: 0x1234_abcd, name: "disk.vmdk" };

fn stream(disk: &Sparse, jobs: usize) -> Vec<u8> {
    let mut out = Vec::new();
    stream_optimized(disk, IDENTITY, jobs, &mut out).unwrap();
    out
}

fn bytes(file: &Sparse) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.reader().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Text across grains, noise, zeros that are there, a table of holes, and the end of a third one.
fn disk() -> Sparse {
    let mut disk = Sparse::new((70 << 20) + 512);
    disk.put_bytes(100_000, b"some text ".repeat(10_000)).unwrap();
    disk.put_bytes(10 * GRAIN, noise(70_000)).unwrap();
    disk.put_bytes(20 * GRAIN, vec![0; 65536]).unwrap();
    disk.put_bytes(70 << 20, *b"the end").unwrap();
    disk
}

#[test]
fn vmdk_one_of_everything() {
    let disk = disk();
    let (sparse, stream) = (sparse(&disk, IDENTITY).unwrap(), stream(&disk, 2));
    let found = [dump(&sparse), dump(&Sparse::of_bytes(stream.clone()))].map(Result::unwrap).join("\n");
    if std::env::var_os("BLESS").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/format/vmdk/golden.txt"), &found).unwrap();
        return;
    }
    assert_eq!(found, include_str!("golden.txt"));
    assert_eq!([&bytes(&sparse), &stream].map(|file| Digest::of(file).short()), ["f1c68a21209d", "9696b7bf08bd"]);
}

#[test]
fn a_sparse_file_is_made_of_the_disks_own_extents() {
    let disk = disk();
    let file = sparse(&disk, IDENTITY).unwrap();
    let first = Image::open(&file).unwrap().header.overhead.get() * 512;
    assert_eq!(file.slice(first, file.size() - first).allocated(), disk.allocated());
    assert_eq!(file.size() % GRAIN, 0);
}

#[test]
fn disks_that_cannot_be_said_are_refused() {
    let refuse = |disk: &Sparse, name: &str| {
        let identity = Identity { cid: 1, name };
        let one = sparse(disk, identity).map(drop).unwrap_err().to_string();
        let two = stream_optimized(disk, identity, 1, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(one, two);
        one
    };
    for (size, wanted) in
        [(0, "an empty disk"), (1000, "no multiple of 512"), (LARGEST + 512, "it ends at 68169720922112")]
    {
        let error = refuse(&Sparse::new(size), "a.vmdk");
        assert!(error.contains(wanted), "{error}");
    }
    for name in ["", "a\"b", "a/b", "a\nb", &"n".repeat(256)] {
        assert!(refuse(&Sparse::new(512), name).ends_with("cannot be the file name in a VMDK"), "{name}");
    }
    sparse(&Sparse::new(LARGEST), IDENTITY).unwrap();
}

#[test]
fn more_than_2_tib_of_bytes_are_refused() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(2 << 40).unwrap();
    let disk = Sparse::of_file(file).unwrap();
    let error = sparse(&disk, IDENTITY).unwrap_err();
    assert!(matches!(error, VmdkError::TooMuch { .. }), "{error}");
}

fn read_all(file: &Sparse) -> Result<Vec<(u64, Vec<u8>)>, VmdkError> {
    let image = Image::open(file)?;
    image.grains()?.into_iter().map(|(grain, place)| Ok((grain, image.read(grain, place)?))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read(disk in disks()) {
        let file = sparse(&disk, IDENTITY).unwrap();
        prop_assert_eq!(Image::open(&file).unwrap().size(), disk.size());
        prop_assert!(same(&disk, 65536, &read_all(&file).unwrap()));
        let file = stream(&disk, 1);
        prop_assert!(file == stream(&disk, 3));
        prop_assert!(same(&disk, 65536, &read_all(&Sparse::of_bytes(file)).unwrap()));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(changes in proptest::collection::vec((0..0x3000_usize, any::<u8>(), 0..3_usize), 1..20)) {
        let mut disk = Sparse::new(3 * GRAIN);
        disk.put_bytes(0, b"text".repeat(20_000)).unwrap();
        let mut file = [bytes(&sparse(&disk, IDENTITY).unwrap()), stream(&disk, 1)];
        for file in &mut file {
            let len = file.len();
            for (at, byte, part) in &changes {
                // In the header, the tables, the data and the footer.
                let at = [*at % 80, *at, len - 1 - *at % 0x1000][*part];
                file[at] = *byte;
            }
            let file = Sparse::of_bytes(file.clone());
            let _ = (dump(&file), read_all(&file));
        }
    }
}
