use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::dump::dump;
use super::layout::{BLOCK, COMPAT_CHECKSUM, device, device_numbers, xattr_size};
use super::read::Reader;
use super::write::{Image, Options, Writer};
use crate::digest::Digest;
use crate::format::crc32c::crc32c;
use crate::format::sparse::Sparse;
use crate::format::tree::fixture::{self, ALL, Kept, Stream, TIME, judge, rich, tiny};
use crate::format::tree::{Content, Tree};

const OPTIONS: Options =
    Options { uuid: *b"0123456789abcdef", volume: *b"tests\0\0\0\0\0\0\0\0\0\0\0", time: TIME as u64 };

fn image(stream: &Stream) -> Vec<u8> {
    let tree = stream.tree();
    let image = Image::new(&tree, OPTIONS).unwrap();
    let mut bytes = Vec::new();
    let size = image.write(&stream.bytes, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size);
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
    holds(stream, &image(stream));
}

#[expect(clippy::ptr_arg, reason = "a slice without a known length is no contents")]
fn holds(stream: &Stream, image: &Vec<u8>) {
    let tree = stream.tree();
    let reader = Reader::new(image).unwrap();
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

/// Bytes of which no two blocks are equal.
fn noise(seed: u32, size: usize) -> Vec<u8> {
    let mut noise = seed;
    let next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Files of which some are equal, the last of all among them, some by their blocks only, and some only in length.
fn alike() -> Stream {
    let mut stream = Stream::default();
    let large = noise(1, (3 << 20) + 100);
    let other_end = [&large[..3 << 20], &[1; 100]].concat();
    let mut other_start = large.clone();
    other_start[5] ^= 1;
    stream.file("a", 0o644, &large);
    stream.file("b", 0o600, &large).uid = 70_000;
    stream.file("c", 0o644, &other_start);
    stream.file("d", 0o644, &other_end);
    stream.file("e", 0o644, &noise(2, 9000));
    // Its tail has no room behind its inode, so that it has a block more.
    stream.file("f", 0o644, &noise(2, 9000)).xattrs = vec![(b"user.x".to_vec(), vec![1; 3500])];
    stream.file("g", 0o644, &noise(2, 9000));
    stream.file("h", 0o644, &noise(3, 100));
    stream.file("i", 0o644, &noise(3, 100));
    stream.file("j", 0o644, &large);
    stream
}

#[test]
fn blocks_that_are_equal_are_there_once() {
    let stream = alike();
    let image = image(&stream);
    holds(&stream, &image);
    let found = Reader::new(&image).unwrap().walk().unwrap();
    let at = |name: &[u8]| found.iter().find(|(path, _)| path == name).map(|(_, inode)| inode.block).unwrap();
    assert_eq!((at(b"a"), at(b"a"), at(b"a")), (at(b"b"), at(b"d"), at(b"j")));
    assert!(at(b"a") != at(b"c") && at(b"e") == at(b"g") && at(b"e") != at(b"f"));
    let tree = stream.tree();
    let most = Image::new(&tree, OPTIONS).unwrap().most();
    assert_eq!(most - image.len() as u64, (3 * (3 << 20)) + 2 * BLOCK);
    let folder = tempfile::tempdir().unwrap();
    if let Some(output) = judge(Command::new("fsck.erofs").arg(on_disk(folder.path(), &stream))) {
        assert!(output.status.success());
    }
}

#[test]
fn files_may_come_in_any_order() {
    let stream = alike();
    let tree = stream.tree();
    let image = Image::new(&tree, OPTIONS).unwrap();
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&image, &mut bytes);
    for (index, node) in tree.nodes().iter().enumerate().rev() {
        if let Content::File { offset, .. } = node.content {
            writer.file(index, &mut &stream.bytes[usize::try_from(offset).unwrap()..]).unwrap();
        }
    }
    let size = writer.finish().unwrap();
    assert_eq!(size, bytes.len() as u64);
    holds(&stream, &bytes);
    let writer = Writer::new(&image, &mut bytes);
    assert_eq!(writer.finish().unwrap_err().to_string(), "could not read the 3145828 bytes of `a`");
}

#[test]
fn more_inodes_than_are_kept_in_memory_are_written() {
    let mut stream = Stream::default();
    for at in 0..5000_u32 {
        stream.file(format!("{}/{at}", at % 7), 0o644, &noise(at, 1800));
    }
    reads_back(&stream);
}

#[test]
fn a_sparse_image_is_the_written_one_with_its_blocks_left_where_they_are() {
    let mut stream = Stream::default();
    stream.file("images/a.erofs", 0o444, &noise(1, 5 * 4096));
    stream.file("images/b.erofs", 0o444, &noise(2, 3 * 4096));
    stream.file("note", 0o444, &noise(3, 5000));
    stream.file("small", 0o444, b"small");
    let tree = stream.tree();
    let image = Image::new(&tree, OPTIONS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contents");
    fs::write(&path, &stream.bytes).unwrap();
    let contents = Sparse::of_file(fs::File::open(&path).unwrap()).unwrap();
    let (sparse, places) = image.sparse(&contents).unwrap();
    let mut read = vec![0; usize::try_from(sparse.size()).unwrap()];
    sparse.read_at(0, &mut read).unwrap();
    let mut written = Vec::new();
    image.write(&stream.bytes, &mut written).unwrap();
    assert!(read == written);
    let names: Vec<_> = places.keys().map(Vec::as_slice).collect();
    assert_eq!(names, [&b"images/a.erofs"[..], b"images/b.erofs", b"note"]);
    let at = usize::try_from(places[&b"images/b.erofs"[..]]).unwrap();
    assert_eq!(read[at..at + 3 * 4096], noise(2, 3 * 4096));
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
    assert_eq!(Image::new(&tree, OPTIONS).unwrap().most(), (5 << 30) + BLOCK);
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
