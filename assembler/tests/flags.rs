//! The flags that scripts written for `linuxkit build` use, on the `hullkit` program. Images are folders of the build
//! machine, so that nothing but the flags is in play.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Output};

    use tempfile::TempDir;

    /// A host for LinuxKit's init: a kernel, an image with an init, and a file.
    const MANIFEST: &str = "\
kernel: {image: 'rootfs:kernel', cmdline: console=ttyS0}
init: ['rootfs:system']
files: [{path: etc/motd, contents: hello}]
";

    fn place() -> TempDir {
        let place = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: &[u8]| {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(b"a kernel").unwrap();
        put("kernel/kernel", &packed.finish().unwrap());
        put("kernel/kernel.tar", &[0; 1024]);
        put("system/init", b"#!/bin/sh");
        put("host.yml", MANIFEST.as_bytes());
        place
    }

    fn command(place: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hullkit"));
        command.env_clear().env("HOME", place.join("home")).current_dir(place).args(args);
        command
    }

    fn hullkit(place: &TempDir, args: &[&str]) -> Output {
        command(place.path(), args).output().unwrap()
    }

    fn succeed(place: &TempDir, args: &[&str]) -> Vec<u8> {
        let output = hullkit(place, args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn fail(place: &TempDir, args: &[&str]) -> String {
        let output = hullkit(place, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The files of the place that no test put there, and the store and the images aside.
    fn made(place: &TempDir) -> Vec<String> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let entries = fs::read_dir(place.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !["kernel", "system", "host.yml", "home"].contains(&name.as_str()));
        names.sort();
        names
    }

    #[test]
    fn a_tar_goes_where_o_says_and_nothing_else_does() {
        let place = place();
        succeed(&place, &["build", "-o", "a.tar", "host.yml"]);
        succeed(&place, &["build", "--o", "b.tar", "--format", "tar", "host.yml"]);
        let streamed = succeed(&place, &["build", "-o", "-", "host.yml"]);
        let file = fs::read(place.path().join("a.tar")).unwrap();
        assert!(file == fs::read(place.path().join("b.tar")).unwrap() && file == streamed);
        assert_eq!(made(&place), ["a.tar", "b.tar"]);
        assert!(fail(&place, &["build", "-o", "c", "-f", "kernel+initrd", "host.yml"]).contains("tar or docker"));
        assert_eq!(made(&place), ["a.tar", "b.tar"]);
    }

    #[test]
    fn a_dry_run_and_a_failed_build_leave_no_file() {
        let place = place();
        let printed = succeed(&place, &["build", "--dry-run", "--format", "tar", "host.yml"]);
        let again = linuxkit_yaml::parse(String::from_utf8(printed).unwrap(), "again.yml").unwrap();
        assert_eq!(again, linuxkit_yaml::parse(MANIFEST, "host.yml").unwrap());
        fs::remove_file(place.path().join("kernel/kernel.tar")).unwrap();
        assert!(fail(&place, &["build", "--format", "tar,kernel+initrd", "host.yml"]).contains("kernel.tar"));
        assert_eq!(made(&place), Vec::<String>::new());
    }

    #[test]
    fn an_earlier_tar_changes_nothing() {
        let place = place();
        let build = ["build", "--format", "tar", "host.yml"];
        succeed(&place, &build);
        let first = fs::read(place.path().join("host.tar")).unwrap();
        succeed(&place, &[&build[..], &["--input-tar", "host.tar"]].concat());
        assert!(first == fs::read(place.path().join("host.tar")).unwrap());
        assert!(fail(&place, &[&build[..], &["--input-tar", "none.tar"]].concat()).contains("none.tar"));
    }

    #[test]
    fn a_kernel_is_unpacked_if_asked_and_if_it_can_be() {
        let place = place();
        let build = ["build", "--decompress-kernel", "--name", "k", "host.yml"];
        succeed(&place, &build);
        assert_eq!(fs::read(place.path().join("k-kernel")).unwrap(), b"a kernel");
        fs::write(place.path().join("kernel/kernel"), b"plain").unwrap();
        assert!(fail(&place, &build).contains("without --decompress-kernel"));
    }

    #[test]
    fn the_bill_of_materials_is_there_unless_refused() {
        let place = place();
        let names = |args: &[&str]| {
            let mut archive = tar::Archive::new(std::io::Cursor::new(succeed(&place, args)));
            let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&["build", "-o", "-", "host.yml"]).last().unwrap(), "sbom.spdx.json");
        assert_eq!(names(&["build", "-o", "-", "--sbom-output", "a/b", "host.yml"]).last().unwrap(), "a/b");
        assert_eq!(names(&["build", "-o", "-", "--no-sbom", "host.yml"]).last().unwrap(), "etc/motd");
    }

    /// Paths, and what files hold, below a folder.
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, Option<Vec<u8>>)>) {
        #[expect(clippy::disallowed_methods, reason = "sorted by who asks")]
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            let content = kind.is_file().then(|| fs::read(&path).unwrap());
            found.push((path.strip_prefix(root).unwrap().display().to_string(), content));
            if kind.is_dir() {
                walk(root, &path, found);
            }
        }
    }

    #[test]
    fn images_of_the_tree_hold_what_the_tar_holds() {
        let place = place();
        succeed(&place, &["build", "-f", "tar,kernel+initrd,kernel+squashfs,kernel+erofs,kernel+iso", "host.yml"]);
        let names = ["cmdline", "erofs.img", "initrd.img", "kernel", "squashfs.img"].map(|end| format!("host-{end}"));
        assert_eq!(made(&place), [&names[..], &["host.iso".to_owned(), "host.tar".to_owned()]].concat());
        let cases = [
            ("tar", "tar", "tar -xf ../../host.tar --exclude=boot/*"),
            ("squashfs", "unsquashfs", "unsquashfs -no-xattrs -f -d . ../../host-squashfs.img"),
            ("erofs", "fsck.erofs", "fsck.erofs --extract=. --overwrite --no-preserve ../../host-erofs.img"),
            ("iso", "bsdtar", "bsdtar -xf ../../host.iso"),
        ];
        let trees = cases.map(|(folder, program, line)| {
            let folder = place.path().join("home").join(folder);
            fs::create_dir_all(&folder).unwrap();
            let output = Command::new("sh").args(["-c", line]).current_dir(&folder).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} (see `make deps-test`): {said}");
            let mut found = Vec::new();
            walk(&folder, &folder, &mut found);
            found.sort();
            found
        });
        assert!(trees[0].iter().any(|(path, content)| path == "etc/motd" && content.as_deref() == Some(b"hello")));
        for tree in &trees[1..] {
            assert_eq!(tree, &trees[0]);
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_before_any_image_is_looked_at() {
        let place = place();
        let text = "\
services:
- name: a
  image: nowhere.invalid/x:1
  binds: ['none:/x', /a]
  capabilities: [chown]
  rlimits: ['foo,1,2']
  tmpfs: ['a:b:c']
  devices: [{path: /dev/x, type: c}]
  uid: nobody
files: [{path: ../x, contents: y, mode: '0644'}]
";
        fs::write(place.path().join("wrong.yml"), text).unwrap();
        let output = hullkit(&place, &["lint", "--json", "wrong.yml"]);
        assert_eq!(output.status.code(), Some(1));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let lines: Vec<u64> = found.as_array().unwrap().iter().map(|one| one["line"].as_u64().unwrap()).collect();
        assert_eq!(lines, [4, 4, 5, 6, 7, 8, 9, 10], "{found:#}");
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let place = place();
        let mut child = command(place.path(), &["schema"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]));
    }

    #[test]
    fn what_has_no_meaning_here_says_what_to_do_instead() {
        let place = place();
        for (args, say) in [
            (&["build", "--docker", "host.yml"][..], "docker-archive:"),
            (&["build", "--sbom-output", "../x", "-o", "-", "host.yml"], "../x"),
        ] {
            assert!(fail(&place, args).contains(say), "{args:?}");
        }
        let output = hullkit(&place, &["build", "--size", "much", "host.yml"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("512M"));
    }

    #[test]
    fn linuxkits_variables_are_read_by_every_verb() {
        let place = place();
        let store = place.path().join("theirs");
        for verb in [&["build", "-o", "x.tar", "host.yml"][..], &["plan", "host.yml"], &["cache", "ls"]] {
            let status = command(place.path(), verb).env("LINUXKIT_CACHE", &store).output().unwrap().status;
            assert!(status.success(), "{verb:?}");
            assert!(store.is_dir() && !place.path().join("home").exists(), "{verb:?}");
            fs::remove_dir_all(&store).unwrap();
        }
    }
}
