use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use super::dump::dump;
use super::layout::SECTOR;
use super::name::Names as Mangled;
use super::read::{Names, Reader};
use super::write::{Image, Options};
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::format::tree::fixture::{self, ALL, Kept, Stream, TIME, judge, rich, tiny};
use crate::format::tree::{Content, Tree, shown};

mod boot;
mod large;

fn options() -> Options {
    Options::new("LinuxKit".to_owned(), TIME)
}

fn image(stream: &Stream) -> Vec<u8> {
    image_with(stream, options())
}

fn image_with(stream: &Stream, options: Options) -> Vec<u8> {
    let tree = stream.tree();
    let image = Image::new(&tree, options).unwrap();
    let contents = Sparse::of_bytes(stream.bytes.as_slice());
    let mut bytes = Vec::new();
    image.sparse(&contents).unwrap().reader().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, image.size());
    bytes
}

fn on_disk(folder: &Path, stream: &Stream) -> PathBuf {
    let path = folder.join("image.iso");
    fs::write(&path, image(stream)).unwrap();
    path
}

#[test]
fn iso9660_one_of_everything() {
    let image = image(&tiny());
    let found = dump(&image).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/format/iso9660/golden.txt"), &found).unwrap();
        return;
    }
    assert_eq!(found, include_str!("golden.txt"));
    assert_eq!(Digest::of(&image).short(), "d529dbd45f46");
}

/// Hold what an image says in both trees against the tree it was written from.
fn reads_back(stream: &Stream) {
    let (tree, image) = (stream.tree(), image(stream));
    let reader = Reader::new(&image, Names::RockRidge).unwrap();
    let found = reader.walk().unwrap();
    let links = tree.links();
    let paths = |tree: &Tree| tree.nodes().iter().map(|node| node.path.clone()).collect::<Vec<_>>();
    assert_eq!(found.iter().map(|found| found.path.clone()).collect::<Vec<_>>(), paths(&tree));
    for ((index, node), found) in tree.nodes().iter().enumerate().zip(&found) {
        let owner = tree.data(index);
        let name = shown(&node.path);
        let node = &tree.nodes()[owner];
        let posix = found.rock.posix.unwrap();
        let numbers = [posix.mode, posix.nlink, posix.uid, posix.gid, posix.serial].map(|both| both.little.get());
        let attributes = &node.attributes;
        let serial = u32::try_from(owner).unwrap() + 1;
        assert_eq!(numbers, [attributes.mode, links[owner], attributes.uid, attributes.gid, serial], "{name}");
        assert_eq!((found.mtime, found.rock.mtime), (attributes.mtime, Some(attributes.mtime)), "{name}");
        match &node.content {
            Content::File { offset, size } => {
                let range = usize::try_from(*offset).unwrap()..usize::try_from(offset + size).unwrap();
                assert!(reader.data(found).unwrap() == stream.bytes[range], "{name}");
            }
            Content::Symlink(target) => assert_eq!(shown(&found.rock.target), shown(target)),
            Content::Device(major, minor) => assert_eq!(found.rock.device, Some((*major, *minor))),
            _ => {}
        }
    }
    let directories = tree.nodes().iter().filter(|node| node.content == Content::Directory).count();
    for names in [Names::Primary, Names::Joliet] {
        let reader = Reader::new(&image, names).unwrap();
        let found = reader.walk().unwrap();
        assert_eq!(found.len(), tree.nodes().len());
        assert!(found.is_sorted_by(|one, other| one.path < other.path), "each name is there once");
        let table = reader.path_table().unwrap();
        assert_eq!(table.len(), directories);
        let mut listed = table.iter().map(|entry| entry.0).collect::<Vec<_>>();
        let mut walked =
            found.iter().filter(|found| found.directory).map(|found| found.sections[0].sector).collect::<Vec<_>>();
        listed.sort_unstable();
        walked.sort_unstable();
        assert_eq!(listed, walked);
    }
}

#[test]
fn a_rich_tree_reads_back() {
    reads_back(&rich());
}

#[test]
fn an_empty_tree_is_a_volume() {
    reads_back(&Stream::default());
}

