//! Boots what the assembler makes and looks at what happens.
//!
//! Every folder of `cases/` is one test. Most are boots: `host.test.yml` says what must happen to `host.yml`, and [`hullkit::verify`]
//! decides, as it does for `hullkit test`; `case.yml` adds what it is about, and what only a bench has. The others are commands that must
//! end in a certain way, as a refused manifest does. A boot runs once for each cell of its matrix (see [`Cell`]), always under
//! `-accel tcg`: what is tested must not depend on the machine that tests.

pub mod boot;
pub mod build;
pub mod case;
pub mod checker;
pub mod command;
pub mod disk;
pub mod manners;
pub mod pages;
pub mod place;
pub mod time;
pub mod volume;

use anyhow::Context;

use build::Build;
use case::Case;
use hullkit::verify::Cell;
use place::Place;

/// Run one case, or one of its boots.
///
/// # Errors
///
/// What did not happen, in words for whoever reads the test's output.
pub fn run(case: &Case, cell: &Cell, build: &Build, place: &Place) -> anyhow::Result<()> {
    let ran = match &case.command {
        Some(command) => command::check(case, command, cell.arch, place),
        None => boot::check(case, cell, build, place),
    };
    ran.with_context(|| case.about.clone())
}
