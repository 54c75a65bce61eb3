//! PID 1, the programs it starts, and systemd's boot stub, carried inside this program so that a build needs nothing else.

use std::fmt;

use crate::platform::Arch;

/// What this program was built with: name, architecture, bytes.
const CARRIED: &[(&str, &str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// Whose work the stubs are and under which terms it may be passed on, as Debian's package says; empty if there are none.
///
/// The stub is systemd's, under the GNU Lesser General Public License, version 2.1 or later. It goes into images unchanged but for
/// the headers that name what was added; `boot.stub` in a manifest puts another one in its place.
pub const STUB_NOTICE: &str = include!(concat!(env!("OUT_DIR"), "/notice.rs"));

/// What goes into images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// PID 1.
    Init,
    /// Fetches a root from a web server.
    Fetch,
    /// Asks for metadata.
    Metadata,
    /// Takes disks into use.
    Storage,
    /// UEFI starts it, and it starts the kernel it is joined with: systemd-stub.
    Stub,
}

impl Program {
    /// Its name in the table and in a build's `manifest.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Fetch => "fetch",
            Self::Metadata => "metadata",
            Self::Storage => "storage",
            Self::Stub => "stub",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Init => "an init",
            Self::Fetch => "a hullkit-fetch",
            Self::Metadata => "a hullkit-metadata",
            Self::Storage => "a hullkit-storage",
            Self::Stub => "a boot stub",
        })
    }
}

/// This `hullkit` does not carry a program for the wanted architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this hullkit was built without {program} for {arch}; build it with {}", remedy(*.program))]
pub struct NotCarried {
    /// What is missing.
    pub program: Program,
    /// For what.
    pub arch: Arch,
}

fn remedy(program: Program) -> &'static str {
    match program {
        Program::Init => "`make init` and then `make`",
        Program::Fetch => "`make init` and then `make`, or say `--root ram`",
        Program::Metadata => "`make init` and then `make`, or leave out `metadata`",
        Program::Storage => "`make init` and then `make`, or leave out `storage`",
        Program::Stub => "`make stubs` and then `make`, or name one in `boot.stub`",
    }
}

/// Give a program: a static ELF executable, or a PE one if it is the stub; the same bytes for one release of Hullkit.
///
/// # Errors
///
/// - [`NotCarried`]: it was not there when this program was compiled.
pub fn program(program: Program, arch: Arch) -> Result<&'static [u8], NotCarried> {
    let mut carried = CARRIED.iter().filter(|(name, of, _)| *name == program.name() && *of == arch.name());
    carried.next().map(|(_, _, bytes)| *bytes).ok_or(NotCarried { program, arch })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{pe, sparse::Sparse};

    #[test]
    fn each_stub_is_a_program_for_its_machine_and_has_its_notice() {
        for (arch, machine) in [(Arch::Amd64, pe::Machine::X64), (Arch::Arm64, pe::Machine::Arm64)] {
            match program(Program::Stub, arch) {
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
