use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::dump::dump;
use super::layout::{BLOCK, COMPAT_CHECKSUM, crc32c, device, device_numbers, xattr_size};
use super::read::Reader;
use super::write::{Image, Options};
use crate::digest::Digest;
use crate::format::tree::fixture::{self, ALL, Kept, Stream, TIME, judge, rich, tiny};
use crate::format::tree::{Content, Tree};

const OPTIONS: Options =
    Options { uuid: *b"0123456789abcdef", volume: *b"tests\0\0\0\0\0\0\0\0\0\0\0", time: TIME as u64 };

fn image(stream: &Stream) -> Vec<u8> {
    let tree = stream.tree();
    let image = Image::new(&tree, OPTIONS).unwrap();
    let mut bytes = Vec::new();
    image.write(&stream.bytes, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, image.size());
    bytes
}

fn on_disk(folder: &Path, stream: &Stream) -> std::path::PathBuf {
    let path = folder.join("image");
    fs::write(&path, image(stream)).unwrap();
    path
}

#[test]
fn erofs_one_of_everything() {
    let image = image(&tiny());
    let golden = include_str!("golden.txt");
    let found = dump(&image).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/format/erofs/golden.txt"), &found).unwrap();
        return;
    }
    assert_eq!(found, golden);
    assert_eq!(Digest::of(&image).short(), "73957d06cb34");
}

#[test]
fn fsck_accepts_erofs() {
    let folder = tempfile::tempdir().unwrap();
    let stream = rich();
    let path = on_disk(folder.path(), &stream);
    let root = folder.path().join("root");
    let mut fsck = Command::new("fsck.erofs");
    fsck.arg(format!("--extract={}", root.display())).arg("--preserve").arg(&path);
    if judge(&mut fsck).is_some() {
        // It leaves out attributes, and sets the owner after the mode, which clears what is set there.
        fixture::compare(&root, &stream, Kept { links: false, xattrs: false, set_id: false, ..ALL });
    }
}

#[test]
fn the_kernel_reads_erofs() {
    let folder = tempfile::tempdir().unwrap();
    let stream = rich();
    fixture::mounted("erofs", &on_disk(folder.path(), &stream), &stream, ALL);
}

#[test]
fn an_image_of_mkfs_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let mut stream = tiny();
    for at in 0..300 {
        stream.file(format!("d/{at}"), 0o644, b"some text");
    }
    fs::create_dir_all(root.join("d")).unwrap();
    for at in 0..300 {
        fs::write(root.join(format!("d/{at}")), "some text").unwrap();
    }
    fs::write(root.join("big"), [7; 5000]).unwrap();
    fs::hard_link(root.join("big"), root.join("d/two")).unwrap();
    std::os::unix::fs::symlink("../file", root.join("d/link")).unwrap();
    for name in ["a", "b", "c", "d/e"] {
        fs::write(root.join(name), name).unwrap();
        // Three of the same value are shared by mkfs.
        let path = root.join(name);
        let flags = rustix::fs::XattrFlags::empty();
        let _ = rustix::fs::setxattr(path, "user.same", b"a value that is shared", flags);
    }
    let path = folder.path().join("image");
    let mut mkfs = Command::new("mkfs.erofs");
    mkfs.args(["-T1700000000", "--quiet"]).arg(&path).arg(&root);
    if judge(&mut mkfs).is_none() {
        return;
    }
    let bytes = fs::read(&path).unwrap();
    let reader = Reader::new(&bytes).unwrap();
    let found = reader.walk().unwrap();
    assert_eq!(found.len(), 1 + 1 + 300 + 3 + 4);
    let get = |path: &str| &found[found.binary_search_by(|(name, _)| name.as_slice().cmp(path.as_bytes())).unwrap()].1;
    assert_eq!(reader.data(get("big")).unwrap(), [7; 5000]);
    assert_eq!((get("big").nid, get("big").nlink), (get("d/two").nid, 2));
    assert_eq!(reader.data(get("d/link")).unwrap(), b"../file");
    assert_eq!(reader.data(get("d/299")).unwrap(), b"some text");
    let xattrs = ["a", "b", "c", "d/e"].map(|path| get(path).attributes.xattrs.clone());
    let set = rustix::fs::getxattr(root.join("a"), "user.same", &mut [0_u8; 64][..]).is_ok();
    let wanted = if set { vec![(b"user.same".to_vec(), b"a value that is shared".to_vec())] } else { Vec::new() };
    assert_eq!(xattrs, [wanted.clone(), wanted.clone(), wanted.clone(), wanted]);
}

