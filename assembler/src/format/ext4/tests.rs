use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::layout::BLOCK;
use super::{Ext4Error, Options, SIZE, write};
use crate::digest::Digest;
use crate::format::disks::{ID, TIME, judge, save};
use crate::format::sparse::Sparse;

const OPTIONS: Options<'_> = Options { uuid: ID, label: "data", hash_seed: *b"fedcba9876543210", time: TIME };

fn on_disk(folder: &Path, options: &Options<'_>) -> PathBuf {
    let path = folder.join("data.img");
    save(&write(options).unwrap(), &path);
    path
}

/// Find a program of e2fsprogs: not every user has its folder in `PATH`.
fn tool(name: &str) -> Command {
    let folder = ["/usr/sbin", "/sbin"].map(Path::new).into_iter().find(|folder| folder.join(name).exists());
    let mut command = Command::new(folder.map_or_else(|| name.into(), |folder| folder.join(name)));
    command.env("LC_ALL", "C").env("TZ", "UTC");
    command
}

/// Let e2fsck say what it does, and nothing else. It is told the time, if not today's: it complains of what lies ahead.
#[track_caller]
fn clean(path: &Path, mode: &str, time: Option<u32>) {
    let mut fsck = tool("e2fsck");
    if let Some(time) = time {
        fsck.env("E2FSCK_TIME", time.to_string());
    }
    let said = judge(fsck.args(["-f", mode]).arg(path));
    let mut lines = said.lines();
    for pass in 1..=5 {
        assert!(lines.next().is_some_and(|line| line.starts_with(&format!("Pass {pass}: "))), "{said}");
    }
    assert!(lines.next().is_some_and(|line| line.contains(" files (") && line.ends_with(" blocks")), "{said}");
    assert_eq!(lines.next(), None, "{said}");
}

/// List what dumpe2fs says, by name.
#[track_caller]
fn described(path: &Path) -> BTreeMap<String, String> {
    let said = judge(tool("dumpe2fs").arg("-h").arg(path));
    let lines = said.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

#[track_caller]
fn debugfs(path: &Path, arguments: &[&str], request: &str) -> String {
    judge(tool("debugfs").args(arguments).args(["-R", request]).arg(path))
}

#[test]
fn e2fsck_finds_nothing_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    for time in [0, 1, TIME, i32::MAX.unsigned_abs(), i32::MAX.unsigned_abs() + 1, u32::MAX] {
        for label in ["", "sixteen bytes ok"] {
            clean(&on_disk(folder.path(), &Options { label, time, ..OPTIONS }), "-n", Some(time));
        }
    }
}

#[test]
fn e2fsck_repairs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_disk(folder.path(), &OPTIONS);
    let before = fs::read(&path).unwrap();
    clean(&path, "-y", None);
    let after = fs::read(&path).unwrap();
    // The first block has the time of the check, and how much was written.
    let first = usize::try_from(BLOCK).unwrap();
    assert!(before[first..] == after[first..]);
}

#[test]
fn dumpe2fs_says_of_it_what_it_says_of_one_of_mke2fs() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_disk(folder.path(), &OPTIONS);
    let theirs = folder.path().join("theirs.img");
    let features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,\
                    large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
    let extended = "resize=4294967295,lazy_itable_init=0,hash_seed=66656463-6261-3938-3736-353433323130";
    let mut mkfs = tool("mke2fs");
    mkfs.args(["-q", "-t", "ext4", "-b", "4096", "-N", "8192", "-I", "256", "-J", "size=32", "-m", "0", "-G", "16"]);
    mkfs.args(["-O", features, "-E", extended, "-U", "30313233-3435-3637-3839-616263646566", "-L", "data"]);
    judge(mkfs.arg(&theirs).arg("128M").env("E2FSPROGS_FAKE_TIME", TIME.to_string()));
    let (mut found, mut wanted) = (described(&path), described(&theirs));
    // Bytes that mke2fs has written, and what follows from them.
    for name in ["Lifetime writes", "Checksum"] {
        found.remove(name);
        wanted.remove(name);
    }
    // Only mke2fs on machines whose `char` is signed says so.
    found.remove("Filesystem flags");
    wanted.remove("Filesystem flags");
    assert_eq!(found, wanted);
    let known = [
        ("Filesystem volume name", "data"),
        ("Filesystem UUID", "30313233-3435-3637-3839-616263646566"),
        ("Directory Hash Seed", "66656463-6261-3938-3736-353433323130"),
        ("Filesystem created", "Tue Nov 14 22:13:20 2023"),
        ("Block count", "32768"),
        ("Free blocks", "23030"),
        ("Free inodes", "8181"),
        ("Reserved GDT blocks", "1024"),
        ("Total journal size", "32M"),
        ("Default mount options", "user_xattr acl"),
    ];
    for (name, value) in known {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn debugfs_finds_inodes_where_they_are_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_disk(folder.path(), &OPTIONS);
    assert!(debugfs(&path, &[], "stat <8>").contains("(0-8191):1546-9737"));
    assert!(debugfs(&path, &[], "stat <11>").contains("(0-3):1541-1544"));
    assert!(debugfs(&path, &[], "stat <7>").contains("(DIND):1545, (IND):1025, (IND):2, (IND):3,"));
    assert!(debugfs(&path, &[], "logdump -S").contains("Journal starts at block 0"));
}

#[test]
fn resize2fs_grows_it() {
    let folder = tempfile::tempdir().unwrap();
    for (size, blocks) in [("1G", "262144"), ("40G", "10485760")] {
        let path = on_disk(folder.path(), &OPTIONS);
        judge(tool("resize2fs").arg(&path).arg(size));
        assert_eq!(described(&path).get("Block count").map(String::as_str), Some(blocks));
        clean(&path, "-n", None);
    }
}

#[test]
fn debugfs_writes_a_file_and_reads_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_disk(folder.path(), &OPTIONS);
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let bytes = (0..300_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>();
    fs::write(&from, &bytes).unwrap();
    debugfs(&path, &["-w"], "mkdir folder");
    debugfs(&path, &["-w"], &format!("write {} folder/file", from.display()));
    clean(&path, "-n", None);
    debugfs(&path, &[], &format!("dump folder/file {}", to.display()));
    assert!(fs::read(&to).unwrap() == bytes);
}

#[test]
fn equal_options_give_equal_bytes_and_few() {
    let bytes = |image: &Sparse| {
        let parts = image.extents().map(|extent| {
            let mut part = vec![0; usize::try_from(extent.len).unwrap()];
            image.read_at(extent.offset, &mut part).unwrap();
            part
        });
        parts.collect::<Vec<_>>().concat()
    };
    let image = write(&OPTIONS).unwrap();
    assert_eq!((image.size(), SIZE), (128 << 20, 128 << 20));
    assert_eq!(image.allocated(), 12 * 4096);
    let places = [0, 1, 1026, 1027, 1028, 1540, 1541, 1542, 1543, 1544, 1545, 1546];
    assert_eq!(image.blocks(BLOCK.into()).collect::<Vec<_>>(), places);
    assert!(bytes(&image) == bytes(&write(&OPTIONS).unwrap()));
    assert_eq!(Digest::of(&bytes(&image)).short(), "fbcfd5e2e8ea");
}

#[test]
fn names_that_do_not_fit_are_refused() {
    for label in ["seventeen letters", "ééééééééé", "a\0b"] {
        let refused = write(&Options { label, ..OPTIONS });
        assert_eq!(refused.unwrap_err(), Ext4Error::Label { label: label.to_owned() });
    }
}
