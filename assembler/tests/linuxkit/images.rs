//! The images that the manifests of `cases/` name: a few files each, every oddity that a layout has to get right.
//!
//! `docker.io/t/NAME:1`, all in one archive, which LinuxKit's `cache import` reads as well.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::oci::{self, INDEX, Image, Layer, MANIFEST, Packing, descriptor};

/// Annotation under which LinuxKit, containerd and Hullkit look for the whole name.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// Time of everything in a layer that has no time of its own: 2001-09-09.
const TIME: u64 = 1_000_000_000;

/// One entry of a layer.
struct Entry {
    kind: EntryType,
    path: &'static str,
    mode: u32,
    /// What is in a file, or where a link leads.
    data: Vec<u8>,
    owner: (u64, u64),
    time: u64,
    device: (u32, u32),
    /// Extended headers, xattrs among them.
    records: Vec<(&'static str, &'static [u8])>,
}

impl Entry {
    fn new(kind: EntryType, path: &'static str, mode: u32, data: &[u8]) -> Self {
        let (owner, device, records) = ((0, 0), (0, 0), Vec::new());
        Self { kind, path, mode, data: data.to_vec(), owner, time: TIME, device, records }
    }

    fn owner(mut self, uid: u64, gid: u64) -> Self {
        self.owner = (uid, gid);
        self
    }

    fn time(mut self, seconds: u64) -> Self {
        self.time = seconds;
        self
    }

    fn record(mut self, key: &'static str, value: &'static [u8]) -> Self {
        self.records.push((key, value));
        self
    }
}

fn dir(path: &'static str, mode: u32) -> Entry {
    Entry::new(EntryType::Directory, path, mode, b"")
}

fn file(path: &'static str, mode: u32, data: &str) -> Entry {
    Entry::new(EntryType::Regular, path, mode, data.as_bytes())
}

fn symlink(path: &'static str, target: &str) -> Entry {
    Entry::new(EntryType::Symlink, path, 0o777, target.as_bytes())
}

fn hardlink(path: &'static str, target: &str) -> Entry {
    Entry::new(EntryType::Link, path, 0o644, target.as_bytes())
}

fn special(kind: EntryType, path: &'static str, mode: u32, major: u32, minor: u32) -> Entry {
    let mut entry = Entry::new(kind, path, mode, b"");
    entry.device = (major, minor);
    entry
}

fn whiteout(path: &'static str) -> Entry {
    file(path, 0o644, "")
}

