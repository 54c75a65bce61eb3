//! What can only be known by trying.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::MountFlags;

use crate::{one, outcome};

type Facts = Vec<(String, String)>;

/// First line of a file, or why it cannot be read.
pub(crate) fn file(path: &str) -> Facts {
    let text = match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => "empty".to_owned(),
        Ok(bytes) => String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned(),
        Err(error) => outcome::<()>(Err(error)),
    };
    one(format!("file.{path}"), text)
}

/// Names in a folder, sorted.
pub(crate) fn list(path: &str) -> Facts {
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = fs::read_dir(path);
    let text = match entries {
        Ok(entries) => {
            let mut names: Vec<String> =
                entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort_unstable();
            names.join(" ")
        }
        Err(error) => outcome::<()>(Err(error)),
    };
    one(format!("list.{path}"), text)
}

/// Open a device or a file for reading; `PATH:w` for writing.
pub(crate) fn open(what: &str) -> Facts {
    let (path, opened) = match what.strip_suffix(":w") {
        Some(path) => (path, OpenOptions::new().write(true).open(path)),
        None => (what, File::open(what)),
    };
    one(format!("open.{path}"), outcome(opened))
}

/// Write a line to a file, making it if it is not there; `PATH=TEXT` says which line.
pub(crate) fn write(what: &str) -> Facts {
    let (path, text) = what.split_once('=').unwrap_or((what, "written"));
    let done = OpenOptions::new().append(true).create(true).open(path);
    let done = done.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
    one(format!("write.{path}"), outcome(done))
}

/// Take so many MiB of memory, and keep them.
pub(crate) fn eat(mib: &str) -> Facts {
    let size = mib.parse::<usize>().unwrap_or(1) << 20;
    // Every page is written, or it would be none.
    let taken = vec![1_u8; size];
    one("eaten", (std::hint::black_box(&taken).len() >> 20).to_string())
}

/// Wait for so many seconds.
pub(crate) fn wait(seconds: &str) -> Facts {
    std::thread::sleep(std::time::Duration::from_secs(seconds.parse().unwrap_or(1)));
    one("waited", seconds)
}

/// Make a device node and open it: `PATH,c,MAJOR,MINOR`.
pub(crate) fn mknod(what: &str) -> Facts {
    let words: Vec<&str> = what.split(',').collect();
    let [path, kind, major, minor] = words[..] else { return one("mknod", "not understood") };
    let kind = if kind == "b" { FileType::BlockDevice } else { FileType::CharacterDevice };
    let device = makedev(major.parse().unwrap_or(0), minor.parse().unwrap_or(0));
    let made = mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device).map_err(io::Error::from);
    let opened = File::open(path);
    vec![(format!("mknod.{path}"), outcome(made)), (format!("open.{path}"), outcome(opened))]
}

/// Mount a tmpfs.
pub(crate) fn mount_tmpfs(path: &str) -> Facts {
    let made = fs::create_dir_all(path);
    let done = made.and_then(|()| Ok(rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), None)?));
    one(format!("mount-tmpfs.{path}"), outcome(done))
}

/// Open `/dev/stdout` anew, as programs do that log to a file of that name.
pub(crate) fn stdout(_: &str) -> Facts {
    let mut facts = Vec::new();
    for (name, path) in [("stdout", "/dev/stdout"), ("stderr", "/dev/stderr")] {
        let opened = OpenOptions::new().append(true).open(path);
        let done = opened.and_then(|mut file| writeln!(file, "said through {path}"));
        facts.extend(one(name, outcome(done)));
    }
    facts
}

/// Tell whether a file is a namespace that was bound there, and of which kind: `PATH`.
pub(crate) fn same_namespace(path: &str) -> Facts {
    /// `NSFS_MAGIC` of linux/magic.h.
    const NSFS: i64 = 0x6e73_6673;
    let found = rustix::fs::statfs(path).map_err(io::Error::from);
    let text = match found {
        Ok(found) if found.f_type == NSFS => "namespace".to_owned(),
        Ok(_) => "file".to_owned(),
        Err(error) => outcome::<()>(Err(error)),
    };
    one(format!("bound.{path}"), text)
}
