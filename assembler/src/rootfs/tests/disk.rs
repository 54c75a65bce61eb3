//! Roots on a disk, read back by our own reader and by a foreign one.

use hullkit_init::contract::{Contract, ModuleIndex, ROOT_MODULES_PATH};

use super::*;
use crate::format::erofs::read;
use crate::format::sparse::Sparse;
use crate::plan::Image;
use crate::plan::volumes::{Content, Volume};

fn disk() -> Options<'static> {
    Options { root: RootKind::Disk, ..fixture::options(b"INIT") }
}

/// A plan with all that a root may hold: a kernel with modules, two images, a volume with a layout.
fn plan(store: &Store) -> Plan {
    let mut ping = file("bin/ping", &"P".repeat(5000));
    ping.xattrs.push(("security.capability", vec![1, 0, 10]));
    let big = "0123456789".repeat(2000);
    let lower = vec![dir("bin"), ping, file("big", &big), hardlink("bin/too", "big"), symlink("sh", "bin/ping")];
    let one = fixture::image(store, "one:1", &[lower, vec![file("top", "t"), file("same", &big)]]);
    let two = fixture::image(store, "two:1", &[vec![file("two", "2")]]);
    let mut plan = fixture::plan(Some(kernel(store, "lib/modules")), vec![one, two]);
    plan.volumes = vec![volume(store)];
    plan.system.volumes = plan.volumes.iter().map(Volume::contract).collect();
    plan
}

fn volume(store: &Store) -> Volume {
    let manifest = br#"{"schemaVersion":2}"#;
    let (top, layer) = (store.write_blob(manifest).unwrap(), store.write_blob(b"LAYER").unwrap());
    let whole = crate::pull::Whole {
        reference: "docker.io/library/x:1".into(),
        origin: None,
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        top,
        blobs: vec![(layer, 5), (top, manifest.len() as u64)],
    };
    Volume { name: "layout".into(), content: Content::Layout(whole), readonly: true, persistent: false }
}

/// A kernel with a module for disks, one that it needs, and one for sound.
fn kernel(store: &Store, folder: &str) -> Image {
    let entry = |path: &str, info: &[&str]| {
        let mut entry = file("", "");
        (entry.path, entry.data) = (format!("{folder}/6.1/kernel/{path}"), modules::tests::module(info));
        entry
    };
    let mut tar = file("kernel.tar", "");
    tar.data = fixture::tar(&[
        dir(folder),
        entry("drivers/block/virtio_blk.ko", &["name=virtio_blk", "depends=ring", "alias=virtio:d00000002v*"]),
        entry("drivers/virtio/ring.ko", &["name=ring"]),
        entry("sound/beep.ko", &["name=beep"]),
        file(&format!("{folder}/6.1/modules.builtin"), "kernel/fs/erofs/erofs.ko\n"),
        file("lib/note", "kept"),
    ]);
    fixture::image(store, "kernel:1", &[vec![file("kernel", "KERNEL"), tar]])
}

/// Read one file of the initrd.
fn in_initrd(segments: &Segments, path: &str) -> Vec<u8> {
    for part in &segments.parts {
        let frame = zstd::Decoder::new(File::open(&part.path).unwrap()).unwrap().single_frame();
        let mut archive = crate::format::cpio::read::Reader::new(std::io::BufReader::new(frame));
        while let Some(entry) = archive.next_entry().unwrap() {
            if entry.path == path.trim_start_matches('/').as_bytes() {
                let mut bytes = Vec::new();
                archive.read_to_end(&mut bytes).unwrap();
                return bytes;
            }
        }
    }
    panic!("no {path}");
}

/// List a file system's paths.
fn paths(image: &Sparse) -> Vec<String> {
    let reader = read::Reader::new(image).unwrap();
    reader.walk().unwrap().into_iter().map(|(path, _)| String::from_utf8(path).unwrap()).collect()
}

fn in_erofs(image: &Sparse, path: &str) -> (read::Inode, Vec<u8>) {
    let reader = read::Reader::new(image).unwrap();
    let (_, inode) = reader.walk().unwrap().into_iter().find(|(found, _)| found == path.as_bytes()).unwrap();
    let data = reader.data(&inode).unwrap();
    (inode, data)
}

/// Cut what is mounted at a place out of the root.
fn mounted(root: &Root, contract: &Contract, target: &str) -> Sparse {
    let told = contract.root.as_ref().unwrap();
    let image = told.images.iter().find(|image| image.target == target).unwrap_or_else(|| panic!("{target}: {told:?}"));
    root.image.slice(image.offset, image.size)
}

