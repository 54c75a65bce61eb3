//! The host's own apt, with a private state: it knows the sources, the keys and the dependencies; we only say for which
//! architecture. Nothing of the host's own package state is read or written, so no right and no foreign architecture is needed.
//!
//! ```text
//! hullkit/apt/lock               held by whoever uses any of this
//! hullkit/apt/debs/              packages, by apt's own file names, checked against the lists before each use
//! hullkit/apt/<arch>/stamp       what the lists were made from; its time is when
//! hullkit/apt/<arch>/state/      apt's lists;  cache/ what apt derives from them
//! hullkit/apt/<arch>/status      a dpkg database in which nothing is installed but what a recipe does without
//! hullkit/apt/<arch>/resolved/   answers of the resolver, by lists and question
//! ```
//!
//! Source: apt.conf(5), apt-get(8), and apt's behaviour with versions 2.6 and 3.0.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::{PackageError, io_error};
use crate::digest::Digest;
use crate::platform::Arch;
use crate::store::Store;

/// How long lists are taken for current. Debian's archive changes four times a day.
const FRESH: Duration = Duration::from_hours(1);

/// Settings that no command line can say: they clear lists which the host may have set, hooks of `update` among them.
///
/// The index targets are for software centres and shells; on a desktop they are most of what `update` fetches.
const CONFIGURATION: &str = r#"#clear APT::Architectures;
#clear APT::Update;
#clear DPkg;
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-large::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-hidpi::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
"#;

/// A package as apt resolved it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with epoch.
    pub version: String,
    /// The file apt makes of it.
    pub file: String,
    /// Length of that file in bytes.
    pub size: u64,
    /// SHA-256 of that file, 64 lower-case hex digits.
    pub sha256: String,
}

/// What a set of lists was made from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// apt's own description of the configured sources.
    targets: String,
    /// Digest over the signed release files.
    lists: Digest,
}

/// The right to use apt's state in a store, of which there is one for all architectures: two processes that each held one
/// architecture's and wanted the other's would wait for ever.
#[derive(Debug)]
pub struct Lock {
    root: PathBuf,
    _file: File,
}

impl Lock {
    /// Wait until no other process uses apt's state in `store`.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Io`].
    pub fn take(store: &Store) -> Result<Self, PackageError> {
        // apt is given this path, and runs in another folder.
        let root = store.folder("apt");
        fs::create_dir_all(&root).map_err(io_error("create", &root))?;
        let root = fs::canonicalize(&root).map_err(io_error("read", &root))?;
        let path = root.join("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(io_error("open", &path))?;
        file.lock().map_err(io_error("lock", &path))?;
        Ok(Self { root, _file: file })
    }
}

/// Current lists of one architecture.
#[derive(Debug)]
pub struct Apt {
    arch: Arch,
    folder: PathBuf,
    debs: PathBuf,
    lists: Digest,
    /// Why lists that are older than they should be are used.
    stale: Option<String>,
}

impl Apt {
    /// Bring the lists of one architecture up to date.
    ///
    /// In: `lock`, which outlives the use; `refresh`, fetch them even if they are current.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Program`]: there is no apt.
    /// - [`PackageError::Failed`]: the lists cannot be fetched, and there are no older ones.
    /// - [`PackageError::NoPackages`], [`PackageError::Io`].
    pub fn open(lock: &Lock, arch: Arch, refresh: bool) -> Result<Self, PackageError> {
        let (folder, debs) = (lock.root.join(arch.name()), lock.root.join("debs"));
        for name in ["state/lists/partial", "cache/archives/partial", "resolved"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        }
        fs::create_dir_all(&debs).map_err(io_error("create", &debs))?;
        let path = folder.join("apt.conf");
        fs::write(&path, CONFIGURATION).map_err(io_error("write", &path))?;
        let mut apt = Self { arch, folder, debs, lists: Digest::of(b""), stale: None };
        apt.update(refresh)?;
        Ok(apt)
    }

    /// Tell what the answers of this apt depend on: equal digests, equal answers.
    #[must_use]
    pub fn lists(&self) -> Digest {
        self.lists
    }

    /// Tell why old lists are used, if they are.
    #[must_use]
    pub fn stale(&self) -> Option<&str> {
        self.stale.as_deref()
    }

