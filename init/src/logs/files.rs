//! Lines in files: one JSON object each, as `hullctl --json logs` prints them. In: lines. Out: files named after the boot and their
//! turn in it, of which the oldest go.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::contract::{LogFiles, VOLUMES};
use crate::control::LONGEST;
use crate::control::protocol::{Line, to_line};
use crate::pstore;

/// Folder in the volume.
const FOLDER: &str = "hullkit-logs";

/// The files of this boot and of those before.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    size: u64,
    count: usize,
    name: Name,
    file: BufWriter<File>,
    written: u64,
}

/// A file's name: which boot, and which file of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    boot: u64,
    part: u64,
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let (boot, part) = text.strip_suffix(".jsonl")?.split_once('-')?;
        Some(Self { boot: boot.parse().ok()?, part: part.parse().ok()? })
    }

    fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{:06}-{:04}.jsonl", self.boot, self.part))
    }
}

/// Where a volume's files are.
fn folder(files: &LogFiles) -> PathBuf {
    Path::new(VOLUMES).join(&files.volume).join("merged").join(FOLDER)
}

/// What is in a folder, oldest first.
fn names(folder: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().to_str().and_then(Name::parse));
    }
    names.sort_unstable();
    Ok(names)
}

impl Files {
    /// Begin the files of a boot; what the machine kept of a crash of the kernel goes into those of the boot before.
    pub(super) fn begin(files: &LogFiles) -> io::Result<Self> {
        let folder = folder(files);
        if let Ok(lines) = fs::read(pstore::FILE) {
            end_with(&folder, &lines)?;
        }
        Self::begin_in(folder, files.size, files.count)
    }

    fn begin_in(folder: PathBuf, size: u64, count: u32) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let boot = names(&folder)?.last().map_or(1, |last| last.boot.saturating_add(1));
        let name = Name { boot, part: 0 };
        let file = BufWriter::new(File::create(name.path(&folder))?);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let files = Self { folder, size, count, name, file, written: 0 };
        files.forget_oldest()?;
        Ok(files)
    }

    /// Keep a line. After an error the next one is tried again.
    pub(super) fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.written >= self.size {
            self.file.flush()?;
            let next = Name { part: self.name.part + 1, ..self.name };
            self.file = BufWriter::new(File::create(next.path(&self.folder))?);
            (self.name, self.written) = (next, 0);
            self.forget_oldest()?;
        }
        let bytes = to_line(line);
        self.written += bytes.len() as u64;
        self.file.write_all(&bytes)
    }

    /// Write what was held back to write more at once.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn forget_oldest(&self) -> io::Result<()> {
        let names = names(&self.folder)?;
        for name in &names[..names.len().saturating_sub(self.count)] {
            fs::remove_file(name.path(&self.folder))?;
        }
        Ok(())
    }
}

/// Let the last boot's lines end with these; there is none if the volume is new.
fn end_with(folder: &Path, lines: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let Some(last) = names(folder)?.last().map(|name| name.path(folder)) else { return Ok(()) };
    let mut file = File::options().read(true).append(true).open(last)?;
    // The power may have failed in the middle of a line.
    let cut = file.seek(SeekFrom::End(-1)).is_ok() && {
        let mut end = [0];
        file.read_exact(&mut end).is_ok_and(|()| end != *b"\n")
    };
    file.write_all(if cut { b"\n" } else { b"" })?;
    file.write_all(lines)?;
    file.sync_data()
}

/// Print the lines of an earlier boot. In: which, 0 for this one, -1 for the one before.
pub(super) fn past(files: &LogFiles, boot: i64, out: &mut impl Write) -> io::Result<()> {
    past_in(&folder(files), boot, out)
}

fn past_in(folder: &Path, boot: i64, out: &mut impl Write) -> io::Result<()> {
    let names = names(folder)?;
    let mut boots: Vec<u64> = names.iter().map(|name| name.boot).collect();
    boots.dedup();
    let back = usize::try_from(boot.unsigned_abs()).unwrap_or(usize::MAX);
    let wanted = boots.iter().rev().nth(back).filter(|_| boot <= 0);
    let wanted = wanted
        .ok_or_else(|| io::Error::other(format!("there are lines of {} boots, this one included", boots.len())))?;
    for name in names.iter().filter(|name| name.boot == *wanted) {
        let mut reader = BufReader::new(File::open(name.path(folder))?);
        let mut line = Vec::new();
        // The power may have failed in the middle of the last line.
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            if line.len() <= LONGEST {
                out.write_all(&line)?;
            }
            line.clear();
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::Stream;

    fn line(text: &str) -> Line {
        Line { service: "web".into(), stream: Stream::Stdout, uptime: 1, time: 2, text: text.into(), dropped: 0 }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("hullkit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn texts(folder: &Path, boot: i64) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        past_in(folder, boot, &mut out).map_err(|error| error.to_string())?;
        let lines = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.map(|line| serde_json::from_slice::<Line>(line).unwrap().text).collect())
    }

    #[test]
    fn files_take_turns_and_the_oldest_go() {
        let folder = folder("turns");
        let mut files = Files::begin_in(folder.clone(), 100, 3).unwrap();
        for number in 0..20 {
            files.write(&line(&format!("{number:040}"))).unwrap();
        }
        files.flush().unwrap();
        assert_eq!(names(&folder).unwrap().len(), 3);
        let kept = texts(&folder, 0).unwrap();
        assert!(kept.len() < 7 && kept.last().unwrap().ends_with("19"), "{kept:?}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn each_boot_has_its_own_and_the_one_before_is_asked_for_by_minus_one() {
        let folder = folder("boots");
        for text in ["first", "second", "third"] {
            let mut files = Files::begin_in(folder.clone(), 1 << 20, 5).unwrap();
            files.write(&line(text)).unwrap();
            files.flush().unwrap();
        }
        assert_eq!(texts(&folder, 0).unwrap(), ["third"]);
        assert_eq!(texts(&folder, -2).unwrap(), ["first"]);
        for boot in [-3, 1, i64::MIN] {
            assert_eq!(texts(&folder, boot).unwrap_err(), "there are lines of 3 boots, this one included");
        }
        end_with(
            &folder,
            b"{\"service\":\"kernel\",\"stream\":\"stderr\",\"uptime\":1,\"time\":2,\"text\":\"panic\"}\n",
        )
        .unwrap();
        assert_eq!(texts(&folder, 0).unwrap(), ["third", "panic"]);
        // Cut off by a power failure.
        let path = Name { boot: 3, part: 0 }.path(&folder);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        assert_eq!(texts(&folder, 0).unwrap(), ["third", "panic"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
