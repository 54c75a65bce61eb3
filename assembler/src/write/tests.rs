use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::output::{Output, publish};
use super::*;
use crate::format::sparse::Sparse;
use crate::format::tar::read::{Limits, Reader};
use crate::format::tar::{Kind, Member};
use crate::rootfs::fixture::{self, dir, file, hardlink, symlink};
use crate::store::Store;

fn names(folder: &Path) -> Vec<String> {
    #[expect(clippy::disallowed_methods, reason = "sorted right after")]
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn outputs_appear_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, bytes: &[u8]| {
        let mut output = Output::create(&folder.path().join("out").join(name)).unwrap();
        output.write_all(bytes).unwrap();
        output
    };
    drop((make("a", b"1"), make("b", b"2")));
    assert_eq!(names(&folder.path().join("out")), [""; 0]);
    let written = publish(vec![make("a", b"1"), make("b", b"22")]).unwrap();
    assert_eq!(names(&folder.path().join("out")), ["a", "b"]);
    assert_eq!((written[1].path.clone(), written[1].size), (folder.path().join("out/b"), 2));
}

#[test]
fn an_equal_file_is_left_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let write = |bytes: &[u8]| {
        let mut output = Output::create(&path).unwrap();
        output.write_all(bytes).unwrap();
        publish(vec![output]).unwrap();
        fs::metadata(&path).unwrap().ino()
    };
    let first = write(b"same");
    assert_eq!(write(b"same"), first);
    assert_ne!(write(b"mass"), first);
    assert_eq!(fs::read(&path).unwrap(), b"mass");
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn a_joined_file_is_left_alone_only_if_every_byte_is_there() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, piece) = (folder.path().join("a"), folder.path().join("piece"));
    fs::write(&piece, b"12345").unwrap();
    let join = |tail: &[u8]| {
        let mut content = Sparse::of_file(fs::File::open(&piece).unwrap()).unwrap();
        content.append(&Sparse::of_bytes(tail));
        publish(vec![Output::of(&path, &content)]).unwrap();
        (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().ino())
    };
    let (bytes, first) = join(b"6");
    assert_eq!(bytes, b"123456");
    assert_eq!(join(b"6").1, first);
    assert_eq!(join(b"67").0, b"1234567");
    assert_eq!(join(b"68").0, b"1234568");
    assert_eq!(join(b"").0, b"12345");
    assert_eq!(names(folder.path()), ["a", "piece"]);
}

#[test]
fn a_plan_without_kernel_is_refused() {
    let plan = fixture::plan(None, Vec::new());
    let segments = crate::rootfs::Segments { parts: Vec::new(), kernel: None, root: None, memory_floor: 0 };
    let error = initrd::outputs(&plan, &segments, Path::new("/nowhere"), "x").unwrap_err();
    assert_eq!(error.to_string(), "the manifest names no kernel, which `kernel+initrd` needs");
}

#[test]
fn gnu_tar_accepts_tar() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let mut marked = file("bin/marked", "M");
    marked.xattrs.push(("user.note", b"a\nb\0".to_vec()));
    let long = "d/".repeat(40);
    let layer =
        vec![dir("bin"), file("bin/a", "A"), hardlink("bin/b", "bin/a"), symlink("sh", "bin/a"), marked, dir(&long)];
    let mut modules = file("kernel.tar", "");
    modules.data = fixture::tar(&[file("lib/x", "x")]);
    let kernel = fixture::image(&store, "kernel:1", &[vec![file("kernel", "KERNEL"), modules]]);
    let plan = fixture::plan(Some(kernel), vec![fixture::image(&store, "one:1", &[layer])]);
    let segments = crate::rootfs::build(&plan, &store, &fixture::options(b"INIT"), &|_| ()).unwrap();
    let path = folder.path().join("host.tar");
    let mut output = Output::create(&path).unwrap();
    tar::stream(&plan, &segments, &mut output, &path).unwrap();
    let written = publish(vec![output]).unwrap();
    let bytes = fs::read(&written[0].path).unwrap();
    let mut reader = Reader::new(bytes.as_slice(), Limits::default());
    let members: Vec<Member> = std::iter::from_fn(|| reader.next_member().unwrap()).collect();
    let find = |suffix: &str| members.iter().find(|member| member.path.ends_with(suffix.as_bytes())).unwrap();
    assert_eq!(find("bin/marked").xattrs, [(b"user.note".to_vec(), b"a\nb\0".to_vec())]);
    assert_eq!(find("bin/a").kind, Kind::HardLink);
    assert_eq!(find("bin/a").link, find("bin/b").path);
    assert_eq!(members.iter().filter(|member| member.path == b"images").count(), 1);
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&written[0].path).arg("-C").arg(&root).args(["--exclude", "dev/*"]);
    let status = unpack.status();
    match status {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) if std::env::var_os("CI").is_none() => return eprintln!("skipped: no tar: {error}"),
        Err(error) => panic!("no tar: {error}"),
    }
    let read = |path: &str| fs::read(root.join(path)).unwrap();
    let image = format!(
        "images/{}/rootfs",
        plan.images.keys().find(|d| Some(**d) != plan.kernel.as_ref().map(|k| k.image)).unwrap().short()
    );
    assert_eq!((read("boot/kernel"), read("boot/cmdline")), (b"KERNEL".to_vec(), b"console=ttyS0".to_vec()));
    assert_eq!((read("lib/x"), read("init")), (b"x".to_vec(), b"INIT".to_vec()));
    assert_eq!(read(&format!("{image}/bin/b")), b"A");
    assert!(root.join(&image).join(&long).is_dir());
}
