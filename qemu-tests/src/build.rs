//! What is built of a case: once for each architecture, in every format that one of its boots needs.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::anyhow;

use crate::case::Case;
use crate::place::{self, Place};
use hullkit::platform::Arch;
use hullkit::verify::Cell;

/// A build that several boots share; the first that needs it does it, and the others wait.
#[derive(Debug)]
pub struct Build {
    arch: Arch,
    formats: Vec<String>,
    done: OnceLock<Result<PathBuf, String>>,
}

impl Build {
    /// Plan the build of a case for one of the architectures of its boots.
    #[must_use]
    pub fn new(boots: &[Cell], arch: Arch) -> Self {
        let mut formats: Vec<String> = Vec::new();
        for cell in boots.iter().filter(|cell| cell.arch == arch) {
            let format = cell.format.name();
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        Self { arch, formats, done: OnceLock::new() }
    }

    /// Give the first part of the files' names, which are built if they are not there.
    ///
    /// # Errors
    ///
    /// The build failed, for this boot or for one before it.
    pub fn name(&self, case: &Case, place: &Place) -> anyhow::Result<&Path> {
        let build = || self.build(case, place).map_err(|error| format!("{error:#}"));
        match self.done.get_or_init(build) {
            Ok(name) => Ok(name),
            Err(error) => Err(anyhow!("{error}")),
        }
    }

    fn build(&self, case: &Case, place: &Place) -> anyhow::Result<PathBuf> {
        let out = place.folder(&case.name()).join(self.arch.name());
        place::empty(&out)?;
        let more = if case.replace_init { &["--replace-init"][..] } else { &[] };
        place.build(&case.folder.join("host.yml"), &self.formats.join(","), self.arch, &out, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_built_once_in_all_its_formats() {
        let words = ["amd64 bios raw usb", "amd64 uefi iso cdrom", "arm64 uefi raw usb", "amd64 uefi raw usb"];
        let boots = words.map(|words| words.parse::<Cell>().expect(words));
        assert_eq!(Build::new(&boots, Arch::Amd64).formats, ["raw", "iso"]);
        assert_eq!(Build::new(&boots, Arch::Arm64).formats, ["raw"]);
        assert_eq!(Build::new(&[Cell::kernel(Arch::Arm64)], Arch::Arm64).formats, ["kernel+initrd"]);
    }
}
