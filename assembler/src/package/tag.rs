//! The name an image gets: organisation, image, and a tag that by default is the git tree hash of the recipe's folder.
//!
//! Source: LinuxKit, `docs/packages.md`; behaviour of `src/cmd/linuxkit/pkglib`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use linuxkit_yaml::Reference;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::error::{PackageError, io_error};
use super::recipe::{FILE, Loaded};

/// Tag of a folder that git does not know.
const LATEST: &str = "latest";

/// Give the short name of a recipe's image: `org/image:tag`.
///
/// In: `org` and `tag`, in place of the recipe's own.
///
/// # Errors
///
/// - [`PackageError::Unusable`]: the parts make no legal name.
/// - [`PackageError::Io`]: a file of the folder cannot be read.
pub fn name(recipe: &Loaded, org: Option<&str>, tag: Option<&str>) -> Result<String, PackageError> {
    let template = tag.unwrap_or(&recipe.recipe.tag);
    let tag = expand(template, &recipe.folder, &recipe.recipe.extra_sources)?;
    let org = org.unwrap_or(&recipe.recipe.org);
    let image = &recipe.recipe.image;
    let refuse = |reason| Err(PackageError::Unusable { path: recipe.folder.join(FILE), reason });
    let short = format!("{org}/{image}");
    if image.contains(['/', ':', '@']) || !matches!(short.parse(), Ok(Reference::Registry(_))) {
        return refuse(format!("`{short}` is not the name of an image"));
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if tag.is_empty() || tag.len() > 128 || tag.starts_with(['.', '-']) || !tag.bytes().all(word) {
        return refuse(format!(
            "`{template}` gives the tag `{tag}`, which is not one; of Go's templates only `{{{{.Hash}}}}` is known"
        ));
    }
    Ok(format!("{short}:{tag}"))
}

/// Give the full name: with the registry that short names mean.
#[must_use]
pub fn canonical(name: &str) -> String {
    // A first part with a dot or a port, or `localhost`, is a registry.
    let registry = name.split_once('/').map_or("", |(first, _)| first);
    if registry.contains(['.', ':']) || registry == "localhost" { name.to_owned() } else { format!("docker.io/{name}") }
}

/// Fill a template in. Git is asked only if the template asks for a hash.
fn expand(template: &str, folder: &Path, sources: &[String]) -> Result<String, PackageError> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, (inside, after))) = rest.split_once("{{").and_then(|(a, b)| Some((a, b.split_once("}}")?)))
    {
        out += before;
        match inside.trim() {
            ".Hash" => out += &hash(folder, sources)?,
            // Left as it is: the braces are refused as part of a tag, with the template in the message.
            _ => return Ok(template.to_owned()),
        }
        rest = after;
    }
    Ok(out + rest)
}

/// Give the git tree hash of a folder, marked if the work tree differs; [`LATEST`] outside git.
///
/// In: `sources`, the recipe's `extra-sources`; with any, the hash is that of all their hashes behind the folder's.
fn hash(folder: &Path, sources: &[String]) -> Result<String, PackageError> {
    let Some(mut tree) = tree(folder) else { return Ok(LATEST.to_owned()) };
    if !sources.is_empty() {
        let mut all = Sha1::new_with_prefix(&tree);
        for source in sources {
            let refuse = |reason| PackageError::Unusable { path: folder.join(FILE), reason };
            let Some((from, _)) = source.split_once(':').filter(|(_, to)| !to.contains(':')) else {
                return Err(refuse(format!("extra source `{source}` is not `SOURCE:DESTINATION`")));
            };
            let other = self::tree(&folder.join(from));
            all.update(other.ok_or_else(|| refuse(format!("extra source `{from}` is no folder that git knows")))?);
        }
        tree = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    }
    if git(folder, &["status", "--porcelain", "--", "."]).is_none_or(|changes| changes.is_empty()) {
        return Ok(tree);
    }
    let tracked = git(folder, &["ls-files", "-z"]).unwrap_or_default();
    let untracked = git(folder, &["ls-files", "-z", "--others", "--exclude-standard"]).unwrap_or_default();
    let mut hash = Sha256::new();
    for name in [tracked, untracked].concat().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let path = folder.join(OsStr::from_bytes(name));
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
            hash.update(fs::read(&path).map_err(io_error("read", &path))?);
        }
    }
    let dirty: String = hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{tree}-dirty-{}", &dirty[..7]))
}

