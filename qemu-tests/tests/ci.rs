//! The recipes of `docs/ci.md`: what they have a shell do is done.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    use qemu_tests::place::Place;
    use serde_json::Value;
    use tempfile::TempDir;

    /// Everything between three backticks and the words behind the first ones.
    fn blocks(kind: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci.md");
        let page = fs::read_to_string(path).expect("the page is there");
        let fence = format!("```{kind}\n");
        let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned());
        blocks.collect()
    }

    /// Every line that a service's file gives to a shell.
    fn scripts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(words) => {
                for (key, part) in words {
                    match part {
                        Value::String(line) if key == "run" => found.push(line.clone()),
                        Value::Array(lines) if key.ends_with("script") => {
                            found.extend(lines.iter().filter_map(Value::as_str).map(str::to_owned));
                        }
                        _ => scripts(part, found),
                    }
                }
            }
            Value::Array(parts) => parts.iter().for_each(|part| scripts(part, found)),
            _ => {}
        }
    }

    fn lines() -> Vec<String> {
        let mut lines: Vec<String> = blocks("sh").iter().flat_map(|block| block.lines()).map(str::to_owned).collect();
        let files = blocks("yaml");
        assert_eq!(files.len(), 2, "a file for GitHub and one for GitLab");
        for file in files {
            let value: Value = serde_saphyr::from_str(&file).unwrap_or_else(|error| panic!("{error}\n{file}"));
            scripts(&value, &mut lines);
        }
        lines
    }

    /// A folder with the smallest host, and one that has `hullkit` in it.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let host = "kernel: {image: 'hullkit/kernel:latest', cmdline: quiet}\nmodules: {include: [virtio_pci, virtio_console]}\n\
                    services: [{name: app, image: 'hullkit/busybox:latest', readonly: true, command: [sleep, '1000']}]\n";
        fs::write(folder.path().join("host.yml"), host).expect("a writable folder");
        fs::create_dir(folder.path().join("bin")).expect("a writable folder");
        let hullkit = Place::find().expect("cargo's folders").hullkit;
        std::os::unix::fs::symlink(hullkit, folder.path().join("bin/hullkit")).expect("a writable folder");
        folder
    }

    /// Let a shell do a line, in whose `$PATH` there is `hullkit`, and `more`.
    fn shell(folder: &TempDir, line: &str, more: &str) -> Output {
        let place = Place::find().expect("cargo's folders");
        let path = format!("{}:{more}", folder.path().join("bin").display());
        let mut command = Command::new("/bin/sh");
        command.args(["-e", "-c", line]).current_dir(folder.path()).env("PATH", path);
        command.env("HULLKIT_CACHE", &place.cache).env_remove("GITHUB_ACTIONS");
        command.output().expect("a shell")
    }

    #[test]
    fn the_usual_command_line_tests_a_host() {
        let folder = folder();
        let wanted = "hullkit test host.yml --accel tcg --junit results.xml --dir results";
        assert_eq!(lines().iter().filter(|line| *line == wanted).count(), 2, "in a shell and on GitLab");
        let output = shell(&folder, wanted, &std::env::var_os("PATH").expect("a path").to_string_lossy());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(fs::read_to_string(folder.path().join("results.xml")).is_ok_and(|xml| xml.contains("failures=\"0\"")));
        let console = fs::read(folder.path().join("results/amd64/console.log")).expect("what artifacts are made of");
        assert!(!console.is_empty());
    }

    #[test]
    fn every_command_line_has_flags_that_there_are() {
        let folder = folder();
        let mut seen = 0;
        for line in lines().iter().filter(|line| line.starts_with("hullkit test")) {
            // Where there is no QEMU nothing is booted, but wrong usage would have been told before.
            let output = shell(&folder, line, "/nonexistent");
            assert_eq!(output.status.code(), Some(3), "{line}: {output:?}");
            seen += 1;
        }
        assert!(seen >= 4, "{seen} lines");
    }

    #[test]
    fn every_line_is_one_that_a_shell_reads_and_every_package_is_there() {
        for line in lines() {
            let status = Command::new("/bin/sh").args(["-n", "-c", &line]).status().expect("a shell");
            assert!(status.success(), "{line}");
            let Some((_, packages)) = line.split_once("--no-install-recommends ") else { continue };
            let packages = packages.split('#').next().unwrap_or_default().split_whitespace();
            let output = Command::new("apt-cache").arg("show").args(packages).output().expect("apt");
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
