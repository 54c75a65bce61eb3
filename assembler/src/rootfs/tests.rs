use std::fs::{self, File};
use std::io::Read;

use super::fixture::{self, dir, file, hardlink, symlink};
use super::*;
use crate::format::cpio::dump::dump;

mod disk;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// List a whole initrd as the kernel would unpack it, archive after archive.
fn listing(segments: &Segments) -> String {
    let archive = |part: &Segment| {
        let mut bytes = Vec::new();
        zstd::Decoder::new(File::open(&part.path).unwrap()).unwrap().single_frame().read_to_end(&mut bytes).unwrap();
        dump(bytes.as_slice()).unwrap()
    };
    segments.parts.iter().map(archive).collect()
}

fn kernel_image(store: &Store) -> crate::plan::Image {
    let tar = fixture::tar(&[dir("./"), dir("./lib/"), dir("./lib/modules/"), file("./lib/modules/notes", "x")]);
    let mut modules = file("kernel.tar", "");
    modules.data = tar;
    fixture::image(store, "kernel:1", &[vec![file("kernel", "KERNEL"), modules]])
}

#[test]
fn a_volume_is_its_folders_and_an_oci_layout_of_its_image_or_the_image_itself() {
    use crate::plan::volumes::{Content, Volume};
    use crate::pull::Whole;
    let (_folder, store) = store();
    let shared = fixture::image(&store, "one:1", &[vec![file("hello", "hi")]]);
    let kernel = kernel_image(&store);
    let manifest = br#"{"schemaVersion":2}"#;
    let (top, layer) = (store.write_blob(manifest).unwrap(), store.write_blob(b"LAYER").unwrap());
    let whole = Whole {
        reference: "docker.io/library/x:1".into(),
        origin: None,
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        top,
        blobs: vec![(layer, 5), (top, manifest.len() as u64)],
    };
    let mut plan = fixture::plan(Some(kernel), vec![shared]);
    let image = Digest::of(b"one:1");
    let volume = |name: &str, content| Volume { name: name.into(), content, readonly: false, persistent: false };
    plan.volumes = vec![
        volume("empty", Content::Empty),
        volume("files", Content::Image(image)),
        volume("layout", Content::Layout(whole)),
    ];
    plan.system.volumes = plan.volumes.iter().map(Volume::contract).collect();
    let segments = build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    let names: Vec<&str> = segments.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["init", "modules", "one:1", "volume layout", "system"]);
    let text = listing(&segments);
    let own = "containers/volumes";
    for path in ["empty/lower", "empty/tmp", "empty/merged", "files/merged", "layout/tmp", "layout/lower/oci-layout"] {
        assert!(text.contains(&format!(" {own}/{path}\n")), "{path} in\n{text}");
    }
    for digest in [top, layer] {
        assert!(text.contains(&format!(" {own}/layout/lower/blobs/sha256/{}\n", digest.hex())), "{digest} in\n{text}");
    }
    assert!(text.contains(&format!(" images/{}/rootfs/hello\n", image.short())), "{text}");
    let again = build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    assert!(again.parts.iter().all(|part| part.cached));
}

#[test]
fn a_host_with_storage_has_a_program_its_order_and_its_tools() {
    let (_folder, store) = store();
    let tools = fixture::image(&store, "tools:1", &[vec![file("mkfs", "x")]]);
    let image = Digest::of(b"tools:1");
    let mut plan = fixture::plan(None, vec![tools]);
    plan.storage = Some(contract::storage::Order { tools: Plan::image_root(&image), disks: Vec::new() });
    let segments = build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    let names: Vec<&str> = segments.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["init", "storage", "tools:1", "system"]);
    let text = listing(&segments);
    let mkfs = format!("images/{}/rootfs/mkfs", image.short());
    for path in ["hullkit/storage", "hullkit/storage.json", &mkfs] {
        assert!(text.contains(&format!(" {path}\n")), "{path} in\n{text}");
    }
}