/// Give the hash of a folder's tree in the last commit.
fn tree(folder: &Path) -> Option<String> {
    let answer = git(folder, &["rev-parse", "HEAD:./"])?;
    Some(String::from_utf8_lossy(&answer).trim().to_owned())
}

/// Ask git; nothing if there is no git, or no answer.
fn git(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    output.status.success().then_some(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_mean_docker_io() {
        for (name, want) in [
            ("hullkit/busybox:1", "docker.io/hullkit/busybox:1"),
            ("localhost/busybox:1", "localhost/busybox:1"),
            ("127.0.0.1:5000/hullkit/busybox:1", "127.0.0.1:5000/hullkit/busybox:1"),
            ("ghcr.io/hullkit/busybox:1", "ghcr.io/hullkit/busybox:1"),
        ] {
            assert_eq!(canonical(name), want);
        }
    }

    #[test]
    fn a_folder_outside_git_is_the_latest() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(expand("v1-{{ .Hash }}", folder.path(), &[]).unwrap(), "v1-latest");
        assert_eq!(expand("{{.Date}}", folder.path(), &[]).unwrap(), "{{.Date}}");
    }

    /// Run git in a folder, as somebody.
    fn run(folder: &Path, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
        let output = Command::new("git").arg("-C").arg(folder).args(who).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn sha1(text: &str) -> String {
        Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_hash_is_that_of_the_tree_of_all_sources_and_of_what_is_not_committed() {
        let root = tempfile::tempdir().unwrap();
        let (package, shared) = (root.path().join("pkg/a"), root.path().join("shared"));
        for (folder, name) in [(&package, "build.yml"), (&shared, "x")] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(name), "image: a\n").unwrap();
        }
        fs::write(root.path().join(".gitignore"), "*.o\n").unwrap();
        run(root.path(), &["init", "-q"]);
        assert_eq!(hash(&package, &[]).unwrap(), LATEST, "nothing is committed");
        run(root.path(), &["add", "."]);
        run(root.path(), &["commit", "-q", "-m", "a"]);
        let tree = |path: &str| run(root.path(), &["rev-parse", &format!("HEAD:{path}")]);
        assert_eq!(hash(&package, &[]).unwrap(), tree("pkg/a"));
        assert_eq!(hash(root.path(), &[]).unwrap(), tree(""), "the top of the work tree");
        let both = sha1(&format!("{}{}", tree("pkg/a"), tree("shared")));
        let sources = ["../../shared:/src".to_owned()];
        assert_eq!(hash(&package, &sources).unwrap(), both);
        // What git ignores, and what lies beside the package, changes nothing.
        fs::write(package.join("b.o"), "").unwrap();
        fs::write(shared.join("y"), "").unwrap();
        assert_eq!(hash(&package, &sources).unwrap(), both);
        // Tracked files in the order of git, then the others; links and folders count for nothing.
        fs::write(package.join("build.yml"), "image: b\n").unwrap();
        fs::write(package.join("a-new"), "new").unwrap();
        std::os::unix::fs::symlink("a-new", package.join("link")).unwrap();
        let dirty: String = Sha256::digest("image: b\nnew").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash(&package, &sources).unwrap(), format!("{both}-dirty-{}", &dirty[..7]));
        for wrong in ["shared", "a:b:c", "../../nowhere:/x"] {
            assert!(hash(&package, &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
