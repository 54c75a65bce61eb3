//! What a recipe says: LinuxKit's `build.yml`, and Hullkit's `rootfs` beside it.
//!
//! Source: LinuxKit, `docs/packages.md` and `src/cmd/linuxkit/pkglib`, read for behaviour.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use linuxkit_yaml::ContainerConfig;
use serde::Deserialize;

use super::error::{PackageError, io_error};
use crate::platform::Arch;

/// Name of a recipe's file in its folder.
pub const FILE: &str = "build.yml";

/// Longest file that a recipe may take from its own folder, in bytes.
const SOURCE_MAX: u64 = 256 << 20;

/// A `build.yml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// Name of the image, without registry, organisation and tag.
    pub image: String,
    /// Organisation in front of the name.
    #[serde(default = "linuxkit")]
    pub org: String,
    /// Template of the tag; `{{.Hash}}` is the git tree hash of the folder.
    #[serde(default = "hash")]
    pub tag: String,
    /// File for `docker buildx`, where there is no `rootfs`.
    #[serde(default = "dockerfile")]
    pub dockerfile: String,
    /// Architectures to build for.
    #[serde(default = "arches")]
    pub arches: Vec<String>,
    /// More folders for a `Dockerfile`: `SOURCE:DESTINATION`.
    #[serde(default)]
    pub extra_sources: Vec<String>,
    /// Where the sources live; a label.
    pub gitrepo: Option<String>,
    /// A `Dockerfile` may use the network.
    #[serde(default)]
    pub network: bool,
    /// A `Dockerfile` is built without a cache.
    #[serde(default)]
    pub disable_cache: bool,
    /// Arguments for a `Dockerfile`: `NAME=VALUE`.
    #[serde(default, rename = "buildArgs")]
    pub build_args: Vec<String>,
    /// What the label `org.mobyproject.config` says: how the container runs unless the manifest says otherwise.
    pub config: Option<ContainerConfig>,
    /// What a `Dockerfile` needs beside it.
    pub depends: Option<Depends>,
    /// Hullkit's own: the root file system, made without Docker.
    pub rootfs: Option<Rootfs>,
}

fn linuxkit() -> String {
    "linuxkit".to_owned()
}

fn hash() -> String {
    "{{.Hash}}".to_owned()
}

fn dockerfile() -> String {
    "Dockerfile".to_owned()
}

fn arches() -> Vec<String> {
    ["amd64", "arm64", "riscv64"].map(str::to_owned).to_vec()
}

/// Images that LinuxKit saves into the folder before a `Dockerfile` is built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Depends {
    /// Their names, and where they go.
    pub docker_images: DockerImages,
}

/// See [`Depends`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DockerImages {
    /// File for all of them.
    pub target: Option<String>,
    /// Folder for one file each.
    pub target_dir: Option<String>,
    /// Their names.
    #[serde(default)]
    pub list: Vec<String>,
    /// File with their names.
    pub from_file: Option<String>,
}

/// A root file system out of distribution packages and files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rootfs {
    /// Debian packages; `${arch}` stands for Debian's name of the architecture.
    #[serde(default)]
    pub apt: Vec<String>,
    /// Packages to do without: neither they come along nor what only they depend on.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Patterns of paths that are left out of the packages; copyright files always stay.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Files written over the packages' own, in order.
    #[serde(default)]
    pub files: Vec<File>,
    /// Lay a kernel package out as LinuxKit's kernel images are.
    #[serde(default)]
    pub kernel: bool,
    /// What a container of the image runs.
    #[serde(default)]
    pub image: ImageConfig,
}

/// One entry of `files`: exactly one of `contents`, `source`, `symlink` and `directory`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Path inside the image; a leading `/` means nothing.
    pub path: String,
    /// Bytes of a regular file.
    pub contents: Option<String>,
    /// A regular file of the recipe's folder, relative to it.
    pub source: Option<PathBuf>,
    /// Target of a symbolic link.
    pub symlink: Option<String>,
    /// Make a directory.
    #[serde(default)]
    pub directory: bool,
    /// Permissions in octal, `0644` (directories `0755`) by default: an image is read by whoever its service runs as.
    pub mode: Option<String>,
    /// Owner.
    #[serde(default)]
    pub uid: u32,
    /// Group.
    #[serde(default)]
    pub gid: u32,
}

/// The part of an OCI image configuration that a recipe sets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Program and its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments behind the entry point.
    pub cmd: Option<Vec<String>>,
    /// Environment: `NAME=VALUE`.
    pub env: Option<Vec<String>>,
    /// Working directory.
    pub workdir: Option<String>,
    /// `user` or `user:group`, names or numbers.
    pub user: Option<String>,
    /// Signal that ends the program.
    pub stop_signal: Option<String>,
}

