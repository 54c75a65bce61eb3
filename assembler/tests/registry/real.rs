//! Against Debian's registry.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hullkit::digest::Digest;
use hullkit::plan::Compression;
use hullkit::platform::Arch;
use hullkit::pull::{JOBS, Policy, PullError, Registries, Silent, Source, pull, push};
use linuxkit_yaml::Reference;

use crate::harness::{Client, Proxy, Registry, Wants, free_address, succeeds};
use crate::image::{ARCH, Image, Layer, Packing, multi, single};

/// An image of three small layers, one of each packing, for two machines.
fn filled(registry: &Registry, name: &str) -> Digest {
    let layout = tempfile::tempdir().unwrap();
    let layers = |seed: u64| {
        let layer = |(n, packing)| Layer::new(seed + n, 50_000, packing);
        [(0, Packing::Plain), (1, Packing::Gzip), (2, Packing::Zstd)].map(layer)
    };
    multi(layout.path(), &[Image::new("amd64", &layers(10)), Image::new("arm64", &layers(20))]);
    registry.fill(layout.path(), name, &["--preserve-digests"]);
    let name = format!("docker://{}/{name}", registry.address);
    Digest::of(&succeeds(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &name])).stdout)
}

/// An image of one layer, for amd64 alone.
fn small(registry: &Registry, name: &str, more: &[&str]) -> Layer {
    let layout = tempfile::tempdir().unwrap();
    let layer = Layer::new(7, 300_000, Packing::Gzip);
    single(layout.path(), &Image::new("amd64", std::slice::from_ref(&layer)));
    registry.fill(layout.path(), name, more);
    layer
}

#[test]
fn an_index_is_pulled_for_each_machine_and_then_known_without_network() {
    let registry = Registry::start(Wants::Nothing);
    let top = filled(&registry, "some/image:1");
    let (client, name) = (Client::new(), registry.name("some/image:1"));
    let (image, pulled) = client.pull(&name).unwrap();
    assert_eq!((image.top, pulled.blobs), (top, 3));
    let packings: Vec<Compression> = image.layers.iter().map(|layer| layer.compression).collect();
    assert_eq!(packings, [Compression::None, Compression::Gzip, Compression::Zstd]);
    client.check();
    drop(registry);

    let (again, pulled) = client.pull(&name).unwrap();
    assert_eq!((again, pulled.blobs), (image.clone(), 0));
    let by_digest: Reference = format!("{name}@{top}").parse().unwrap();
    assert_eq!(client.pull(&by_digest).unwrap().0.digest, image.digest);
    // The other machine's manifest was never fetched, and now nobody answers.
    let (store, registries) = (client.store(), Registries::new(client.options.clone()));
    let source = Source::new(&store, &registries).with_policy(Policy::Never);
    assert!(matches!(source.resolve(&name, Arch::Arm64), Err(PullError::Offline { .. })));
}

#[test]
fn a_whole_image_comes_for_every_machine_or_for_those_asked_for() {
    let registry = Registry::start(Wants::Nothing);
    let top = filled(&registry, "some/image:1");
    let name = registry.name("some/image:1");
    // Of each machine three layers, a configuration and a manifest; and the index.
    for (platforms, blobs, layers) in [(vec![], 11, 6), (vec!["linux/arm64".to_owned()], 6, 3)] {
        let client = Client::new();
        let (store, registries) = (client.store(), Registries::new(client.options.clone()));
        let whole = Source::new(&store, &registries).whole(&name, Arch::Amd64, &platforms).unwrap();
        assert_eq!((whole.top, whole.blobs.len(), whole.blobs.last().map(|(last, _)| *last)), (top, blobs, Some(top)));
        let pulled = pull(&BTreeMap::new(), std::iter::once(&whole), &store, &registries, JOBS, &Silent).unwrap();
        assert_eq!(pulled.blobs, layers);
        for (digest, size) in &whole.blobs {
            assert_eq!(store.open_blob(digest).unwrap().metadata().unwrap().len(), *size);
        }
        client.check();
    }
    let client = Client::new();
    let (store, registries) = (client.store(), Registries::new(client.options.clone()));
    let error = Source::new(&store, &registries).whole(&name, Arch::Amd64, &["linux/s390x".to_owned()]).unwrap_err();
    assert!(matches!(&error, PullError::Unusable { reason, .. } if reason.contains("`linux/s390x`")), "{error:?}");
}

