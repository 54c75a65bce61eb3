//! Boots what the assembler makes and looks at what happens.
//!
//! Every folder of `cases/` is one test: `case.yml` says what must happen, `host.yml` is the manifest it happens to.
//! A case is either a boot, watched over its serial port and its published ports, or a command that must end in a
//! certain way, as a refused manifest does. A case runs once for each of its architectures, always under `-accel tcg`:
//! what is tested must not depend on the machine that tests.

pub mod boot;
pub mod case;
pub mod checker;
pub mod command;
pub mod place;
pub mod probe;

use anyhow::Context;

use case::Case;
use hullkit::platform::Arch;
use place::Place;

/// Run one case on one architecture.
///
/// # Errors
///
/// What did not happen, in words for whoever reads the test's output.
pub fn run(case: &Case, arch: Arch, place: &Place) -> anyhow::Result<()> {
    let work = place.work(case, arch)?;
    let ran = match &case.command {
        Some(command) => command::check(case, command, arch, place, &work),
        None => boot::check(case, arch, place, &work),
    };
    ran.with_context(|| case.about.clone())
}
