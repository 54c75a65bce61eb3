//! Which test is meant, by what the user names.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use linuxkit_yaml::MAX_BYTES;
use linuxkit_yaml::test::{Test, parse_test};

use super::TestArgs;

/// How the name of a test ends.
const ENDING: &str = ".test.yml";

/// A test, and what it is of.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) what: What,
    pub(super) test: Test,
}

/// What is tested.
#[derive(Debug)]
pub(super) enum What {
    /// Manifests, an image, or the NAME of a kernel.
    One(Vec<PathBuf>),
    /// The hosts of a test, whose paths begin here.
    Several(PathBuf),
}

/// Read the test that is meant; an empty one if there is none.
///
/// # Errors
///
/// It cannot be read, or means nothing.
pub(super) fn read(args: &TestArgs) -> anyhow::Result<Asked> {
    if let [path] = args.what.as_slice()
        && let Some(manifest) = manifest_of(path)
    {
        if args.test.is_some() {
            bail!("`{}` is a test: `--test` would be a second one", path.display());
        }
        let test = load(path)?;
        let what = if test.hosts.is_empty() { What::One(vec![manifest]) } else { What::Several(folder(path)) };
        return Ok(Asked { what, test });
    }
    let beside = args.what.last().map(|path| path.with_extension("test.yml")).filter(|path| path.is_file());
    let test = match args.test.as_ref().or(beside.as_ref()) {
        Some(path) => {
            let test = load(path)?;
            if !test.hosts.is_empty() {
                bail!("`{path}` is of several hosts: name it alone, `hullkit test {path}`", path = path.display());
            }
            test
        }
        None => Test::default(),
    };
    Ok(Asked { what: What::One(args.what.clone()), test })
}

/// Name the manifest that a test is of, if the file is a test by its name.
fn manifest_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(ENDING)?;
    Some(path.with_file_name(format!("{name}.yml")))
}

/// Give the folder of a file.
pub(super) fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn load(path: &Path) -> anyhow::Result<Test> {
    let mut bytes = Vec::new();
    // One byte more than is read: the reader then says that it is too long.
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.with_context(|| format!("could not read the test `{}`", path.display()))?;
    Ok(parse_test(&bytes, &path.to_string_lossy())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_known_by_its_name() {
        assert_eq!(manifest_of(Path::new("a/web.test.yml")), Some(PathBuf::from("a/web.yml")));
        assert_eq!(manifest_of(Path::new("web.yml")), None);
        assert_eq!(folder(Path::new("web.test.yml")), Path::new("."));
    }
}