/// What an entry of `files` becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file with these bytes.
    Bytes(Vec<u8>),
    /// A symbolic link.
    Symlink(String),
    /// A directory.
    Directory,
}

/// A recipe with its folder: legal, and everything of its folder that it names is inside that folder.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The folder.
    pub folder: PathBuf,
    /// The text of the recipe, by which caches know it.
    pub text: Vec<u8>,
    /// What it says.
    pub recipe: Recipe,
    /// What the entries of `rootfs.files` become, in their order.
    pub contents: Vec<(Content, u32)>,
}

/// Read the recipe of a folder.
///
/// In: `folder`, which holds [`FILE`]. Out: the recipe and the files of the folder that it takes.
///
/// # Errors
///
/// - [`PackageError::Io`], [`PackageError::Recipe`], [`PackageError::Unusable`].
pub fn load(folder: &Path) -> Result<Loaded, PackageError> {
    let path = folder.join(FILE);
    let text = read_bounded(&path, linuxkit_yaml::MAX_BYTES as u64)?;
    let recipe: Recipe = linuxkit_yaml::from_yaml(&text, &path.display().to_string())?;
    let refuse = |reason: String| PackageError::Unusable { path: path.clone(), reason };
    let mut contents = Vec::new();
    for file in recipe.rootfs.iter().flat_map(|rootfs| &rootfs.files) {
        let content = content(folder, file)?.ok_or_else(|| {
            refuse(format!("file `{}` needs exactly one of contents, source, symlink and directory", file.path))
        })?;
        let default = if content == Content::Directory { "0755" } else { "0644" };
        let mode = file.mode.as_deref().unwrap_or(default).trim_start_matches("0o");
        let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
        let mode = mode.ok_or_else(|| refuse(format!("file `{}` has no octal mode", file.path)))?;
        contents.push((content, mode));
    }
    for package in recipe.rootfs.iter().flat_map(|rootfs| rootfs.apt.iter().chain(&rootfs.exclude)) {
        if !is_package(&package.replace("${arch}", "amd64")) {
            return Err(refuse(format!("`{package}` is not the name of a Debian package")));
        }
    }
    Ok(Loaded { folder: folder.to_owned(), text, recipe, contents })
}

/// Tell what an entry becomes; nothing if it says two things or none.
fn content(folder: &Path, file: &File) -> Result<Option<Content>, PackageError> {
    Ok(match (&file.contents, &file.source, &file.symlink, file.directory) {
        (Some(text), None, None, false) => Some(Content::Bytes(text.clone().into_bytes())),
        (None, Some(source), None, false) => Some(Content::Bytes(source_bytes(folder, source)?)),
        (None, None, Some(target), false) => Some(Content::Symlink(target.clone())),
        (None, None, None, true) => Some(Content::Directory),
        _ => None,
    })
}

/// Read a file of the recipe's folder, refusing every way out of it.
fn source_bytes(folder: &Path, source: &Path) -> Result<Vec<u8>, PackageError> {
    let path = folder.join(source);
    let refuse = |reason: &str| PackageError::Unusable { path: path.clone(), reason: reason.to_owned() };
    if !source.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refuse("a source is relative to the recipe's folder and stays in it"));
    }
    let inside = |path: &Path| fs::canonicalize(path).map_err(io_error("read", path));
    if !inside(&path)?.starts_with(inside(folder)?) {
        return Err(refuse("a link leads out of the recipe's folder"));
    }
    read_bounded(&path, SOURCE_MAX)
}

/// Read a file of at most `max` bytes.
fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, PackageError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(io_error("open", path))?;
    file.take(max + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > max {
        return Err(PackageError::Unusable { path: path.to_owned(), reason: format!("it is longer than {max} bytes") });
    }
    Ok(bytes)
}

/// Tell whether `name`, with or without `=version`, is a package's name and nothing that apt takes for an order.
///
/// A name that ends in `-` would remove a package, one that begins with `-` would be an option.
fn is_package(name: &str) -> bool {
    let (name, version) = name.split_once('=').unwrap_or((name, "1"));
    let legal = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.ends_with('-')
        && legal(name, "+-.")
        && !version.is_empty()
        && legal(version, "+-.:~")
}

impl Recipe {
    /// Give the packages of one architecture, sorted.
    #[must_use]
    pub fn packages(&self, arch: Arch) -> Vec<String> {
        let named = self.rootfs.iter().flat_map(|rootfs| &rootfs.apt).map(|name| name.replace("${arch}", arch.name()));
        let sorted: BTreeMap<String, ()> = named.map(|name| (name, ())).collect();
        sorted.into_keys().collect()
    }

    /// Give the architectures this recipe and this program have in common, sorted.
    #[must_use]
    pub fn known_arches(&self) -> Vec<Arch> {
        Arch::ALL.into_iter().filter(|arch| self.arches.iter().any(|name| name == arch.name())).collect()
    }
}