#[test]
fn a_disk_root_holds_what_the_contract_says_where_it_says_it() {
    let (_folder, store) = store();
    let plan = plan(&store);
    let segments = build(&plan, &store, &disk(), &|_| ()).unwrap();
    let names: Vec<&str> = segments.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["init", "boot modules", "system"]);
    let root = segments.root.as_ref().unwrap();
    let contract: Contract = serde_json::from_slice(&in_initrd(&segments, contract::PATH)).unwrap();
    let told = contract.root.clone().unwrap();
    assert_eq!((&told.uuid, told.size), (&root.uuid, root.image.size()));
    let outer = read::Reader::new(&root.image).unwrap();
    let hex = root.uuid.replace('-', "");
    assert_eq!(format!("{:032x}", u128::from_be_bytes(outer.super_block.uuid)), hex);
    assert_eq!((hex.len(), &hex[12..13], outer.super_block.volume), (32, "8", *b"hullkit-root\0\0\0\0"));
    let short = |name: &str| Digest::of(name.as_bytes()).short();
    let mut files: Vec<_> = ["one:1", "two:1"].map(|name| format!("images/{}.erofs", short(name))).into();
    files.sort();
    let files: Vec<_> = files.into_iter().chain(["modules.erofs".into(), "volumes/layout.erofs".into()]).collect();
    assert_eq!(paths(&root.image).into_iter().filter(|path| path.ends_with(".erofs")).collect::<Vec<_>>(), files);
    for ((path, image), part) in files.iter().zip(&told.images).zip(&root.parts) {
        let (inode, _) = in_erofs(&root.image, path);
        assert_eq!((u64::from(inode.block) * 4096, inode.size), (image.offset, image.size), "{path}");
        let inner = root.image.slice(image.offset, image.size);
        let head = read::Reader::new(&inner).unwrap().super_block;
        let key: Digest = format!("sha256:{}", part.path.file_stem().unwrap().display()).parse().unwrap();
        assert_eq!(head.uuid, segment::uuid(&key), "{path}");
        assert_eq!(u64::from(head.blocks.get()) * 4096, image.size, "{path}");
    }
    let one = mounted(root, &contract, &format!("/images/{}/rootfs", short("one:1")));
    assert_eq!(
        paths(&one).join(" "),
        " big bin bin/ping bin/too dev etc etc/hostname etc/hosts etc/resolv.conf proc same sh sys top"
    );
    let (ping, data) = in_erofs(&one, "bin/ping");
    assert_eq!(ping.attributes.xattrs, [(b"security.capability".to_vec(), vec![1, 0, 10])]);
    assert_eq!(data, [b'P'; 5000]);
    let ((big, _), (too, _), (same, _)) = (in_erofs(&one, "big"), in_erofs(&one, "bin/too"), in_erofs(&one, "same"));
    assert_eq!((big.nid, big.nlink, big.block), (too.nid, 2, same.block));
    let layout = mounted(root, &contract, "/containers/volumes/layout/lower");
    assert_eq!(paths(&layout).iter().filter(|path| path.starts_with("blobs/sha256/")).count(), 2);
    assert!(in_erofs(&layout, "index.json").1.starts_with(b"{\n   \"schemaVersion\": 2,"));
    assert!(contract.memory > 24 << 20 && segments.memory_floor > contract.memory);
}

#[test]
fn a_root_on_the_web_is_that_of_a_disk_and_the_initrd_has_what_fetches_it() {
    let (_folder, store) = store();
    let mut plan = plan(&store);
    plan.system.built = 7;
    let on_disk = build(&plan, &store, &disk(), &|_| ()).unwrap();
    let options = Options { root: RootKind::Web, ..disk() };
    let segments = build(&plan, &store, &options, &|_| ()).unwrap();
    let names: Vec<&str> = segments.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["init", "fetch", "boot modules", "system"]);
    assert_eq!(in_initrd(&segments, contract::FETCH), b"FETCH");
    let (root, other) = (segments.root.as_ref().unwrap(), on_disk.root.as_ref().unwrap());
    assert_eq!((&root.uuid, root.image.size()), (&other.uuid, other.image.size()));
    let contract: Contract = serde_json::from_slice(&in_initrd(&segments, contract::PATH)).unwrap();
    assert_eq!(contract.built, 7);
    assert!(contract.memory >= root.image.size() + (24 << 20));
    let [rule] = contract.network.as_slice() else { panic!("{:?}", contract.network) };
    assert!(rule.dhcp && rule.name.as_deref() == Some("e*"));
    // What the manifest says of networks is not added to.
    plan.system.network = vec![contract::Interface { id: "lan".to_owned(), ..contract::Interface::default() }];
    let segments = build(&plan, &store, &options, &|_| ()).unwrap();
    let contract: Contract = serde_json::from_slice(&in_initrd(&segments, contract::PATH)).unwrap();
    assert_eq!(contract.network, plan.system.network);
}

