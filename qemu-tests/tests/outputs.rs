//! Files of a real host, as other programs see them, and builds that cannot be: one sentence, and nothing left behind.

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs::{self, File};
    use std::io::{Read, Seek, SeekFrom};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use tempfile::TempDir;

    use hullkit::platform::Arch;
    use qemu_tests::place::{Place, build_args};

    /// A host that has everything a disk may have.
    const HOST: &str = "\
kernel: {image: 'hullkit/kernel:latest'}
modules: {include: [virtio_pci]}
volumes: [{name: db, persistent: true}]
services: [{name: web, image: 'hullkit/busybox:latest', binds: ['db:/srv']}]
";

    /// The same without what only a disk has.
    fn without_data() -> String {
        HOST.replace(", persistent: true", "")
    }

    fn at(folder: &TempDir, manifest: &str) -> PathBuf {
        let path = folder.path().join("host.yml");
        fs::write(&path, manifest).expect("a writable folder");
        path
    }

    /// Build a manifest. Out: the first part of the files' names.
    fn build(folder: &TempDir, manifest: &str, formats: &str, arch: Arch, more: &[&str]) -> PathBuf {
        let (place, out) = (Place::find().expect("cargo's folders"), folder.path().join("out"));
        place.build(&at(folder, manifest), formats, arch, &out, more).expect("a build")
    }

    fn file(name: &Path, ending: &str) -> PathBuf {
        let mut path = name.as_os_str().to_owned();
        path.push(ending);
        path.into()
    }

    /// Let another program judge; what it says, if it is content.
    fn judge(words: &[&dyn AsRef<std::ffi::OsStr>]) -> String {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("LC_ALL", "C").env("MTOOLS_SKIP_CHECK", "1");
        let output = command.output().unwrap_or_else(|error| panic!("no {}: {error}", words[0].as_ref().display()));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{}: {said}", words[0].as_ref().display());
        said
    }

    /// Copy a partition of a disk into a file, by its number from 1.
    fn partition(disk: &Path, number: u32, into: &Path) -> PathBuf {
        let said = judge(&[&"sgdisk", &"-i", &number.to_string(), &disk]);
        let sector = |key: &str| -> u64 {
            let line = said.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{said}"));
            line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"))
        };
        let (first, last) = (sector("First sector:"), sector("Last sector:"));
        let mut from = File::open(disk).expect("the disk");
        from.seek(SeekFrom::Start(first * 512)).expect("a file");
        let path = into.join(format!("{number}.img"));
        let mut to = File::create(&path).expect("a writable folder");
        std::io::copy(&mut from.take((last + 1 - first) * 512), &mut to).expect("the partition");
        path
    }

    #[test]
    fn every_part_of_a_disk_is_sound() {
        for (arch, first, boots) in [(Arch::Amd64, 2, "BOOTX64.EFI"), (Arch::Arm64, 1, "BOOTAA64.EFI")] {
            let folder = TempDir::new().expect("a temporary folder");
            let disk = file(&build(&folder, HOST, "raw", arch, &["--size", "1G"]), ".raw");
            assert!(judge(&[&"sgdisk", &"-v", &disk]).contains("No problems found"));
            let [esp, root, data] = [first, first + 1, first + 2].map(|number| partition(&disk, number, folder.path()));
            judge(&[&"fsck.fat", &"-n", &esp]);
            assert!(judge(&[&"mdir", &"-b", &"-i", &esp, &"::EFI/BOOT"]).contains(boots));
            judge(&[&"fsck.erofs", &root]);
            judge(&[&"e2fsck", &"-f", &"-n", &data]);
            let table = judge(&[&"sgdisk", &"-p", &disk]);
            assert!(table.contains("hullkit-data") && table.contains("2097152 sectors"), "{table}");
        }
    }

    #[test]
    fn every_container_holds_the_same_disk() {
        let folder = TempDir::new().expect("a temporary folder");
        let formats = "raw,qcow2,qcow2-plain,vmdk,vmdk-sparse,vhd,vhdx,vdi,ova,gcp,raw.gz,raw.xz,raw.zst";
        let name = build(&folder, HOST, formats, Arch::Amd64, &[]);
        let raw = file(&name, ".raw");
        let kinds = [
            ("qcow2", ".qcow2"),
            ("qcow2", "-plain.qcow2"),
            ("vmdk", ".vmdk"),
            ("vmdk", "-sparse.vmdk"),
            ("vpc", ".vhd"),
            ("vhdx", ".vhdx"),
            ("vdi", ".vdi"),
        ];
        for (kind, ending) in kinds {
            let other = file(&name, ending);
            judge(&[&"qemu-img", &"compare", &"-f", &"raw", &"-F", &kind, &raw, &other]);
            // It has no check for VHD, nor for a VMDK that is a stream.
            if !["vpc", "vmdk"].contains(&kind) {
                judge(&[&"qemu-img", &"check", &"-f", &kind, &other]);
            }
        }
        for (program, ending) in [("gzip", ".gz"), ("xz", ".xz"), ("zstd", ".zst")] {
            let packed = file(&name, &format!(".raw{ending}"));
            let unpacked = format!("{program} -dc \"$0\" | cmp - \"$1\"");
            judge(&[&"sh", &"-c", &unpacked, &packed, &raw]);
        }
        judge(&[&"tar", &"-xf", &file(&name, ".ova"), &"-C", &folder.path()]);
        judge(&[&"sh", &"-c", &"cd \"$0\" && cmp ./*.vmdk out/host.vmdk", &folder.path()]);
        judge(&[&"tar", &"-xzf", &file(&name, ".img.tar.gz"), &"-C", &folder.path()]);
        judge(&[&"qemu-img", &"compare", &"-f", &"raw", &"-F", &"raw", &raw, &folder.path().join("disk.raw")]);
        let sums = "cd \"$0\" && sha256sum --quiet -c host-SHA256SUMS";
        judge(&[&"sh", &"-c", &sums, &folder.path().join("out")]);
        let listing = fs::read(folder.path().join("out/host-manifest.json")).expect("a list");
        let listing: serde_json::Value = serde_json::from_slice(&listing).expect("JSON");
        let target = Place::find().expect("cargo's folders").target;
        for (program, path) in [("init", "init/amd64/hullkit-init"), ("stub", "stub/amd64/linuxx64.efi.stub")] {
            let sum = judge(&[&"sha256sum", &target.join(path)]);
            let listed = listing["hosts"]["amd64"]["programs"][program].as_str().unwrap_or_default();
            assert!(sum.starts_with(listed.trim_start_matches("sha256:")) && listed.len() > 64, "{program}: {listing}");
        }
    }

    #[test]
    fn an_iso_is_a_cd_and_a_stick() {
        for (arch, entries) in [(Arch::Amd64, 2), (Arch::Arm64, 1)] {
            let folder = TempDir::new().expect("a temporary folder");
            let iso = file(&build(&folder, &without_data(), "iso", arch, &[]), ".iso");
            let report = ["-report_el_torito", "plain", "-report_system_area", "plain"];
            let said = judge(&[&"xorriso", &"-indev", &iso, &report[0], &report[1], &report[2], &report[3]]);
            let images = said.lines().filter(|line| line.starts_with("El Torito boot img :")).count();
            assert_eq!(images, entries, "{said}");
            assert!(said.contains("GPT") && !said.contains("FAILURE"), "{said}");
            assert!(judge(&[&"sgdisk", &"-v", &iso]).contains("No problems found"));
            assert!(judge(&[&"isoinfo", &"-R", &"-f", &"-i", &iso]).contains("/hullkit/root.erofs"));
        }
    }

    #[test]
    fn a_raspberry_pi_finds_firmware_kernel_and_initrd_on_its_card() {
        let folder = TempDir::new().expect("a temporary folder");
        for (path, text) in
            [("start4.elf", "firmware"), ("overlays/miniuart-bt.dtbo", "overlay"), ("bcm2711-rpi-4-b.dtb", "tree")]
        {
            let path = folder.path().join("firmware/boot/firmware").join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
            fs::write(path, text).expect("a writable folder");
        }
        let image = folder.path().join("firmware");
        let manifest = format!("{}boot: {{firmware: 'rootfs:{}'}}\n", without_data(), image.display());
        let name = build(&folder, &manifest, "rpi,kernel+initrd", Arch::Arm64, &[]);
        let card = file(&name, "-rpi.img");
        let table = judge(&[&"sfdisk", &"-d", &card]);
        assert!(
            table.contains("label: dos") && table.contains("start=        2048") && table.contains("type=c"),
            "{table}"
        );
        let partition = format!("{}@@1M", card.display());
        let text = |path: &str| judge(&[&"mtype", &"-i", &partition, &format!("::{path}")]);
        assert_eq!((text("start4.elf"), text("overlays/miniuart-bt.dtbo")), ("firmware".into(), "overlay".into()));
        assert!(text("config.txt").contains("initramfs initrd.img followkernel"));
        let cmdline = fs::read_to_string(file(&name, "-cmdline")).expect("a command line");
        assert_eq!(text("cmdline.txt").trim(), cmdline.trim());
        for (on_card, ending) in [("kernel8.img", "-kernel"), ("initrd.img", "-initrd.img")] {
            let copy = folder.path().join(on_card);
            judge(&[&"mcopy", &"-n", &"-i", &partition, &format!("::{on_card}"), &copy]);
            assert!(
                fs::read(copy).expect("a copy") == fs::read(file(&name, ending)).expect("the original"),
                "{on_card}"
            );
        }
        let tail = "tail -c +1048577 \"$0\" >\"$1\" && fsck.fat -n \"$1\"";
        judge(&[&"sh", &"-c", &tail, &card, &folder.path().join("fat.img")]);
    }

    /// Run a build that must fail. Out: what it said, without its progress.
    fn refusal(folder: &TempDir, manifest: &str, more: &[&str]) -> String {
        let place = Place::find().expect("cargo's folders");
        let out = folder.path().join("out");
        let mut args = build_args(&at(folder, manifest), "raw", Arch::Amd64, &out);
        args.truncate(2);
        args.extend(["--quiet", "--dir"].map(OsString::from));
        args.push(out.clone().into());
        args.extend(more.iter().map(OsString::from));
        let output = place.hullkit(folder.path(), args).expect("hullkit");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{more:?}: {said}");
        assert_eq!(left(&out), 0, "{more:?} left files");
        said
    }

    fn left(folder: &Path) -> usize {
        #[expect(clippy::disallowed_methods, reason = "only counted")]
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[test]
    fn what_cannot_be_is_refused_in_a_sentence_and_leaves_nothing() {
        let folder = TempDir::new().expect("a temporary folder");
        let words = format!(
            "{}boot: {{root: disk}}\n",
            HOST.replace("latest'}\nmod", &format!("latest', cmdline: '{}'}}\nmod", "a=b ".repeat(600)))
        );
        let wordy = words.replace(", persistent: true", "").replace("boot: {root: disk}\n", "");
        let zero = folder.path().join("stub");
        fs::write(&zero, b"no program").expect("a writable folder");
        let stub = format!("{HOST}boot: {{stub: '{}'}}\n", zero.display());
        let linuxkit = "kernel: {image: 'hullkit/kernel:latest'}\ninit: ['hullkit/busybox:latest']\nvolumes: [{name: db, persistent: true}]\n";
        let cases: [(&str, &[&str], &str); 15] = [
            (HOST, &["-f", "raw", "--size", "20M"], "--size 20M is too small: this host needs "),
            (HOST, &["-f", "vhd,raw", "--size", "2041G"], "2040 GiB"),
            (HOST, &["-f", "raw-bios", "--arch", "arm64"], "there is no raw-bios for arm64; there are "),
            (HOST, &["-f", "ova", "--arch", "arm64"], "there is no ova for arm64; there are "),
            (HOST, &["-f", "iso"], "iso has no partition to keep the volume `db` on: choose a disk"),
            (HOST, &["-f", "raw,kernel+initrd"], "kernel+initrd has no partition to keep the volume `db` on"),
            (HOST, &["-f", "rpi", "--arch", "arm64"], "rpi has no partition to keep"),
            (&without_data(), &["-f", "rpi", "--arch", "arm64"], "name an image that has it in `boot.firmware`"),
            (&without_data(), &["-f", "uki", "--root", "disk"], "uki has no disk for the images"),
            (HOST, &["-f", "vhd,dynamic-vhd"], "vhd and dynamic-vhd would be the same file: choose one of them"),
            (&words, &["-f", "raw"], "the kernel's command line has 24"),
            (&wordy, &["-f", "kernel+initrd"], "the kernel's command line has 24"),
            (&wordy, &["-f", "netboot"], "the kernel's command line has 25"),
            (&stub, &["-f", "raw"], "stub"),
            (
                linuxkit,
                &["-f", "raw"],
                "LinuxKit's init does not know volumes that keep what is written, as `db` shall",
            ),
        ];
        for (manifest, more, want) in cases {
            let said = refusal(&folder, manifest, more);
            assert!(said.contains(want), "{more:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    }

    /// A script that builds into a file system of its own, and then lists what is on it.
    const INSIDE: &str = "\
mkdir out && mount -t tmpfs -o \"$1\" tmpfs out && shift
\"$@\" 2>said; code=$?
cat said; ls -A out; exit $code";

    #[test]
    fn a_full_disk_and_a_folder_that_may_not_be_written_are_named_and_nothing_is_left() {
        let place = Place::find().expect("cargo's folders");
        for (options, formats, want) in [
            ("size=8m", "raw", "No space left on device"),
            ("size=8m", "qcow2,vmdk,raw.zst", "No space left on device"),
            ("size=8m", "kernel+initrd", "No space left on device"),
            ("ro", "raw", "Read-only file system"),
        ] {
            let folder = TempDir::new().expect("a temporary folder");
            let manifest = if formats == "kernel+initrd" { without_data() } else { HOST.to_owned() };
            at(&folder, &manifest);
            let words = ["-rm", "sh", "-c", INSIDE, "sh", options];
            let mut command = Command::new("unshare");
            command
                .args(words)
                .arg(&place.hullkit)
                .args(["build", "--quiet", "-f", formats, "--dir", "out", "host.yml"]);
            command.current_dir(folder.path()).env("HULLKIT_CACHE", &place.cache);
            let output = command.output().expect("util-linux has unshare");
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "{formats}: {said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains(want) && said.contains("`out/"), "{said}");
            assert!(said.trim_end().lines().all(|line| !line.starts_with("host") && !line.starts_with('.')), "{said}");
        }
    }
}
