//! Folders and archives as sources, and the store's own archives, judged by skopeo.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use hullkit::digest::Digest;
use hullkit::platform::Arch;
use hullkit::pull::{PullError, Resolved};
use linuxkit_yaml::Reference;

use crate::harness::{Client, succeeds};
use crate::image::{ARCH, Image, Layer, Packing, blob, descriptor, index, multi, single};

fn reference(kind: &str, path: &Path, tag: &str) -> Reference {
    format!("{kind}:{}{tag}", path.display()).parse().unwrap()
}

fn copy(from: &str, to: &str) {
    succeeds(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", from, to]));
}

fn diff_ids(image: &Resolved) -> Vec<Digest> {
    image.layers.iter().map(|layer| layer.diff_id).collect()
}

#[test]
fn every_local_form_gives_the_same_layers() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let layers = [Layer::new(1, 50_000, Packing::Gzip), Layer::new(2, 50_000, Packing::Plain)];
    multi(&layout, &[Image::new("amd64", &layers), Image::new("arm64", &[])]);
    let (oci, docker, tar, gz) = ("oci.tar", "docker.tar", "layout.tar", "layout.tar.gz");
    let path = |name: &str| folder.path().join(name);
    let from = format!("oci:{}:1", layout.display());
    copy(&from, &format!("oci-archive:{}:1", path(oci).display()));
    copy(&from, &format!("docker-archive:{}:some/name:1", path(docker).display()));
    succeeds(Command::new("tar").arg("-cf").arg(path(tar)).arg("-C").arg(&layout).arg("."));
    let plain = fs::read(path(tar)).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(File::create(path(gz)).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &plain).unwrap();
    gzip.finish().unwrap();

    let want: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
    let client = Client::new();
    for (kind, name, tag) in [
        ("oci", "layout", ":1"),
        ("oci", "layout", ""),
        ("oci-archive", oci, ":1"),
        ("oci-archive", tar, ""),
        ("oci-archive", gz, ":1"),
        ("docker-archive", docker, ""),
        ("docker-archive", docker, ":1"),
        ("docker-archive", docker, ":some/name:1"),
    ] {
        let (image, pulled) = client.pull(&reference(kind, &path(name), tag)).unwrap();
        assert_eq!((diff_ids(&image), pulled.blobs), (want.clone(), 0), "{kind} {name} {tag}");
        assert_eq!(image.origin, None);
    }
    client.check();
}

#[test]
fn a_changed_source_is_imported_again() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    let client = Client::new();
    let mut seen = Vec::new();
    for seed in [1, 2] {
        let layout = folder.path().join(format!("layout{seed}"));
        single(&layout, &Image::new("amd64", &[Layer::new(seed, 1000, Packing::Gzip)]));
        succeeds(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&layout).arg("."));
        seen.push(client.pull(&reference("oci-archive", &archive, "")).unwrap().0.digest);
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn several_images_need_a_tag_and_the_tags_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let images = [1, 2].map(|seed| Image::new("amd64", &[Layer::new(seed, 1000, Packing::Gzip)]));
    let mut entries = Vec::new();
    for (image, tag) in images.iter().zip(["one", "two"]) {
        single(folder.path(), image);
        entries.push((descriptor("application/vnd.oci.image.manifest.v1+json", &image.manifest), tag));
    }
    index(folder.path(), entries);
    let client = Client::new();
    let error = client.pull(&reference("oci", folder.path(), "")).unwrap_err();
    assert!(
        error.to_string().ends_with("it holds several images; add one of the tags one, two after a colon"),
        "{error}"
    );
    let error = client.pull(&reference("oci", folder.path(), ":three")).unwrap_err();
    assert!(error.to_string().ends_with("it has no tag `three`; it has one, two"), "{error}");
    let (image, _) = client.pull(&reference("oci", folder.path(), ":two")).unwrap();
    assert_eq!(image.digest, images[1].digest());
}

#[test]
fn damage_in_a_layout_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let layer = Layer::new(1, 1000, Packing::Gzip);
    single(folder.path(), &Image::new("amd64", std::slice::from_ref(&layer)));
    let path = folder.path().join("blobs/sha256").join(layer.digest().hex());
    let (client, name) = (Client::new(), reference("oci", folder.path(), ""));
    let mut altered = layer.blob.clone();
    altered[100] ^= 1;
    fs::write(&path, altered).unwrap();
    assert!(matches!(client.refused(&name).0, PullError::Digest { .. }));
    fs::write(&path, &layer.blob[1..]).unwrap();
    assert!(matches!(client.refused(&name).0, PullError::Length { .. }));
    fs::remove_file(&path).unwrap();
    assert!(client.refused(&name).0.to_string().contains("it lacks the file `blobs/sha256/"));
    succeeds(Command::new("mkfifo").arg(&path));
    let (error, _) = client.refused(&name);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("not a regular file"), "{error:?}");
    fs::remove_file(&path).unwrap();
    blob(folder.path(), &layer.blob);
    client.pull(&name).unwrap();
}

