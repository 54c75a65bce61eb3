use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::check::{Expected, check};
use super::dump::dump;
use super::layout::{CHAR, DIRECTORY, FIFO, Header, REGULAR, SYMLINK, padding};
use super::read::Reader;
use super::write::{Attributes, Writer};
use super::*;
use crate::digest::Digest;

fn attributes(mode: u32) -> Attributes {
    Attributes { mode, mtime: 1_000_000_000, ..Attributes::default() }
}

/// One of everything.
fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.append(b"d", attributes(DIRECTORY | 0o1777), &[]).unwrap();
    writer.append(b"d/link", attributes(SYMLINK | 0o777), b"../file").unwrap();
    writer.append(b"fifo", attributes(FIFO | 0o600), &[]).unwrap();
    writer.append(b"file", Attributes { uid: 7, gid: 8, ..attributes(REGULAR | 0o4755) }, b"hello").unwrap();
    writer.append_linked(&[b"one", b"d/two"], attributes(REGULAR | 0o644), 3, &mut &b"abc"[..]).unwrap();
    writer.append(b"null", Attributes { rdev: (1, 3), ..attributes(CHAR | 0o666) }, &[]).unwrap();
    writer.append(b"latin-\xe4", attributes(REGULAR | 0o644), &[]).unwrap();
    writer.finish().unwrap()
}

#[test]
fn cpio_one_of_everything() {
    let golden = "\
00000000 ino 1 041777 x1 0:0 t1000000000 0 rdev 0:0 d
00000070 ino 2 120777 x1 0:0 t1000000000 7 rdev 0:0 d/link
000000f0 ino 3 010600 x1 0:0 t1000000000 0 rdev 0:0 fifo
00000164 ino 4 104755 x1 7:8 t1000000000 5 rdev 0:0 file
000001e0 ino 5 100644 x2 0:0 t1000000000 0 rdev 0:0 one
00000254 ino 5 100644 x2 0:0 t1000000000 3 rdev 0:0 d/two
000002cc ino 6 020666 x1 0:0 t1000000000 0 rdev 1:3 null
00000340 ino 7 100644 x1 0:0 t1000000000 0 rdev 0:0 latin-\u{fffd}
";
    assert_eq!(dump(sample().as_slice()).unwrap(), golden);
    assert_eq!(Digest::of(&sample()).short(), "ce3f103beb31");
}

#[test]
fn gnu_cpio_accepts_cpio() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    fs::write(&archive, sample()).unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let status = Command::new("cpio")
        .args(["--extract", "--quiet", "--make-directories", "--preserve-modification-time", "--no-absolute-filenames"])
        .args(["--no-preserve-owner", "--nonmatching", "null"])
        .current_dir(&root)
        .stdin(Stdio::from(fs::File::open(&archive).unwrap()))
        .status();
    let status = match status {
        Ok(status) => status,
        Err(error) if std::env::var_os("CI").is_none() => return eprintln!("skipped: no cpio: {error}"),
        Err(error) => panic!("no cpio: {error}"),
    };
    assert!(status.success(), "{status}");
    let meta = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
    assert_eq!(fs::read(root.join("file")).unwrap(), b"hello");
    assert_eq!((meta("file").permissions().mode() & 0o7777, meta("file").mtime()), (0o4755, 1_000_000_000));
    assert_eq!(fs::read_link(root.join("d/link")).unwrap().as_os_str(), "../file");
    assert!(meta("fifo").file_type().is_fifo() && meta("d").is_dir());
    assert_eq!((meta("one").ino(), meta("one").nlink()), (meta("d/two").ino(), 2));
    assert_eq!(fs::read(root.join("one")).unwrap(), b"abc");
    assert_eq!(fs::read(root.join("d/two")).unwrap(), b"abc");
}

#[test]
fn what_the_kernel_would_skip_is_refused() {
    let mut writer = Writer::new(Vec::new());
    let long = vec![b'a'; layout::PATH_MAX];
    assert!(matches!(writer.append(&long, attributes(REGULAR), &[]), Err(CpioError::LongPath { .. })));
    assert!(matches!(writer.append(b"l", attributes(SYMLINK), &long), Err(CpioError::LongPath { .. })));
    let result = writer.append_linked(&[b"big"], attributes(REGULAR), 1 << 32, &mut std::io::empty());
    assert_eq!(result.unwrap_err().to_string(), "`big` has 4294967296 bytes; a file in an initrd ends at 4 GiB - 1");
}

