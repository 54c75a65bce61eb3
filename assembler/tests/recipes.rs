//! The recipes of `examples/images`, built from the package mirrors this machine's apt knows.
//!
//! What is fetched stays under `target/`, so that a second run asks the mirrors only for what is new.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hullkit::digest::Digest;
use hullkit::package::{Builder, Image, Options, recipe};
use hullkit::platform::Arch;
use hullkit::store::Store;

const RECIPES: [&str; 6] = ["busybox", "kernel", "kernel-metal", "nginx", "redis", "storage"];

/// Tell whether the host has what these tests need; missing is an error only in CI.
fn is_debian() -> bool {
    let found = Command::new("apt-get").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "apt-get is missing");
    found
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/images")
}

fn open() -> Store {
    Store::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes")).unwrap()
}

fn build(store: &Store, folder: &Path, options: Options) -> Image {
    let recipe = recipe::load(folder).unwrap();
    Builder::new(store, options).build(&recipe, &|_| ()).unwrap()
}

/// One file of an image.
#[derive(Debug)]
enum Found {
    Folder,
    Link(String),
    File(Vec<u8>),
}

/// Unpack a layer into memory, checking that it is sorted, free of duplicates, and that parents come first.
fn files(store: &Store, layer: &Digest) -> BTreeMap<String, Found> {
    let gzip = flate2::read::GzDecoder::new(store.open_blob(layer).unwrap());
    let mut files = BTreeMap::new();
    let mut last = String::new();
    for entry in tar::Archive::new(gzip).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap().trim_end_matches('/').to_owned();
        assert!(path > last, "{path} after {last}");
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert!(matches!(files.get(parent), Some(Found::Folder)), "{path} has no parent");
        }
        last.clone_from(&path);
        let target = entry.link_name_bytes().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let found = match (entry.header().entry_type(), target) {
            (tar::EntryType::Directory, _) => Found::Folder,
            (tar::EntryType::Symlink, Some(target)) => Found::Link(target),
            (tar::EntryType::Regular, _) => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                Found::File(bytes)
            }
            (tar::EntryType::Link, Some(target)) => match &files[&target] {
                Found::File(bytes) => Found::File(bytes.clone()),
                other => panic!("{path} is a hard link to {other:?}"),
            },
            other => panic!("{path} is {other:?}"),
        };
        files.insert(path, found);
    }
    files
}

