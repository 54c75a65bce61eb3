//! Disks: how fast they are written beside copying their bytes, and how large they are.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::boots;
use crate::builds::{self, Cost};
use crate::figure::{Figure, median};
use crate::script::{seconds, shell};
use hullkit::platform::Arch;
use qemu_tests::place::{self, Place};

/// Formats that both architectures have, and that have files of their own.
const FORMATS: &str =
    "kernel+initrd,tar,uki,raw,iso,qcow2,qcow2-plain,vmdk,vmdk-sparse,vhd,vhdx,vdi,gcp,netboot,raw.gz,raw.zst";

/// Unpacks a tar as the tools below take it.
const UNPACK: &str = r#"mkdir -p "$2" && tar -xf "$1" --warning=no-unknown-keyword --exclude 'dev/*' -C "$2""#;

/// What a copy costs: of all bytes that are there, until they are on the disk.
const COPY: &str = r#"cp --sparse=always "$1" "$2" && sync "$2""#;

/// Copies an image whose layers are compressed to one whose layers are not.
const DECOMPRESS: &str = r#"
exec python3 - "$1" "$2" <<'END'
import gzip, hashlib, json, os, shutil, sys
old, new = sys.argv[1:]
os.makedirs(new + "/blobs/sha256")
shutil.copy(old + "/oci-layout", new)
def get(blob):
    return open(old + "/blobs/" + blob["digest"].replace(":", "/"), "rb").read()
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open(new + "/blobs/sha256/" + digest, "wb").write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}
index = json.load(open(old + "/index.json"))
manifest = json.loads(get(index["manifests"][0]))
put(get(manifest["config"]))
for layer in manifest["layers"]:
    layer.update(put(gzip.decompress(get(layer))), mediaType="application/vnd.oci.image.layer.v1.tar")
index["manifests"][0].update(put(json.dumps(manifest).encode()))
json.dump(index, open(new + "/index.json", "w"))
END
"#;

/// Unpacks an image's layers over one another.
const UNPACK_IMAGE: &str = r#"umoci unpack --rootless --image "$1:latest" "$2""#;

/// Tools that make a file system of a folder, until it is on the disk, as what a build makes is.
const MKFS_EROFS: &str = r#"mkfs.erofs --quiet "$2" "$1" && sync "$2""#;
/// See [`MKFS_EROFS`].
const MKSQUASHFS: &str = r#"mksquashfs "$1" "$2" -no-progress -quiet && sync "$2""#;

/// Time and weigh builds of disks. The image of 100 MB packed, 380 MB unpacked, is there already.
pub(crate) fn measure(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures = vec![minimal(place, work)?];
    figures.extend(large(place, work, runs)?);
    figures.push(all(place, work, runs)?);
    figures.extend(segment(place, work, runs)?);
    figures.extend(file_systems(place, work, runs)?);
    figures.push(memory(place, work)?);
    Ok(figures)
}

/// Weigh the disk of the smallest host.
fn minimal(place: &Place, work: &Path) -> anyhow::Result<Figure> {
    let name = place.build(&work.join("host.yml"), "raw", Arch::Amd64, &work.join("minimal"), &[])?;
    let there = fs::metadata(name.with_extension("raw")).context("there is no disk")?.blocks() * 512;
    Ok(Figure {
        what: "bytes on the disk of the smallest host",
        value: megabytes(there),
        unit: "MB",
        target: Some(30.0),
    })
}

/// Build a disk of much content anew, its segments packed, in turn with copying it.
fn large(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let manifest = write(work, "large.yml", &host(&format!("oci:{}:latest", work.join("hundred").display())))?;
    let out = work.join("large");
    let (mut ours, mut copy) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        eprintln!("disk {run} of {runs}");
        let cost = anew(place, &manifest, &out, "raw", &["amd64"])?;
        let copied = seconds(COPY, &out.join("large.raw"), &work.join("copy"))?;
        // The first has packed the segments.
        if run > 0 {
            ours.push(cost.seconds);
            copy.push(copied);
        }
    }
    let size = fs::metadata(out.join("large.raw")).context("there is no disk")?.blocks() * 512;
    let (ours, copy) = (median(ours), median(copy));
    Ok(vec![
        Figure { what: "raw disk of much content", value: megabytes(size), unit: "MB", target: None },
        Figure { what: "build of it, segments packed", value: ours, unit: "s", target: None },
        Figure { what: "the build over cp and sync of it", value: ours / copy, unit: "x", target: Some(1.3) },
    ])
}

/// Build every format of both architectures of the example.
fn all(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Figure> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/01-hello.yml");
    let costs: Vec<Cost> = (0..=runs.div_ceil(2))
        .map(|_| anew(place, &example, &work.join("all"), FORMATS, &["amd64", "arm64"]))
        .collect::<anyhow::Result<_>>()?;
    let value = median(costs.into_iter().skip(1).map(|cost| cost.seconds).collect());
    Ok(Figure { what: "16 formats of 01-hello.yml, both architectures", value, unit: "s", target: Some(5.0) })
}

