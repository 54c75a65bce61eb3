//! From what the user names to hosts that can be booted: manifests are built, in every format that a cell needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::TestArgs;
use super::file::What;
use crate::cli::Global;
use crate::cli::build::{self, BuildArgs, Input};
use crate::manifest;
use crate::platform::Arch;
use crate::verify::Cell;
use crate::write::format::{Format, Medium};

/// The first parts of files' names, by host and architecture.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<(Option<String>, Arch), PathBuf>);

impl Names {
    /// Give the first part of the names of one host's files.
    pub(super) fn get(&self, host: Option<&str>, arch: Arch) -> Option<&Path> {
        self.0.get(&(host.map(str::to_owned), arch)).map(PathBuf::as_path)
    }
}

/// Choose what is booted if nobody says: the file that is named, else a kernel that QEMU hands over, else a disk for a host that keeps
/// volumes.
pub(super) fn usual(what: &What, arch: Arch) -> Option<Cell> {
    let What::One(paths) = what else { return Some(Cell::kernel(arch)) };
    if let [path] = paths.as_slice()
        && let Some(cell) = Cell::of_file(path, arch)
    {
        return Some(cell);
    }
    // What is wrong with a manifest the build says.
    let keeps =
        manifest::read(paths, None).is_ok_and(|manifest| manifest.volumes.iter().any(|one| one.kept().is_some()));
    if keeps { Cell::usual(Format::Raw, arch) } else { Some(Cell::kernel(arch)) }
}

/// One host to build.
struct Source {
    host: Option<String>,
    manifests: Vec<PathBuf>,
}

/// Build all that cells need, into a folder. What is no manifest is there already.
///
/// # Errors
///
/// Any stage's of the build, or there is nothing of that name.
pub(super) fn build(
    args: &TestArgs,
    global: &Global,
    what: &What,
    hosts: &[linuxkit_yaml::test::Host],
    cells: &[Cell],
    folder: &Path,
) -> anyhow::Result<Names> {
    let sources = match what {
        What::One(paths) => {
            if let Some(names) = built_before(paths, cells)? {
                return Ok(names);
            }
            vec![Source { host: None, manifests: paths.clone() }]
        }
        What::Several(base) => {
            let source = |host: &linuxkit_yaml::test::Host| Source {
                host: Some(host.name.value.clone()),
                manifests: vec![base.join(&host.manifest.value)],
            };
            hosts.iter().map(source).collect()
        }
    };
    let mut names = Names::default();
    for source in sources {
        for arch in Arch::ALL {
            let mut formats: Vec<Format> = Vec::new();
            for cell in cells.iter().filter(|cell| cell.arch == arch) {
                if !formats.contains(&cell.format) {
                    formats.push(cell.format);
                }
            }
            if formats.is_empty() {
                continue;
            }
            let into = folder.join(source.host.as_deref().unwrap_or("host")).join(arch.name());
            let name = one(args, global, &source.manifests, &formats, arch, &into)?;
            names.0.insert((source.host.clone(), arch), name);
        }
    }
    Ok(names)
}

fn one(
    args: &TestArgs,
    global: &Global,
    manifests: &[PathBuf],
    formats: &[Format],
    arch: Arch,
    into: &Path,
) -> anyhow::Result<PathBuf> {
    let input = Input { manifests: manifests.to_vec(), ssh_key: args.ssh_key.clone(), naming: args.naming.clone() };
    let build = BuildArgs::to_boot(input, formats.to_vec(), arch, into.to_owned());
    build::build(&build, global)?;
    Ok(into.join(build.base_name()))
}

/// Find files that were built before: an image, or what a NAME stands for.
fn built_before(paths: &[PathBuf], cells: &[Cell]) -> anyhow::Result<Option<Names>> {
    let [path] = paths else { return Ok(None) };
    let mut names = Names::default();
    for cell in cells {
        let (name, file) = match cell.format.ending() {
            Some(ending) => {
                let Some(name) = path.to_str().and_then(|text| text.strip_suffix(ending)) else { continue };
                (PathBuf::from(name), path.clone())
            }
            // Several files: what is named is the first part of their names.
            None if path.exists() => continue,
            None => {
                let mut file = path.as_os_str().to_owned();
                file.push(if cell.format.medium() == Medium::Netboot { ".ipxe" } else { "-kernel" });
                (path.clone(), file.into())
            }
        };
        if file.is_file() {
            names.0.insert((None, cell.arch), name);
        }
    }
    if !names.0.is_empty() {
        return Ok(Some(names));
    }
    if path.as_os_str() == "-" || path.to_string_lossy().contains("://") {
        return Ok(None);
    }
    let meta = fs::metadata(path).with_context(|| format!("could not read `{}`", path.display()))?;
    if !meta.is_file() {
        bail!("`{}` is no file", path.display());
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_not_what_was_built_before() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["host.yml", "host.raw", "host.ipxe", "host-kernel"] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        let table = [
            ("host.yml", "kernel+initrd", false),
            ("host.yml", "netboot", false),
            ("host.yml", "raw", false),
            ("host", "kernel+initrd", true),
            ("host", "netboot", true),
            ("host.raw", "raw", true),
        ];
        for (name, format, want) in table {
            let cell: Cell = format!("amd64 {format}").parse().expect(format);
            let names = built_before(&[folder.path().join(name)], &[cell]).expect(name);
            let found = names.and_then(|names| names.get(None, Arch::Amd64).map(Path::to_owned));
            assert_eq!(found, want.then(|| folder.path().join("host")), "{name} as {format}");
        }
        let cell: Cell = "amd64 netboot".parse().expect("a cell");
        built_before(&[folder.path().join("other")], &[cell]).expect_err("there is nothing of that name");
    }
}
