//! What QEMU, tar and an XML parser say about the disks that are written here. A tool that is missing is a failure.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hullkit::digest::Digest;
use hullkit::format::ova::{self, Adapter, Controller, Firmware, Machine};
use hullkit::format::qcow2::{self, Compression};
use hullkit::format::sparse::Sparse;
use hullkit::format::vmdk::{self, Identity};

/// Run a judge, and give what it says.
fn judge(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// Put a disk into a file, holes as holes.
fn put(path: &Path, disk: &Sparse) {
    let file = File::create(path).unwrap();
    file.set_len(disk.size()).unwrap();
    for extent in disk.extents() {
        let mut bytes = vec![0; usize::try_from(extent.len).unwrap()];
        disk.read_at(extent.offset, &mut bytes).unwrap();
        file.write_all_at(&bytes, extent.offset).unwrap();
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

const MIB: u64 = 1 << 20;

/// Disks of odd lengths, with extents in odd places.
fn disks(folder: &Path) -> Vec<(&'static str, Sparse)> {
    let text = b"It shrinks. ".repeat(300_000);
    let with = |size: u64, extents: &[(u64, &[u8])]| {
        let mut disk = Sparse::new(size);
        for (offset, bytes) in extents {
            disk.put_bytes(*offset, *bytes).unwrap();
        }
        disk
    };
    let path = folder.join("data");
    std::fs::write(&path, [&text[..], &noise(3 << 20), &[0; 1 << 20], &text].concat()).unwrap();
    let data = Sparse::of_file(File::open(&path).unwrap()).unwrap();
    let mut long = Sparse::new(64 * MIB);
    long.put(MIB + 777, &data).unwrap();
    let mut many = Sparse::new(40 * MIB);
    for at in 0..400 {
        let part = data.slice(at * 20_011, 1 + at * 151 % 70_000);
        many.put(at * 100_003, &part).unwrap();
    }
    let gib = 1024 * MIB;
    let (some, odd) = (noise(200_000), noise(70_000));
    vec![
        ("nothing", Sparse::new(0)),
        ("one-sector", with(512, &[(0, b"boot")])),
        ("one-hole", Sparse::new(512)),
        ("odd", with(MIB + 512, &[(0, &odd), (MIB + 500, b"the last 12.")])),
        (
            "large",
            with(5 * gib, &[(0, &some), (2 * gib - 1000, &text), (4 * gib, &[0; 100_000]), (5 * gib - 512, b"end")]),
        ),
        ("long", long),
        ("many", many),
    ]
}

/// Have QEMU check a file, and compare it with the disk.
fn accepts(format: &str, file: &Path, raw: &Path, disk: &Sparse, check: bool) {
    if check {
        let text = judge(Command::new("qemu-img").args(["check", "-f", format]).arg(file));
        assert!(text.contains("No errors were found"), "{}: {text}", file.display());
    }
    let info = judge(Command::new("qemu-img").args(["info", "--output=json", "-f", format]).arg(file));
    assert!(info.contains(&format!("\"virtual-size\": {},", disk.size())), "{}: {info}", file.display());
    let mut compare = Command::new("qemu-img");
    let text = judge(compare.args(["compare", "-f", "raw", "-F", format]).arg(raw).arg(file));
    assert_eq!(text, "Images are identical.\n", "{}", file.display());
}

fn each(work: impl Fn(&'static str, &Sparse, &Path, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    for (name, disk) in disks(folder.path()) {
        let raw = folder.path().join("disk.raw");
        put(&raw, &disk);
        work(name, &disk, &raw, &folder.path().join(name));
    }
}

#[test]
fn qemu_img_accepts_plain_qcow2() {
    each(|_, disk, raw, path| {
        put(path, &qcow2::plain(disk).unwrap());
        accepts("qcow2", path, raw, disk, true);
    });
}

#[test]
fn qemu_img_accepts_compressed_qcow2() {
    each(|_, disk, raw, path| {
        for compression in [Compression::Zlib, Compression::Zstd] {
            qcow2::compressed(disk, compression, 2, &mut File::create(path).unwrap()).unwrap();
            accepts("qcow2", path, raw, disk, true);
        }
    });
}

#[test]
fn qemu_img_accepts_sparse_vmdk() {
    each(|name, disk, raw, path| {
        if disk.size() > 0 {
            put(path, &vmdk::sparse(disk, Identity { cid: 0x1234_5678, name }).unwrap());
            accepts("vmdk", path, raw, disk, true);
        }
    });
}

#[test]
fn qemu_img_accepts_stream_optimized_vmdk() {
    each(|name, disk, raw, path| {
        if disk.size() > 0 {
            let identity = Identity { cid: 0x1234_5678, name };
            vmdk::stream_optimized(disk, identity, 2, &mut File::create(path).unwrap()).unwrap();
            accepts("vmdk", path, raw, disk, true);
        }
    });
}

#[test]
fn the_ova_unpacks_to_what_its_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let (_, disk) = disks(folder.path()).pop().unwrap();
    put(&path("raw"), &disk);
    let mut stream = Vec::new();
    vmdk::stream_optimized(&disk, Identity { cid: 5, name: "host-disk1.vmdk" }, 2, &mut stream).unwrap();
    let digest = Digest::of(&stream);
    let (capacity, populated) = (disk.size(), disk.allocated());
    let vmdk = Sparse::of_bytes(stream);
    for (controller, adapter, firmware) in [
        (Controller::Ide, Adapter::VmxNet3, Firmware::Efi),
        (Controller::LsiLogic, Adapter::E1000, Firmware::Bios),
        (Controller::ParaVirtual, Adapter::VmxNet3, Firmware::Efi),
        (Controller::Ahci, Adapter::E1000, Firmware::Efi),
    ] {
        let title = "Host <1> & \"friends\"";
        let machine = Machine { name: "host", title, memory: 512, cpus: 1, firmware, controller, adapter };
        let disk = ova::Disk { vmdk: &vmdk, digest, capacity, populated };
        put(&path("host.ova"), &ova::wrap(&machine, &disk, 1_700_000_000).unwrap());
        let listed = judge(Command::new("tar").arg("tf").arg(path("host.ova")));
        assert_eq!(listed, "host.ovf\nhost.mf\nhost-disk1.vmdk\n");
        judge(Command::new("tar").arg("xf").arg(path("host.ova")).arg("-C").arg(folder.path()));

        let manifest = std::fs::read_to_string(path("host.mf")).unwrap();
        for name in ["host.ovf", "host-disk1.vmdk"] {
            let sum = judge(Command::new("sha256sum").arg(name).current_dir(folder.path()));
            let (sum, _) = sum.split_once(' ').unwrap();
            assert!(manifest.contains(&format!("SHA256({name})= {sum}\n")), "{manifest}");
        }
        // Well-formed, and the title is what it was.
        let parse = "import sys, xml.etree.ElementTree as e\n\
            o = '{http://schemas.dmtf.org/ovf/envelope/1}'\n\
            print(e.parse(sys.argv[1]).find(o + 'VirtualSystem').find(o + 'Name').text)";
        let found = judge(Command::new("python3").args(["-c", parse]).arg(path("host.ovf")));
        assert_eq!(found, format!("{title}\n"));
    }
    accepts("vmdk", &path("host-disk1.vmdk"), &path("raw"), &disk, true);
}
