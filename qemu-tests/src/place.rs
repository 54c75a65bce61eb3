//! Where things are: the program under test, its image store, the folder for what tests leave behind.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, bail};

use hullkit::platform::Arch;

/// Where things are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The `hullkit` program.
    pub hullkit: PathBuf,
    /// The store with the images of `examples/images`.
    pub cache: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Place {
    /// Find everything from the environment (`HULLKIT_BIN`, `HULLKIT_TEST_CACHE`) and the place of the running test.
    ///
    /// # Errors
    ///
    /// The test does not run from Cargo's target folder, and nothing says where the program is.
    pub fn find() -> anyhow::Result<Self> {
        let test = env::current_exe().context("could not tell which program this is")?;
        // target/PROFILE/deps/cases-HASH, or target/PROFILE/bench
        let profile = test.ancestors().skip(1).find(|folder| folder.file_name() != Some(OsStr::new("deps")));
        let profile = profile.context("this program lies in no folder")?;
        let target = profile.parent().context("the target folder has no place")?;
        let from = |name: &str, default: PathBuf| env::var_os(name).map_or(default, PathBuf::from);
        Ok(Self {
            hullkit: from("HULLKIT_BIN", profile.join("hullkit")),
            cache: from("HULLKIT_TEST_CACHE", target.join("test-cache")),
            target: target.to_owned(),
        })
    }

    /// Name the folder for what a test leaves behind.
    #[must_use]
    pub fn folder(&self, test: &str) -> PathBuf {
        self.target.join("qemu-tests").join(test)
    }

    /// Run `hullkit` in a folder to its end, with the store of the tests.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn hullkit(&self, folder: &Path, args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.hullkit);
        command.current_dir(folder).args(args).env("HULLKIT_CACHE", &self.cache).env_remove("RUST_BACKTRACE");
        command.output().with_context(|| format!("could not run `{}`; `cargo build` makes it", self.hullkit.display()))
    }

    /// Build a manifest into a folder, which is made if it is not there. In: `formats`, parted by commas; `more`, further words of
    /// the command line.
    ///
    /// Out: the first part of the files' names, to which `-kernel` or `.raw` is appended.
    ///
    /// # Errors
    ///
    /// The build failed; the error has what it printed.
    pub fn build(
        &self,
        manifest: &Path,
        formats: &str,
        arch: Arch,
        into: &Path,
        more: &[&str],
    ) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(into).with_context(|| format!("could not make the folder `{}`", into.display()))?;
        let more = more.iter().map(OsString::from);
        let output = self.hullkit(into, build_args(manifest, formats, arch, into).into_iter().chain(more))?;
        if !output.status.success() {
            bail!("`hullkit build` ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(into.join(manifest.file_stem().unwrap_or_default()))
    }
}

/// Say how a manifest is built.
#[must_use]
pub fn build_args(manifest: &Path, formats: &str, arch: Arch, into: &Path) -> Vec<OsString> {
    let words = ["--format", formats, "--arch", arch.name(), "--dir"];
    let mut args = vec![OsString::from("build"), manifest.into()];
    args.extend(words.map(OsString::from));
    args.push(into.into());
    args
}

/// Make a folder that is empty.
///
/// # Errors
///
/// What the system said.
pub fn empty(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
    .with_context(|| format!("could not make an empty folder `{}`", folder.display()))
}