#[test]
fn dockers_own_media_types_are_taken() {
    let registry = Registry::start(Wants::Nothing);
    let layer = small(&registry, "docker:1", &["--format", "v2s2"]);
    let (image, pulled) = Client::new().pull(&registry.name("docker:1")).unwrap();
    assert_eq!((image.layers[0].digest, pulled.blobs, pulled.bytes), (layer.digest(), 1, layer.blob.len() as u64));
}

#[test]
fn tls_needs_the_authority_that_signed() {
    let registry = Registry::start(Wants::Tls);
    small(&registry, "tls:1", &[]);
    let (mut client, name) = (Client::new(), registry.name("tls:1"));
    let (error, hint) = client.refused(&name);
    assert!(matches!(error, PullError::Unreachable { .. }), "{error:?}");
    assert!(hint.contains("--cert-file"), "{hint}");
    client.options.certificates.push(registry.file("ca.pem"));
    assert_eq!(client.pull(&name).unwrap().1.blobs, 1);
}

#[test]
fn a_login_is_needed_found_and_checked() {
    let registry = Registry::start(Wants::Login);
    small(&registry, "private:1", &["--dest-creds", "user:secret"]);
    let (mut client, name) = (Client::new(), registry.name("private:1"));
    let (error, hint) = client.refused(&name);
    assert!(matches!(error, PullError::Denied { anonymous: true, .. }), "{error:?}");
    assert!(hint.contains(&format!("docker login {}", registry.address)), "{hint}");

    let docker = tempfile::tempdir().unwrap();
    client.options.docker_config = Some(docker.path().to_owned());
    // `user:wrong`, then `user:secret`.
    write_login(docker.path(), &registry, "dXNlcjp3cm9uZw==");
    let (error, _) = client.refused(&name);
    assert!(matches!(error, PullError::Denied { anonymous: false, .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("wrong"));
    write_login(docker.path(), &registry, "dXNlcjpzZWNyZXQ=");
    assert_eq!(client.pull(&name).unwrap().1.blobs, 1);
}

fn write_login(folder: &Path, registry: &Registry, auth: &str) {
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.address);
    fs::write(folder.join("config.json"), config).unwrap();
}

#[test]
fn a_credential_helper_is_asked_and_may_know_nothing() {
    let (open, private) = (Registry::start(Wants::Nothing), Registry::start(Wants::Login));
    small(&open, "open:1", &[]);
    small(&private, "private:1", &["--dest-creds", "user:secret"]);
    let (client, tools) = (Client::new(), tempfile::tempdir().unwrap());
    let helper = tools.path().join("docker-credential-test");
    let script = format!(
        "#!/bin/sh\nread host\nif [ \"$host\" = {} ]; then echo '{{\"Username\":\"user\",\"Secret\":\"secret\"}}'\nelse echo 'credentials not found in native keychain'; exit 1; fi\n",
        private.address
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(tools.path().join("config.json"), r#"{"credsStore": "test"}"#).unwrap();
    let system = std::env::var_os("PATH").unwrap();
    let path = format!("{}:{}", tools.path().display(), system.to_str().unwrap());
    let names = [open.name("open:1").to_string(), private.name("private:1").to_string()];
    let mut command = client.hullkit(&["cache", "pull", "--arch", "amd64", &names[0], &names[1]]);
    let output = succeeds(command.env("DOCKER_CONFIG", tools.path()).env("PATH", path));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("secret") && !said.contains("note:"), "{said}");
}

#[test]
fn what_is_not_there_is_told_apart() {
    let registry = Registry::start(Wants::Nothing);
    small(&registry, "here:1", &[]);
    let client = Client::new();
    for name in ["here:2", "nowhere:1"] {
        let name = registry.name(name);
        let (error, _) = client.refused(&name);
        assert!(matches!(&error, PullError::Absent { reference, .. } if *reference == name.to_string()), "{error:?}");
    }
    let dead = free_address();
    let (error, _) = client.refused(&format!("{dead}/a:1").parse().unwrap());
    assert!(error.to_string().contains(&dead.to_string()), "{error}");
    assert!(client.store().names().unwrap().is_empty());
}

#[test]
fn another_machines_image_is_refused_with_what_there_is() {
    let registry = Registry::start(Wants::Nothing);
    small(&registry, "single:1", &[]);
    filled(&registry, "multi:1");
    let layout = tempfile::tempdir().unwrap();
    multi(layout.path(), &[Image::new("s390x", &[]), Image::new("riscv64", &[])]);
    registry.fill(layout.path(), "strange:1", &[]);
    let client = Client::new();
    let (store, registries) = (client.store(), Registries::new(client.options.clone()));
    let source = Source::new(&store, &registries);
    let error = |name, arch| source.resolve(&registry.name(name), arch).unwrap_err().to_string();
    assert!(error("single:1", Arch::Arm64).ends_with("has no image for linux/arm64; it has linux/amd64"));
    assert!(error("strange:1", ARCH).ends_with("has no image for linux/amd64; it has linux/riscv64, linux/s390x"));
    source.resolve(&registry.name("multi:1"), Arch::Arm64).unwrap();
}

#[test]
fn a_blob_altered_in_the_registry_is_refused_and_later_fetched() {
    let registry = Registry::start(Wants::Nothing);
    let layer = small(&registry, "image:1", &[]);
    let (client, name) = (Client::new(), registry.name("image:1"));
    let path = registry.blob(&layer.digest().to_string());
    let good = fs::read(&path).unwrap();

    let mut altered = good.clone();
    altered[1000] ^= 1;
    fs::write(&path, altered).unwrap();
    let (error, _) = client.refused(&name);
    assert!(
        matches!(&error, PullError::Digest { want, len, .. } if *want == layer.digest() && *len == good.len() as u64),
        "{error:?}"
    );

    fs::write(&path, &good[..100_000]).unwrap();
    let (error, _) = client.refused(&name);
    assert!(matches!(error, PullError::Length { got: 100_000, .. }), "{error:?}");
    assert!(!client.store().has(&layer.digest()));

    fs::remove_file(&path).unwrap();
    let (error, _) = client.refused(&name);
    assert!(matches!(&error, PullError::AbsentBlob { digest, .. } if *digest == layer.digest()), "{error:?}");

    fs::write(&path, &good).unwrap();
    assert_eq!(client.pull(&name).unwrap().1.blobs, 1);
}

#[test]
fn a_killed_pull_goes_on_with_what_is_missing() {
    let registry = Registry::start(Wants::Nothing);
    let layout = tempfile::tempdir().unwrap();
    let (first, second) = (Layer::new(1, 100_000, Packing::Gzip), Layer::new(2, 4_000_000, Packing::Gzip));
    single(layout.path(), &Image::new("amd64", &[first.clone(), second.clone()]));
    registry.fill(layout.path(), "image:1", &[]);
    let proxy = Proxy::start(registry.address, Some(2_000_000));
    let (client, name) = (Client::new(), proxy.name("image:1"));
    let args = ["cache", "pull", "--arch", "amd64", &name.to_string()];

    let mut child = client.hullkit(&args).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !client.folder.path().join("blobs/sha256").join(first.digest().hex()).exists() || proxy.passed() < 500_000 {
        assert!(start.elapsed() < Duration::from_secs(20), "the pull does not get going");
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!client.store().has(&second.digest()), "killed too late");
    client.check();

    succeeds(&mut client.hullkit(&args));
    client.check();
    let fetched = |layer: &Layer| proxy.count(&format!("GET /v2/image/blobs/{} ", layer.digest()));
    assert_eq!((fetched(&first), fetched(&second)), (1, 2));
    assert!(client.store().has(&second.digest()));
}

#[test]
fn two_processes_may_pull_the_same_image_at_once() {
    let registry = Registry::start(Wants::Nothing);
    let layer = small(&registry, "image:1", &[]);
    let proxy = Proxy::start(registry.address, Some(1_000_000));
    let (client, name) = (Client::new(), proxy.name("image:1").to_string());
    let start =
        || client.hullkit(&["-q", "cache", "pull", "--arch", "amd64", &name]).stderr(Stdio::piped()).spawn().unwrap();
    for child in [start(), start(), start()] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    client.check();
    assert!(client.store().has(&layer.digest()));
    assert_eq!(client.store().names().unwrap().len(), 1);
}

#[test]
fn a_layer_that_images_share_is_fetched_once() {
    let registry = Registry::start(Wants::Nothing);
    let base = Layer::new(1, 200_000, Packing::Gzip);
    for n in [2, 3] {
        let layout = tempfile::tempdir().unwrap();
        single(layout.path(), &Image::new("amd64", &[base.clone(), Layer::new(n, 1000, Packing::Gzip)]));
        registry.fill(layout.path(), &format!("image{n}:1"), &[]);
    }
    let proxy = Proxy::start(registry.address, None);
    let client = Client::new();
    let names = [2, 3].map(|n| proxy.name(&format!("image{n}:1")).to_string());
    let output = succeeds(&mut client.hullkit(&["cache", "pull", "--arch", "amd64", &names[0], &names[1]]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("2 images, 3 layers fetched"), "{said}");
    let fetched: usize =
        [2, 3].iter().map(|n| proxy.count(&format!("GET /v2/image{n}/blobs/{} ", base.digest()))).sum();
    assert_eq!(fetched, 1);
}

#[test]
fn a_full_disk_is_told_with_what_to_do() {
    let registry = Registry::start(Wants::Nothing);
    let layout = tempfile::tempdir().unwrap();
    single(layout.path(), &Image::new("amd64", &[Layer::new(1, 3_000_000, Packing::Gzip)]));
    registry.fill(layout.path(), "image:1", &[]);
    let (client, mount) = (Client::new(), tempfile::tempdir().unwrap());
    // A disk of one megabyte, in a namespace of its own: no privilege is needed where unprivileged namespaces are allowed.
    let script = "mount -t tmpfs -o size=1m tmpfs \"$1\" && shift && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([
            mount.path().as_os_str(),
            env!("CARGO_BIN_EXE_hullkit").as_ref(),
            "--cache".as_ref(),
            mount.path().as_os_str(),
        ])
        .args(["cache", "pull", "--arch", "amd64", &registry.name("image:1").to_string()])
        .env("HOME", client.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device") && said.contains("hint: free some space"), "{said}");
}

#[test]
fn what_is_pushed_is_what_skopeo_reads_and_nothing_is_sent_twice() {
    let registry = Registry::start(Wants::Login);
    let layout = tempfile::tempdir().unwrap();
    let layers = |seed| [Layer::new(seed, 2_000_000, Packing::Gzip), Layer::new(99, 1000, Packing::Zstd)];
    multi(layout.path(), &[Image::new("amd64", &layers(1)), Image::new("arm64", &layers(2))]);
    let (mut client, docker) = (Client::new(), tempfile::tempdir().unwrap());
    let proxy = Proxy::start(registry.address, None);
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "dXNlcjpzZWNyZXQ="}}}}}}"#, proxy.address);
    fs::write(docker.path().join("config.json"), config).unwrap();
    client.options.docker_config = Some(docker.path().to_owned());
    let (store, registries) = (client.store(), Registries::new(client.options.clone()));
    let source = Source::new(&store, &registries);
    let local: Reference = format!("oci:{}:1", layout.path().display()).parse().unwrap();
    let top = source.resolve(&local, Arch::Arm64).and_then(|_| source.resolve(&local, ARCH)).unwrap().top;

    let Reference::Registry(name) = proxy.name("out/image:3") else { panic!("a registry's name") };
    push(&registries, &store, &name, &top, &Silent).unwrap();
    let sent = proxy.count("PUT /v2/out/image/blobs/");
    assert_eq!(sent, 5);
    push(&registries, &store, &name, &top, &Silent).unwrap();
    assert_eq!(proxy.count("PUT /v2/out/image/blobs/"), sent);

    let mut inspect = Command::new("skopeo");
    inspect.args(["inspect", "--raw", "--tls-verify=false", "--creds", "user:secret"]);
    let raw = succeeds(inspect.arg(format!("docker://{}/out/image:3", registry.address))).stdout;
    assert_eq!(Digest::of(&raw), top);
    client.folder = tempfile::tempdir().unwrap();
    assert_eq!(client.pull(&proxy.name("out/image:3")).unwrap().1.blobs, 2);
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_if_it_fails() {
    let (mirror, registry) = (Registry::start(Wants::Nothing), Registry::start(Wants::Nothing));
    small(&mirror, "library/busybox:1", &[]);
    small(&registry, "other:1", &[]);
    let mut client = Client::new();
    client.options.mirrors = vec![format!("http://{}", mirror.address).parse().unwrap()];
    let (image, _) = client.pull(&"busybox:1".parse().unwrap()).unwrap();
    assert_eq!(image.layers.len(), 1);
    client.pull(&registry.name("other:1")).unwrap();
}
