//! A file of more than one section, which is mostly a hole.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use super::*;
use crate::format::sparse::Data;

/// Bytes of the large file: a second section of two sectors and a bit.
const SIZE: u64 = (1 << 32) + 3000;
/// Where the second section starts.
const SECOND: u64 = (1 << 32) - 2048;

/// A small file, and one whose bytes say where they are: at the start, on both sides of the sections' border, at the end.
fn contents() -> Sparse {
    let mut contents = Sparse::new(10 + SIZE);
    contents.put_bytes(0, *b"small file").unwrap();
    for at in [0, SECOND - 4000, SECOND + 1000, SIZE - 1000] {
        let bytes = (0..1000_u32).map(|byte| u8::try_from(byte % 251).unwrap()).collect::<Vec<_>>();
        contents.put_bytes(10 + at, bytes).unwrap();
    }
    contents
}

fn stream() -> Stream {
    let mut stream = Stream::default();
    stream.add("a/small", 0o644, Content::File { offset: 0, size: 10 });
    stream.add("large", 0o600, Content::File { offset: 10, size: SIZE }).uid = 5;
    stream.hardlink(format!("other-{}", "n".repeat(240)), "large");
    stream.add("z", 0o644, Content::File { offset: 3, size: 4 });
    stream
}

fn write(path: &Path) -> Sparse {
    let tree = stream().tree();
    let sparse = Image::new(&tree, options()).unwrap().sparse(&contents()).unwrap();
    let file = OpenOptions::new().write(true).create_new(true).open(path).unwrap();
    file.set_len(sparse.size()).unwrap();
    for extent in sparse.extents() {
        let Data::Bytes(bytes) = &extent.data else { panic!("no files are in here") };
        let [start, len] = [extent.from, extent.len].map(|value| usize::try_from(value).unwrap());
        file.write_all_at(&bytes[start..start + len], extent.offset).unwrap();
    }
    sparse
}

/// Hold what a tool writes to its output against the large file.
fn compare(command: &mut Command) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let contents = contents();
    let (mut found, mut wanted) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    loop {
        let read = out.read(&mut found).unwrap();
        if read == 0 {
            break;
        }
        let here = 10 + at;
        let part = &mut wanted[..read];
        if contents.is_hole(here, read as u64) {
            part.fill(0);
        } else {
            contents.read_at(here, part).unwrap();
        }
        assert!(found[..read] == *part, "{command:?} differs behind byte {at}");
        at += read as u64;
    }
    assert_eq!(at, SIZE, "{command:?}");
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

#[test]
fn a_file_of_more_than_four_gigabytes_has_sections_in_both_trees() {
    let tree = stream().tree();
    let sparse = Image::new(&tree, options()).unwrap().sparse(&contents()).unwrap();
    for names in [Names::Primary, Names::RockRidge, Names::Joliet] {
        let found = Reader::new(&sparse, names).unwrap().walk().unwrap();
        let sizes = found.iter().filter(|found| !found.directory).map(|found| found.size()).collect::<Vec<_>>();
        assert_eq!(sizes, [10, SIZE, SIZE, 4], "{names:?}");
        let large = &found[3].sections;
        assert_eq!(large.iter().map(|section| u64::from(section.size)).collect::<Vec<_>>(), [SECOND, SIZE - SECOND]);
        assert_eq!(large[1].sector - large[0].sector, u32::try_from(SECOND / SECTOR).unwrap());
        assert_eq!(found[4].sections, *large);
    }
    let text = dump(&sparse).unwrap();
    assert!(
        text.contains(" at 29 4294965248 + 2097180 5048 t1700000000 100600 x2 5:0 #4 t1700000000 /large\n"),
        "{text}"
    );
}

#[test]
fn foreign_tools_read_a_file_of_more_than_four_gigabytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.iso");
    let size = write(&path).size();
    compare(Command::new("bsdtar").arg("-xOf").arg(&path).arg("large"));
    let mut xorriso = Command::new("xorriso");
    xorriso.args(["-abort_on", "WARNING", "-osirrox", "on", "-indev"]).arg(&path);
    compare(xorriso.args(["-concat", "overwrite", "-", "/large", "--"]).stderr(Stdio::null()));
    let list = |command: &mut Command| shown(&judge(command).unwrap().stdout);
    assert_eq!(list(Command::new("isosize").arg(&path)).trim(), size.to_string());
    let text = list(Command::new("bsdtar").arg("-tvf").arg(&path));
    assert_eq!(text.lines().filter(|line| line.contains(&SIZE.to_string())).count(), 1, "{text}");
    assert!(text.contains(" link to ") && text.contains("large"), "{text}");
    // It takes each section for a file, in images of xorriso as well.
    let text = list(Command::new("isoinfo").args(["-l", "-R", "-i"]).arg(&path));
    for size in [SECOND, SIZE - SECOND] {
        assert_eq!(text.lines().filter(|line| line.contains(&format!(" {size} "))).count(), 2, "{text}");
    }
}