#[test]
fn the_initrd_has_the_modules_that_lead_to_the_root_and_the_root_all() {
    for (folder, include) in [("lib/modules", None), ("usr/lib/modules", Some(vec!["beep".to_owned()]))] {
        let (_folder, store) = store();
        let mut plan = fixture::plan(Some(kernel(&store, folder)), Vec::new());
        plan.kernel.as_mut().unwrap().modules.clone_from(&include);
        let segments = build(&plan, &store, &disk(), &|_| ()).unwrap();
        let names = |json: &[u8]| {
            let index: ModuleIndex = serde_json::from_slice(json).unwrap();
            index.modules.into_iter().map(|module| (module.name, module.path)).collect::<Vec<_>>()
        };
        let boot = names(&in_initrd(&segments, contract::MODULES_PATH));
        let wanted = [("ring", "drivers/virtio/ring.ko"), ("virtio_blk", "drivers/block/virtio_blk.ko")];
        let wanted = wanted.map(|(name, path)| (name.to_owned(), format!("/{folder}/6.1/kernel/{path}")));
        assert_eq!(boot, wanted);
        let text = listing(&segments);
        assert!(text.contains("virtio_blk.ko\n") && text.contains(" lib/note\n"), "{text}");
        assert!(!text.contains("beep") && !text.contains("modules.builtin"), "{text}");
        let root = segments.root.unwrap();
        let image = root.image.slice(root.images[0].offset, root.images[0].size);
        assert_eq!(root.images[0].target, "/lib/modules");
        let own = ROOT_MODULES_PATH.strip_prefix("/lib/modules/").unwrap();
        let all = names(&in_erofs(&image, own).1);
        let has = |name: &str| all.contains(&(name.to_owned(), format!("/lib/modules/6.1/kernel/sound/{name}.ko")));
        assert!(has("beep"), "{all:?}");
        assert_eq!(all.len(), if include.is_some() { 1 } else { 3 });
        assert!(all.iter().all(|(_, path)| !in_erofs(&image, &path["/lib/modules/".len()..]).1.is_empty()));
        assert!(paths(&image).iter().any(|path| path == "6.1/modules.builtin"));
    }
}

#[test]
fn equal_plans_give_equal_roots_whatever_the_jobs() {
    let bytes = |jobs: usize| {
        let (_folder, store) = store();
        let plan = plan(&store);
        let build = || build(&plan, &store, &Options { jobs, ..disk() }, &|_| ()).unwrap();
        let all = |segments: &Segments| {
            let root = segments.root.as_ref().unwrap();
            let mut bytes = Vec::new();
            root.image.reader().read_to_end(&mut bytes).unwrap();
            let parts = segments.parts.iter().map(|part| fs::read(&part.path).unwrap());
            (bytes, parts.collect::<Vec<_>>(), segments.memory_floor)
        };
        let first = build();
        assert!(first.parts.iter().chain(&first.root.as_ref().unwrap().parts).all(|part| !part.cached));
        let again = build();
        assert!(again.parts.iter().chain(&again.root.as_ref().unwrap().parts).all(|part| part.cached), "{again:?}");
        assert!(all(&first) == all(&again));
        all(&first)
    };
    assert!(bytes(1) == bytes(3));
}

#[test]
fn an_image_is_packed_for_each_kind_of_root_and_tells_why() {
    let (_folder, store) = store();
    let image = fixture::image(&store, "one:1", &[vec![file("x", "x")]]);
    let plan = fixture::plan(None, vec![image]);
    build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    let reason = || build(&plan, &store, &disk(), &|_| ()).unwrap().root.unwrap().parts.remove(0).reason;
    assert_eq!(reason(), "never packed before");
    assert_eq!(reason(), "nothing it is made of has changed");
}

#[test]
fn fsck_accepts_a_packed_image_and_unpacks_its_files() {
    let (folder, store) = store();
    let plan = plan(&store);
    let root = build(&plan, &store, &disk(), &|_| ()).unwrap().root.unwrap();
    let outer = folder.path().join("root.erofs");
    fs::write(&outer, {
        let mut bytes = Vec::new();
        root.image.reader().read_to_end(&mut bytes).unwrap();
        bytes
    })
    .unwrap();
    let fsck = |image: &std::path::Path, to: &std::path::Path| {
        let extract = format!("--extract={}", to.display());
        match std::process::Command::new("fsck.erofs").arg(extract).arg(image).output() {
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                true
            }
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!("skipped: no fsck.erofs: {error}");
                false
            }
            Err(error) => panic!("no fsck.erofs: {error}"),
        }
    };
    let to = folder.path().join("outer");
    if !fsck(&outer, &to) {
        return;
    }
    for part in &root.parts {
        let name = if part.name == "modules" { "modules.erofs" } else { "volumes/layout.erofs" };
        let path = match Digest::of(part.name.as_bytes()) {
            digest if part.name.ends_with(":1") => format!("images/{}.erofs", digest.short()),
            _ => name.to_owned(),
        };
        assert!(fs::read(to.join(&path)).unwrap() == fs::read(&part.path).unwrap(), "{path}");
    }
    let one = root.parts.iter().find(|part| part.name == "one:1").unwrap();
    let to = folder.path().join("one");
    fsck(&one.path, &to);
    assert_eq!(fs::read(to.join("bin/too")).unwrap(), "0123456789".repeat(2000).as_bytes());
    assert_eq!(fs::read(to.join("same")).unwrap(), "0123456789".repeat(2000).as_bytes());
    assert_eq!(fs::read_link(to.join("sh")).unwrap(), std::path::Path::new("bin/ping"));
    assert_eq!(fs::read(to.join("etc/hosts")).unwrap(), b"");
}
