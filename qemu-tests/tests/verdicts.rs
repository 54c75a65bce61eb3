//! What `hullkit test` says of hosts that are well, and of hosts that are not: the right verdict, in time, by name.

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use serde_json::Value;
    use tempfile::TempDir;

    use hullkit::platform::Arch;
    use qemu_tests::place::Place;

    /// What was said, and how it ended.
    #[derive(Debug)]
    struct Said {
        code: Option<i32>,
        stdout: String,
        stderr: String,
        took: Duration,
    }

    /// Name a file of `verdicts/`.
    fn data(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("verdicts").join(name)
    }

    fn run(what: &Path, folder: &Path, more: &[&str], path: Option<&str>) -> Said {
        run_on(Arch::Amd64, what, folder, more, path)
    }

    fn run_on(arch: Arch, what: &Path, folder: &Path, more: &[&str], path: Option<&str>) -> Said {
        let place = Place::find().expect("cargo's folders");
        let mut args = vec![OsString::from("test"), what.into(), "--dir".into(), folder.into()];
        args.extend(["--accel", "tcg", "--arch", arch.name()].iter().chain(more).map(OsString::from));
        let mut command = Command::new(&place.hullkit);
        command.current_dir(folder).args(args).env("HULLKIT_CACHE", &place.cache).env_remove("GITHUB_ACTIONS");
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let begun = Instant::now();
        let output = command.output().expect("a program; `cargo build` makes it");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            took: begun.elapsed(),
        }
    }

    fn test(what: &Path, more: &[&str]) -> (Said, TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        (run(what, folder.path(), more, None), folder)
    }

    /// Make sure that something failed, and that what is said of it names the cause.
    fn red(said: &Said, within: Duration, causes: &[&str]) {
        assert_eq!(said.code, Some(1), "{said:?}");
        for cause in causes {
            assert!(said.stderr.contains(cause), "no `{cause}`: {}\n{}", said.stdout, said.stderr);
        }
        assert!(said.took < within, "{:?}: {}", said.took, said.stderr);
    }

    #[test]
    fn two_hosts_that_see_each_other_pass() {
        let (said, _folder) = test(&data("pair.test.yml"), &["--json"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let value: Value = serde_json::from_str(&said.stdout).expect("JSON");
        let verdict = &value["verdicts"][0];
        assert_eq!((&verdict["result"], &verdict["cell"]), (&"passed".into(), &"amd64".into()));
        let steps = verdict["steps"].as_array().expect("steps");
        assert!(steps.len() >= 12 && steps.iter().all(|step| step["result"] == "passed"), "{steps:?}");
        assert!(verdict["hosts"][1]["boot_time"].as_f64().is_some_and(|time| time > 0.5), "{verdict}");
    }

    #[test]
    fn steps_are_taken_in_order_over_several_boots() {
        let (said, _folder) = test(&data("steps.yml"), &[]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.stdout.contains("amd64-bios-raw-virtio  passed"), "{}", said.stdout);
    }

    #[test]
    fn one_manifest_is_built_for_every_boot_of_a_matrix() {
        let (said, folder) = test(&data("signed.yml"), &["--mem", "256", "--matrix", "netboot,uki,iso"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        for cell in ["amd64-bios-netboot", "amd64-uefi-uki", "amd64-bios-iso-cdrom"] {
            assert!(
                said.stdout.lines().any(|line| line.starts_with(cell) && line.contains(" passed ")),
                "{}",
                said.stdout
            );
            assert!(folder.path().join(cell).join("console.log").is_file(), "{cell}");
        }
    }

    #[test]
    fn a_service_that_never_gets_healthy_is_named_with_its_last_lines() {
        let (said, folder) = test(&data("sick.yml"), &["--junit", "out.xml", "--github"]);
        let causes =
            ["FAILED", "it works: `sick` is unhealthy", "I feel sick", "sick: unhealthy: no pulse", "sick.test.yml:3)"];
        red(&said, Duration::from_secs(60), &causes);
        assert!(
            said.stderr.contains("::error file=") && said.stderr.contains(",line=3,title=amd64 failed::"),
            "{}",
            said.stderr
        );
        let xml = fs::read_to_string(folder.path().join("out.xml")).expect("a report");
        assert!(xml.contains("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"3\""), "{xml}");
        assert!(folder.path().join("amd64/console.log").is_file());
    }

    #[test]
    fn a_kernel_that_panics_is_told_at_once() {
        let (said, _folder) = test(&data("panic.yml"), &["--mem", "192"]);
        red(
            &said,
            Duration::from_secs(60),
            &["the kernel panicked: ", "Kernel panic - not syncing", "init has not answered yet"],
        );
    }

    #[test]
    fn a_loader_that_hangs_is_told_in_time_with_its_screen() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = folder.path().join("hang.raw");
        // A boot sector that jumps to itself.
        let mut bytes = vec![0; 1 << 20];
        bytes[..2].copy_from_slice(b"\xeb\xfe");
        bytes[510..512].copy_from_slice(b"\x55\xaa");
        fs::write(&disk, bytes).expect("a writable folder");
        let said = run(&disk, folder.path(), &["--timeout", "4s", "--mem", "64"], None);
        red(&said, Duration::from_secs(30), &["nothing came from the machine", "the loader hangs", "screen.png"]);
        let screen = fs::read(folder.path().join("amd64-bios-raw-virtio/screen.png")).expect("a picture");
        assert!(screen.starts_with(b"\x89PNG"));
    }

    #[test]
    fn a_disk_whose_root_is_damaged_is_told_by_init() {
        let (place, folder) = (Place::find().expect("cargo's folders"), tempfile::tempdir().expect("a folder"));
        let name = place.build(&data("corrupt.yml"), "raw", Arch::Amd64, folder.path(), &[]).expect("a build");
        let disk = name.with_extension("raw");
        let mut bytes = fs::read(&disk).expect("a disk");
        // The superblock of EROFS, 1 KiB into the partition that begins with none of its own bytes.
        let magic = 0xe0f5_e1e2_u32.to_le_bytes();
        let found = (0..bytes.len()).step_by(512).find(|at| bytes[at + 1024..].starts_with(&magic)).expect("a root");
        bytes[found + 1024..found + 1152].fill(0xff);
        fs::write(&disk, bytes).expect("a writable disk");
        // Who waits for a line does not wait for as long as a boot may take.
        fs::write(disk.with_extension("test.yml"), "steps: [{console: {contains: [never said]}}]\n").expect("a folder");
        let said = run(&disk, folder.path(), &["--mem", "192"], None);
        let causes =
            ["the boot failed in stage `root`", "no disk holds the root", "the console never showed `never said`"];
        red(&said, Duration::from_secs(60), &causes);
    }

    fn program(name: &str, args: &[&str]) {
        let output = Command::new(name).args(args).output().expect("`make test` installs it");
        assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn secure_boot_starts_what_is_signed_and_names_itself_as_the_cause_if_not() {
        secure_boot(Arch::Amd64, "/usr/share/ovmf", "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd");
    }

    #[test]
    fn secure_boot_is_the_same_on_arm64() {
        secure_boot(Arch::Arm64, "/usr/share/qemu-efi-aarch64", "/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd");
    }

    /// Boot what nobody has signed, and what is signed with Debian's key for tests, which everybody has.
    ///
    /// In: the key's folder, and variables of firmware that trust it.
    fn secure_boot(arch: Arch, keys: &str, variables: &str) {
        let (place, folder) = (Place::find().expect("cargo's folders"), tempfile::tempdir().expect("a folder"));
        let name = place.build(&data("signed.yml"), "uki", arch, folder.path(), &[]).expect("a build");
        let unsigned = name.with_extension("efi");
        let said = run_on(arch, &unsigned, folder.path(), &["--mem", "256", "--secure-boot"], None);
        red(&said, Duration::from_secs(60), &["Secure Boot refused it", "Access Denied"]);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (key, signed) = (file("key"), file("signed.efi"));
        let (theirs, cert) = (format!("{keys}/PkKek-1-snakeoil.key"), format!("{keys}/PkKek-1-snakeoil.pem"));
        program("openssl", &["rsa", "-in", &theirs, "-passin", "pass:snakeoil", "-out", &key]);
        program("sbsign", &["--key", &key, "--cert", &cert, "--output", &signed, &unsigned.display().to_string()]);
        let variables = format!("--secure-boot={variables}");
        let said = run_on(arch, Path::new(&signed), folder.path(), &["--mem", "256", &variables], None);
        assert_eq!(said.code, Some(0), "{said:?}");
        let console = folder.path().join(format!("{arch}-uefi-uki/console.log"));
        let console = fs::read_to_string(console).expect("a console");
        assert!(console.contains("secureboot: Secure boot enabled"), "{console}");
    }

    #[test]
    fn what_secure_boot_says_nothing_of_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("own.fd");
        fs::write(&own, "short").expect("a writable folder");
        fs::write(folder.path().join("a.efi"), "MZ").expect("a writable folder");
        let said = run(&data("sick.yml"), folder.path(), &["--secure-boot"], None);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.stderr.contains("Secure Boot does not look at a kernel that QEMU hands over"), "{said:?}");
        let said = run(&folder.path().join("a.efi"), folder.path(), &["--secure-boot=own.fd"], None);
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(
            said.stderr.contains("`own.fd` has 5 bytes, and the variables of this firmware have 540672"),
            "{said:?}"
        );
    }

    #[test]
    fn what_cannot_be_tested_is_no_failure_of_the_host() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = run(&data("sick.yml"), folder.path(), &[], Some("/nonexistent"));
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(said.stderr.contains("Debian's package is `qemu-system-x86`"), "{said:?}");
        let wrong = folder.path().join("wrong.test.yml");
        fs::write(&wrong, "steps: [{helthy: all}]\n").expect("a writable folder");
        let said = run(&wrong, folder.path(), &[], None);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.stderr.contains("wrong.test.yml:1:10: `helthy` is not a key of a step"), "{said:?}");
        let said = run(&data("sick.yml"), folder.path(), &["--matrix", "floppy"], None);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
}