/// Give the file behind a path, as a process inside the image would find it.
fn follow<'a>(files: &'a BTreeMap<String, Found>, path: &str) -> Option<&'a [u8]> {
    let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    for _ in 0..200 {
        let Some(part) = left.pop() else { break };
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        if let Some(Found::Link(target)) = files.get(&done.join("/")) {
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            left.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    match files.get(&done.join("/"))? {
        Found::File(bytes) => Some(bytes),
        _ => None,
    }
}

/// Ask `readelf` which interpreter and which libraries a program wants.
fn wants(bytes: &[u8]) -> (Option<String>, Vec<String>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let output = Command::new("readelf").args(["-W", "-l", "-d"]).arg(file.path()).env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let between = |line: &str, open: &str| {
        line.split_once(open).and_then(|(_, rest)| rest.split_once(']')).map(|(word, _)| word.to_owned())
    };
    let interpreter = text.lines().find_map(|line| between(line, "[Requesting program interpreter: "));
    let needed = text.lines().filter(|line| line.contains("(NEEDED)")).filter_map(|line| between(line, "["));
    (interpreter, needed.collect())
}

fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Check that everything the programs of a root file system load is in it, for the machine it is for.
fn assert_complete(name: &str, arch: Arch, files: &BTreeMap<String, Found>) {
    let own = format!("/usr/lib/{}-linux-gnu", arch.machine());
    // systemd's programs name the folder of their library themselves.
    let systemd = format!("{own}/systemd");
    let folders = [own, "/usr/lib".to_owned(), "/lib64".to_owned(), systemd];
    let mut programs = 0;
    for (path, found) in files {
        match found {
            Found::File(bytes) if is_elf(bytes) => {
                programs += 1;
                let machine = if arch == Arch::Amd64 { 62 } else { 183 };
                assert_eq!(u16::from_le_bytes([bytes[18], bytes[19]]), machine, "{name} {path}");
                let (interpreter, needed) = wants(bytes);
                if let Some(interpreter) = interpreter {
                    assert!(
                        follow(files, &interpreter).is_some_and(is_elf),
                        "{name} {arch}: {path} wants {interpreter}"
                    );
                }
                for library in needed {
                    let holds = |folder| follow(files, &format!("{folder}/{library}")).is_some_and(is_elf);
                    assert!(folders.iter().any(holds), "{name} {arch}: {path} wants {library}");
                }
            }
            Found::Link(_) if path.starts_with("usr/bin/") || path.starts_with("usr/sbin/") => {
                assert!(follow(files, path).is_some(), "{name} {arch}: {path} leads nowhere");
            }
            _ => {}
        }
    }
    assert!(programs > 0, "{name} {arch} has no program");
}

fn assert_kernel(arch: Arch, files: &BTreeMap<String, Found>) {
    let Some(Found::File(kernel)) = files.get("kernel") else { panic!("{arch}: no kernel") };
    // The marks of a bzImage, and of a plain or an EFI zboot image.
    let marks = [(0x202, &b"HdrS"[..]), (0x38, b"ARMd"), (0x4, b"zimg")];
    assert!(marks.iter().any(|(at, mark)| kernel[*at..].starts_with(mark)), "{arch}");
    let Some(Found::File(modules)) = files.get("kernel.tar") else { panic!("{arch}: no kernel.tar") };
    let mut names = BTreeSet::new();
    for entry in tar::Archive::new(&modules[..]).entries().unwrap() {
        let path = String::from_utf8(entry.unwrap().path_bytes().to_vec()).unwrap();
        assert!(path.starts_with("lib/"), "{path}");
        names.insert(path);
    }
    for want in ["modules.builtin", "/virtio_net.ko", "/overlay.ko"] {
        assert!(names.iter().any(|name| name.contains(want)), "{arch}: no {want}");
    }
}

fn config(store: &Store, digest: &Digest) -> serde_json::Value {
    serde_json::from_slice(&store.read_document(digest).unwrap()).unwrap()
}

#[test]
fn every_recipe_builds_for_both_architectures_with_all_that_it_loads() {
    if !is_debian() {
        return;
    }
    let store = open();
    for name in RECIPES {
        let image = build(&store, &examples().join(name), Options::default());
        assert!(image.reference.starts_with(&format!("docker.io/hullkit/{name}:")), "{}", image.reference);
        assert_eq!(store.find(&image.reference).unwrap().unwrap().digest(), image.index.digest());
        assert_eq!(image.arches.keys().copied().collect::<Vec<_>>(), Arch::ALL);
        for (arch, built) in &image.arches {
            let files = files(&store, &built.layers[0]);
            if name.starts_with("kernel") {
                assert_kernel(*arch, &files);
            } else {
                assert_complete(name, *arch, &files);
            }
            assert_eq!(config(&store, &built.config)["architecture"], arch.name());
            let unwanted = |path: &&String| path.contains("/man/") || path.contains("perl") || path.contains("/gconv/");
            assert_eq!(files.keys().find(unwanted), None, "{name} {arch}");
            for path in files.keys().filter(|path| path.starts_with("usr/share/doc/")) {
                assert!(path.split('/').count() == 4 || path.ends_with("/copyright"), "{name} {arch}: {path}");
            }
        }
    }
}

#[test]
fn what_was_packed_starts() {
    // Without root or user namespaces there is no chroot; then this is the guests' to show.
    let enter = |root: &Path, program: &[&str]| {
        Command::new("unshare").args(["-r", "chroot"]).arg(root).args(program).output().ok()
    };
    let allowed = enter(Path::new("/"), &["/bin/true"]).is_some_and(|output| output.status.success());
    if !is_debian() || !allowed {
        return;
    }
    let store = open();
    for (name, program, want) in [
        ("busybox", &["/bin/sh", "-c", "echo from $(basename /bin/busybox)"][..], "from busybox"),
        ("nginx", &["/usr/sbin/nginx", "-v"], "nginx version"),
        ("redis", &["/usr/bin/redis-server", "--version"], "Redis server v="),
    ] {
        let image = build(&store, &examples().join(name), Options::default());
        let root = tempfile::tempdir().unwrap();
        let layer = store.open_blob(&image.arches[&Arch::host()].layers[0]).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(layer)).unpack(root.path()).unwrap();
        let output = enter(root.path(), program).unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.contains(want), "{name}: {said}");
    }
}

#[test]
fn equal_recipes_give_equal_images_wherever_they_lie() {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_debian() {
        return;
    }
    let store = open();
    let first = build(&store, &examples().join("nginx"), Options::default());

    // A copy elsewhere, with other permissions, built in another store: only what apt fetched is shared.
    let elsewhere = tempfile::Builder::new().prefix("other place ").tempdir().unwrap();
    let folder = elsewhere.path().join("recipe");
    fs::create_dir(&folder).unwrap();
    for file in ["build.yml", "nginx.conf", "index.html"] {
        fs::copy(examples().join("nginx").join(file), folder.join(file)).unwrap();
        fs::set_permissions(folder.join(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let other = Store::open(&elsewhere.path().join("store")).unwrap();
    std::os::unix::fs::symlink(fs::canonicalize(store.folder("apt")).unwrap(), other.folder("apt")).unwrap();
    let second = build(&other, &folder, Options::default());
    assert_eq!(first.index, second.index);
    assert!(second.arches.values().all(|built| !built.cached));
    assert!(build(&other, &folder, Options::default()).arches.values().all(|built| built.cached));

    // Packing again gives the same; another time gives another.
    let forced = build(&other, &folder, Options { force: true, ..Options::default() });
    assert!(forced.index == first.index && forced.arches.values().all(|built| !built.cached));
    let early = build(&other, &folder, Options { epoch: Some(1_000_000_000), ..Options::default() });
    assert_ne!(early.index, first.index);
    assert_eq!(config(&other, &early.arches[&Arch::Arm64].config)["created"], "2001-09-09T01:46:40Z");
}

#[test]
fn an_unknown_package_is_named_by_apt_itself() {
    if !is_debian() {
        return;
    }
    let store = open();
    let folder = tempfile::tempdir().unwrap();
    let text = "image: x\norg: hullkit\ntag: t\narches: [amd64]\nrootfs:\n  apt: [no-such-package]\n";
    fs::write(folder.path().join("build.yml"), text).unwrap();
    let recipe = recipe::load(folder.path()).unwrap();
    let error = Builder::new(&store, Options::default()).build(&recipe, &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "`apt-get install` failed: Unable to locate package no-such-package");
    assert!(store.find("docker.io/hullkit/x:t").unwrap().is_none());
}