/// Make a tar. Names and targets go in as they are: `./`, `/` at the end and all.
fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut records: Vec<(&str, &[u8])> = entry.records.clone();
        let linked = matches!(entry.kind, EntryType::Link | EntryType::Symlink);
        let mut header = Header::new_ustar();
        if entry.path.len() > 100 {
            records.push(("path", entry.path.as_bytes()));
        }
        let name = &entry.path.as_bytes()[..entry.path.len().min(100)];
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        if linked {
            let target = &entry.data[..entry.data.len().min(100)];
            header.set_link_name_literal(target).unwrap();
            if target.len() < entry.data.len() {
                records.push(("linkpath", &entry.data));
            }
        }
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(entry.owner.0);
        header.set_gid(entry.owner.1);
        header.set_mtime(entry.time);
        header.set_device_major(entry.device.0).unwrap();
        header.set_device_minor(entry.device.1).unwrap();
        let data = if linked { &[][..] } else { &entry.data };
        header.set_size(data.len() as u64);
        header.set_cksum();
        if !records.is_empty() {
            builder.append_pax_extensions(records).unwrap();
        }
        builder.append(&header, data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn layer(entries: &[Entry]) -> Layer {
    Layer::of(archive(entries), Packing::Gzip)
}

/// A layer of one file for each way to pack it.
fn packed(packings: &[Packing]) -> Vec<Layer> {
    let one = |(name, packing)| Layer::of(archive(&[file(name, 0o644, "packed\n")]), packing);
    ["first", "second"].into_iter().zip(packings.iter().copied()).map(one).collect()
}

fn image(config: Value, layers: &[Layer]) -> Image {
    Image::of("amd64", &config, layers)
}

/// An image with one file and a label.
fn labelled(label: &str) -> Image {
    let config = json!({"Cmd": ["/labelled"], "Labels": {"org.mobyproject.config": label}});
    image(config, &[layer(&[file("labelled", 0o755, "labelled\n")])])
}

/// What an image's name stands for.
enum Named {
    /// A manifest alone.
    One(Image),
    /// An index: images with their platforms, then entries that stand for themselves.
    Index(Vec<(Image, Value)>, Vec<Value>),
}

/// Write all images into a folder as one layout, and that as a tar beside it.
pub(crate) fn write(folder: &Path, tar: &Path) {
    let mut entries = Vec::new();
    let named = all();
    for (name, named) in &named {
        let descriptor = match named {
            Named::One(image) => {
                oci::write(folder, std::slice::from_ref(image));
                descriptor(MANIFEST, &image.manifest)
            }
            Named::Index(images, more) => {
                let mut manifests = Vec::new();
                for (image, platform) in images {
                    oci::write(folder, std::slice::from_ref(image));
                    let mut entry = descriptor(MANIFEST, &image.manifest);
                    if !platform.is_null() {
                        entry["platform"] = platform.clone();
                    }
                    manifests.push(entry);
                }
                manifests.extend(more.iter().cloned());
                let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string();
                oci::blob(folder, index.as_bytes());
                descriptor(INDEX, index.as_bytes())
            }
        };
        entries.push((descriptor, format!("docker.io/t/{name}:1")));
    }
    for attestation in attestations() {
        oci::write(folder, &[attestation]);
    }
    oci::index(folder, IMAGE_NAME, entries.iter().map(|(entry, name)| (entry.clone(), name.as_str())).collect());
    let mut builder = tar::Builder::new(fs::File::create(tar).unwrap());
    builder.append_dir_all(".", folder).unwrap();
    builder.finish().unwrap();
}

fn all() -> Vec<(&'static str, Named)> {
    let mut all = Vec::new();
    let ones = [plain(), contents(), names(), kernels(), inits(), labels()].into_iter().flatten();
    all.extend(ones.map(|(name, image)| (name, Named::One(image))));
    all.extend(indexes());
    all
}

/// Images of ordinary services.
fn plain() -> Vec<(&'static str, Image)> {
    let web = json!({
        "User": "nobody",
        "Env": ["PATH=/usr/bin:/bin", "LANG=C"],
        "Entrypoint": ["/bin/sh", "-e"],
        "Cmd": ["serve", "<a&b>"],
        "WorkingDir": "/srv",
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD", "true"]},
    });
    let files = [
        dir("bin/", 0o755),
        file("bin/sh", 0o755, "#!shell\n"),
        symlink("bin/ash", "sh"),
        dir("srv", 0o750).owner(10, 20),
        file("srv/index", 0o640, "hello\n").owner(10, 20),
    ];
    let shadow = [dir("etc/", 0o700), file("etc/shadow", 0o600, "root:*\n").owner(0, 42)];
    vec![
        ("web", image(web, &[layer(&files), layer(&shadow)])),
        ("bare", image(json!({}), &[layer(&[file("hello", 0o644, "hello\n")])])),
        ("packings", image(json!({}), &packed(&[Packing::Plain, Packing::Zstd]))),
        ("empty", image(json!({"Cmd": ["/nothing"]}), &[])),
        ("volume", image(json!({}), &[layer(&[file("data", 0o644, "data\n"), file("etc/resolv.conf", 0o600, "x\n")])])),
        ("arm", Image::of("arm64", &json!({"Cmd": ["/arm"]}), &[layer(&[file("arm", 0o755, "arm\n")])])),
    ]
}

/// Images with every kind of entry, and layers that change each other.
fn contents() -> Vec<(&'static str, Image)> {
    let links = [
        dir("usr/", 0o755),
        file("usr/a", 0o640, "a\n").owner(1, 2),
        hardlink("usr/b", "usr/a"),
        symlink("usr/up", "../hello"),
        symlink("usr/absolute", "/usr/a"),
        symlink("dangling", "nowhere/at all"),
    ];
    let later = [hardlink("early", "usr/a"), hardlink("usr/deep/late", "usr/a"), dir("usr/deep", 0o711)];
    let whiteouts = [
        file("keep", 0o644, "keep\n"),
        file("gone", 0o644, "gone\n"),
        dir("d/", 0o755),
        file("d/gone", 0o644, "gone\n"),
        file("d/keep", 0o644, "keep\n"),
        dir("tree/", 0o755),
        dir("tree/deep/", 0o755),
        file("tree/deep/file", 0o644, "gone\n"),
        file("again", 0o644, "first\n"),
    ];
    let hidden = [whiteout(".wh.gone"), whiteout("d/.wh.gone"), whiteout(".wh.tree"), whiteout(".wh.again")];
    let replaced = [
        dir("was-dir/", 0o755),
        file("was-dir/child", 0o644, "gone\n"),
        file("was-file", 0o644, "gone\n"),
        dir("dir/", 0o755),
        file("dir/lower", 0o644, "lower\n"),
        symlink("was-link", "dir"),
        file("text", 0o600, "first\n"),
    ];
    let replacing = [
        file("was-dir", 0o644, "a file now\n"),
        dir("was-file/", 0o755),
        file("was-file/child", 0o644, "child\n"),
        dir("dir/", 0o1770).owner(3, 4),
        file("dir/upper", 0o644, "upper\n"),
        file("was-link", 0o644, "no link\n"),
        file("text", 0o644, "second\n").owner(5, 6),
    ];
    let opaque = [
        dir("conf/", 0o755),
        file("conf/a", 0o644, "lower a\n"),
        dir("conf/sub/", 0o755),
        file("conf/sub/b", 0o644, "lower b\n"),
    ];
    let over = [dir("conf/", 0o750), whiteout("conf/.wh..wh..opq"), file("conf/c", 0o644, "upper c\n")];
    let devices = [
        dir("dev/", 0o700),
        special(EntryType::Char, "dev/console", 0o600, 5, 1),
        special(EntryType::Char, "dev/null", 0o666, 1, 3),
        special(EntryType::Block, "dev/vda", 0o660, 254, 16).owner(0, 6),
        dir("dev/pts/", 0o700),
        special(EntryType::Char, "dev/pts/0", 0o620, 136, 0),
        dir("dev/shm/", 0o1777),
        special(EntryType::Fifo, "pipe", 0o622, 0, 0),
    ];
    let modes = [
        dir("proc/", 0o555),
        dir("sys/", 0o555),
        dir("tmp/", 0o1777),
        dir("etc/", 0o700).owner(7, 7),
        file("su", 0o4755, "su\n"),
        file("wall", 0o2755, "wall\n").owner(0, 5),
        file("secret", 0o000, "secret\n"),
        file("big", 0o644, "big\n").owner(2_000_000, 1_900_000),
        file("old", 0o644, "old\n").time(0),
        file("fraction", 0o644, "fraction\n").record("mtime", b"1600000000.123456789"),
        dir("halves", 0o755).record("mtime", b"1600000001.5"),
        file("times", 0o644, "t\n").record("atime", b"1500000000.5").record("ctime", b"1500000001"),
    ];
    let xattrs = [
        file("ping", 0o755, "ping\n")
            .record("SCHILY.xattr.security.capability", b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00")
            .record("SCHILY.xattr.user.note", b"a note"),
        dir("d/", 0o755).record("SCHILY.xattr.user.dir", b"1"),
    ];
    let config = |name: &str| json!({"Cmd": [name]});
    vec![
        ("links", image(config("/links"), &[layer(&links), layer(&later)])),
        ("whiteout", image(config("/w"), &[layer(&whiteouts), layer(&hidden), layer(&[file("again", 0o600, "2\n")])])),
        ("replace", image(config("/replace"), &[layer(&replaced), layer(&replacing)])),
        ("opaque", image(config("/opaque"), &[layer(&opaque), layer(&over)])),
        ("devices", image(config("/devices"), &[layer(&devices)])),
        ("modes", image(config("/modes"), &[layer(&modes)])),
        ("xattrs", image(config("/xattrs"), &[layer(&xattrs)])),
    ]
}

/// Images with names that mean something to LinuxKit, or are hard to write.
fn names() -> Vec<(&'static str, Image)> {
    let excluded = [
        dir("./", 0o711).owner(8, 9),
        file("./.dockerenv", 0o755, ""),
        file("./Dockerfile", 0o644, "FROM scratch\n"),
        dir("./sub/", 0o755),
        file("./sub/Dockerfile", 0o644, "FROM sub\n"),
        file("./sub/.dockerenv", 0o644, "sub\n"),
        dir("./etc/", 0o755),
        file("./etc/hostname", 0o644, "builder\n"),
        file("./etc/hosts", 0o600, "10.0.0.1 builder\n").owner(1, 1),
        file("./etc/resolv.conf", 0o640, "nameserver 10.0.0.1\n").owner(2, 2),
        file("./etc/mtab", 0o600, "a mount\n"),
        hardlink("./etc/linked", "./sub/Dockerfile"),
    ];
    let long = "a-folder-with-a-name-of-fifty-characters-1234567890/another-folder-with-such-a-name-1234567890/file";
    let long: &'static str = Box::leak(format!("{long}-{}", "x".repeat(60)).into_boxed_str());
    let odd = [
        file(long, 0o644, "long\n"),
        file("with space", 0o644, "space\n"),
        file("caf\u{e9}", 0o644, "caf\u{e9}\n"),
        symlink("long-link", &"t/".repeat(70)),
        file("newline\nname", 0o644, "newline\n"),
        file("...", 0o644, "dots\n"),
    ];
    let one = |entry: Entry| image(json!({"Cmd": ["/x"]}), &[layer(&[entry])]);
    vec![
        ("excluded", image(json!({"Cmd": ["/x"]}), &[layer(&excluded)])),
        ("odd", image(json!({"Cmd": ["/x"]}), &[layer(&odd)])),
        ("resolvlink", one(symlink("etc/resolv.conf", "/run/resolv.conf"))),
        ("hostslink", one(symlink("etc/hosts", "/run/hosts"))),
        ("mtablink", one(symlink("etc/mtab", "../proc/self/mounts"))),
    ]
}

/// Kernels: LinuxKit's own kind, and others.
fn kernels() -> Vec<(&'static str, Image)> {
    let modules = |prefix: [&'static str; 6]| {
        archive(&[
            dir(prefix[0], 0o755),
            dir(prefix[1], 0o755).owner(30, 31),
            dir(prefix[2], 0o750),
            file(prefix[3], 0o600, "a module\n").owner(30, 31).time(1_111_111_111),
            hardlink(prefix[4], prefix[3]),
            symlink(prefix[5], "/usr/src/linux"),
        ])
    };
    let dotted = modules(["./", "./lib/", "./lib/modules/", "./lib/modules/a.ko", "./lib/modules/b.ko", "./lib/build"]);
    let mut boot = archive(&[
        dir("boot", 0o700),
        file("boot/extra", 0o644, "extra\n"),
        dir("boot/dtb", 0o755),
        file("boot/dtb/x.dtb", 0o644, "dtb\n"),
        file("./boot/dotted", 0o644, "dotted\n"),
        file("lib/m.ko", 0o644, "m\n").record("mtime", b"1600000000.25"),
    ]);
    // Tars that end early are common: the end's blocks are not there.
    boot.truncate(boot.len() - 1024);
    let tar = |name, bytes: &[u8]| Entry::new(EntryType::Regular, name, 0o644, bytes);
    let usual = [
        file("kernel", 0o600, "a kernel\n").owner(1, 1),
        tar("kernel.tar", &dotted),
        tar("kernel-dev.tar", &dotted),
        file("intel-ucode.cpio", 0o640, "micro code!!"),
        file("System.map", 0o644, "map\n"),
    ];
    let odd = [
        tar("modules.tar", &boot),
        file("ucode", 0o644, "first microcode!"),
        file("bzImage", 0o755, "another kernel\n"),
        dir("sub/", 0o755),
        file("sub/vmlinuz", 0o644, "a kernel below\n"),
    ];
    let one = |entries: &[Entry]| image(json!({}), &[layer(entries)]);
    vec![
        ("kernel", one(&usual)),
        ("kernel-odd", one(&odd)),
        ("kernel-alone", one(&[file("kernel", 0o644, "alone\n"), file("microcode", 0o644, "microcode")])),
        ("kernel-none", one(&[tar("kernel.tar", &dotted)])),
        ("kernel-link", one(&[symlink("kernel", "vmlinuz"), file("vmlinuz", 0o644, "linked\n")])),
    ]
}

/// Images that make up the root.
fn inits() -> Vec<(&'static str, Image)> {
    let init = [
        dir("bin", 0o755),
        file("init", 0o755, "init\n"),
        file("bin/rc.init", 0o755, "rc\n"),
        dir("etc", 0o711),
        file("etc/inittab", 0o644, "inittab\n"),
        file("etc/hostname", 0o644, "lost\n"),
    ];
    let apk = |mode, text: &str, version: &str| {
        [
            dir("lib/", 0o755),
            dir("lib/apk/", 0o755),
            dir("lib/apk/db/", 0o750),
            file("lib/apk/db/installed", mode, text),
            file("etc/version", 0o644, version),
        ]
    };
    let one = |entries: &[Entry]| image(json!({}), &[layer(entries)]);
    vec![
        ("init", one(&init)),
        ("apk-a", one(&apk(0o600, "P:a\nV:1\n", "a\n"))),
        ("apk-b", one(&apk(0o644, "P:b\nV:2\n", "b\n"))),
    ]
}

/// A label with every key. Those that end in `.add` have no effect in a label.
const FULL: &str = r#"{
    "command": ["/from-label", "x"],
    "env": ["FROM=label"],
    "cwd": "/label",
    "capabilities": ["CAP_CHOWN", "CAP_KILL"],
    "ambient": ["CAP_SETUID"],
    "binds": ["/label/a:/a", "/label/b:/b:ro"],
    "binds.add": ["/never:/never"],
    "capabilities.add": ["CAP_NEVER"],
    "tmpfs": ["/label-tmp:size=1m"],
    "mounts": [{"type": "proc", "destination": "/label-proc"}],
    "net": "new",
    "ipc": "new",
    "uts": "new",
    "userns": "/label/user",
    "pid": "host",
    "hostname": "label-host",
    "readonly": true,
    "noNewPrivileges": true,
    "oomScoreAdj": -5,
    "uid": 11,
    "gid": 12,
    "additionalGids": [13, 14],
    "maskedPaths": ["/label-masked"],
    "readonlyPaths": ["/label-readonly"],
    "rootfsPropagation": "shared",
    "cgroupsPath": "/label/cgroup",
    "resources": {"memory": {"limit": 1000}},
    "sysctl": {"net.label": "1"},
    "rlimits": ["nofile,10,20"],
    "annotations": {"from": "label"},
    "devices": [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "mode": "0666"}],
    "runtime": {
        "cgroups": ["label"],
        "mkdir": ["/label-dir"],
        "mounts": [{"type": "bind", "source": "/l", "destination": "/m", "options": ["bind"]}],
        "interfaces": [{"name": "label0", "add": "veth", "peer": "label1"}],
        "bindNS": {"net": "/run/netns/label", "mnt": "/run/mntns/label"},
        "namespace": "label"
    }
}"#;

