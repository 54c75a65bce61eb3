//! Everything that is built, is built twice: by another user, in another folder, under another time zone, locale, umask and
//! number of processors, from a store that holds nothing but the images. Every file must be the same, byte by byte.

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, chown};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use rustix::process::geteuid;
    use tempfile::TempDir;

    use hullkit::platform::Arch;
    use qemu_tests::place::Place;

    /// Formats of a host that Hullkit's init runs.
    const NATIVE: [&str; 12] =
        ["kernel+initrd", "tar", "uki", "raw", "iso", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "gcp", "raw.zst"];

    /// Formats of a host that LinuxKit's init runs.
    const LINUXKIT: [&str; 7] =
        ["kernel+initrd", "tar", "docker", "tar-kernel-initrd", "kernel+squashfs", "kernel+erofs", "kernel+iso"];

    /// A host of LinuxKit's layout.
    const LINUXKIT_HOST: &str = "\
kernel: {image: 'hullkit/kernel:latest', cmdline: console=ttyS0}
init: ['hullkit/busybox:latest']
services: [{name: web, image: 'hullkit/nginx:latest'}]
files: [{path: etc/motd, contents: hello}]
";

    /// A user who owns nothing.
    const NOBODY: u32 = 65534;

    /// The circumstances of a build, which must not show in what it makes.
    struct Builder {
        /// Folders below the temporary one, in which it works.
        folder: &'static str,
        zone: &'static str,
        locale: &'static str,
        umask: &'static str,
        /// Run by a user who owns nothing, if this user may become another.
        by_nobody: bool,
        /// Run on the first processor alone.
        alone: bool,
    }

    const BUILDERS: [Builder; 2] = [
        Builder { folder: "one", zone: "UTC", locale: "C", umask: "022", by_nobody: false, alone: false },
        Builder {
            folder: "two/with, a longer päth",
            zone: "Pacific/Kiritimati",
            locale: "tr_TR.UTF-8",
            umask: "077",
            by_nobody: true,
            alone: true,
        },
    ];

    impl Builder {
        /// Build a manifest and return the folder with what was made.
        fn build(&self, place: &Place, root: &Path, manifest: &str, formats: &[&str], arch: Arch) -> PathBuf {
            let home = root.join(self.folder);
            images_alone(&place.cache, &home.join("cache"));
            fs::write(home.join("host.yml"), manifest).expect("a writable folder");
            // Where this program is, the other user may not be let in.
            fs::copy(&place.hullkit, home.join("hullkit")).expect("`cargo build` makes it");
            let is_nobody = self.by_nobody && geteuid().is_root();
            if is_nobody {
                give(&root.join(self.folder.split('/').next().unwrap_or_default()));
                give(root);
            }
            let mut words = vec!["sh", "-c", "umask $0; exec \"$@\"", self.umask];
            if self.alone {
                words.extend(["taskset", "-c", "0"]);
            }
            if is_nobody {
                words.extend(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
            }
            words.extend(["./hullkit", "build", "--offline", "host.yml", "--arch", arch.name(), "--dir", "out"]);
            let formats = formats.join(",");
            words.extend(["--format", &formats]);
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).current_dir(&home).env_clear();
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command.env("HOME", &home).env("HULLKIT_CACHE", home.join("cache"));
            command.env("TZ", self.zone).env("LC_ALL", self.locale).env("LANG", self.locale);
            let output = command.output().expect("a shell");
            assert!(output.status.success(), "{}: {}", self.folder, String::from_utf8_lossy(&output.stderr));
            home.join("out")
        }
    }

    /// Make a store that has another's images and nothing that was derived from them; what is in them is the same files where that can be.
    fn images_alone(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a writable folder");
        for name in ["oci-layout", "index.json"] {
            fs::copy(from.join(name), to.join(name)).expect("`make images` fills the store");
        }
        let blobs = Path::new("blobs/sha256");
        fs::create_dir_all(to.join(blobs)).expect("a writable folder");
        for name in names(&from.join(blobs)) {
            let (from, to) = (from.join(blobs).join(&name), to.join(blobs).join(&name));
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(from, to).expect("a blob");
            }
        }
    }

    /// Give a folder and all in it to the user who owns nothing, but for what is elsewhere as well.
    fn give(path: &Path) {
        if path.is_file() && fs::metadata(path).is_ok_and(|about| about.nlink() > 1) {
            return;
        }
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
        if path.is_dir() && !path.is_symlink() {
            names(path).iter().for_each(|name| give(&path.join(name)));
        }
    }

    /// The names in a folder, sorted.
    fn names(folder: &Path) -> Vec<OsString> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    }

    /// Find the first byte in which two files differ.
    fn difference(one: &Path, two: &Path) -> Option<u64> {
        let open = |path: &Path| File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (mut one, mut two) = (open(one), open(two));
        let mut at = 0;
        loop {
            let (left, right) = (chunk(&mut one), chunk(&mut two));
            if left != right {
                let same = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
                return Some(at + same as u64);
            }
            if left.is_empty() {
                return None;
            }
            at += left.len() as u64;
        }
    }

    fn chunk(file: &mut File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.take(1 << 20).read_to_end(&mut bytes).expect("a readable file");
        bytes
    }

    fn check(manifest: &str, formats: &[&str]) {
        let place = Place::find().expect("cargo's folders");
        for arch in Arch::ALL {
            let root = TempDir::new().expect("a temporary folder");
            let built = BUILDERS.map(|builder| builder.build(&place, root.path(), manifest, formats, arch));
            let [one, two] = &built;
            let made = names(one);
            assert!(made.len() >= formats.len(), "{made:?}");
            assert_eq!(made, names(two), "{arch}");
            for name in made {
                let at = difference(&one.join(&name), &two.join(&name));
                assert_eq!(at, None, "{arch}: `{}` differs from this byte on", name.display());
            }
        }
    }

    #[test]
    fn an_example_is_the_same_whoever_builds_it() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/01-hello.yml");
        check(&fs::read_to_string(example).expect("the example"), &NATIVE);
    }

    #[test]
    fn a_host_of_linuxkits_is_the_same_whoever_builds_it() {
        check(LINUXKIT_HOST, &LINUXKIT);
    }
}