#[test]
fn a_plan_becomes_kernel_and_initrd() {
    let (folder, store) = store();
    let one = fixture::image(
        &store,
        "one:1",
        &[vec![dir("bin"), file("bin/a", "A"), hardlink("bin/b", "bin/a"), symlink("sh", "bin/a")]],
    );
    let plan = fixture::plan(Some(kernel_image(&store)), vec![one]);
    let segments = build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    let names: Vec<&str> = segments.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["init", "modules", "one:1", "system"]);
    let text = listing(&segments);
    for path in [
        " init\n",
        " dev/console\n",
        " lib/modules/notes\n",
        "/rootfs/bin/a\n",
        "/rootfs/etc/hosts\n",
        " hullkit/contract.json\n",
    ] {
        assert!(text.contains(path), "{path} in\n{text}");
    }
    let out = folder.path().join("out");
    let written =
        crate::write::publish(crate::write::initrd::outputs(&plan, &segments, &out, "hello").unwrap()).unwrap();
    assert_eq!(fs::read(out.join("hello-kernel")).unwrap(), b"KERNEL");
    assert_eq!(fs::read(out.join("hello-cmdline")).unwrap(), b"console=ttyS0");
    let sum: u64 = segments.parts.iter().map(|part| part.size).sum();
    assert_eq!(written[1].size, sum);
    let again = build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    assert!(again.parts.iter().all(|part| part.cached), "{again:?}");
}

#[test]
fn equal_plans_give_equal_bytes_whatever_the_jobs() {
    let bytes = |jobs: usize| {
        let (_folder, store) = store();
        let layer = |n: usize| vec![file("big", &"0123456789".repeat(100_000 + n)), file("small", "x")];
        let images = (0..4).map(|n| fixture::image(&store, &format!("i{n}:1"), &[layer(n), vec![file("top", "t")]]));
        let plan = fixture::plan(None, images.collect());
        let segments = build(&plan, &store, &Options { jobs, ..fixture::options(b"INIT") }, &|_| ()).unwrap();
        segments.parts.iter().map(|part| fs::read(&part.path).unwrap()).collect::<Vec<_>>()
    };
    assert!(bytes(1) == bytes(3));
}

#[test]
fn mountpoints_are_added_and_the_images_own_kept() {
    let (_folder, store) = store();
    let mut proc = dir("proc");
    proc.mode = 0o555;
    let own = vec![proc, file("etc/hosts", "mine"), symlink("etc/resolv.conf", "/run/r")];
    let image = fixture::image(&store, "one:1", &[own]);
    let segments = build(&fixture::plan(None, vec![image]), &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    let text = listing(&segments);
    let line = |suffix: &str| text.lines().find(|line| line.ends_with(suffix)).unwrap_or_default().to_owned();
    assert!(line("rootfs/proc").contains(" 040555 "), "{text}");
    assert!(line("rootfs/sys").contains(" 040755 ") && line("rootfs/dev").contains(" 040755 "));
    assert!(line("rootfs/etc/hosts").contains(" 4 rdev"));
    assert!(line("rootfs/etc/resolv.conf").contains(" 100644 ") && line("rootfs/etc/hostname").contains(" 0 rdev"));
}

#[test]
fn attributes_stand_beside_the_root() {
    let (_folder, store) = store();
    let mut ping = file("bin/ping", "P");
    ping.xattrs.push(("security.capability", vec![1, 0, 10]));
    let image = fixture::image(&store, "one:1", &[vec![ping]]);
    let segments = build(&fixture::plan(None, vec![image]), &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    let mut archive = Vec::new();
    zstd::Decoder::new(File::open(&segments.parts[1].path).unwrap())
        .unwrap()
        .single_frame()
        .read_to_end(&mut archive)
        .unwrap();
    let json = br#"{"bin/ping":{"security.capability":[1,0,10]}}"#;
    assert!(archive.windows(json.len()).any(|window| window == json));
    assert!(listing(&segments).contains("/xattrs.json\n"));
}

#[test]
fn a_segment_tells_why_it_was_packed() {
    let (_folder, store) = store();
    let reason = |init: &[u8]| {
        let plan = fixture::plan(None, Vec::new());
        build(&plan, &store, &fixture::options(init), &|_| ()).unwrap().parts.remove(0).reason
    };
    assert_eq!(reason(b"1"), "never packed before");
    assert_eq!(reason(b"1"), "nothing it is made of has changed");
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    assert_eq!(reason(b"2"), format!("init was `{one}`, is `{two}`"));
    fs::remove_dir_all(store.folder("segments")).unwrap();
}

#[test]
fn a_user_by_name_gets_the_images_numbers() {
    let (_folder, store) = store();
    let passwd = vec![file("etc/passwd", "root:x:0:0:::\nweb:x:33:34:::\n"), file("etc/group", "ssl:x:9:web\n")];
    let image = fixture::image(&store, "web:1", &[passwd]);
    let mut plan = fixture::plan(None, vec![image]);
    let digest = *plan.images.keys().next().unwrap();
    plan.system.services.push(contract::Container {
        name: "web".to_owned(),
        image: "web:1".to_owned(),
        lower: Plan::image_root(&digest),
        readonly: true,
        spec: Default::default(),
        filter: None,
        runtime: Default::default(),
        restart: Default::default(),
        depends_on: Vec::new(),
        health: None,
        critical: false,
        stop: contract::Stop::default(),
    });
    let named = |user: &str| crate::plan::NamedUser {
        section: "services".to_owned(),
        index: 0,
        image: digest,
        user: user.to_owned(),
    };
    plan.users = vec![named("web")];
    let contract = users::resolve(&plan, &store, Limits::default()).unwrap();
    let user = contract.services[0].spec.process().as_ref().unwrap().user().clone();
    assert_eq!((user.uid(), user.gid(), user.additional_gids().clone()), (33, 34, Some(vec![9])));
    plan.users = vec![named("nobody")];
    let error = users::resolve(&plan, &store, Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "`web:1` runs as `nobody`: its /etc/passwd has no user `nobody`");
}

#[test]
fn a_refused_layer_leaves_no_segment() {
    let (_folder, store) = store();
    let image = fixture::image(&store, "bad:1", &[vec![file("../x", "x")]]);
    let digest = image.layers[0].digest;
    let error = build(&fixture::plan(None, vec![image]), &store, &fixture::options(b""), &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), format!("layer {digest} of `bad:1` is refused"));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "`../x` leaves its root by `..`");
    #[expect(clippy::disallowed_methods, reason = "only counted")]
    let segments = fs::read_dir(store.folder("segments")).unwrap().count();
    // That of init, what it was made of, and how much memory it takes.
    assert_eq!(segments, 3);
}

