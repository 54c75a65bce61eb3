use std::fs;
use std::io::Read as _;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::archive::Archive;
use super::*;

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// Append a member whose header says just this, true or not.
fn member(tar: &mut Vec<u8>, kind: EntryType, name: &[u8], link: &[u8], size: u64, data: &[u8]) {
    let mut header = Header::new_gnu();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn opened(tar: &[u8]) -> Result<Archive, String> {
    let (folder, store) = store();
    let path = folder.path().join("archive.tar");
    fs::write(&path, tar).unwrap();
    Archive::open(&store, &path).map_err(|error| crate::pull::error::chain(&error))
}

fn content(archive: &Archive, name: &str) -> Option<String> {
    let (mut reader, _) = archive.member(name).unwrap()?;
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    Some(text)
}

#[test]
fn links_inside_an_archive_are_followed_and_loops_are_not_for_ever() {
    let mut tar = Vec::new();
    member(&mut tar, EntryType::Regular, b"./one/layer.tar", b"", 3, b"abc");
    member(&mut tar, EntryType::Symlink, b"two/layer.tar", b"../one/layer.tar", 0, b"");
    member(&mut tar, EntryType::Link, b"three", b"two/layer.tar", 0, b"");
    member(&mut tar, EntryType::Symlink, b"loop", b"pool", 0, b"");
    member(&mut tar, EntryType::Symlink, b"pool", b"loop", 0, b"");
    let archive = opened(&tar).unwrap();
    for name in ["one/layer.tar", "two/layer.tar", "three", "./two/../three"] {
        assert_eq!(content(&archive, name).as_deref(), Some("abc"), "{name}");
    }
    assert_eq!(content(&archive, "four"), None);
    for name in ["loop", "../three"] {
        assert!(archive.member(name).is_err(), "{name}");
    }
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let name = format!("{}/layer.tar", "d".repeat(150));
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(3);
    builder.append_data(&mut header, &name, &b"abc"[..]).unwrap();
    let mut tar = builder.into_inner().unwrap();
    tar.truncate(tar.len() - 1024);
    let record = b"20 path=pax/layer.x\n";
    member(&mut tar, EntryType::XHeader, b"pax", b"", record.len() as u64, record);
    member(&mut tar, EntryType::Regular, b"short", b"", 3, b"def");
    let archive = opened(&tar).unwrap();
    assert_eq!(content(&archive, &name).as_deref(), Some("abc"));
    assert_eq!(content(&archive, "pax/layer.x").as_deref(), Some("def"));
    assert_eq!(content(&archive, "short"), None);
}

#[test]
fn hostile_archives_are_refused_by_name() {
    let case = |kind, name: &[u8], link: &[u8], size, data: &[u8]| {
        let mut tar = Vec::new();
        member(&mut tar, kind, name, link, size, data);
        opened(&tar).unwrap_err()
    };
    for (error, want) in [
        (case(EntryType::Regular, b"../x", b"", 0, b""), "member `../x` leads out of it"),
        (case(EntryType::Symlink, b"a/x", b"../../etc/passwd", 0, b""), "link `a/x` leads out of it"),
        (case(EntryType::Symlink, b"x", b"/etc/passwd", 0, b""), "link `x` leads out of it"),
        (case(EntryType::Regular, b"x", b"", 1 << 40, b""), "longer than the archive"),
        (case(EntryType::Regular, b"x", b"", u64::MAX, b""), "longer than the archive"),
        (
            case(EntryType::GNULongName, b"x", b"", 1 << 20, &[b'a'; 1 << 20]),
            "a name or extended header is 1048576 bytes long",
        ),
        (case(EntryType::XHeader, b"x", b"", 9, b"99 path=x"), "an extended header is malformed"),
        (case(EntryType::Char, b"x", b"", 0, b""), "neither a file nor a folder nor a link"),
        (opened(&[b'x'; 2048]).unwrap_err(), "it is not a tar archive"),
    ] {
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn a_path_may_hold_a_colon_and_so_may_a_tag() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd:name.tar");
    fs::write(&file, "").unwrap();
    let text = file.to_str().unwrap();
    let (head, tail) = text.rsplit_once(':').unwrap();
    assert_eq!(locate(head, Some(tail)), (file.clone(), None));
    assert_eq!(locate(text, Some("1")), (file.clone(), Some("1".to_owned())));
    assert_eq!(locate(&format!("{text}:some/name"), Some("1")), (file.clone(), Some("some/name:1".to_owned())));
    assert_eq!(locate("/nonexistent", Some("1")), ("/nonexistent".into(), Some("1".to_owned())));
}

#[test]
fn dockers_old_form_shares_layers_by_symlink() {
    let (folder, store) = store();
    let layer = {
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(0);
        builder.append_data(&mut header, "file", &b""[..]).unwrap();
        builder.into_inner().unwrap()
    };
    let id = Digest::of(&layer);
    let config =
        format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{id}","{id}"]}}}}"#);
    let manifest = r#"[{"Config":"c.json","RepoTags":["a:1","a:2"],"Layers":["one/layer.tar","two/layer.tar"]}]"#;
    let mut tar = Vec::new();
    member(&mut tar, EntryType::Directory, b"one/", b"", 0, b"");
    member(&mut tar, EntryType::Regular, b"one/VERSION", b"", 3, b"1.0");
    member(&mut tar, EntryType::Regular, b"one/layer.tar", b"", layer.len() as u64, &layer);
    member(&mut tar, EntryType::Symlink, b"two/layer.tar", b"../one/layer.tar", 0, b"");
    member(&mut tar, EntryType::Regular, b"c.json", b"", config.len() as u64, config.as_bytes());
    member(&mut tar, EntryType::Regular, b"manifest.json", b"", manifest.len() as u64, manifest.as_bytes());
    let path = folder.path().join("docker.tar");
    fs::write(&path, &tar).unwrap();
    let import = |tag| docker::import(&store, &Files::archive(&store, &path).unwrap(), tag, "image");
    let digest = import(None).unwrap();
    assert_eq!(import(Some("2")).unwrap(), digest);
    let document = String::from_utf8(store.read_document(&digest).unwrap()).unwrap();
    assert_eq!(document.matches(&id.to_string()).count(), 2);
    assert!(import(Some("3")).unwrap_err().to_string().ends_with("it has no image `3`; it has a:1, a:2"));

    // One byte of the layer changed: it no longer is what the configuration says.
    let at = tar.windows(4).position(|bytes| bytes == b"file").unwrap();
    let mut altered = tar.clone();
    altered[at] ^= 1;
    fs::write(&path, altered).unwrap();
    let other = Store::open(&folder.path().join("other")).unwrap();
    let error = docker::import(&other, &Files::archive(&other, &path).unwrap(), None, "image").unwrap_err();
    assert!(matches!(error, PullError::Digest { .. }), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_the_reader_panic(at in 0_usize..3072, byte: u8, cut in 0_usize..3072) {
        let mut tar = Vec::new();
        member(&mut tar, EntryType::XHeader, b"pax", b"", 20, b"20 path=pax/layer.x\n");
        member(&mut tar, EntryType::Regular, b"one/layer.tar", b"", 3, b"abc");
        member(&mut tar, EntryType::Symlink, b"two", b"one/layer.tar", 0, b"");
        tar.resize(3072, 0);
        tar[at] = byte;
        tar.truncate(cut);
        if let Ok(archive) = opened(&tar) {
            let _ = archive.member("two").map(|found| found.map(|(mut reader, _)| reader.read_to_end(&mut Vec::new())));
        }
    }
}