/// Hold what an image says against the tree it was written from.
fn reads_back(stream: &Stream) {
    let (tree, image) = (stream.tree(), image(stream));
    let reader = Reader::new(&image).unwrap();
    let found = reader.walk().unwrap();
    let links = tree.links();
    assert_eq!(found.len(), tree.nodes().len());
    for ((index, node), (path, inode)) in tree.nodes().iter().enumerate().zip(&found) {
        assert_eq!(*path, node.path);
        let owner = tree.data(index);
        assert_eq!(inode.nid, found[owner].1.nid);
        assert_eq!(inode.nlink, links[owner]);
        let node = &tree.nodes()[owner];
        assert_eq!(inode.attributes, node.attributes);
        match &node.content {
            Content::File { offset, size } => {
                let range = usize::try_from(*offset).unwrap()..usize::try_from(offset + size).unwrap();
                assert_eq!(reader.data(inode).unwrap(), stream.bytes[range]);
            }
            Content::Symlink(target) => assert_eq!(reader.data(inode).unwrap(), *target),
            Content::Device(major, minor) => assert_eq!(inode.device, (*major, *minor)),
            _ => {}
        }
    }
}

#[test]
fn a_rich_tree_reads_back() {
    reads_back(&rich());
}

#[test]
fn an_empty_tree_is_one_block() {
    let stream = Stream::default();
    assert_eq!(image(&stream).len() as u64, BLOCK);
    reads_back(&stream);
}

#[test]
fn equal_trees_give_equal_images_whatever_the_order_of_the_stream() {
    let stream = tiny();
    let mut backward = Stream { entries: stream.entries.clone(), bytes: stream.bytes.clone() };
    // The links stay behind what they name.
    backward.entries[..6].reverse();
    assert_eq!(image(&stream), image(&backward));
}

#[test]
fn small_files_lie_behind_their_inodes_and_share_blocks() {
    let mut stream = Stream::default();
    for at in 0..1000 {
        stream.file(format!("{at}"), 0o644, &[1; 96]);
    }
    // 32 bytes of inode and 96 of data, 32 to a block; the directory has three blocks and a tail.
    assert!(image(&stream).len() as u64 <= 38 * BLOCK, "{}", image(&stream).len());
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let with = |name: &[u8], value: usize| {
        let mut stream = Stream::default();
        stream.file("f", 0o644, b"").xattrs = vec![(name.to_vec(), vec![0; value])];
        Image::new(&stream.tree(), OPTIONS).map(drop).map_err(|error| error.to_string())
    };
    with(b"user.a", 65_535).unwrap();
    let cases: [(&[u8], usize, &str); 5] = [
        (b"user.a", 65_536, "its value is longer than 65535 bytes"),
        (b"user.", 1, "EROFS has no number for the start of this name"),
        (b"system.nfs4_acl", 1, "EROFS has no number for the start of this name"),
        (b"system.posix_acl_access_too", 1, "EROFS has no number for the start of this name"),
        (&[b"user.", &[b'n'; 256][..]].concat(), 1, "its name is longer than 255 bytes"),
    ];
    for (name, value, what) in cases {
        let text = format!("could not store attribute `{}` of `f`: {what}", String::from_utf8_lossy(name));
        assert_eq!(with(name, value).unwrap_err(), text);
    }
    let mut stream = Stream::default();
    for name in ["a", "b", "c", "d", "e"] {
        stream.file("f", 0o644, b"").xattrs.push((format!("user.{name}").into_bytes(), vec![0; 60_000]));
        let all = stream.entries.iter().flat_map(|entry| entry.attributes.xattrs.clone()).collect();
        stream.entries.last_mut().unwrap().attributes.xattrs = all;
    }
    let error = Image::new(&stream.tree(), OPTIONS).unwrap_err().to_string();
    assert_eq!(error, "could not store attribute `user.e` of `f`: attributes of one file end at 256 KiB");
    let mut stream = Stream::default();
    stream.add("huge", 0o644, Content::File { offset: 0, size: 1 << 44 });
    let error = Image::new(&stream.tree(), OPTIONS).unwrap_err().to_string();
    assert!(error.starts_with("the tree needs 4294967297 blocks"), "{error}");
    let mut stream = Stream::default();
    stream.add("dev", 0o600, Content::Device(4096, 0));
    Image::new(&stream.tree(), OPTIONS).unwrap_err();
}

