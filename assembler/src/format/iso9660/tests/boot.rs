//! What firmware starts, and partitions beside it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::*;
use crate::format::iso9660::IsoError;
use crate::format::iso9660::boot::{Bios, Boot, Catalog, Place};

pub(super) fn both(bios: &str, efi: &str) -> Options {
    let bios = Bios { path: bios.into(), load: 4 };
    Options { boot: Boot { bios: Some(bios), efi: Some(efi.into()) }, ..options() }
}

/// Bytes of the second copy of a GPT with 128 entries.
const TAIL: u64 = 33 * 512;

/// What a bootable image holds.
fn host() -> Stream {
    let mut stream = Stream::default();
    stream.file("boot/bios.bin", 0o644, &[0x90; 2048]);
    stream.file("boot/efi.img", 0o644, &vec![0xef; 1 << 20]);
    stream.file("hullkit/root.erofs", 0o644, &vec![0xe2; 300_000]);
    stream
}

fn hybrid() -> Options {
    Options { align: 2, tail: TAIL, preparer: "a test".to_owned(), ..both("boot/bios.bin", "boot/efi.img") }
}

/// Write an image to a file, and list the places of its images and of its root.
fn on_disk(path: &Path) -> [Place; 3] {
    let (stream, file) = (host(), OpenOptions::new().write(true).create_new(true).open(path).unwrap());
    let tree = stream.tree();
    let image = Image::new(&tree, hybrid()).unwrap();
    let sparse = image.sparse(&Sparse::of_bytes(stream.bytes)).unwrap();
    assert!(sparse.is_hole(0, 32_768) && sparse.is_hole(sparse.size() - TAIL, TAIL));
    let mut bytes = Vec::new();
    sparse.reader().read_to_end(&mut bytes).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    ["boot/bios.bin", "boot/efi.img", "hullkit/root.erofs"].map(|path| image.place(path.as_bytes()).unwrap())
}

fn said(command: &mut Command) -> String {
    let output = judge(command).unwrap();
    shown(&[output.stdout, output.stderr].concat())
}