/// Pack one image's segment, its layers compressed and not, in turn with the tool that is given the image unpacked.
///
/// What a build takes longer with no segments is taken for the packing; there are small ones besides.
fn segment(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let (store, out, tree) = (work.join("cache"), work.join("segment"), work.join("image-unpacked"));
    let (segments, plain) = (store.join("hullkit/segments"), work.join("plain"));
    // A store of its own, of which everything but the packing stays.
    shell(r#"rm -rf "$2" "$3" "$4" && cp -al "$1" "$2""#, &[&place.cache, &store, &tree, &plain])?;
    shell(UNPACK_IMAGE, &[&work.join("hundred"), &tree])?;
    shell(DECOMPRESS, &[&work.join("hundred"), &plain])?;
    let plain = write(work, "plain.yml", &host(&format!("oci:{}:latest", plain.display())))?;
    let manifests = [work.join("large.yml"), plain];
    let build = |manifest: &Path| -> anyhow::Result<f64> {
        place::empty(&out)?;
        shell("sync", &[])?;
        Ok(builds::run(place, manifest, &out, &store, &["--format", "raw", "--arch", "amd64"])?.seconds)
    };
    manifests.iter().try_for_each(|manifest| build(manifest).map(drop))?;
    let (mut packing, mut packed, mut tool) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], Vec::new());
    for run in 1..=runs {
        eprintln!("segment {run} of {runs}");
        for ((manifest, packing), packed) in manifests.iter().zip(&mut packing).zip(&mut packed) {
            place::empty(&segments)?;
            packing.push(build(manifest)?);
            packed.push(build(manifest)?);
        }
        tool.push(seconds(MKFS_EROFS, &tree.join("rootfs"), &work.join("mkfs.img"))?);
    }
    let tool = median(tool);
    let whats =
        [("an EROFS segment over mkfs.erofs of a tree", Some(1.0)), ("same, of layers that are not compressed", None)];
    let ratios = whats.into_iter().zip(packing.into_iter().zip(packed));
    Ok(ratios
        .map(|((what, target), (packing, packed))| Figure {
            what,
            value: (median(packing) - median(packed)) / tool,
            unit: "x",
            target,
        })
        .collect())
}

/// Make file systems of one tree, in turn with the tools, for which it is unpacked from a tar.
fn file_systems(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let text = format!(
        "kernel: {{image: 'hullkit/kernel:latest'}}\ninit: ['oci:{}:latest']\n",
        work.join("hundred").display()
    );
    let manifest = write(work, "tree.yml", &text)?;
    let (out, tree) = (work.join("tree"), work.join("tree-unpacked"));
    anew(place, &manifest, &out, "tar", &["amd64"])?;
    // The builds empty their folder.
    let archive = work.join("tree.tar");
    fs::rename(out.join("tree.tar"), &archive).context("there is no tar")?;
    shell(UNPACK, &[&archive, &tree])?;
    let measure = |format, tool| -> anyhow::Result<[f64; 3]> {
        let (mut ours, mut theirs, mut unpacking) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=runs.div_ceil(2) {
            eprintln!("{format} {run} of {}", runs.div_ceil(2));
            ours.push(anew(place, &manifest, &out, format, &["amd64"])?.seconds);
            theirs.push(seconds(tool, &tree, &work.join("mkfs.img"))?);
            shell(r#"rm -rf "$1""#, &[&tree])?;
            unpacking.push(seconds(UNPACK, &archive, &tree)?);
        }
        Ok([median(ours), median(theirs), median(unpacking)])
    };
    let [erofs, mkfs_erofs, for_erofs] = measure("kernel+erofs", MKFS_EROFS)?;
    let [squashfs, mksquashfs, for_squashfs] = measure("kernel+squashfs", MKSQUASHFS)?;
    let ratio = |what, value, target| Figure { what, value, unit: "x", target };
    Ok(vec![
        ratio("kernel+erofs over tar -x and mkfs.erofs", erofs / (for_erofs + mkfs_erofs), None),
        ratio("kernel+squashfs over mksquashfs of a tree", squashfs / mksquashfs, Some(1.0)),
        ratio("kernel+squashfs over tar -x and mksquashfs", squashfs / (for_squashfs + mksquashfs), None),
    ])
}

/// Find how much memory a disk of 2 GiB takes, plain and compressed; in the store that the segments were packed in, which goes then.
fn memory(place: &Place, work: &Path) -> anyhow::Result<Figure> {
    let root = work.join("two");
    place::empty(&root)?;
    // Random bytes: nothing can be left out of them.
    shell(r#"head -c 2G /dev/urandom >"$1/random""#, &[&root])?;
    let manifest = write(work, "memory.yml", &host(&format!("rootfs:{}", root.display())))?;
    let (store, out) = (work.join("cache"), work.join("memory"));
    place::empty(&out)?;
    let cost = builds::run(place, &manifest, &out, &store, &["--format", "raw,qcow2,vmdk,raw.zst", "--arch", "amd64"])?;
    // Together 20 GB.
    for folder in [&root, &out, &store] {
        fs::remove_dir_all(folder).with_context(|| format!("could not remove `{}`", folder.display()))?;
    }
    Ok(Figure { what: "peak memory of four disks of 2 GiB", value: cost.megabytes, unit: "MB", target: Some(128.0) })
}

/// A host of one service.
fn host(image: &str) -> String {
    boots::HOST.replacen("hullkit/busybox:latest", image, 1)
}

fn write(work: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = work.join(name);
    fs::write(&path, text).context("could not write a manifest")?;
    Ok(path)
}

/// Build into an empty folder.
fn anew(place: &Place, manifest: &Path, out: &Path, formats: &str, arches: &[&str]) -> anyhow::Result<Cost> {
    place::empty(out)?;
    builds::run(place, manifest, out, &place.cache, &["--format", formats, "--arch", &arches.join(",")])
}

#[expect(clippy::cast_precision_loss, reason = "files are far below 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
