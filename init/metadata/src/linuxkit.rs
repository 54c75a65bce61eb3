//! User data in LinuxKit's form: JSON that is a tree of files below `/run/config`. Pure.
//!
//! ```json
//! {"ssh": {"entries": {"sshd_config": {"perm": "0600", "content": "PermitRootLogin no"}}}}
//! ```
//!
//! # Source
//!
//! LinuxKit, `docs/metadata.md` and `pkg/metadata/main.go`.

use serde_json::{Map, Value};

use crate::settle::{Content, Entry};

/// Longest file name of Linux, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// Most files and directories of one document.
const ENTRIES_MAX: usize = 1000;

/// Directories inside each other.
const DEPTH_MAX: usize = 16;

/// Read the files of user data; none if it is not of this form. An entry that is wrong is left out, and said.
pub(crate) fn files(userdata: &[u8], say: &mut dyn FnMut(&str)) -> Vec<Entry> {
    let Ok(Value::Object(root)) = serde_json::from_slice(userdata) else { return Vec::new() };
    let mut tree = Tree { entries: Vec::new(), say };
    tree.add(&["run".to_owned(), "config".to_owned()], &root);
    tree.entries
}

/// The content of the file `hostname`, if there is one.
pub(crate) fn hostname(files: &[Entry]) -> Option<String> {
    let found = files.iter().find(|entry| entry.path == ["run", "config", "hostname"])?;
    match &found.content {
        Content::File(bytes) => Some(String::from_utf8_lossy(bytes).trim().to_owned()),
        _ => None,
    }
}

struct Tree<'a> {
    entries: Vec<Entry>,
    say: &'a mut dyn FnMut(&str),
}

impl Tree<'_> {
    fn add(&mut self, parent: &[String], names: &Map<String, Value>) {
        for (name, value) in names {
            let path: Vec<String> = parent.iter().cloned().chain([name.clone()]).collect();
            if let Err(why) = self.add_one(path, name, value) {
                let name: String = name.chars().take(60).collect();
                (self.say)(&format!("user data: {name:?} is left out: {why}"));
            }
        }
    }

    fn add_one(&mut self, path: Vec<String>, name: &str, value: &Value) -> Result<(), &'static str> {
        if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) || name.len() > NAME_MAX {
            return Err("it cannot be the name of a file");
        }
        if self.entries.len() >= ENTRIES_MAX || path.len() > DEPTH_MAX {
            return Err("there are too many, or too deep");
        }
        let mode = |usual| match value.get("perm") {
            None => Ok(usual),
            Some(perm) => {
                let bits = perm.as_str().and_then(|text| u32::from_str_radix(text, 8).ok());
                bits.filter(|bits| *bits <= 0o7777).ok_or("its `perm` is no octal number")
            }
        };
        let own = |path, content, mode| Entry { path, content, mode, owner: (0, 0) };
        match (value.get("content"), value.get("entries")) {
            (Some(Value::String(text)), None) => {
                self.entries.push(own(path, Content::File(text.clone().into_bytes()), mode(0o644)?));
            }
            (None, Some(Value::Object(below))) => {
                self.entries.push(own(path.clone(), Content::Directory, mode(0o755)?));
                self.add(&path, below);
            }
            _ => return Err("it needs one of `content` and `entries`"),
        }
        Ok(())
    }
}
