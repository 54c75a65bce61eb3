use std::fs;
use std::io::Cursor;
use std::process::Command;

use super::write::{Lost, write};
use crate::format::tree::fixture::{self, ALL, Kept, Stream, TIME, judge, rich, tiny};
use crate::format::tree::{Content, shown};

/// What the crate keeps.
const KEPT: Kept = Kept { links: false, nanoseconds: false, xattrs: false, ..ALL };

fn time() -> u32 {
    u32::try_from(TIME).unwrap()
}

fn image(stream: &Stream) -> (Vec<u8>, Lost) {
    let mut out = Cursor::new(Vec::new());
    let lost = write(&stream.tree(), &stream.bytes, time(), &mut out).unwrap();
    (out.into_inner(), lost)
}

/// The rich tree, but for the root's time, which is always 0, and long targets; and a directory of more than 64 KiB.
fn sample() -> Stream {
    let mut stream = rich();
    stream.dir("", 0o750).mtime = 0;
    stream.entries.retain(|entry| !matches!(&entry.content, Content::Symlink(target) if target.len() > 255));
    for at in 0..5000 {
        stream.file(format!("wider/a name that takes some room {at}"), 0o644, b"");
    }
    stream
}

#[test]
fn unsquashfs_unpacks_squashfs() {
    let folder = tempfile::tempdir().unwrap();
    let (path, root) = (folder.path().join("image"), folder.path().join("root"));
    let stream = sample();
    fs::write(&path, image(&stream).0).unwrap();
    let mut unsquashfs = Command::new("unsquashfs");
    unsquashfs.args(["-quiet", "-no-progress", "-dest"]).arg(&root).arg(&path);
    if judge(&mut unsquashfs).is_some() {
        fixture::compare(&root, &stream, KEPT);
        let output = judge(Command::new("unsquashfs").arg("-stat").arg(&path)).unwrap();
        let text = shown(&output.stdout);
        for line in ["Compression gzip", "Block size 131072"] {
            assert!(text.contains(line), "{text}");
        }
    }
}

#[test]
fn the_kernel_reads_squashfs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let stream = sample();
    fs::write(&path, image(&stream).0).unwrap();
    fixture::mounted("squashfs", &path, &stream, KEPT);
}

#[test]
fn equal_trees_give_equal_images_and_what_is_lost_is_counted() {
    let stream = tiny();
    let mut backward = Stream { entries: stream.entries.clone(), bytes: stream.bytes.clone() };
    // The links stay behind what they name.
    backward.entries[..6].reverse();
    let (one, lost) = image(&stream);
    assert_eq!(lost, Lost { xattrs: 1, links: 1 });
    assert!(one == image(&backward).0);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let refuse = |stream: &Stream| {
        write(&stream.tree(), &stream.bytes, time(), Cursor::new(Vec::new())).unwrap_err().to_string()
    };
    let mut stream = Stream::default();
    stream.add("short", 0o644, Content::File { offset: 0, size: 300_000 });
    stream.bytes = vec![1; 200_000];
    assert_eq!(refuse(&stream), "could not read the 300000 bytes of `short`");
    let mut stream = Stream::default();
    stream.add("dev", 0o644, Content::Device(4096, 0));
    assert_eq!(refuse(&stream), "could not store device `dev`: its numbers end at 4095 and 1048575");
    let mut stream = Stream::default();
    stream.symlink("long", "x".repeat(256));
    let text = "could not store the target of `long`: squashfs takes at most 255 bytes here; choose EROFS";
    assert_eq!(refuse(&stream), text);
    let mut stream = Stream::default();
    for at in 1..=65_535 {
        stream.file("d/".to_owned() + &at.to_string(), 0o644, b"").uid = at;
    }
    assert_eq!(refuse(&stream), "the tree has 65536 different owners and groups; squashfs has room for 65535");
}
