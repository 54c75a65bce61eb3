use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::digest::Digest;
use crate::format::sparse::Sparse;
use crate::format::tree::fixture::judge;

/// Seconds since 1970: 2024-02-29 12:34:57.
const TIME: u32 = 1_709_210_097;

fn options(kind: Option<Kind>, size: Option<u64>) -> Options {
    Options { kind, size, start: 1 << 20, label: "HULLKIT".to_owned(), serial: 0x1234_abcd, time: TIME }
}

/// Bytes that differ from one another.
fn bytes(len: usize) -> Sparse {
    Sparse::of_bytes((0_u32..).map(|at| (at / 251 + at).to_le_bytes()[0]).take(len).collect::<Vec<_>>())
}

fn files() -> Vec<(String, Sparse)> {
    let mut files: Vec<(String, Sparse)> = [
        ("EFI/BOOT/BOOTX64.EFI", 300_001),
        ("EFI/BOOT/BOOTAA64.EFI", 4096),
        ("loader/loader.conf", 17),
        ("empty", 0),
        ("README.TXT", 1),
        ("a rather long name, with spaces and a comma.text", 5000),
        ("Grüße/日本語のファイル.𝄞", 600),
        ("vmlinuz", 513),
        ("VMLINU~1.EFI", 512),
        ("vmlinuz-6.1.efi", 511),
        ("config.txt", 7),
        (".hidden", 9),
    ]
    .map(|(name, len)| (name.to_owned(), bytes(len)))
    .into();
    files.extend((0..40).map(|number| (format!("many/file-{number:03}.conf"), bytes(number))));
    files.push((format!("{}/x", "n".repeat(255)), bytes(3)));
    files
}

fn borrowed(files: &[(String, Sparse)]) -> Vec<(&str, &Sparse)> {
    files.iter().map(|(path, contents)| (path.as_str(), contents)).collect()
}

fn all(sparse: &Sparse) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(sparse.size()).unwrap()];
    sparse.read_at(0, &mut bytes).unwrap();
    bytes
}

fn on_disk(folder: &Path, sparse: &Sparse) -> PathBuf {
    let path = folder.join("volume.img");
    let mut file = File::create(&path).unwrap();
    for extent in sparse.extents() {
        use std::io::{Seek, SeekFrom};
        file.seek(SeekFrom::Start(extent.offset)).unwrap();
        file.write_all(&all(&sparse.slice(extent.offset, extent.len))).unwrap();
    }
    file.set_len(sparse.size()).unwrap();
    path
}

/// Every kind, by itself and in sizes that need each size of clusters.
const CASES: &[(Option<Kind>, Option<u64>)] = &[
    (None, None),
    (Some(Kind::Fat12), None),
    (Some(Kind::Fat12), Some(1_474_560)),
    (Some(Kind::Fat12), Some(100 << 20)),
    (Some(Kind::Fat12), Some(4 << 30)),
    (Some(Kind::Fat16), None),
    (Some(Kind::Fat16), Some(5 << 20)),
    (Some(Kind::Fat16), Some(300 << 20)),
    (Some(Kind::Fat32), None),
    (Some(Kind::Fat32), Some(64 << 20)),
    (Some(Kind::Fat32), Some(200 << 20)),
    (Some(Kind::Fat32), Some((600 << 20) + 512)),
    (Some(Kind::Fat32), Some(40 << 30)),
    (None, Some(40 << 20)),
];

#[test]
fn every_kind_reads_back_with_fatfs() {
    let files = files();
    let paths = files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>();
    for (kind, size) in CASES {
        let volume = write(&borrowed(&files), &options(*kind, *size)).unwrap();
        check(&volume, &paths).unwrap();
        assert!(kind.is_none_or(|kind| kind == volume.kind));
        assert!(volume.image.allocated() < 1 << 20, "{kind:?} {size:?}: {}", volume.image.allocated());
        for ((path, contents), place) in files.iter().zip(&volume.files) {
            assert!(place.start % ALIGN == 0 || place.is_empty(), "{path}");
            assert!(all(contents) == all(&volume.image.slice(place.start, place.end - place.start)), "{path}");
        }
    }
}

#[test]
fn fsck_fat_finds_nothing_and_mcopy_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let files = files();
    for (kind, size) in CASES {
        let volume = write(&borrowed(&files), &options(*kind, *size)).unwrap();
        let path = on_disk(folder.path(), &volume.image);
        let Some(said) = judge(Command::new("fsck.fat").args(["-n", "-v"]).arg(&path)) else { return };
        let said = String::from_utf8_lossy(&said.stdout).to_lowercase();
        assert!(!said.contains("differ") && !said.contains("wrong"), "{kind:?} {size:?}: {said}");
        for name in ["EFI/BOOT/BOOTX64.EFI", "a rather long name, with spaces and a comma.text", "vmlinuz", "empty"] {
            let from = format!("::{name}");
            let Some(found) = judge(Command::new("mtype").arg("-i").arg(&path).arg(from)) else { return };
            let (_, contents) = files.iter().find(|(path, _)| path == name).unwrap();
            assert!(found.stdout == all(contents), "{kind:?} {size:?} {name}");
        }
        let Some(listed) = judge(Command::new("mdir").args(["-/", "-b", "-i"]).arg(&path)) else { return };
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for (name, _) in files.iter().filter(|(name, _)| name.is_ascii()) {
            assert!(listed.contains(&format!("::/{name}\n")), "{name} in {listed}");
        }
    }
}

