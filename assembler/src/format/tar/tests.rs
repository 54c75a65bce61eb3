use std::process::Command;

use proptest::prelude::*;

use super::read::{Limits, Reader};
use super::*;

fn members(tar: &[u8]) -> Result<Vec<Member>, TarError> {
    let mut reader = Reader::new(tar, Limits::default());
    std::iter::from_fn(|| reader.next_member().transpose()).collect()
}

/// Make a tar of what `script` creates in an empty folder, with GNU tar.
fn gnu_tar(script: &str, arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("sh").args(["-ec", script]).current_dir(folder.path()).status().unwrap();
    assert!(status.success());
    let output =
        Command::new("tar").args(arguments).args(["-cf", "-", "--sort=name", "."]).current_dir(folder.path()).output();
    output.unwrap().stdout
}

const SCRIPT: &str = "umask 022; mkdir -p d/$(printf 'x%.0s' $(seq 150)); printf abc > d/file; chmod 4755 d/file
    ln d/file hard; ln -s $(printf 'y%.0s' $(seq 180)) soft; mkfifo fifo; touch -d @-5 old
    printf abc > $(printf 'latin-\\344'); touch -d @1000000000.5 d/file";

#[test]
fn gnu_and_pax_archives_read_alike() {
    let mut gnu = members(&gnu_tar(SCRIPT, &["--format=gnu"])).unwrap();
    let mut pax = members(&gnu_tar(SCRIPT, &["--format=pax"])).unwrap();
    for member in gnu.iter_mut().chain(&mut pax) {
        member.offset = 0;
        if member.kind == Kind::Directory {
            member.mtime = 0;
        }
    }
    let find = |path: &[u8]| gnu.iter().find(|member| member.path == path).unwrap().clone();
    assert_eq!((find(b"./d/file").mode, find(b"./d/file").size, find(b"./d/file").mtime), (0o4755, 3, 1_000_000_000));
    assert_eq!(
        (find(b"./hard").kind, find(b"./hard").link, find(b"./hard").size),
        (Kind::HardLink, b"./d/file".to_vec(), 0)
    );
    assert_eq!((find(b"./soft").kind, find(b"./soft").link.len()), (Kind::Symlink, 180));
    assert_eq!(find(b"./old").mtime, -5);
    assert_eq!(find(b"./fifo").kind, Kind::Fifo);
    assert_eq!(find(b"./latin-\xe4").size, 3);
    assert!(gnu.iter().any(|member| member.path.len() == 155));
    for (gnu, pax) in gnu.iter().zip(&pax) {
        // What is no whole second may be cut differently.
        assert_eq!((&gnu.path, gnu.kind, gnu.mode, gnu.size), (&pax.path, pax.kind, pax.mode, pax.size));
    }
}

#[test]
fn sparse_files_are_refused_by_name() {
    for arguments in [
        &["--sparse", "--format=gnu"][..],
        &["--sparse", "--format=pax", "--sparse-version=1.0"],
        &["--sparse", "--format=pax", "--sparse-version=0.1"],
    ] {
        let tar = gnu_tar("truncate -s 1M hole; printf x >> hole", arguments);
        let error = members(&tar).unwrap_err().to_string();
        assert!(error.contains("hole`: sparse files"), "{arguments:?}: {error}");
    }
}

/// One pax record.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (1..).find(|digits| rest + digits == rest + (rest + digits).to_string().len()).unwrap() + rest;
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}

fn entry(kind: tar::EntryType, name: &str, data: &[u8], size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn extended(records: &[Vec<u8>]) -> Vec<u8> {
    let data = records.concat();
    entry(tar::EntryType::XHeader, "pax", &data, data.len() as u64)
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    entry(tar::EntryType::Regular, name, data, data.len() as u64)
}

#[test]
fn attribute_values_may_hold_any_byte() {
    let value = b"\x01\0\0\x02\n12 a=b\n\0";
    let records = [record("SCHILY.xattr.security.capability", value), record("path", b"long"), record("uid", b"70000")];
    let tar = [extended(&records), file("short", b"x")].concat();
    let found = members(&tar).unwrap().remove(0);
    assert_eq!(found.xattrs, [(b"security.capability".to_vec(), value.to_vec())]);
    assert_eq!((found.path, found.uid, found.size, found.offset), (b"long".to_vec(), 70_000, 1, 1536));
}

#[test]
fn a_size_in_a_pax_record_counts() {
    let mut tar = [extended(&[record("size", b"3")]), entry(tar::EntryType::Regular, "a", b"abc", 0)].concat();
    tar.extend(file("b", b""));
    let found = members(&tar).unwrap();
    assert_eq!(found.iter().map(|member| member.size).collect::<Vec<_>>(), [3, 0]);
}

#[test]
fn bad_archives_get_one_sentence() {
    let long = extended(&[record("path", &[b'a'; 5000])]);
    let huge = entry(tar::EntryType::GNULongName, "x", b"", 1 << 40);
    let cases: [(Vec<u8>, &str); 8] = [
        (b"this is no archive at all".to_vec(), "not a tar archive"),
        (vec![b'x'; 1024], "not a tar archive"),
        ([file("a", b"x"), vec![b'x'; 512]].concat(), "damaged at byte 1024: no header stands where one should"),
        (file("a", &[0; 600])[..700].to_vec(), "cut short after 700 bytes of tar"),
        ([long, file("a", b"")].concat(), "its path or target is too long"),
        (huge, "the extended header of a file exceeds the limit of 1048576"),
        (
            entry(tar::EntryType::Regular, "a", b"", 1 << 40),
            "the uncompressed length in bytes exceeds the limit of 17179869184",
        ),
        (entry(tar::EntryType::new(b'V'), "vol", b"", 0), "`vol`: its type is unknown"),
    ];
    for (tar, text) in cases {
        let error = members(&tar).unwrap_err().to_string();
        assert!(error.ends_with(text), "{error} / {text}");
    }
}

#[test]
fn limits_hold() {
    let tar = [file("a", b"x"), file("b", b"x"), vec![0; 1024]].concat();
    let read = |limits| {
        let mut reader = Reader::new(tar.as_slice(), limits);
        while reader.next_member()?.is_some() {}
        Ok::<(), TarError>(())
    };
    read(Limits { members: 2, bytes: 3072, ..Limits::default() }).unwrap();
    assert!(matches!(read(Limits { members: 1, ..Limits::default() }), Err(TarError::Limit { limit: 1, .. })));
    assert!(matches!(read(Limits { bytes: 2000, ..Limits::default() }), Err(TarError::Limit { limit: 2000, .. })));
}

#[test]
fn gnu_tars_large_numbers_read() {
    let mut tar = file("a", b"");
    let header = tar::Header::from_byte_slice(&tar[..512]).clone();
    let mut header = header;
    header.as_old_mut().uid = [0x80, 0, 0, 0, 0, 1, 0, 0];
    header.as_old_mut().mtime = [0xff; 12];
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    let found = members(&tar).unwrap().remove(0);
    assert_eq!((found.uid, found.mtime), (65536, -1));
}

proptest! {
    #[test]
    fn tar_reader(bytes: Vec<u8>, at in 0..4096_usize) {
        let _ = members(&bytes);
        let mut tar = [extended(&[record("path", b"x")]), file("a", b"abc"), file("b", b"d")].concat();
        let at = at % tar.len();
        for (slot, byte) in tar[at..].iter_mut().zip(&bytes) {
            *slot = *byte;
        }
        // Right checksums, so that what lies behind them is reached as well.
        for block in tar.chunks_exact_mut(512) {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let _ = members(&tar);
    }
}
