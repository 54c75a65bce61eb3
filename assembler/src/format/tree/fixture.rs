//! Trees for the tests of every format, and what compares an unpacked one with its tree.

use std::fs::{self, Metadata};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::*;

/// When most of a fixture was last changed.
pub(in crate::format) const TIME: i64 = 1_700_000_000;

/// A stream under way: entries, and the bytes of its files.
#[derive(Default)]
pub(in crate::format) struct Stream {
    pub(in crate::format) entries: Vec<Entry>,
    pub(in crate::format) bytes: Vec<u8>,
}

impl Stream {
    pub(in crate::format) fn add(
        &mut self,
        path: impl AsRef<[u8]>,
        mode: u32,
        content: Content<Vec<u8>>,
    ) -> &mut Attributes {
        let attributes = Attributes { mode, mtime: TIME, ..Attributes::default() };
        self.entries.push(Entry { path: path.as_ref().to_vec(), attributes, content });
        &mut self.entries.last_mut().unwrap().attributes
    }

    pub(in crate::format) fn dir(&mut self, path: impl AsRef<[u8]>, mode: u32) -> &mut Attributes {
        self.add(path, mode, Content::Directory)
    }

    pub(in crate::format) fn file(&mut self, path: impl AsRef<[u8]>, mode: u32, data: &[u8]) -> &mut Attributes {
        let content = Content::File { offset: self.bytes.len() as u64, size: data.len() as u64 };
        self.bytes.extend_from_slice(data);
        self.add(path, mode, content)
    }

    pub(in crate::format) fn symlink(&mut self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &mut Attributes {
        self.add(path, 0o777, Content::Symlink(target.as_ref().to_vec()))
    }

    pub(in crate::format) fn hardlink(&mut self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &mut Attributes {
        self.add(path, 0, Content::HardLink(target.as_ref().to_vec()))
    }

    pub(in crate::format) fn tree(&self) -> Tree {
        Tree::from_entries(self.entries.iter().cloned(), TIME).unwrap()
    }
}

/// One of everything, small enough to be read as a dump.
pub(in crate::format) fn tiny() -> Stream {
    let mut stream = Stream::default();
    stream.dir("", 0o755);
    stream.dir("d", 0o1777);
    stream.symlink("d/link", "../file");
    stream.add("fifo", 0o600, Content::Fifo);
    let file = stream.file("file", 0o4755, b"hello");
    (file.uid, file.gid, file.mtime, file.nanoseconds) = (70_000, 8, 5_000_000_000, 7);
    file.xattrs =
        vec![(b"user.a".to_vec(), b"1".to_vec()), (b"security.capability".to_vec(), b"\x01\x00\xff".to_vec())];
    stream.file("empty", 0o644, b"");
    stream.file("big", 0o600, &[7; 5000]);
    stream.hardlink("d/two", "big");
    stream.add("null", CHAR | 0o666, Content::Device(1, 3));
    stream.file(b"latin-\xe4", 0o644, b"x");
    stream
}

/// What a writer may trip over: sizes around blocks, long and odd names, deep and wide directories, links, devices, attributes.
pub(in crate::format) fn rich() -> Stream {
    let mut stream = Stream::default();
    stream.dir("./", 0o750).mtime = TIME - 5;
    let mut noise = 1_u32;
    let mut random = |size: usize| {
        let bytes = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_le_bytes()[3]
        });
        bytes.take(size).collect::<Vec<_>>()
    };
    for size in
        [0, 1, 2047, 2048, 2049, 4031, 4032, 4033, 4064, 4065, 4095, 4096, 4097, 12_288, 131_071, 131_072, 131_073]
    {
        stream.file(format!("sizes/{size:06}"), 0o644, &random(size));
    }
    stream.file("sizes/zeros", 0o444, &vec![0; 1 << 20]);
    stream.file("sizes/noise", 0o400, &random(700_000)).uid = 1000;
    for at in 0..900_u32 {
        let file =
            stream.file(format!("wide/an ordinary name with a number {at}.conf"), 0o644, &random(at as usize % 300));
        file.mtime = TIME + i64::from(at % 3);
        file.uid = at * 100;
        file.gid = at;
    }
    let deep = ["deep"; 14].join("/");
    stream.dir(&deep, 0o700);
    stream.file(format!("{deep}/bottom"), 0o640, b"bottom\n");
    for name in [
        "README", "readme", "ReadMe", "a.b.c", ".hidden", "-dash", "!first", "no-ext.", "tar.gz", "x;1", "a b", "*?\\:",
    ] {
        stream.file(format!("names/{name}"), 0o644, name.as_bytes());
    }
    for at in 0..40 {
        stream.file(format!("names/{}{at}.{}", "long-".repeat(30), "e".repeat(60)), 0o644, format!("{at}").as_bytes());
        stream.dir(format!("names/{}{at}", "Directory".repeat(6)), 0o755);
    }
    stream.file(format!("names/{}", "n".repeat(250)), 0o644, b"250");
    stream.file("names/\u{e9}\u{4e2d}\u{1f600}", 0o644, b"unicode");
    stream.file(b"names/latin-\xe4", 0o644, b"latin");
    stream.symlink("links/short", "x");
    stream.symlink("links/up", "../../usr/./lib/..");
    stream.symlink("links/root", "/");
    stream.symlink("links/absolute", "/etc/hosts");
    stream.symlink("links/long", ["component"; 60].join("/"));
    stream.symlink("links/wide", "w".repeat(255));
    stream.symlink("links/longest", ["0123456789abcdef"; 240].join("/"));
    stream.file("links/one", 0o755, &random(9000)).xattrs = vec![(b"user.one".to_vec(), b"1".to_vec())];
    stream.hardlink("names/two", "./links/one");
    stream.hardlink("three", "names/two");
    stream.hardlink("links/short-too", "links/short");
    stream.add("dev/null", CHAR | 0o666, Content::Device(1, 3)).gid = 5;
    stream.add("dev/sda1", BLOCK | 0o660, Content::Device(8, 1));
    stream.add("dev/many", CHAR | 0o600, Content::Device(10, 0x12345));
    stream.add("dev/fifo", 0o622, Content::Fifo);
    stream.add("dev/socket", 0o755, Content::Socket);
    let capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
    let file = stream.file("attributes/ping", 0o4711, &random(5000));
    file.xattrs = vec![(b"security.capability".to_vec(), capability), (b"user.empty".to_vec(), Vec::new())];
    stream.file("attributes/large", 0o644, b"small").xattrs =
        vec![(b"user.large".to_vec(), vec![b'l'; 5000]), (b"trusted.other".to_vec(), vec![b'o'; 300])];
    stream.dir("attributes/dir", 0o2755).xattrs = vec![(b"user.of-a-directory".to_vec(), b"yes".to_vec())];
    let list = [&2_u32.to_le_bytes()[..], &acl(1, 6), &acl(4, 4), &acl(0x20, 4)].concat();
    stream.file("attributes/list", 0o644, b"").xattrs = vec![(b"system.posix_acl_access".to_vec(), list)];
    let file = stream.file("sizes/times", 0o644, b"t");
    (file.mtime, file.nanoseconds) = (TIME, 123_456_789);
    stream
}

