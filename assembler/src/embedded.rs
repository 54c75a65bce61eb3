//! PID 1, what fetches its root, what asks for metadata, what takes disks into use, and systemd's boot stub, carried inside this program so that a build needs nothing else.

use crate::platform::Arch;

/// The architectures this program was built with, each with the bytes of its static `hullkit-init`.
const INITS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/inits.rs"));

/// The same, each with the bytes of its static `hullkit-fetch`.
const FETCHERS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/fetchers.rs"));

/// The same, each with the bytes of its static `hullkit-metadata`.
const METADATA: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/metadata.rs"));

/// The same, each with the bytes of its static `hullkit-storage`.
const STORAGE: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/storage.rs"));

/// The same, each with the bytes of its stub.
const STUBS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/stubs.rs"));

/// Whose work the stubs are and under which terms it may be passed on, as Debian's package says; empty if there are none.
///
/// The stub is systemd's, under the GNU Lesser General Public License, version 2.1 or later. It goes into images unchanged but for
/// the headers that name what was added; `boot.stub` in a manifest puts another one in its place.
pub const STUB_NOTICE: &str = include!(concat!(env!("OUT_DIR"), "/notice.rs"));

/// This `hullkit` carries no init for the wanted architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this hullkit was built without an init for {arch}; build it with `make init ARCH={arch}` and then `make`")]
pub struct NoInit {
    /// The architecture that is missing.
    pub arch: Arch,
}

/// This `hullkit` carries nothing for the wanted architecture that fetches a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this hullkit was built without a hullkit-fetch for {arch}; build it with `make init` and then `make`, or say `--root ram`"
)]
pub struct NoFetcher {
    /// The architecture that is missing.
    pub arch: Arch,
}

/// This `hullkit` carries nothing for the wanted architecture that asks for metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this hullkit was built without a hullkit-metadata for {arch}; build it with `make init` and then `make`, or leave out `metadata`"
)]
pub struct NoMetadata {
    /// The architecture that is missing.
    pub arch: Arch,
}

/// This `hullkit` carries nothing for the wanted architecture that takes disks into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this hullkit was built without a hullkit-storage for {arch}; build it with `make init` and then `make`, or leave out `storage`"
)]
pub struct NoStorage {
    /// The architecture that is missing.
    pub arch: Arch,
}

/// This `hullkit` carries no boot stub for the wanted architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this hullkit was built without a boot stub for {arch}; build it with `make stubs` and then `make`, or name one in `boot.stub`"
)]
pub struct NoStub {
    /// The architecture that is missing.
    pub arch: Arch,
}

/// Give the program that runs as PID 1 on `arch`: a static ELF executable, the same bytes for one release of Hullkit.
///
/// # Errors
///
/// - [`NoInit`]: it was not there when this program was compiled.
pub fn init(arch: Arch) -> Result<&'static [u8], NoInit> {
    find(INITS, arch).ok_or(NoInit { arch })
}

/// Give the program that fetches a root from a web server on `arch`: a static ELF executable.
///
/// # Errors
///
/// - [`NoFetcher`]: it was not there when this program was compiled.
pub fn fetch(arch: Arch) -> Result<&'static [u8], NoFetcher> {
    find(FETCHERS, arch).ok_or(NoFetcher { arch })
}

/// Give the program that asks for metadata on `arch`: a static ELF executable.
///
/// # Errors
///
/// - [`NoMetadata`]: it was not there when this program was compiled.
pub fn metadata(arch: Arch) -> Result<&'static [u8], NoMetadata> {
    find(METADATA, arch).ok_or(NoMetadata { arch })
}

/// Give the program that takes disks into use on `arch`: a static ELF executable.
///
/// # Errors
///
/// - [`NoStorage`]: it was not there when this program was compiled.
pub fn storage(arch: Arch) -> Result<&'static [u8], NoStorage> {
    find(STORAGE, arch).ok_or(NoStorage { arch })
}

/// Give the program that UEFI starts on `arch` and that starts the kernel it is joined with: systemd-stub.
///
/// # Errors
///
/// - [`NoStub`]: it was not there when this program was compiled.
pub fn stub(arch: Arch) -> Result<&'static [u8], NoStub> {
    find(STUBS, arch).ok_or(NoStub { arch })
}

fn find(table: &[(&str, &'static [u8])], arch: Arch) -> Option<&'static [u8]> {
    table.iter().find(|(name, _)| *name == arch.name()).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{pe, sparse::Sparse};

    #[test]
    fn each_stub_is_a_program_for_its_machine_and_has_its_notice() {
        for (arch, machine) in [(Arch::Amd64, pe::Machine::X64), (Arch::Arm64, pe::Machine::Arm64)] {
            match stub(arch) {
                Ok(bytes) => {
                    let image = pe::read(&Sparse::of_bytes(bytes)).unwrap();
                    assert_eq!(image.coff.machine.get(), machine.number());
                    assert!(STUB_NOTICE.contains("LGPL-2.1"), "{STUB_NOTICE}");
                }
                Err(error) if std::env::var_os("CI").is_some() => panic!("{error}"),
                Err(error) => eprintln!("skipped: {error}"),
            }
        }
    }
}