/// Images whose label says how to run them.
fn labels() -> Vec<(&'static str, Image)> {
    vec![
        ("label", labelled(FULL)),
        ("label-caps", labelled(r#"{"capabilities": ["CAP_SYS_ADMIN", "CAP_CHOWN"]}"#)),
        ("label-binds", labelled(r#"{"binds": ["/run:/run", "data:/data"]}"#)),
        ("label-yaml", labelled("capabilities:\n- all\nbinds: ['/a:/b:ro']\n")),
        ("label-empty", labelled("")),
        ("label-list", labelled("[1]")),
        ("label-unknown", labelled(r#"{"capabilites": ["all"]}"#)),
        ("label-name", labelled(r#"{"name": "x"}"#)),
        ("label-block", labelled(r#"{"resources": {"blockIO": {"weight": 10}}}"#)),
        ("label-readonly", labelled(r#"{"readonly": true}"#)),
    ]
}

/// Indexes: several platforms, and what else stands in one.
fn indexes() -> Vec<(&'static str, Named)> {
    let of = |arch: &'static str, text: &str| {
        // Not packed, so that the digests in cases depend on nobody's gzip.
        let layer = Layer::of(archive(&[file("arch", 0o644, text)]), Packing::Plain);
        Image::of(arch, &json!({"Cmd": [format!("/{arch}")]}), &[layer])
    };
    let platform = |image: &Image| json!({"os": "linux", "architecture": image.arch});
    let (amd64, arm64) = (of("amd64", "amd64\n"), of("arm64", "arm64\n"));
    let arm_v8 = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    let windows = json!({"os": "windows", "architecture": "amd64"});
    let attested = attestations().into_iter().zip([&amd64, &arm64]).map(|(attestation, image)| {
        let mut entry = descriptor(MANIFEST, &attestation.manifest);
        entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        let subject = descriptor(MANIFEST, &image.manifest);
        entry["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": subject["digest"],
        });
        entry
    });
    let both = vec![(arm64.clone(), arm_v8), (amd64.clone(), platform(&amd64))];
    let foreign = vec![(of("amd64", "windows\n"), windows), (amd64.clone(), platform(&amd64))];
    vec![
        ("multi", Named::Index(both, attested.collect())),
        ("only-arm", Named::Index(vec![(arm64.clone(), platform(&arm64))], vec![])),
        ("with-windows", Named::Index(foreign, vec![])),
        ("no-platform", Named::Index(vec![(arm64, Value::Null), (amd64.clone(), platform(&amd64))], vec![])),
    ]
}

/// What a builder says about the images of `multi`: one SPDX document for each.
fn attestations() -> Vec<Image> {
    let one = |arch: &'static str| {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://spdx.dev/Document",
            "subject": [],
            "predicate": {
                "spdxVersion": "SPDX-2.3",
                "dataLicense": "CC0-1.0",
                "SPDXID": "SPDXRef-DOCUMENT",
                "name": arch,
                "documentNamespace": format!("https://example.com/{arch}"),
                "creationInfo": {"creators": ["Tool: test"], "created": "2020-01-01T00:00:00Z"},
                "packages": [{"name": "arch", "SPDXID": "SPDXRef-Package-arch", "downloadLocation": "NONE", "packageFileName": "/arch"}],
                "files": [{"fileName": "/arch", "SPDXID": "SPDXRef-File-arch", "checksums": [{"algorithm": "SHA1", "checksumValue": "0000000000000000000000000000000000000000"}]}],
            },
        });
        let layer = Layer::of(statement.to_string().into_bytes(), Packing::Plain);
        let mut image = Image::of("unknown", &json!({}), &[layer]);
        let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        manifest["layers"][0]["mediaType"] = json!("application/vnd.in-toto+json");
        manifest["layers"][0]["annotations"] = json!({"in-toto.io/predicate-type": "https://spdx.dev/Document"});
        image.manifest = manifest.to_string().into_bytes();
        image
    };
    vec![one("amd64"), one("arm64")]
}
