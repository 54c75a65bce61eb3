//! Boots what the assembler makes and looks at what happens.
//!
//! Every folder of `cases/` is one test: `case.yml` says what must happen, `host.yml` is the manifest it happens to.
//! A case is either a boot, watched over its serial port and its published ports, or a command that must end in a
//! certain way, as a refused manifest does. A case runs once for each of its architectures, or for each of its boots (see [`Cell`]),
//! always under `-accel tcg`:
//! what is tested must not depend on the machine that tests.

pub mod boot;
pub mod build;
pub mod case;
pub mod checker;
pub mod command;
pub mod ctl;
pub mod disk;
pub mod pages;
pub mod place;
pub mod time;
pub mod volume;
pub mod web;

use anyhow::Context;

use build::Build;
use case::Case;
use hullkit::verify::Cell;
use place::Place;

/// Run one case on one architecture, or one of its boots.
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
