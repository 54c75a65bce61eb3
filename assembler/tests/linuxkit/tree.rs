//! What a build made, as text: one row for each path, the last entry of a name counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use hullkit::digest::Digest;
use tar::EntryType;

/// Time of everything that LinuxKit generates; written `fixed`.
const FIXED: &str = "1492533000";

/// Longest text that a row shows; of other files it has the length and the digest.
const SHOWN: usize = 200;

/// A tree.
#[derive(Default)]
pub(crate) struct Tree {
    /// Path to `TYPE MODE UID GID MTIME CONTENT`.
    pub(crate) rows: BTreeMap<String, String>,
    /// Path to bytes, of regular files.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// Read everything that a build wrote. Files beside a tree have rows of their own, named `@kernel` and so on.
    pub(crate) fn of_build(folder: &Path, name: &str) -> Result<Self, String> {
        let mut tree = Self::default();
        let mut written = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        for entry in fs::read_dir(folder).unwrap() {
            written.push(entry.unwrap().file_name().into_string().unwrap());
        }
        written.sort();
        for file in written {
            let bytes = fs::read(folder.join(&file)).unwrap();
            match file.strip_prefix(name) {
                Some(".tar" | ".docker") => tree.add_tar(&bytes, "")?,
                Some("-initrd.img") => tree.add_initrd(&bytes)?,
                Some("-initrd.tar") => {
                    tree.add_tar(&bytes, "@")?;
                    let initrd = tree.files.remove("@initrd.img").ok_or("the tar holds no `initrd.img`")?;
                    let row = tree.rows.remove("@initrd.img").unwrap_or_default();
                    let columns: Vec<&str> = row.split(' ').take(5).collect();
                    tree.rows.insert("@initrd.img".to_owned(), columns.join(" "));
                    tree.add_initrd(&initrd)?;
                }
                Some(end @ ("-kernel" | "-cmdline")) => {
                    let row = format!("file - - - - {}", describe(&bytes));
                    tree.rows.insert(end.replace('-', "@"), row);
                }
                _ => return Err(format!("the build wrote `{file}`")),
            }
        }
        Ok(tree)
    }

    fn add_tar(&mut self, bytes: &[u8], prefix: &str) -> Result<(), String> {
        let mut archive = tar::Archive::new(bytes);
        for entry in archive.entries().map_err(text)? {
            let mut entry = entry.map_err(text)?;
            let path = format!("{prefix}{}", clean(&String::from_utf8_lossy(&entry.path_bytes())));
            let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
            let (mut fraction, mut xattrs) = (None, String::new());
            for record in entry.pax_extensions().map_err(text)?.into_iter().flatten() {
                let record = record.map_err(text)?;
                match record.key().map_err(text)? {
                    "mtime" => fraction = Some(String::from_utf8_lossy(record.value_bytes()).into_owned()),
                    key if key.starts_with("SCHILY.xattr.") => {
                        let value: String = record.value_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                        let _ = write!(xattrs, " {}={value}", &key["SCHILY.xattr.".len()..]);
                    }
                    _ => {}
                }
            }
            let mut data = Vec::new();
            entry.read_to_end(&mut data).map_err(text)?;
            let header = entry.header();
            let number = |field: std::io::Result<Option<u32>>| field.map(Option::unwrap_or_default).map_err(text);
            let device = format!("{}:{}", number(header.device_major())?, number(header.device_minor())?);
            let (kind, content) = match header.entry_type() {
                EntryType::Regular | EntryType::Continuous => ("file", describe(&data)),
                EntryType::Directory => ("dir", String::new()),
                EntryType::Symlink => ("symlink", format!("-> {}", quote(&target.unwrap_or_default()))),
                EntryType::Link => ("link", format!("-> {}", quote(&clean(&target.unwrap_or_default())))),
                EntryType::Char => ("char", device),
                EntryType::Block => ("block", device),
                EntryType::Fifo => ("fifo", String::new()),
                other => return Err(format!("`{path}` has the type {other:?}")),
            };
            let mtime = fraction.unwrap_or(header.mtime().map_err(text)?.to_string());
            let mode = header.mode().map_err(text)?;
            let (uid, gid) = (entry.header().uid().map_err(text)?, entry.header().gid().map_err(text)?);
            self.add(
                path,
                kind,
                mode,
                &format!("{uid} {gid} {}", time(&mtime)),
                format!("{content}{xattrs}").trim(),
                data,
            );
        }
        Ok(())
    }

