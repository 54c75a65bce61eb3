use std::fs;
use std::path::Path;

use tar::{Archive, EntryType};

use super::recipe::load;
use super::tree::{Entry, Kind, Span, Tree};
use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn entry(kind: Kind) -> Entry {
    Entry { kind, mode: 0o755, uid: 0, gid: 0, mtime: Some(7) }
}

fn link(target: &str) -> Entry {
    entry(Kind::Symlink(target.to_owned()))
}

fn file() -> Entry {
    entry(Kind::File(Span { offset: 0, len: 0 }))
}

fn recipe(folder: &Path, text: &str) -> Result<Loaded, PackageError> {
    fs::write(folder.join(recipe::FILE), text).unwrap();
    load(folder)
}

/// A package with these entries: type, path, link target or contents.
fn package(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_mtime(5);
        header.set_uid(0);
        header.set_gid(0);
        // Written by hand: the builder itself refuses what a hostile package may hold.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        let bytes = if kind.is_file() {
            text.as_bytes()
        } else {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
            b""
        };
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let member = |name: &str, bytes: &[u8]| {
        let mut out = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", bytes.len()).into_bytes();
        out.extend(bytes);
        out
    };
    [b"!<arch>\n".to_vec(), member("debian-binary", b"2.0\n"), member("data.tar", &tar)].concat()
}

fn unpacked(rootfs: &Rootfs, entries: &[(EntryType, &str, &str)]) -> Result<Vec<String>, PackageError> {
    let (_folder, store) = store();
    let mut tree = Tree::new(&store)?;
    tree.merge_usr()?;
    let name = |text: &str| text.to_owned();
    let described = Package { name: name("x"), version: name("1"), file: name("x.deb"), size: 0, sha256: name("") };
    unpack::package(&mut tree, rootfs, &described, package(entries).as_slice())?;
    tree.prune_merged();
    let found = tree.entries().map(|(path, entry)| match &entry.kind {
        Kind::Symlink(target) => format!("{path} -> {target}"),
        Kind::Directory => format!("{path}/"),
        Kind::File(span) => format!("{path} {}", span.len),
    });
    Ok(found.collect())
}

#[test]
fn both_spellings_of_a_merged_usr_come_out_the_same() {
    use EntryType::{Directory, Regular};
    let old = [
        (Directory, "./bin/", ""),
        (Regular, "./bin/sh", "abc"),
        (Directory, "./lib64", ""),
        (Regular, "lib64/ld.so", "x"),
    ];
    let new = [(Directory, "./usr/", ""), (Regular, "./usr/bin/sh", "abc"), (Regular, "./usr/lib64/ld.so", "x")];
    let want =
        ["bin -> usr/bin", "lib64 -> usr/lib64", "usr/", "usr/bin/", "usr/bin/sh 3", "usr/lib64/", "usr/lib64/ld.so 1"];
    assert_eq!(unpacked(&Rootfs::default(), &old).unwrap(), want);
    assert_eq!(unpacked(&Rootfs::default(), &new).unwrap(), want);
}

