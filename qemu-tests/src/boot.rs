//! A case that is a boot: the host's test, with what only a bench has.

use std::env;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::build::Build;
use crate::case::Case;
use crate::disk::Made;
use crate::pages;
use crate::place::{self, Place};
use crate::time;
use hullkit::verify::report::failure;
use hullkit::verify::{Cell, Hardware, Last, Outcome, Subject, Trial, subject, verify};
use hullkit::vm::{Accelerator, Boot, GuestArch, Launcher, Machine, Screen, Tools, Vm, find_qemu};
use hullkit::write::format::Format;

/// Boot what is built of the case's manifest, and decide whether it is what its test says.
///
/// The console is kept in `console.log`, in a folder named after the test.
///
/// # Errors
///
/// What did not happen, with the end of the console.
pub fn check(case: &Case, cell: &Cell, build: &Build, place: &Place) -> anyhow::Result<()> {
    let name = build.name(case, place)?;
    case.time_server.map_or(Ok(()), time::serve)?;
    let folder = place.folder(&format!("{}-{cell}", case.name()));
    place::empty(&folder)?;
    let subject =
        fitted(case, subject(cell, name, &case.test, None, &Hardware::of(&case.test, None)?)?, cell, &folder)?;
    let disks = case.disks.iter().map(|disk| disk.make(&case.test, &folder));
    let disks = disks.collect::<anyhow::Result<Vec<Made<'_>>>>()?;
    let trial = Trial {
        cell: cell.to_string(),
        round: 1,
        subjects: &[subject],
        test: &case.test,
        tools: &tools(cell.arch)?,
        hullkit: &place.hullkit,
        folder: &folder,
        // That hosts power off in order is what some cases are about; the others need not wait for it.
        last: Last::Kill,
    };
    let verdict = verify(&trial, None)?;
    match &case.fails {
        Some(text) => {
            ensure!(verdict.result == Outcome::Failed, "it did not fail");
            ensure!(verdict.why().contains(text), "it failed otherwise than by `{text}`:\n{}", failure(&verdict));
        }
        None if verdict.result != Outcome::Passed => bail!("{}", failure(&verdict)),
        None => {}
    }
    disks.into_iter().try_for_each(Made::check)
}

/// Put into a machine what the case brings along, and leave out what no step asks for: both cost time in every boot.
fn fitted(case: &Case, mut subject: Subject, cell: &Cell, folder: &Path) -> anyhow::Result<Subject> {
    let machine = &mut subject.machine;
    machine.screen = Screen::None;
    // A card costs firmware time, so a disk has one only if it is asked something over it.
    let idle = machine.network.as_ref().is_some_and(Vec::is_empty);
    if idle && (machine.boot == Boot::Drives || cell.format == Format::Uki) {
        machine.network = None;
    }
    for volume in &case.volumes {
        machine.extra.extend(volume.attach(&case.folder, folder)?);
    }
    if let Some(pages) = &case.pages {
        machine.network = None;
        machine.extra.extend(pages::network(&case.folder.join(pages))?);
    }
    if let Some(manners) = case.web {
        manners.teach(subject.web.as_ref().context("`web` is for hosts that boot over the network")?);
    }
    Ok(subject)
}

/// Find what emulates machines of an architecture.
fn tools(arch: impl Into<GuestArch>) -> anyhow::Result<Tools> {
    let qemu = find_qemu(arch, &env::var_os("PATH").unwrap_or_default())?;
    Ok(Tools { qemu, launcher: Launcher::this_program(), accelerator: Accelerator::Tcg })
}

/// Start a machine under emulation, its console kept in a file.
///
/// # Errors
///
/// There is no QEMU, or it does not start.
pub fn start(machine: &Machine, log: &Path) -> anyhow::Result<Vm> {
    let tools = tools(machine.arch)?;
    let log = File::create(log).with_context(|| format!("could not create `{}`", log.display()))?;
    Ok(Vm::start(machine, &tools, vec![Box::new(log)])?)
}