#[test]
fn a_folder_is_an_image_for_any_machine_and_equal_folders_are_equal_images() {
    let client = Client::new();
    let mut digests = Vec::new();
    for order in [["b", "a"], ["a", "b"]] {
        let folder = tempfile::tempdir().unwrap();
        for name in order {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("file"), name).unwrap();
        }
        fs::hard_link(folder.path().join("a/file"), folder.path().join("b/link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("symlink")).unwrap();
        succeeds(Command::new("mkfifo").arg(folder.path().join("fifo")));
        let (image, _) = client.pull(&reference("rootfs", folder.path(), "")).unwrap();
        digests.push(image.digest);
        let tar = fs::read(client.store().blob_path(&image.layers[0].digest)).unwrap();
        let listed = folder.path().join("layer.tar");
        fs::write(&listed, tar).unwrap();
        let listing = succeeds(Command::new("tar").arg("--numeric-owner").arg("-tvf").arg(&listed)).stdout;
        let listing = String::from_utf8(listing).unwrap();
        let name = |line: &str| line.split_whitespace().nth(5).unwrap().trim_end_matches('/').to_owned();
        let names: Vec<String> = listing.lines().map(name).collect();
        assert_eq!(names, ["a", "a/file", "b", "b/file", "b/link", "fifo", "symlink"], "{listing}");
        assert!(listing.lines().all(|line| line.contains(" 0/0 ") && line.contains("1970-01-01")), "{listing}");
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn an_unchanged_folder_is_not_read_again_and_a_changed_file_is_seen() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("etc")).unwrap();
    let file = folder.path().join("etc/file");
    fs::write(&file, "one").unwrap();
    let name = reference("rootfs", folder.path(), "");
    let first = client.pull(&name).unwrap().0.digest;
    fs::write(&file, "two").unwrap();
    let second = client.pull(&name).unwrap().0.digest;
    assert_ne!(first, second);
    assert_eq!(client.pull(&name).unwrap().0.digest, second);
}

#[test]
fn exported_archives_are_read_by_others_and_come_back() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let layout = folder.path().join("layout");
    let layers = [Layer::new(1, 50_000, Packing::Gzip), Layer::new(2, 50_000, Packing::Plain)];
    multi(&layout, &[Image::new("amd64", &layers), Image::new("arm64", &layers)]);
    let name = format!("oci:{}:1", layout.display());
    let run = |args: &[&str]| String::from_utf8(succeeds(&mut client.hullkit(args)).stdout).unwrap();
    run(&["cache", "pull", "--arch", "arm64", &name]);
    run(&["cache", "pull", "--arch", "amd64", &name]);
    for (format, kind) in [("oci", "oci-archive"), ("docker", "docker-archive")] {
        let file = folder.path().join(format!("{format}.tar"));
        run(&["cache", "export", &name, "--arch", "amd64", "--format", format, "--outfile", file.to_str().unwrap()]);
        let first = fs::read(&file).unwrap();
        run(&["cache", "export", &name, "--arch", "amd64", "--format", format, "--outfile", file.to_str().unwrap()]);
        assert_eq!(first, fs::read(&file).unwrap());
        let (image, _) = Client::new().pull(&reference(kind, &file, "")).unwrap();
        let want: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        assert_eq!(diff_ids(&image), want);
        if format == "oci" {
            let other = Client::new();
            let said = succeeds(&mut other.hullkit(&["cache", "import", file.to_str().unwrap()])).stdout;
            assert_eq!(String::from_utf8(said).unwrap().trim(), name);
            assert_eq!(other.store().names().unwrap().len(), 1);
        }
        let mut inspect = Command::new("skopeo");
        inspect.args(["inspect", "--config", "--override-arch", "amd64", "--override-os", "linux"]);
        let config = succeeds(inspect.arg(format!("{kind}:{}", file.display()))).stdout;
        assert!(String::from_utf8(config).unwrap().contains("amd64"));
    }
}

#[test]
fn pruning_keeps_what_has_a_name_and_cleaning_keeps_nothing() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let mut names = Vec::new();
    for seed in [1, 2] {
        let layout = folder.path().join(format!("layout{seed}"));
        single(&layout, &Image::new("amd64", &[Layer::new(seed, 1000, Packing::Gzip)]));
        names.push(reference("oci", &layout, ":1"));
    }
    let images: Vec<Resolved> = names.iter().map(|name| client.pull(name).unwrap().0).collect();
    let run = |args: &[&str]| String::from_utf8(succeeds(&mut client.hullkit(args)).stdout).unwrap();
    run(&["cache", "rm", &names[0].to_string()]);
    let listed: serde_json::Value = serde_json::from_str(&run(&["cache", "ls", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["digest"], images[1].top.to_string());
    run(&["cache", "prune"]);
    let has = |image: &Resolved| client.store().has(&image.layers[0].digest) && client.store().has(&image.digest);
    assert!(!has(&images[0]) && has(&images[1]));
    assert_eq!(client.pull(&names[1]).unwrap().0, images[1]);
    run(&["cache", "clean"]);
    assert!(!has(&images[1]) && run(&["cache", "ls"]).is_empty());
}

#[test]
fn wrong_usage_and_failure_have_their_exit_codes() {
    let client = Client::new();
    for (args, want) in [
        (&["cache", "pull"][..], 2),
        (&["cache", "pull", "UPPER/case"], 2),
        (&["cache", "pull", "--arch", "mips", "x"], 2),
        (&["cache", "rm", "nothing:1"], 1),
        (&["cache", "pull", "oci:/nonexistent"], 1),
        (&["cache", "export", "nothing:1", "--outfile", "/nonexistent/x.tar"], 1),
    ] {
        let output = client.hullkit(args).output().unwrap();
        assert_eq!(output.status.code(), Some(want), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(Arch::ALL.len(), 2);
    assert_eq!(ARCH, Arch::Amd64);
}