#[test]
fn a_file_with_too_few_bytes_is_named() {
    for size in [100, 5000] {
        let mut stream = Stream::default();
        stream.add("short", 0o644, Content::File { offset: 0, size });
        let tree = stream.tree();
        let error = Image::new(&tree, OPTIONS).unwrap().write(&vec![0; 50], &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("could not read the {size} bytes of `short`"));
    }
}

#[test]
fn a_large_file_needs_no_bytes_to_have_a_place() {
    let mut stream = Stream::default();
    stream.add("large", 0o644, Content::File { offset: 0, size: (5 << 30) + 1 });
    let tree: Tree = stream.tree();
    assert_eq!(Image::new(&tree, OPTIONS).unwrap().size(), (5 << 30) + BLOCK);
}

#[test]
fn sums_and_numbers_are_those_of_the_format() {
    // The check value of CRC-32C, which is inverted at its end.
    assert_eq!(!crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(device(0x123, 0x45678), Some(0x4561_2378));
    for numbers in [(0, 0), (1, 3), (8, 255), (8, 256), (4095, 1_048_575)] {
        assert_eq!(device(numbers.0, numbers.1).map(device_numbers), Some(numbers));
    }
    assert_eq!([0, 1, 2].map(xattr_size), [0, 12, 16]);
}

/// Give an image without a checksum, so that what is behind it is reached.
fn unsummed() -> Vec<u8> {
    let mut image = image(&tiny());
    image[1024 + 8] &= !u8::try_from(COMPAT_CHECKSUM).unwrap();
    image
}

#[test]
fn damage_is_seen() {
    let mut image = image(&tiny());
    image[2000] ^= 1;
    let error = dump(&image).unwrap_err().to_string();
    assert_eq!(error, "not an EROFS image that can be read, at byte 1024: the checksum is wrong");
    for size in [0, 1024, 1100, 4096, 8191] {
        let cut = unsummed().get(..size).unwrap().to_vec();
        let text = dump(&cut).map_err(|error| error.to_string());
        assert!(text.is_err() || size >= 4096, "{size}: {text:?}");
    }
}

proptest! {
    #[test]
    fn trees_read_back(files in prop::collection::vec(("[a-c]{1,2}(/[a-c!]{1,2}){0,3}", 0..9000_usize, any::<u16>(), 0..3_u8), 0..40)) {
        let mut stream = Stream::default();
        for (path, size, seed, kind) in files {
            let mut one = Stream { entries: stream.entries.clone(), bytes: stream.bytes.clone() };
            match kind {
                0 => { one.symlink(&path, vec![b'x'; size % 4000 + 1]); }
                1 => { one.dir(&path, 0o700).mtime = i64::from(seed); }
                _ => {
                    let data = (0..size).map(|at| u8::try_from((at * usize::from(seed)) >> 3 & 0xff).unwrap()).collect::<Vec<_>>();
                    one.file(&path, u32::from(seed) & 0o7777, &data).xattrs = vec![(b"user.x".to_vec(), vec![1; usize::from(seed) % 5000])];
                }
            }
            // What would lie below a file is left out.
            if Tree::from_entries(one.entries.iter().cloned(), TIME).is_ok() {
                stream = one;
            }
        }
        reads_back(&stream);
    }

    #[test]
    fn erofs_reader(bytes: Vec<u8>, at in 0..20_000_usize, more in prop::collection::vec((0..20_000_usize, any::<u8>()), 0..8)) {
        let _ = dump(&bytes);
        let mut image = unsummed();
        let at = at % image.len();
        for (slot, byte) in image[at..].iter_mut().zip(&bytes) {
            *slot = *byte;
        }
        for (at, byte) in more {
            let at = at % image.len();
            image[at] = byte;
        }
        let _ = dump(&image);
    }
}
