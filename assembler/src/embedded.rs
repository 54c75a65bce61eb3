//! PID 1, carried inside this program so that a build needs nothing else.

use crate::platform::Arch;

/// The architectures this program was built with, each with the bytes of its static `hullkit-init`.
const INITS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// This `hullkit` carries no init for the wanted architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this hullkit was built without an init for {arch}; build it with `make init ARCH={arch}` and then `make`")]
pub struct NoInit {
    /// The architecture that is missing.
    pub arch: Arch,
}

/// Give the program that runs as PID 1 on `arch`: a static ELF executable, the same bytes for one release of Hullkit.
///
/// # Errors
///
/// - [`NoInit`]: it was not there when this program was compiled.
pub fn init(arch: Arch) -> Result<&'static [u8], NoInit> {
    let found = INITS.iter().find(|(name, _)| *name == arch.name());
    found.map(|(_, bytes)| *bytes).ok_or(NoInit { arch })
}