    fn add(&mut self, path: String, kind: &str, mode: u32, numbers: &str, content: &str, data: Vec<u8>) {
        let row = format!("{kind} {mode:04o} {numbers} {content}").trim_end().to_owned();
        self.files.remove(&path);
        if kind == "file" {
            self.files.insert(path.clone(), data);
        }
        self.rows.insert(path, row);
    }

    /// Read microcode, if any, and the one gzip member that follows it; check what holds for every archive of LinuxKit's.
    fn add_initrd(&mut self, bytes: &[u8]) -> Result<(), String> {
        let start = bytes.windows(3).position(|window| window == [0x1f, 0x8b, 8]).ok_or("the initrd has no gzip")?;
        if start > 0 {
            self.rows.insert("@ucode".to_owned(), format!("file - - - - {}", describe(&bytes[..start])));
        }
        let (mut rest, mut cpio) = (&bytes[start..], Vec::new());
        flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut cpio).map_err(text)?;
        if !rest.is_empty() {
            return Err(format!("{} bytes follow the first gzip member", rest.len()));
        }
        if cpio.len() % 512 != 0 {
            return Err(format!("the archive has {} bytes, which is no multiple of 512", cpio.len()));
        }
        self.add_cpio(&cpio)
    }

    /// Read a cpio archive with eyes of its own, not with the crate's reader.
    fn add_cpio(&mut self, cpio: &[u8]) -> Result<(), String> {
        let mut offset = 0;
        for inode in 721.. {
            let header = cpio.get(offset..offset + 110).filter(|header| header.starts_with(b"070701"));
            let header = header.ok_or_else(|| format!("no header at {offset}"))?;
            let field = |number: usize| {
                let digits = std::str::from_utf8(&header[6 + 8 * number..14 + 8 * number]).map_err(text)?;
                u32::from_str_radix(digits, 16).map_err(text)
            };
            let (size, name_size) = (field(6)? as usize, field(11)? as usize);
            let name = &cpio[offset + 110..offset + 109 + name_size];
            let name = String::from_utf8_lossy(name).into_owned();
            let data = (offset + 110 + name_size).next_multiple_of(4);
            let bytes = &cpio[data..data + size];
            offset = (data + size).next_multiple_of(4);
            let trailer = name == "TRAILER!!!";
            let (mode, links) = (field(1)?, field(4)?);
            let wanted = [inode, if !trailer && mode >> 12 == 4 { 2 } else { 1 }, 3, 1, 0];
            let is = [field(0)?, links, field(7)?, field(8)?, field(12)?];
            if !trailer && is != wanted || is[0] != inode {
                return Err(format!("`{name}` has inode, links, device, check {is:?}, not {wanted:?}"));
            }
            if trailer {
                let padding = &cpio[offset..];
                return if padding.iter().all(|byte| *byte == 0) && padding.len() < 512 {
                    Ok(())
                } else {
                    Err(format!("{} bytes follow the trailer", padding.len()))
                };
            }
            let target = || format!("-> {}", quote(&String::from_utf8_lossy(bytes)));
            let device = format!("{}:{}", field(9)?, field(10)?);
            let (kind, content) = match mode >> 12 {
                0o10 => ("file", describe(bytes)),
                0o4 => ("dir", String::new()),
                0o12 => ("symlink", target()),
                0o2 => ("char", device),
                0o6 => ("block", device),
                0o1 => ("fifo", String::new()),
                other => return Err(format!("`{name}` has the type {other:o}")),
            };
            let numbers = format!("{} {} {}", field(2)?, field(3)?, time(&field(5)?.to_string()));
            let bytes = bytes.to_vec();
            self.add(clean(&name), kind, mode & 0o7777, &numbers, &content, bytes);
        }
        Ok(())
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn time(seconds: &str) -> &str {
    if seconds == FIXED { "fixed" } else { seconds }
}

/// Leave out what does not change which file a path means; `.` is the root.
pub(crate) fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// Give what is in a file: its text if it is short, or its length and digest.
pub(crate) fn describe(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= SHOWN => serde_json::Value::from(text).to_string(),
        _ => format!("{} {}", bytes.len(), Digest::of(bytes)),
    }
}

/// Put quotes around what would not read back as one word.
pub(crate) fn quote(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