    /// Fetch the lists unless they are current.
    fn update(&mut self, refresh: bool) -> Result<(), PackageError> {
        let format = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ARCHITECTURE) $(IDENTIFIER)";
        let targets = run(self.apt_get(&["indextargets", "--no-release-info", "--format", format]))?;
        if !targets.lines().any(|line| line.ends_with(&format!(" {} Packages", self.arch))) {
            return Err(PackageError::NoPackages(self.arch));
        }
        let path = self.folder.join("stamp");
        let old: Option<Stamp> = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let old = old.filter(|stamp| stamp.targets == targets);
        let age = fs::metadata(&path).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        match (&old, age) {
            (Some(stamp), Some(age)) if age < FRESH && !refresh => {
                self.lists = stamp.lists;
                return Ok(());
            }
            _ => {}
        }
        match (run(self.apt_get(&["update", "--error-on=any"])), old) {
            (Ok(_), _) => {}
            (Err(PackageError::Failed { said, .. }), Some(stamp)) if !refresh => {
                (self.lists, self.stale) = (stamp.lists, Some(said));
                return Ok(());
            }
            (Err(error), _) => return Err(error),
        }
        self.lists = self.releases()?;
        let stamp = Stamp { targets, lists: self.lists };
        let text = serde_json::to_vec(&stamp).map_err(io::Error::from).map_err(io_error("write", &path))?;
        fs::write(&path, text).map_err(io_error("write", &path))
    }

    /// Hash the signed release files, which name the hash of everything else.
    fn releases(&self) -> Result<Digest, PackageError> {
        let folder = self.folder.join("state/lists");
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let entries = fs::read_dir(&folder).map_err(io_error("read", &folder))?;
        let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        let mut hashes = String::new();
        for name in names.iter().filter_map(|name| name.to_str()).filter(|name| name.ends_with("Release")) {
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(io_error("read", &path))?;
            hashes += &format!("{} {name}\n", Digest::of(&bytes));
        }
        Ok(Digest::of(hashes.as_bytes()))
    }

    /// Resolve packages with all they depend on, recommendations apart.
    ///
    /// In: `without`, packages that the resolver takes for installed, so that neither they nor what only they need comes
    /// along. Out: sorted by name.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Failed`]: a package is unknown, or its dependencies cannot be met; apt says which.
    /// - [`PackageError::Io`].
    pub fn resolve(&self, names: &[String], without: &[String]) -> Result<Vec<Package>, PackageError> {
        let question = format!("1 {} {} {} / {}", self.arch, self.lists, names.join(" "), without.join(" "));
        let path = self.folder.join("resolved").join(Digest::of(question.as_bytes()).hex());
        if let Some(known) = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(known);
        }
        let status = self.folder.join("status");
        let installed: String = without.iter().map(|name| installed(name, self.arch)).collect();
        fs::write(&status, installed).map_err(io_error("write", &status))?;
        let mut arguments = vec!["-qq", "--print-uris", "install"];
        arguments.extend(names.iter().map(String::as_str));
        let said = run(self.apt_get(&arguments))?;
        let mut packages: Vec<Package> = said.lines().filter_map(parse).collect();
        packages.sort();
        let text = serde_json::to_vec(&packages).map_err(io::Error::from).map_err(io_error("write", &path))?;
        let partial = path.with_extension("partial");
        fs::write(&partial, text).map_err(io_error("write", &partial))?;
        fs::rename(&partial, &path).map_err(io_error("write", &path))?;
        Ok(packages)
    }

    /// Fetch the packages that are not here. Out: their files, in the same order, each with the bytes apt's lists name.
    ///
    /// # Errors
    ///
    /// - [`PackageError::Failed`]: a package cannot be fetched.
    /// - [`PackageError::Altered`], [`PackageError::Io`].
    pub fn fetch(&self, packages: &[Package]) -> Result<Vec<PathBuf>, PackageError> {
        let path_of = |package: &Package| self.debs.join(&package.file);
        let mut missing = Vec::new();
        for package in packages {
            if !holds(&path_of(package), package)? {
                missing.push(format!("{}={}", package.name, package.version));
            }
        }
        if !missing.is_empty() {
            let mut arguments = vec!["-qq", "download"];
            arguments.extend(missing.iter().map(String::as_str));
            let mut command = self.apt_get(&arguments);
            command.current_dir(&self.debs);
            run(command)?;
        }
        for package in packages {
            if !holds(&path_of(package), package)? {
                return Err(PackageError::Altered { file: package.file.clone(), want: package.sha256.clone() });
            }
        }
        Ok(packages.iter().map(path_of).collect())
    }

    /// Prepare a call of `apt-get` in the private state.
    ///
    /// Folders are given one by one: inside the file they would need quoting, which apt does not have.
    fn apt_get(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        // apt's texts are passed on, and one of them is read.
        command.env("LC_ALL", "C").arg("-c").arg(self.folder.join("apt.conf"));
        let folder = |name: &str| self.folder.join(name).into_os_string();
        for (key, value) in [
            ("APT::Architecture", self.arch.name().into()),
            ("APT::Architectures::", self.arch.name().into()),
            ("Dir::State", folder("state")),
            ("Dir::State::lists", folder("state/lists")),
            ("Dir::State::status", folder("status")),
            ("Dir::Cache", folder("cache")),
            // Always empty: of what it finds there, `--print-uris` would say nothing.
            ("Dir::Cache::archives", folder("cache/archives")),
            ("Dir::Cache::pkgcache", "pkgcache.bin".into()),
            ("Dir::Cache::srcpkgcache", "srcpkgcache.bin".into()),
            ("Dir::Log", folder("state")),
            ("Debug::NoLocking", "true".into()),
        ] {
            let mut setting = OsString::from(format!("{key}="));
            setting.push(value);
            command.arg("-o").arg(setting);
        }
        command.args(arguments);
        command
    }
}