#[test]
fn a_kernel_image_without_its_files_is_refused() {
    let (_folder, store) = store();
    let kernel = fixture::image(&store, "kernel:1", &[vec![file("vmlinuz", "K")]]);
    let error = build(&fixture::plan(Some(kernel), Vec::new()), &store, &fixture::options(b""), &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "kernel image `kernel:1`: it has no file `kernel.tar`");
}

/// One image under `umoci`: what the reference implementation unpacks, and what we list, must be the same.
#[test]
fn umoci_accepts_trees() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (folder, store) = store();
    let lower = vec![
        dir("bin"),
        file("bin/a", "A"),
        hardlink("bin/b", "bin/a"),
        symlink("sbin", "bin"),
        file("gone/x", "x"),
        file("kept", "1"),
    ];
    let upper = vec![
        file("bin/c", "C"),
        file(".wh.gone", ""),
        hardlink("late", "bin/a"),
        fixture::fifo("pipe"),
        dir("o"),
        file("o/n", "n"),
        file("o/.wh..wh..opq", ""),
        file("kept", "22"),
    ];
    let image = fixture::image(&store, "one:1", &[lower, upper]);
    let diff_ids: Vec<String> = image.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = config.to_string();
    let descriptor = |kind: &str, digest: &Digest, size: u64| serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest.to_string(), "size": size});
    let layers: Vec<_> =
        image.layers.iter().map(|layer| descriptor("layer.v1.tar+gzip", &layer.digest, layer.size)).collect();
    let config = descriptor("config.v1+json", &store.write_blob(config.as_bytes()).unwrap(), config.len() as u64);
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers});
    let manifest = manifest.to_string();
    let digest = store.write_blob(manifest.as_bytes()).unwrap();
    let tagged: oci_spec::image::Descriptor =
        serde_json::from_value(descriptor("manifest.v1+json", &digest, manifest.len() as u64)).unwrap();
    store.tag("one", tagged).unwrap();
    let bundle = folder.path().join("bundle");
    let judge = std::process::Command::new("umoci")
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:one", store.root().display()))
        .arg(&bundle)
        .output();
    let output = match judge {
        Ok(output) => output,
        Err(error) if std::env::var_os("CI").is_none() => return eprintln!("skipped: no umoci: {error}"),
        Err(error) => panic!("no umoci: {error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = image::tree(&store, &image, Limits::default()).unwrap();
    let links = tree.links();
    let root = bundle.join("rootfs");
    let mut found = 0;
    for (path, number, inode) in tree.iter() {
        let meta = fs::symlink_metadata(root.join(std::str::from_utf8(path).unwrap())).unwrap();
        if !inode.is_directory() {
            assert_eq!(meta.permissions().mode() & 0o170_000, inode.mode & 0o170_000, "{path:?}");
            assert_eq!(meta.nlink(), u64::from(links[number as usize]), "{path:?}");
        }
        if let tree::Content::Data { size, .. } = inode.content {
            assert_eq!(meta.len(), size, "{path:?}");
        }
        found += 1;
    }
    let listed = std::process::Command::new("find").arg(&root).output().unwrap().stdout;
    assert_eq!(String::from_utf8(listed).unwrap().lines().count(), found);
}