#[test]
fn hard_links_share_their_bytes_and_devices_are_refused() {
    use EntryType::{Char, Link, Regular};
    let linked = unpacked(&Rootfs::default(), &[(Regular, "a", "abc"), (Link, "b", "./a")]).unwrap();
    assert_eq!(linked, ["a 3", "b 3"]);
    for (entries, want) in [
        (vec![(Link, "b", "a")], "no file laid before it"),
        (vec![(Char, "dev/null", "")], "neither file, folder nor link"),
        (vec![(Regular, "../a", "")], "not a path inside the image"),
        (vec![(Regular, "usr/../../a", "")], "not a path inside the image"),
        (vec![(Regular, "a", ""), (Regular, "a/b", "")], "lies under a file"),
    ] {
        let error = unpacked(&Rootfs::default(), &entries).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn what_is_dropped_leaves_the_copyright() {
    use EntryType::{Directory, Regular, Symlink};
    let rootfs = Rootfs { drop: vec!["/usr/share/doc/**".to_owned(), "/bin/*-tool".to_owned()], ..Rootfs::default() };
    let entries = [
        (Directory, "usr/share/doc/x/", ""),
        (Regular, "usr/share/doc/x/README", "r"),
        (Regular, "usr/share/doc/x/copyright", "c"),
        (Symlink, "usr/share/doc/y", "x"),
        // Patterns are matched against where a file ends up, not against how a package spells it.
        (Regular, "bin/a-tool", ""),
    ];
    let want = [
        "usr/",
        "usr/share/",
        "usr/share/doc/",
        "usr/share/doc/x/",
        "usr/share/doc/x/copyright 1",
        "usr/share/doc/y -> x",
    ];
    let mut found = unpacked(&rootfs, &entries).unwrap();
    found.retain(|line| !line.contains("bin"));
    assert_eq!(found, want);
}

#[test]
fn links_are_followed_inside_the_image_only() {
    let (_folder, store) = store();
    let mut tree = Tree::new(&store).unwrap();
    for (path, target) in [("abs", "/etc"), ("up", "../../../../etc"), ("loop", "loop2"), ("loop2", "loop")] {
        tree.lay(path, link(target)).unwrap();
    }
    tree.lay("abs/passwd", file()).unwrap();
    tree.lay("up/group", file()).unwrap();
    let paths: Vec<&str> = tree.entries().map(|(path, _)| path).filter(|path| path.starts_with("etc")).collect();
    assert_eq!(paths, ["etc", "etc/group", "etc/passwd"]);
    let error = tree.lay("loop/x", file()).unwrap_err().to_string();
    assert!(error.contains("never end"), "{error}");
}

#[test]
fn a_folder_never_becomes_a_file_nor_a_file_a_folder() {
    let (_folder, store) = store();
    let mut tree = Tree::new(&store).unwrap();
    tree.lay("a/b", file()).unwrap();
    assert!(tree.lay("a", file()).is_err());
    assert!(tree.lay("a", link("/")).is_err());
    assert!(tree.lay("a/b", entry(Kind::Directory)).is_err());
    tree.lay("a/b", link("c")).unwrap();
}

#[test]
fn a_recipe_without_packages_needs_no_apt() {
    let (_keep, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let text = "image: hello\norg: me\ntag: v1\nconfig:\n  capabilities: [CAP_CHOWN]\n  uid: 7\nrootfs:\n  files:\n    \
                - {path: /bin/hi, source: hi, mode: 0755}\n    - {path: /hi, symlink: bin/hi}\n  image: {cmd: [/hi]}\n";
    fs::write(folder.path().join("hi"), "#!/bin/sh\n").unwrap();
    let loaded = recipe(folder.path(), text).unwrap();
    let options = Options { arches: vec![Arch::Arm64], epoch: Some(86_400), ..Options::default() };
    let image = Builder::new(&store, options).build(&loaded, &|_| ()).unwrap();
    assert_eq!(image.reference, "docker.io/me/hello:v1");
    let built = &image.arches[&Arch::Arm64];
    let config: serde_json::Value = serde_json::from_slice(&store.read_document(&built.config).unwrap()).unwrap();
    let label = config["config"]["Labels"]["org.mobyproject.config"].as_str().unwrap();
    assert_eq!(label, r#"{"capabilities":["CAP_CHOWN"],"uid":7}"#);
    let layer = flate2::read::GzDecoder::new(store.open_blob(&built.layers[0]).unwrap());
    let mut archive = Archive::new(layer);
    let modes = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.header().mode().unwrap())
    });
    assert_eq!(
        modes.collect::<Vec<_>>(),
        [("bin/".to_owned(), 0o755), ("bin/hi".to_owned(), 0o755), ("hi".to_owned(), 0o777)]
    );
}

#[test]
fn a_bad_recipe_is_refused_by_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("out")).unwrap();
    for (text, want) in [
        ("image: a\nrootfs:\n  atp: [x]\n", "build.yml:3:3: `atp`"),
        ("org: a\n", "image"),
        ("image: a\nrootfs: {apt: [-oDir=x]}\n", "`-oDir=x` is not the name"),
        ("image: a\nrootfs: {apt: [nginx-]}\n", "`nginx-` is not the name"),
        ("image: a\nrootfs: {exclude: [\"a\\nStatus: x\"]}\n", "is not the name"),
        ("image: a\nrootfs: {files: [{path: x}]}\n", "exactly one of"),
        ("image: a\nrootfs: {files: [{path: x, contents: a, symlink: b}]}\n", "exactly one of"),
        ("image: a\nrootfs: {files: [{path: x, contents: a, mode: \"0999\"}]}\n", "no octal mode"),
        ("image: a\nrootfs: {files: [{path: x, source: ../../etc/passwd}]}\n", "stays in it"),
        ("image: a\nrootfs: {files: [{path: x, source: /etc/passwd}]}\n", "stays in it"),
        ("image: a\nrootfs: {files: [{path: x, source: out}]}\n", "out of the recipe's folder"),
    ] {
        let error = recipe(folder.path(), text).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
    for (text, want) in [
        ("image: A\ntag: x\nrootfs: {}\n", "`linuxkit/A` is not the name of an image"),
        ("image: a\ntag: \"{{.Date}}\"\nrootfs: {}\n", "only `{{.Hash}}` is known"),
        ("image: a\ntag: x\narches: [s390x]\nrootfs: {}\n", "none of amd64 and arm64"),
        ("image: a\ntag: x\n", "neither `rootfs` nor a file `Dockerfile`"),
    ] {
        let (_keep, store) = store();
        let loaded = recipe(folder.path(), text).unwrap();
        let error = Builder::new(&store, Options::default()).build(&loaded, &|_| ()).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
}