#[test]
fn a_hybrid_image_is_what_xorriso_and_sgdisk_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hybrid.iso");
    let [bios, efi, root] = on_disk(&path);
    let size = fs::metadata(&path).unwrap().len();
    // Partitions by a foreign hand, in the holes that were left for them.
    let mut sgdisk = Command::new("sgdisk");
    sgdisk.args(["--clear", "--set-alignment=8"]);
    for (number, place, kind) in [(1, efi, "ef00"), (2, root, "8300")] {
        assert_eq!(place.offset() % 4096, 0);
        let first = place.offset() / 512;
        let last = first + place.len.div_ceil(512) - 1;
        sgdisk.arg(format!("--new={number}:{first}:{last}")).arg(format!("--typecode={number}:{kind}"));
    }
    said(sgdisk.arg(&path));
    let text = said(Command::new("sgdisk").arg("--verify").arg(&path));
    assert!(text.contains("No problems found"), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    assert_eq!(said(Command::new("isosize").arg(&path)).trim(), size.to_string());

    let mut xorriso = Command::new("xorriso");
    xorriso.args(["-abort_on", "WARNING", "-indev"]).arg(&path);
    let text = said(xorriso.args(["-report_el_torito", "plain", "-report_system_area", "plain"]));
    // Its columns are for people.
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    for line in [
        "El Torito catalog : 20 1".to_owned(),
        format!("El Torito boot img : 1 BIOS y none 0x0000 0x00 4 {}", bios.sector),
        format!("El Torito boot img : 2 UEFI y none 0x0000 0x00 2048 {}", efi.sector),
        "El Torito img path : 1 /boot/bios.bin".to_owned(),
        "El Torito img path : 2 /boot/efi.img".to_owned(),
        "System area summary: MBR protective-msdos-label cyl-align-off GPT".to_owned(),
        format!("ISO image size/512 : {}", size / 512),
        format!("GPT start and size : 1 {} 2048", u64::from(efi.sector) * 4),
        "GPT partition path : 1 /boot/efi.img".to_owned(),
        "GPT partition path : 2 /hullkit/root.erofs".to_owned(),
    ] {
        assert!(lines.contains(&line), "{line}\n{text}");
    }
    let text = said(Command::new("isoinfo").args(["-d", "-i"]).arg(&path));
    for line in [
        "Data preparer id: a test",
        "Application id: HULLKIT",
        "El Torito VD version 1 found, boot catalog is in sector 20",
        "Joliet with UCS level 3 found",
        "Rock Ridge signatures version 1 found",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    said(Command::new("bsdtar").arg("-xpf").arg(&path).arg("-C").arg(&root));
    fixture::compare(&root, &host(), Kept { nanoseconds: false, xattrs: false, root_time: false, ..ALL });
    // As a bare volume, which blkid does not see behind the partitions.
    let bare = folder.path().join("bare.iso");
    on_disk(&bare);
    let text = said(Command::new("blkid").args(["--probe", "--output", "export"]).arg(&bare));
    for line in
        ["UUID=2023-11-14-22-13-20-00", "LABEL=LinuxKit", "TYPE=iso9660", "BOOT_SYSTEM_ID=EL\\ TORITO\\ SPECIFICATION"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_catalog_names_bios_uefi_or_both() {
    let whole = both("boot/bios.bin", "boot/efi.img").boot;
    let listed = |boot: Boot| {
        let dump = dump(&image_with(&host(), Options { boot, ..options() })).unwrap();
        let catalog = dump.lines().take_while(|line| !line.contains("Primary"));
        catalog.map(|line| format!("{line}\n")).collect::<String>()
    };
    let bios = "\
boot catalog at 20
0000a020 platform 00 88 media 0 segment 0 load 4 at 32
";
    let efi = "\
boot catalog at 20
0000a020 platform ef 88 media 0 segment 0 load 2048 at 33
";
    let two = "0000a060 platform ef 88 media 0 segment 0 load 2048 at 33\n";
    assert_eq!(listed(whole.clone()), format!("{bios}{two}"));
    assert_eq!(listed(Boot { efi: None, ..whole.clone() }), bios);
    assert_eq!(listed(Boot { bios: None, ..whole }), efi);
    assert_eq!(listed(Boot::default()), "");
}

#[test]
fn a_large_volume_for_uefi_ends_with_the_image() {
    for (size, load) in [(512 * 65_535, 65_535), (512 * 65_535 + 1, 1), (5 << 30, 1)] {
        let mut stream = Stream::default();
        stream.add("efi.img", 0o644, Content::File { offset: 0, size });
        let tree = stream.tree();
        let boot = Boot { bios: None, efi: Some(b"efi.img".to_vec()) };
        let image = Image::new(&tree, Options { boot, ..options() }).unwrap();
        let catalog = Catalog::read(&image.sparse(&Sparse::new(size)).unwrap()).unwrap().unwrap();
        assert_eq!(catalog.images[0].2.count.get(), load, "{size}");
    }
}

#[test]
fn bytes_may_be_made_of_the_places_they_go_to() {
    let mut stream = host();
    let tree = stream.tree();
    let image = Image::new(&tree, hybrid()).unwrap();
    let [bios, efi] = ["boot/bios.bin", "boot/efi.img"].map(|path| image.place(path.as_bytes()).unwrap());
    stream.bytes[..4].copy_from_slice(&efi.sector.to_le_bytes());
    let sparse = image.sparse(&Sparse::of_bytes(stream.bytes)).unwrap();
    let mut found = [0; 4];
    sparse.read_at(bios.offset(), &mut found).unwrap();
    assert_eq!(u32::from_le_bytes(found), efi.sector);
    sparse.read_at(efi.offset(), &mut found).unwrap();
    assert_eq!(found, [0xef; 4]);
    assert_eq!(image.place(b"boot"), None);
    assert_eq!(image.place(b"boot/nothing"), None);
}

#[test]
fn files_start_where_they_are_asked_to() {
    let stream = rich();
    let tree = stream.tree();
    for align in [0, 1, 2, 512] {
        let image = Image::new(&tree, Options { align, ..options() }).unwrap();
        for node in tree.nodes() {
            let place = image.place(&node.path).filter(|place| place.len > 0);
            assert!(place.is_none_or(|place| place.sector % align.max(1) == 0), "{align}");
        }
    }
}

#[test]
fn what_cannot_be_started_is_refused_by_name() {
    let mut stream = host();
    stream.file("empty", 0o644, b"");
    let tree = stream.tree();
    let refuse = |options| Image::new(&tree, options).unwrap_err().to_string();
    let text = |path: &str, what: &str| format!("`{path}` cannot be started from a CD: it {what}");
    for (path, what) in
        [("no/such", "is not a file of the tree"), ("boot", "is not a file of the tree"), ("empty", "is empty")]
    {
        assert_eq!(refuse(both(path, "boot/efi.img")), text(path, what));
        assert_eq!(refuse(both("boot/bios.bin", path)), text(path, what));
    }
    for (load, what) in [(0, "is not to be loaded at all"), (5, "is shorter than what is to be loaded")] {
        let mut options = both("boot/bios.bin", "boot/efi.img");
        options.boot.bios.as_mut().unwrap().load = load;
        assert_eq!(refuse(options), text("boot/bios.bin", what));
    }
    let long = "n".repeat(129);
    let text = format!("`{long}` cannot name the preparer: that takes at most 128 printable ASCII characters");
    assert_eq!(refuse(Options { preparer: long.clone(), ..options() }), text);
    let text = format!("`{long}` cannot name the program: that takes at most 128 printable ASCII characters");
    assert_eq!(refuse(Options { application: long.clone(), ..options() }), text);
}

#[test]
fn a_damaged_catalog_is_seen() {
    let good = image_with(&host(), hybrid());
    let damaged = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        match Catalog::read(&bad) {
            Err(IsoError::Damaged { offset, what }) => format!("{offset}: {what}"),
            other => format!("{other:?}"),
        }
    };
    // The sector of the catalog, its checksum, the head of UEFI's section, and how many images that has.
    assert!(damaged(17 * 2048 + 0x49, 1).ends_with("the image ends too early"));
    assert_eq!(damaged(20 * 2048 + 0x1c, 1), "40960: no boot catalog starts with these bytes");
    assert_eq!(damaged(20 * 2048 + 0x43, 1), "43008: a section leaves the boot catalog");
    assert!(damaged(20 * 2048 + 0x40, 0).starts_with("Ok(Some("));
    assert_eq!(damaged(17 * 2048 + 7, b'e'), "Ok(None)");
}
