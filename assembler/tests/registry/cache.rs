//! The verbs of `hullkit cache` under LinuxKit's names.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use crate::harness::{Client, Registry, Wants, succeeds};
use crate::image::{Image, Layer, Packing, multi, single};

#[test]
fn only_what_the_registry_has_as_well_is_removed() {
    let (client, folder, registry) = (Client::new(), tempfile::tempdir().unwrap(), Registry::start(Wants::Nothing));
    let said = |args: &[&str]| String::from_utf8(succeeds(&mut client.hullkit(args)).stderr).unwrap();
    let names = ["same:1", "other:1", "none:1"].map(|name| registry.name(name).to_string());
    for (seed, name) in [(1, &names[0]), (2, &names[1]), (3, &names[2])] {
        let layout = folder.path().join(format!("layout{seed}"));
        single(&layout, &Image::new("amd64", &[Layer::new(seed, 1000, Packing::Gzip)]));
        let tar = folder.path().join(format!("{seed}.tar"));
        let local = format!("oci:{}:1", layout.display());
        said(&["cache", "pull", "--arch", "amd64", &local]);
        said(&["cache", "export", &local, "--arch", "amd64", "--name", name, "--outfile", tar.to_str().unwrap()]);
        said(&["cache", "rm", &local]);
        said(&["cache", "import", tar.to_str().unwrap()]);
    }
    said(&["cache", "push", &names[0]]);
    said(&["cache", "push", &names[0], "--remote-name", &names[1]]);
    // The registry keeps what it has, unless told otherwise.
    let note = said(&["cache", "push", &names[1]]);
    assert!(note.contains("with other content") && note.contains("`--override` replaces it"), "{note}");
    let note = said(&["cache", "rm", "--published-only", &names[1], &names[2]]);
    assert!(note.contains("has another one") && note.contains("does not have it"), "{note}");
    assert_eq!(client.store().names().unwrap().len(), 3);
    said(&["cache", "clean", "--published-only"]);
    let left: Vec<String> = client.store().names().unwrap().into_keys().collect();
    assert_eq!(left, [names[2].clone(), names[1].clone()]);
    said(&["cache", "push", "--override", &names[1]]);
    said(&["cache", "rm", "--published-only", &names[1]]);
    let left: Vec<String> = client.store().names().unwrap().into_keys().collect();
    assert_eq!(left, [names[2].clone()]);
}

#[test]
fn an_index_is_pushed_with_a_tag_for_each_architecture() {
    let (client, folder, registry) = (Client::new(), tempfile::tempdir().unwrap(), Registry::start(Wants::Nothing));
    let layers = [Layer::new(1, 1000, Packing::Gzip)];
    let images = [Image::new("amd64", &layers), Image::new("arm64", &layers)];
    multi(folder.path(), &images);
    let (local, remote) = (format!("oci:{}:1", folder.path().display()), registry.name("image:v1").to_string());
    let run = |args: &[&str]| succeeds(&mut client.hullkit(args));
    run(&["cache", "pull", "--platform", "linux/amd64", "--platform", "linux/arm64", &local]);
    run(&["cache", "push", &local, "--remote-name", &remote, "--with-arch-tags"]);
    for image in &images {
        let name = format!("docker://{remote}-{}", image.arch);
        let output = succeeds(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false"]).arg(name));
        assert_eq!(output.stdout, image.manifest, "{}", image.arch);
    }
}

#[test]
fn an_image_is_exported_as_the_files_it_has() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(root.join("bin/a"), "program").unwrap();
    fs::set_permissions(root.join("bin/a"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(root.join("bin/a"), root.join("bin/b")).unwrap();
    symlink("bin/a", root.join("link")).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    let name = format!("rootfs:{}", root.display());
    succeeds(&mut client.hullkit(&["cache", "pull", &name]));
    let export = |to: &str| {
        succeeds(&mut client.hullkit(&["cache", "export", &name, "--format", "filesystem", "--outfile", to]))
    };
    let tar = folder.path().join("x.tar");
    export(tar.to_str().unwrap());
    assert_eq!(export("-").stdout, fs::read(&tar).unwrap());
    let listed = succeeds(Command::new("tar").args(["--list", "--verbose", "--file"]).arg(&tar));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<(&str, &str)> =
        listed.lines().map(|line| (line.split(' ').next().unwrap(), line.splitn(6, ' ').last().unwrap())).collect();
    let find =
        |end: &str| lines.iter().find(|(_, line)| line.ends_with(end)).unwrap_or_else(|| panic!("{end}\n{listed}")).0;
    assert_eq!(find(" bin/a"), "-rwsr-xr-x");
    assert_eq!(find(" bin/b link to bin/a"), "hrwsr-xr-x");
    assert_eq!(find(" link -> bin/a"), "lrwxrwxrwx");
    assert_eq!(find(" empty"), "-rw-r--r--");
    let bytes = succeeds(Command::new("tar").args(["--extract", "--to-stdout", "--file"]).arg(&tar).arg("bin/a"));
    assert_eq!(bytes.stdout, b"program");
}

#[test]
fn linuxkits_variables_and_flags_are_heard_and_dockers_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hullkit"));
        command.env_clear().env("HOME", folder.path()).envs(variables.iter().copied()).args(args);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (theirs, ours) = (folder.path().join("theirs"), folder.path().join("ours"));
    let (theirs_text, ours_text) = (theirs.to_str().unwrap(), ours.to_str().unwrap());
    run(&[("LINUXKIT_CACHE", theirs_text), ("HULLKIT_CACHE", ours_text)], &["cache", "ls"]);
    assert!(ours.is_dir() && !theirs.is_dir());
    run(&[("LINUXKIT_CACHE", theirs_text)], &["cache", "ls"]);
    assert!(theirs.is_dir());
    let (code, said) = run(&[("LINUXKIT_MIRROR", "http://a.example, b")], &["cache", "ls"]);
    assert!(code == 1 && said.contains("LINUXKIT_MIRROR") && said.contains("`b` is not a mirror"), "{said}");
    // A mirror that nobody answers at is asked, and named, before the registry.
    let (code, said) = run(&[("LINUXKIT_MIRROR", "http://127.0.0.1:1")], &["cache", "pull", "127.0.0.1:2/x:1"]);
    assert!(code == 1 && said.contains("127.0.0.1:"), "{said}");
    assert_eq!(run(&[], &["-v", "0", "cache", "clean"]), (0, String::new()));
    assert_eq!(run(&[], &["-q", "-v", "1", "cache", "ls"]).0, 1);
    assert_eq!(run(&[], &["-v", "4", "cache", "ls"]).0, 2);
    let (code, said) = run(&[], &["cache", "ls", "--docker"]);
    assert!(code == 1 && said.contains("hullkit cache import -"), "{said}");
}