/// One entry of an access list.
fn acl(tag: u16, permissions: u16) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &u32::MAX.to_le_bytes()].concat()
}

/// Run a foreign tool; nothing where it is missing, but in CI.
pub(in crate::format) fn judge(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => {
            let text = [&output.stdout[..], &output.stderr].concat();
            assert!(output.status.success(), "{command:?}: {}\n{}", output.status, shown(&text));
            Some(output)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            eprintln!("skipped: no {}: {error}", command.get_program().display());
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// What of a tree a format or its judge keeps.
#[derive(Clone, Copy)]
pub(in crate::format) struct Kept {
    pub(in crate::format) links: bool,
    pub(in crate::format) nanoseconds: bool,
    pub(in crate::format) xattrs: bool,
    pub(in crate::format) sockets: bool,
    pub(in crate::format) set_id: bool,
    pub(in crate::format) link_times: bool,
    pub(in crate::format) root_time: bool,
}

pub(in crate::format) const ALL: Kept = Kept {
    links: true,
    nanoseconds: true,
    xattrs: true,
    sockets: true,
    set_id: true,
    link_times: true,
    root_time: true,
};

pub(in crate::format) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Mount an image, where that is possible, and compare what the kernel sees.
pub(in crate::format) fn mounted(kind: &str, image: &Path, stream: &Stream, kept: Kept) {
    let folder = tempfile::tempdir().unwrap();
    let mount = Command::new("mount").args(["-t", kind, "-o", "loop,ro"]).arg(image).arg(folder.path()).output();
    match mount {
        Ok(output) if output.status.success() => {}
        // Mounting takes root, a loop device and a driver, which no machine of CI has to have.
        other => return eprintln!("skipped: {kind} cannot be mounted here: {other:?}"),
    }
    let found = std::panic::catch_unwind(|| compare(folder.path(), stream, kept));
    let unmounted = Command::new("umount").arg(folder.path()).status().unwrap();
    assert!(unmounted.success());
    if let Err(panic) = found {
        std::panic::resume_unwind(panic);
    }
}

/// Hold a folder against the tree that it was unpacked from. Owners and devices count only where they could be made.
pub(in crate::format) fn compare(root: &Path, stream: &Stream, kept: Kept) {
    let tree = stream.tree();
    let mut wrong = Vec::new();
    let mut wanted = tree.nodes().iter().map(|node| node.path.clone()).collect::<Vec<_>>();
    let mut found = list(root);
    if !kept.sockets {
        let socket =
            |path: &Vec<u8>| tree.nodes().iter().any(|node| node.path == *path && node.content == Content::Socket);
        wanted.retain(|path| !socket(path));
        found.retain(|path| !socket(path));
    }
    if !is_root() {
        let device = |path: &Vec<u8>| path.starts_with(b"dev/");
        wanted.retain(|path| !device(path));
        found.retain(|path| !device(path));
    }
    for path in wanted.iter().filter(|path| found.binary_search(path).is_err()) {
        wrong.push(format!("`{}` is missing", shown(path)));
    }
    for path in found.iter().filter(|path| wanted.binary_search(path).is_err()) {
        wrong.push(format!("`{}` was not asked for", shown(path)));
    }
    let links = tree.links();
    for (index, node) in tree.nodes().iter().enumerate() {
        let path = place(root, &node.path);
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if wanted.binary_search(&node.path).is_err() {
            continue;
        }
        let owner = tree.data(index);
        for (what, is, should) in differences(&tree.nodes()[owner], &meta, kept, links[owner]) {
            if is != should {
                wrong.push(format!("`{}`: {what} is {is}, not {should}", shown(&node.path)));
            }
        }
        let read = match &tree.nodes()[owner].content {
            Content::File { offset, size } => {
                let mut bytes = Vec::new();
                stream.bytes.reader(*offset, *size).unwrap().read_to_end(&mut bytes).unwrap();
                fs::read(&path).unwrap() == bytes
            }
            Content::Symlink(target) => fs::read_link(&path).unwrap().as_os_str().as_bytes() == target,
            _ => true,
        };
        if !read {
            wrong.push(format!("`{}`: the content", shown(&node.path)));
        }
        if kept.xattrs && is_root() {
            for (name, value) in &tree.nodes()[owner].attributes.xattrs {
                let mut buffer = vec![0; 1 << 16];
                let got = rustix::fs::lgetxattr(&path, name.as_slice(), buffer.as_mut_slice());
                let got = got.map(|size| buffer[..size].to_vec());
                if got.as_ref() != Ok(value) {
                    wrong.push(format!("`{}`: attribute {} is {got:?}", shown(&node.path), shown(name)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn differences(node: &Node, meta: &Metadata, kept: Kept, links: u32) -> Vec<(&'static str, i128, i128)> {
    let attributes = &node.attributes;
    let mask = if kept.set_id { u32::MAX } else { !0o6000 };
    let mut all = vec![("mode (decimal)", i128::from(meta.mode() & mask), i128::from(attributes.mode & mask))];
    if (kept.link_times || !matches!(node.content, Content::Symlink(_))) && (kept.root_time || !node.path.is_empty()) {
        all.push(("time", i128::from(meta.mtime()), i128::from(attributes.mtime)));
    }
    if kept.nanoseconds {
        all.push(("nanoseconds", i128::from(meta.mtime_nsec()), i128::from(attributes.nanoseconds)));
    }
    if is_root() {
        all.push(("owner", i128::from(meta.uid()), i128::from(attributes.uid)));
        all.push(("group", i128::from(meta.gid()), i128::from(attributes.gid)));
    }
    if kept.links && node.content != Content::Directory {
        all.push(("links", i128::from(meta.nlink()), i128::from(links)));
    }
    match node.content {
        Content::File { size, .. } => all.push(("size", i128::from(meta.size()), i128::from(size))),
        Content::Device(major, minor) => {
            let device = rustix::fs::makedev(major, minor);
            all.push(("device", i128::from(meta.rdev()), i128::from(device)));
        }
        _ => {}
    }
    all
}

fn place(root: &Path, path: &[u8]) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(std::ffi::OsStr::from_bytes(path)) }
}

/// List all names below a folder, sorted, the folder itself included.
fn list(root: &Path) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut ahead = vec![Vec::new()];
    while let Some(path) = ahead.pop() {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let entries = fs::read_dir(place(root, &path)).unwrap();
        for entry in entries {
            let entry = entry.unwrap();
            let mut path = path.clone();
            push(&mut path, entry.file_name().as_bytes());
            if entry.file_type().unwrap().is_dir() {
                ahead.push(path.clone());
            }
            all.push(path);
        }
    }
    all.sort();
    all
}