#[test]
fn a_file_shorter_than_announced_is_an_error() {
    let mut writer = Writer::new(Vec::new());
    let result = writer.append_linked(&[b"f"], attributes(REGULAR), 5, &mut &b"abc"[..]);
    assert!(matches!(result, Err(CpioError::Length { wanted: 5, found: 3, .. })), "{result:?}");
}

#[test]
fn the_check_sees_each_difference() {
    let wanted = |path: &str, mode, size| Expected { path: path.into(), mode, size };
    let mut writer = Writer::new(Vec::new());
    writer.append(b"a", attributes(REGULAR | 0o644), b"12345").unwrap();
    writer.append(b"b", attributes(DIRECTORY | 0o755), &[]).unwrap();
    let archive = writer.finish().unwrap();
    let good = [wanted("a", REGULAR | 0o644, 5), wanted("b", DIRECTORY | 0o755, 0)];
    check(archive.as_slice(), good.clone()).unwrap();
    let [a, b] = good;
    let cases: [(Vec<Expected>, &str); 5] = [
        (vec![a.clone()], "`b`: nobody asked for it"),
        (vec![a.clone(), b.clone(), b.clone()], "`b`: it is missing"),
        (vec![wanted("c", REGULAR | 0o644, 5), b.clone()], "`c`: another name stands there"),
        (vec![wanted("a", REGULAR | 0o600, 5), b.clone()], "`a`: the mode"),
        (vec![wanted("a", REGULAR | 0o644, 4), b], "`a`: the size"),
    ];
    for (wanted, text) in cases {
        let error = check(archive.as_slice(), wanted).unwrap_err().to_string();
        assert_eq!(error, format!("the archive reads back wrong at {text}"));
    }
    check(&archive[..archive.len() - 60], [a]).unwrap_err();
}

#[test]
fn names_that_are_not_text_are_checked_too() {
    let entries = |name: &[u8]| Expected { path: name.to_vec(), mode: REGULAR, size: 0 };
    let mut writer = Writer::new(Vec::new());
    for name in [&b"a"[..], b"\xff", b"z"] {
        writer.append(name, attributes(REGULAR), &[]).unwrap();
    }
    let archive = writer.finish().unwrap();
    check(archive.as_slice(), [entries(b"a"), entries(b"\xff"), entries(b"z")]).unwrap();
    check(archive.as_slice(), [entries(b"a"), entries(b"\xff")]).unwrap_err();
    check(archive.as_slice(), [entries(b"a"), entries(b"\xfe"), entries(b"z")]).unwrap_err();
}

#[test]
fn padding_reaches_the_next_multiple_of_four() {
    assert_eq!([0, 1, 2, 3, 4, u64::MAX].map(padding), [0, 3, 2, 1, 0, 1]);
}

proptest! {
    #[test]
    fn a_header_reads_back(fields: [u32; 10]) {
        let [ino, mode, uid, gid, nlink, mtime, size, major, minor, namesize] = fields;
        let header = Header { ino, mode, uid, gid, nlink, mtime, size, dev: (3, 1), rdev: (major, minor), namesize };
        prop_assert_eq!(Header::from_bytes(&header.to_bytes()), Some(header));
    }

    #[test]
    fn entries_read_back(entries in prop::collection::vec(("[a-z\u{e9}/]{1,40}", any::<Vec<u8>>()), 0..10)) {
        let mut writer = Writer::new(Vec::new());
        for (path, data) in &entries {
            writer.append(path.as_bytes(), attributes(REGULAR), data).unwrap();
        }
        let archive = writer.finish().unwrap();
        prop_assert_eq!(archive.len() % 4, 0);
        let mut reader = Reader::new(archive.as_slice());
        for (path, data) in &entries {
            let entry = reader.next_entry().unwrap().unwrap();
            let mut found = Vec::new();
            io::Read::read_to_end(&mut reader, &mut found).unwrap();
            prop_assert_eq!((&entry.path[..], &found), (path.as_bytes(), data));
        }
        prop_assert_eq!(reader.next_entry().unwrap(), None);
    }

    #[test]
    fn cpio_reader(bytes: Vec<u8>, at in 0..1000_usize) {
        let _ = dump(bytes.as_slice());
        let mut archive = sample();
        let at = at % archive.len();
        for (slot, byte) in archive[at..].iter_mut().zip(&bytes) {
            *slot = *byte;
        }
        let _ = dump(archive.as_slice());
    }
}