#[test]
fn mdir_shows_the_label_the_serial_number_and_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let volume = write(&[("README.TXT", &bytes(1))], &options(Some(Kind::Fat32), None)).unwrap();
    let path = on_disk(folder.path(), &volume.image);
    let Some(said) = judge(Command::new("mdir").arg("-i").arg(&path).arg("::")) else { return };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for want in ["HULLKIT", "1234-ABCD", "README   TXT         1 2024-02-29  12:34"] {
        assert!(said.contains(want), "{want} in {said}");
    }
}

#[test]
fn equal_files_give_equal_bytes() {
    let files = files();
    let digests = || {
        let kinds = [(Kind::Fat12, 2 << 20), (Kind::Fat16, 5 << 20), (Kind::Fat32, 64 << 20)];
        kinds.map(|(kind, size)| {
            let volume = write(&borrowed(&files), &options(Some(kind), Some(size))).unwrap();
            Digest::of(&all(&volume.image)).short()
        })
    };
    assert_eq!(digests(), digests());
    assert_eq!(digests(), ["445440152241", "babbda5a567f", "7d7d2056ed02"]);
}

#[test]
fn the_least_size_does_and_a_sector_less_does_not() {
    for kind in [None, Some(Kind::Fat12), Some(Kind::Fat16), Some(Kind::Fat32)] {
        for len in [0, 1, 40_000, 16_000_000, 17_000_000, 70_000_000, 300_000_000_u64] {
            let large = Sparse::new(len);
            let files = [("EFI/BOOT/BOOTX64.EFI", &large), ("two", &bytes(5000))];
            let least = match size_for(&files, 0, kind) {
                Err(FatError::TooLarge { .. }) if len > 100_000_000 && kind == Some(Kind::Fat12) => continue,
                least => least.unwrap(),
            };
            let volume = write(&files, &options(kind, None)).unwrap();
            assert_eq!(volume.image.size(), least, "{kind:?} {len}");
            let volume = write(&files, &options(kind, Some(least))).unwrap();
            check(&volume, &["EFI/BOOT/BOOTX64.EFI", "two"]).unwrap();
            let found = write(&files, &options(kind, Some(least - 4096)));
            let said = found.map(|_| ()).unwrap_err().to_string();
            let kind = kind.map_or("FAT", Kind::name);
            let want = format!("a {kind} volume of {} bytes is too small; these files take at least ", least - 4096);
            assert!(said.starts_with(&want), "{said}");
        }
    }
}

#[test]
fn a_reserve_is_room_for_another_file() {
    for len in [1, 1_000_003, 100_000_002] {
        let (one, two) = (Sparse::new(50_000_001), Sparse::new(len));
        let size = size_for(&[("one", &one)], two.size(), Some(Kind::Fat32)).unwrap();
        write(&[("one", &one), ("two", &two)], &options(Some(Kind::Fat32), Some(size))).unwrap();
    }
}

#[test]
fn what_fat_cannot_hold_is_refused_by_name() {
    let (one, large) = (bytes(1), Sparse::new(1 << 32));
    let refused = |files: &[(&str, &Sparse)]| {
        write(files, &options(Some(Kind::Fat32), None)).map(|_| ()).unwrap_err().to_string()
    };
    for (name, what) in [
        ("a/b:c", "FAT cannot hold the name `b:c` in `a/b:c`: it holds a control character or one of `\"*/:<>?\\|`"),
        ("/a", "FAT cannot hold the name `` in `/a`: it is empty"),
        ("a/", "FAT cannot hold the name `` in `a/`: it is empty"),
        ("../a", "FAT cannot hold the name `..` in `../a`: it ends with a dot or a space, which readers drop"),
    ] {
        assert_eq!(refused(&[(name, &one)]), what);
    }
    assert!(refused(&[(&"n".repeat(256), &one)]).ends_with("it is longer than 255 characters"));
    assert_eq!(refused(&[("a", &large)]), "`a` has 4294967296 bytes; a file on FAT ends at 4 GiB - 1");
    assert_eq!(refused(&[("EFI/a", &one), ("efi/b", &one)]), "FAT takes `EFI` and `efi` for the same name");
    assert_eq!(refused(&[("d/a", &one), ("d/A", &one)]), "FAT takes `d/a` and `d/A` for the same name");
    assert_eq!(refused(&[("d", &one), ("d/A", &one)]), "FAT takes `d` and `d` for the same name");
    let lower = Options { label: "hullkit".to_owned(), ..options(None, None) };
    assert!(matches!(write(&[], &lower), Err(FatError::Label { .. })));
    let huge = [("a", &Sparse::new(u64::from(u32::MAX))), ("b", &Sparse::new(u64::from(u32::MAX)))];
    let found = write(&huge, &options(Some(Kind::Fat16), None)).map(|_| ()).unwrap_err();
    assert_eq!(found.to_string(), "these files take more than a FAT16 volume can hold");
}

#[test]
fn an_empty_volume_is_one() {
    for kind in Kind::ALL {
        let nameless = Options { label: String::new(), ..options(Some(kind), None) };
        check(&write(&[], &nameless).unwrap(), &[]).unwrap();
    }
}