/// Describe a package as installed, in a version that is new enough for every dependency.
fn installed(name: &str, arch: Arch) -> String {
    format!(
        "Package: {name}\nStatus: install ok installed\nArchitecture: {arch}\nMulti-Arch: foreign\n\
         Version: 9999:0\nMaintainer: none\nDescription: left out\n\n"
    )
}

/// Read one line of `--print-uris`: quoted address, file name, size, hash.
fn parse(line: &str) -> Option<Package> {
    let (_, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let mut words = rest.split(' ');
    let (file, size, hash) = (words.next()?, words.next()?, words.next()?);
    let mut parts = file.strip_suffix(".deb")?.split('_');
    let (name, version, _arch) = (parts.next()?, parts.next()?, parts.next()?);
    let sha256 = hash.strip_prefix("SHA256:").filter(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok())?;
    let sane = !file.contains('/') && !file.starts_with('.');
    sane.then(|| Package {
        name: name.to_owned(),
        version: version.replace("%3a", ":"),
        file: file.to_owned(),
        size: size.parse().unwrap_or(0),
        sha256: sha256.to_owned(),
    })
}

/// Tell whether a file has the bytes of a package.
fn holds(path: &Path, package: &Package) -> Result<bool, PackageError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(io_error("open", path)(cause)),
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(io_error("read", path))?;
        if read == 0 {
            let got: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(got == package.sha256);
        }
        hash.update(&buffer[..read]);
    }
}

/// Run apt and give what it printed.
fn run(mut command: Command) -> Result<String, PackageError> {
    let start = |cause| PackageError::Program {
        program: "apt-get",
        purpose: "resolves and fetches the packages of `rootfs.apt`",
        cause,
    };
    let Output { status, stdout, stderr } = command.output().map_err(start)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let verb = command.get_args().filter_map(|word| word.to_str());
    let verb = verb.filter(|word| ["update", "install", "download", "indextargets"].contains(word)).last();
    Err(PackageError::Failed { command: format!("apt-get {}", verb.unwrap_or_default()), said: last_lines(&stderr) })
}

/// Give the last errors apt wrote, on one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.iter().any(|line| line.starts_with("E: ")) {
        lines.retain(|line| line.starts_with("E: "));
    }
    let from = lines.len().saturating_sub(4);
    lines[from..].iter().map(|line| line.trim_start_matches("E: ")).collect::<Vec<_>>().join("; ")
}
