//! Recipes with a `Dockerfile` and without `rootfs`: handed to a builder of Dockerfiles, if this machine has one.
//!
//! Source: Docker, `docker buildx build` reference; BuildKit, `docs/reference/buildctl.md`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use linuxkit_yaml::Reference;
use oci_spec::image::MediaType;

use super::Built;
use super::error::{PackageError, io_error};
use super::image;
use super::recipe::{FILE, Loaded};
use crate::platform::Arch;
use crate::pull::{Policy, Registries, RegistryOptions, Source};
use crate::store::Store;

/// Build one architecture from the recipe's `Dockerfile`, and bring the result into the store.
///
/// # Errors
///
/// - [`PackageError::Unusable`]: there is no such file, no builder, or the recipe asks for what builders do not do.
/// - [`PackageError::Failed`]: the builder says no.
/// - [`PackageError::Pull`], [`PackageError::Io`].
pub fn build(store: &Store, recipe: &Loaded, arch: Arch) -> Result<Built, PackageError> {
    let refuse = |reason: String| PackageError::Unusable { path: recipe.folder.join(FILE), reason };
    let dockerfile = recipe.folder.join(&recipe.recipe.dockerfile);
    if !dockerfile.is_file() {
        return Err(refuse(format!("it has neither `rootfs` nor a file `{}`", recipe.recipe.dockerfile)));
    }
    if recipe.recipe.depends.is_some() || !recipe.recipe.extra_sources.is_empty() {
        return Err(refuse("`depends` and `extra-sources` are not built yet".to_owned()));
    }
    let folder = store.folder("dockerfile");
    fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    let archive = folder.join(format!("{}-{arch}.tar", std::process::id()));
    let (mut command, name) = if answers("docker", &["buildx", "version"]) {
        (buildx(recipe, arch, &dockerfile, &archive), "docker buildx build")
    } else if answers("buildctl", &["debug", "workers"]) {
        (buildctl(recipe, arch, &archive), "buildctl build")
    } else {
        return Err(refuse(
            "a `Dockerfile` needs `docker buildx` or `buildctl` with a running BuildKit, and neither answers here; \
             a recipe with `rootfs` needs neither"
                .to_owned(),
        ));
    };
    let output = command.output().map_err(io_error("start", Path::new(name)))?;
    let built = if output.status.success() {
        import(store, arch, &archive)
    } else {
        Err(PackageError::Failed { command: name.to_owned(), said: last_lines(&output.stderr) })
    };
    match fs::remove_file(&archive) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &archive)(cause)),
        _ => built,
    }
}

/// Tell whether a program is here and works.
fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn buildx(recipe: &Loaded, arch: Arch, dockerfile: &Path, archive: &Path) -> Command {
    let mut command = Command::new("docker");
    // Attestations would make an index of what is one image, and differ from build to build.
    command.args(["buildx", "build", "--provenance=false", "--sbom=false", "--platform", &format!("linux/{arch}")]);
    command.args(["--network", if recipe.recipe.network { "default" } else { "none" }]);
    if recipe.recipe.disable_cache {
        command.arg("--no-cache");
    }
    for argument in &recipe.recipe.build_args {
        command.args(["--build-arg", argument]);
    }
    for (name, value) in image::labels(&recipe.recipe) {
        command.arg("--label").arg(format!("{name}={value}"));
    }
    command.arg("--output").arg(joined("type=oci,dest=", archive));
    command.arg("--file").arg(dockerfile).arg(&recipe.folder);
    command
}

fn buildctl(recipe: &Loaded, arch: Arch, archive: &Path) -> Command {
    let mut command = Command::new("buildctl");
    command.args(["build", "--frontend", "dockerfile.v0", "--opt", &format!("platform=linux/{arch}")]);
    for name in ["context=", "dockerfile="] {
        command.arg("--local").arg(joined(name, &recipe.folder));
    }
    let mut option = |text: String| {
        command.args(["--opt", &text]);
    };
    option(format!("filename={}", recipe.recipe.dockerfile));
    if !recipe.recipe.network {
        option("force-network-mode=none".to_owned());
    }
    for argument in &recipe.recipe.build_args {
        option(format!("build-arg:{argument}"));
    }
    for (name, value) in image::labels(&recipe.recipe) {
        option(format!("label:{name}={value}"));
    }
    if recipe.recipe.disable_cache {
        command.arg("--no-cache");
    }
    command.arg("--output").arg(joined("type=oci,dest=", archive));
    command
}

fn joined(word: &str, path: &Path) -> OsString {
    let mut text = OsString::from(word);
    text.push(path);
    text
}

/// Bring an archive with one image into the store.
fn import(store: &Store, arch: Arch, archive: &Path) -> Result<Built, PackageError> {
    let registries = Registries::new(RegistryOptions::default());
    let reference = Reference::OciArchive { file: archive.display().to_string(), tag: None };
    let found = Source::new(store, &registries).with_policy(Policy::Never).resolve(&reference, arch)?;
    // The archive goes; its name must not stay behind.
    store.untag(&reference.to_string())?;
    let len = store.read_document(&found.digest)?.len();
    Ok(Built {
        manifest: image::descriptor(MediaType::ImageManifest, &found.digest, len, Some(arch))?,
        config: found.config_digest,
        layers: found.layers.iter().map(|layer| layer.digest).collect(),
        size: found.layers.iter().map(|layer| layer.size).sum(),
        unpacked: None,
        packages: Vec::new(),
        cached: false,
    })
}

/// Give the end of what a builder said, on one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}
