use std::fs::{self, File};
use std::io::Read;

use super::fixture::{self, dir, file, hardlink, symlink};
use super::*;
use crate::format::cpio::dump::dump;

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
    let written = crate::write::kernel_initrd(&plan, &segments, &out, "hello").unwrap();
    assert_eq!(fs::read(out.join("hello-kernel")).unwrap(), b"KERNEL");
    assert_eq!(fs::read(out.join("hello-cmdline")).unwrap(), b"console=ttyS0");
    let sum: u64 = segments.parts.iter().map(|part| part.size).sum();
    assert_eq!(written[1].size, sum);
    let again = build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    assert!(again.parts.iter().all(|part| part.cached), "{again:?}");
}