#[test]
fn isoinfo_lists_iso9660_as_it_lists_what_genisoimage_wrote() {
    let folder = tempfile::tempdir().unwrap();
    // What the two do alike: names that need no number, and no special files.
    let mut stream = Stream::default();
    let root = folder.path().join("root");
    let deep = ["d"; 5].join("/");
    let names = [
        "a.txt",
        "README",
        ".hidden",
        "long-name-of-more-than-thirty-one-letters",
        "dir/x",
        "dir/tar.gz",
        &format!("{deep}/f"),
    ];
    for name in names {
        stream.file(name, 0o644, name.as_bytes());
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let (ours, theirs) = (on_disk(folder.path(), &stream), folder.path().join("theirs.iso"));
    let mut genisoimage = Command::new("genisoimage");
    genisoimage.args(["-quiet", "-l", "-J", "-R", "-joliet-long", "-V", "LinuxKit", "-o"]).arg(&theirs).arg(&root);
    if judge(&mut genisoimage).is_none() {
        return;
    }
    for tree in [&["-R"][..], &["-J"], &[]] {
        let list = |image: &Path| {
            let output = judge(Command::new("isoinfo").arg("-f").args(tree).arg("-i").arg(image)).unwrap();
            let mut lines = shown(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>();
            lines.sort();
            lines
        };
        assert_eq!(list(&ours), list(&theirs), "{tree:?}");
    }
    let output = judge(Command::new("isoinfo").args(["-d", "-i"]).arg(&ours)).unwrap();
    let text = shown(&output.stdout);
    for line in ["Volume id: LinuxKit", "Joliet with UCS level 3 found", "Rock Ridge signatures version 1 found"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn bsdtar_unpacks_iso9660() {
    let folder = tempfile::tempdir().unwrap();
    let mut stream = rich();
    // Of large devices it takes the numbers for others than Linux does, and it makes no hard links of symbolic ones.
    stream.entries.retain(|entry| entry.path != b"dev/many" && entry.path != b"links/short-too");
    let path = on_disk(folder.path(), &stream);
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    if judge(Command::new("bsdtar").arg("-xpf").arg(&path).arg("-C").arg(&root)).is_some() {
        fixture::compare(
            &root,
            &stream,
            Kept { nanoseconds: false, xattrs: false, sockets: false, root_time: false, ..ALL },
        );
    }
}

#[test]
fn xorriso_unpacks_iso9660_without_a_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let mut stream = rich();
    // It refuses targets of more than 1024 bytes, and takes the numbers of large devices for others than Linux does.
    stream.entries.retain(|entry| entry.path != b"links/longest" && entry.path != b"dev/many");
    let path = on_disk(folder.path(), &stream);
    let root = folder.path().join("root");
    let mut xorriso = Command::new("xorriso");
    xorriso
        .args([
            "-abort_on",
            "WARNING",
            "-osirrox",
            "device_files:auto_chmod_on:sort_lba_off",
            "-hardlinks",
            "on",
            "-indev",
        ])
        .arg(&path);
    xorriso.args(["-extract", "/"]).arg(&root);
    // It sets no times of symbolic links.
    if judge(&mut xorriso).is_some() {
        fixture::compare(
            &root,
            &stream,
            Kept { nanoseconds: false, xattrs: false, sockets: false, link_times: false, ..ALL },
        );
    }
}

#[test]
fn the_kernel_reads_iso9660() {
    let folder = tempfile::tempdir().unwrap();
    let stream = rich();
    let kept = Kept { nanoseconds: false, xattrs: false, ..ALL };
    fixture::mounted("iso9660", &on_disk(folder.path(), &stream), &stream, kept);
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
fn names_of_the_primary_tree_are_short_and_each_is_there_once() {
    let cases = [
        ("a.txt", false, "A.TXT"),
        ("A.TXT", false, "A1.TXT"),
        ("a-b", false, "A_B."),
        ("a_b", true, "A_B1"),
        ("a.b.c", true, "A_B_C"),
        (".hidden", false, "_HIDDEN."),
        ("libstdc++.so.6.0.30", false, "LIBSTDC___SO_6_0.30"),
        ("0123456789012345678901234567890123456789", false, "012345678901234567890123456789."),
        ("0123456789012345678901234567890123456780", false, "01234567890123456789011."),
        ("x.extension-of-many", false, "X.EXTENSIO"),
    ];
    let mut names = Mangled::default();
    for (name, directory, wanted) in cases {
        let found = shown(&names.primary(name.as_bytes(), directory));
        assert_eq!(found, wanted.replace(' ', ""), "{name}");
        assert!(found.len() <= 31);
    }
}

#[test]
fn names_of_joliet_are_cut_and_each_is_there_once() {
    let mut names = Mangled::default();
    let text = |name: Vec<u8>| {
        let units = name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>();
        String::from_utf16(&units).unwrap()
    };
    assert_eq!(text(names.joliet("a;*\u{e9}\u{1f600}".as_bytes())), "a__\u{e9}\u{1f600}");
    assert_eq!(text(names.joliet(b"\xff")), "_");
    assert_eq!(text(names.joliet(b"\xfe")), "__1");
    assert_eq!(text(names.joliet(&[b'n'; 104])), "n".repeat(103));
    assert_eq!(text(names.joliet(&[b'n'; 103])), "n".repeat(95) + "_1");
    // A pair is not cut in two.
    assert_eq!(text(names.joliet(("x".repeat(102) + "\u{1f600}").as_bytes())), "x".repeat(102));
}

#[test]
fn thousands_of_names_alike_are_told_apart() {
    let mut names = Mangled::default();
    let all = (0..20_000).map(|at| names.primary(format!("{}{at}", "n".repeat(40)).as_bytes(), false));
    let all = all.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(all.len(), 20_000);
    assert!(all.iter().all(|name| name.len() <= 31));
}

#[test]
fn times_are_those_of_the_calendar() {
    use super::date::{long, seconds, short};
    assert_eq!(short(951_827_696), [100, 2, 29, 12, 34, 56, 0]);
    assert_eq!(short(-1), [69, 12, 31, 23, 59, 59, 0]);
    assert_eq!(short(i64::MIN), [0, 1, 1, 0, 0, 0, 0]);
    assert_eq!(short(i64::MAX), [255, 12, 31, 23, 59, 59, 0]);
    assert_eq!(&long(1_700_000_000), b"2023111422132000\0");
    assert_eq!(&long(i64::MAX), b"9999123123595900\0");
    assert_eq!(seconds([123, 11, 14, 23, 13, 20, 4]), 1_700_000_000);
    for time in (-2_208_988_800..5_869_583_999_i64).step_by(7_654_321) {
        assert_eq!(seconds(short(time)), time);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let refuse = |stream: &Stream, options: Options| Image::new(&stream.tree(), options).unwrap_err().to_string();
    let mut stream = Stream::default();
    let size = 100 * ((1 << 32) - 2048) + 1;
    stream.add("huge", 0o644, Content::File { offset: 0, size });
    let text = "`huge` has 429496524801 bytes; a file on a CD ends at 100 sections of 4 GiB - 2048, so choose another format or split it";
    assert_eq!(refuse(&stream, options()), text);
    let mut stream = Stream::default();
    for at in 0..2049 {
        stream.add(format!("{at}"), 0o644, Content::File { offset: 0, size: u64::from(u32::MAX) });
    }
    assert!(refuse(&stream, options()).starts_with("the tree needs 4297"), "{}", refuse(&stream, options()));
    let mut stream = Stream::default();
    for at in 0..65_535 {
        stream.dir(format!("{at}"), 0o755);
    }
    assert_eq!(refuse(&stream, options()), "the tree has 65536 directories; a CD has at most 65535");
    for volume in ["", &"v".repeat(33), "caf\u{e9}", "a\n"] {
        let text = format!("`{volume}` cannot name a volume: that takes 1 to 32 printable ASCII characters");
        assert_eq!(refuse(&Stream::default(), Options::new(volume.to_owned(), 0)), text);
    }
}

#[test]
fn a_file_with_too_few_bytes_is_named() {
    let mut stream = Stream::default();
    stream.add("short", 0o644, Content::File { offset: 0, size: 100 });
    let tree = stream.tree();
    let error = Image::new(&tree, options()).unwrap().sparse(&Sparse::new(50)).unwrap_err();
    assert_eq!(error.to_string(), "could not read the 100 bytes of `short`");
}

#[test]
fn damage_is_seen() {
    let good = image(&tiny());
    for size in [0, 16, 17, 18, 20, 22] {
        let cut = good[..size * usize::try_from(SECTOR).unwrap()].to_vec();
        assert!(dump(&cut).map_err(|error| error.to_string()).is_err(), "{size}");
    }
    // The size of the volume, in one byte order only.
    let mut bad = good.clone();
    bad[16 * 2048 + 0x9c + 2] ^= 1;
    let error = dump(&bad).unwrap_err().to_string();
    let text = "not an ISO 9660 image that can be read, at byte 32924: a number differs between its two byte orders";
    assert_eq!(error, text);
}

proptest! {
    #[test]
    fn trees_read_back(files in prop::collection::vec(("[a-cA-C.]{1,3}(/[a-c.\u{e9}-]{1,40}){0,3}", 0..5000_usize, any::<u16>(), 0..3_u8), 0..30)) {
        let mut stream = Stream::default();
        for (path, size, seed, kind) in files {
            let mut one = Stream { entries: stream.entries.clone(), bytes: stream.bytes.clone() };
            match kind {
                // Parts as long as the number says: entries end at all places of their sectors.
                0 => { one.symlink(&path, vec!["x".repeat(usize::from(seed) % 250 + 1); size % 10 + 1].join("/")); }
                1 => { one.dir(&path, 0o700).mtime = i64::from(seed); }
                _ => { one.file(&path, u32::from(seed) & 0o7777, &vec![1; size]); }
            }
            // What would lie below a file is left out.
            if Tree::from_entries(one.entries.iter().cloned(), TIME).is_ok() {
                stream = one;
            }
        }
        reads_back(&stream);
    }

    #[test]
    fn iso9660_reader(bytes: Vec<u8>, at in 0..40_000_usize, more in prop::collection::vec((32_768..90_000_usize, any::<u8>()), 0..8)) {
        let _ = dump(&bytes);
        let mut image = image_with(&tiny(), boot::both("big", "d/two"));
        let start = (32_768 + at) % image.len();
        for (slot, byte) in image[start..].iter_mut().zip(&bytes) {
            *slot = *byte;
        }
        for (at, byte) in more {
            let at = at % image.len();
            image[at] = byte;
        }
        let _ = dump(&image);
    }
}
