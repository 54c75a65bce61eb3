//! A case that is a boot: start, watch, ask, act, and look at the end.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};

use crate::build::Build;
use crate::case::{Action, Case, Ends};
use crate::ctl;
use crate::disk::Made;
use crate::pages;
use crate::place::{self, Place};
use crate::time;
use crate::web::Web;
use hullkit::platform::Arch;
use hullkit::verify::{Booted, Cell, Starter, booted, probe};
use hullkit::vm::{
    Accelerator, Boot, ControlSocket, Drive, Firmware, Launcher, Machine, Outcome, Protocol, Publish, Tools, Tpm, Vm,
    Writes, find_qemu, find_uefi, with_console,
};
use hullkit::write::format::Format;

/// Lines of the console shown when a case fails.
const SHOWN: usize = 60;

/// Boot what is built of the case's manifest, and check all that it says.
///
/// The whole console is kept in `console.log`, and those of further boots beside it, in a folder named after the test.
///
/// # Errors
///
/// What did not happen, with the end of the console.
pub fn check(case: &Case, cell: &Cell, build: &Build, place: &Place) -> anyhow::Result<()> {
    let name = build.name(case, place)?;
    // It has to be there as long as the machine is.
    let web = (cell.format == Format::Netboot).then(|| Web::serve(name, case.web)).transpose()?;
    case.time_server.map_or(Ok(()), time::serve)?;
    let mut machine = machine(case, cell, name, web.as_ref())?;
    // It has to be there as long as the machine is, too.
    let control =
        (!case.ctl.is_empty()).then(|| ControlSocket::claim_any(&format!("{cell}-{}", case.name()))).transpose()?;
    machine.control = control.as_ref().map(|control| control.path().to_owned());
    let work = place.folder(&format!("{}-{cell}", case.name()));
    let scratch = work.join("machine");
    place::empty(&scratch)?;
    let own = |word: &String| word.replace("{work}", &scratch.to_string_lossy()).into();
    machine.extra.extend(case.qemu.iter().map(own));
    for volume in &case.volumes {
        machine.extra.extend(volume.attach(&case.folder, &work)?);
    }
    if let Some(pages) = &case.pages {
        machine.network = None;
        machine.extra.extend(pages::network(&case.folder.join(pages))?);
    }
    let disks = case.disks.iter().map(|disk| disk.make(&work)).collect::<anyhow::Result<Vec<Made<'_>>>>()?;
    machine.extra.extend(disks.iter().flat_map(Made::args));
    if !case.again.is_empty() {
        for drive in &mut machine.drives {
            keep(drive, &work)?;
        }
    }
    let tpm = case.tpm.then(|| work.join("tpm"));
    tpm.iter().try_for_each(|state| place::empty(state))?;
    boot(case, &mut machine, tpm.as_deref(), place, &work.join("console.log"))?;
    for (number, again) in (2..).zip(&case.again) {
        disks.iter().try_for_each(|disk| disk.lengthen(&again.lengthen))?;
        if let Some(mib) = again.mib {
            machine.drives.iter().try_for_each(|drive| lengthen(drive, mib << 20))?;
        }
        let log = work.join(format!("console-{number}.log"));
        boot(&case.again(again), &mut machine, tpm.as_deref(), place, &log)
            .with_context(|| format!("boot {number}"))?;
    }
    disks.into_iter().try_for_each(Made::check)
}

/// Boot once, with a TPM of its own if there is a state for one.
fn boot(case: &Case, machine: &mut Machine, tpm: Option<&Path>, place: &Place, log: &Path) -> anyhow::Result<()> {
    let start = |state| Tpm::start(state, Path::new("swtpm"), &Launcher::this_program());
    let tpm = tpm.map(start).transpose().context("install it with `make deps-test`")?;
    machine.tpm = tpm.as_ref().map(|tpm| tpm.socket().to_owned());
    once(case, machine, place, log)
}

/// Let a drive be a copy of its own, whose writes are kept.
fn keep(drive: &mut Drive, folder: &Path) -> anyhow::Result<()> {
    let copy = folder.join(drive.path.file_name().unwrap_or_default());
    fs::copy(&drive.path, &copy).with_context(|| format!("could not copy `{}`", drive.path.display()))?;
    (drive.path, drive.writes) = (copy, Writes::Kept);
    Ok(())
}

/// Make a drive's file longer.
fn lengthen(drive: &Drive, size: u64) -> anyhow::Result<()> {
    let file = File::options().write(true).open(&drive.path);
    let longer = file.and_then(|file| file.set_len(size));
    longer.with_context(|| format!("could not make `{}` longer", drive.path.display()))
}

/// Boot once, the console kept in `log`.
fn once(case: &Case, machine: &Machine, place: &Place, log: &Path) -> anyhow::Result<()> {
    let vm = start(machine, log)?;
    let name = machine.control.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    let watched = watch(case, &vm, &name, place).and_then(|()| silence(case, log));
    watched.map_err(|error| {
        let tail: String = vm.console().tail(SHOWN).iter().map(|line| format!("\n    {}", line.text)).collect();
        anyhow!("{error:#}\n  the console's last lines, all of it in `{}`:{tail}", log.display())
    })
}

/// Describe the machine that boots a case's files.
fn machine(case: &Case, cell: &Cell, name: &Path, web: Option<&Web>) -> anyhow::Result<Machine> {
    let ports: Vec<u16> = case.http.iter().map(|http| http.port).chain(case.tcp.iter().map(|tcp| tcp.port)).collect();
    let (boot, drives, firmware) = match web {
        Some(web) => (netboot(cell.arch, name, web)?, Vec::new(), firmware(cell)?),
        None => {
            let Booted { boot, drives, firmware, .. } = booted(cell, name, &case.cmdline)?;
            (boot, drives, firmware)
        }
    };
    // A card costs firmware time, so a disk has one only if it is asked something over it.
    let has_card = [Format::KernelInitrd, Format::Netboot].contains(&cell.format) || !ports.is_empty();
    let publish = |guest| Publish { host: 0, guest, protocol: Protocol::Tcp };
    Ok(Machine {
        firmware,
        drives,
        network: has_card.then(|| ports.into_iter().map(publish).collect()),
        ..Machine::new(cell.arch, case.mem.parse()?, boot)
    })
}

fn firmware(cell: &Cell) -> anyhow::Result<Firmware> {
    Ok(match cell.firmware {
        Starter::Bios => Firmware::Board,
        Starter::Uefi => Firmware::Uefi(find_uefi(cell.arch)?),
    })
}

/// Boot what a build's script says: on a PC by the card's own iPXE; on arm64, whose card has none, as iPXE would.
fn netboot(arch: Arch, name: &Path, web: &Web) -> anyhow::Result<Boot> {
    if arch == Arch::Amd64 {
        let folder = name.parent().unwrap_or(Path::new(".")).to_owned();
        return Ok(Boot::Network { folder, file: web.url(".ipxe") });
    }
    let script = fs::read_to_string(file(name, ".ipxe")).context("the build left no script")?;
    let line = script.lines().find_map(|line| line.strip_prefix("kernel ")).context("the script boots no kernel")?;
    let words: Vec<&str> = line.split(' ').skip(2).collect();
    let cmdline = words.join(" ").replace("${base}", &web.base());
    let initrd = Some(file(name, "-netboot.img"));
    Ok(Boot::Kernel { kernel: file(name, "-kernel"), initrd, cmdline: with_console(arch, &cmdline) })
}

/// Name one of a build's files.
fn file(name: &Path, suffix: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Start a machine under emulation, its console kept in a file.
///
/// # Errors
///
/// There is no QEMU, or it does not start.
pub fn start(machine: &Machine, log: &Path) -> anyhow::Result<Vm> {
    let qemu = find_qemu(machine.arch, &env::var_os("PATH").unwrap_or_default())?;
    let tools = Tools { qemu, launcher: Launcher::this_program(), accelerator: Accelerator::Tcg };
    let log = File::create(log).with_context(|| format!("could not create `{}`", log.display()))?;
    Ok(Vm::start(machine, &tools, vec![Box::new(log)])?)
}

fn watch(case: &Case, vm: &Vm, name: &str, place: &Place) -> anyhow::Result<()> {
    let deadline = Instant::now() + case.timeout();
    let mut seen = 0;
    lines(vm, &case.expect, &mut seen, deadline)?;
    for text in &case.shows {
        lines(vm, std::slice::from_ref(text), &mut 0, deadline)?;
    }
    if let Some(page) = &case.http {
        let port = host_port(vm, page.port)?;
        let ask = || probe::http(port, &page.path, 200, Some(&page.contains));
        probe::until(deadline, ask).map_err(|why| anyhow!("the page could not be fetched: {why}"))?;
    }
    if let Some(tcp) = &case.tcp {
        let port = host_port(vm, tcp.port)?;
        let ask = || probe::tcp(port, tcp.send.as_bytes(), Some(&tcp.contains));
        probe::until(deadline, ask).map_err(|why| anyhow!("the service did not answer: {why}"))?;
    }
    ctl::ask(&case.ctl, name, place, deadline)?;
    for typed in &case.types {
        lines(vm, std::slice::from_ref(&typed.after), &mut seen, deadline)?;
        vm.keyboard()?.write_all(typed.text.as_bytes()).context("the console takes no keys")?;
    }
    for step in &case.steps {
        act(&step.action, vm)?;
        lines(vm, &step.then, &mut seen, deadline)?;
    }
    if let Some(action) = &case.action {
        act(action, vm)?;
    }
    lines(vm, &case.then, &mut seen, deadline)?;
    end(case.ends, vm, deadline)
}

fn act(action: &Action, vm: &Vm) -> anyhow::Result<()> {
    match action {
        Action::PowerButton => vm.press_power_button(),
        Action::Plug(device) => vm.plug(device),
        Action::Unplug(id) => vm.unplug(id),
        Action::Nmi => vm.inject_nmi(),
    }
    .map_err(Into::into)
}

fn lines(vm: &Vm, wanted: &[String], seen: &mut u64, deadline: Instant) -> anyhow::Result<()> {
    for text in wanted {
        let found = vm.console().wait_for(seen, |line| line.contains(text), deadline);
        found.with_context(|| format!("the console never showed `{text}`"))?;
    }
    Ok(())
}

fn host_port(vm: &Vm, guest: u16) -> anyhow::Result<u16> {
    let found = vm.ports().iter().find(|port| port.guest == guest && port.host != 0);
    found.map(|port| port.host).with_context(|| format!("port {guest} of the guest is not published"))
}

fn end(ends: Ends, vm: &Vm, deadline: Instant) -> anyhow::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let outcome = match ends {
        Ends::Running => match vm.ended_within(std::time::Duration::ZERO) {
            None => {
                let _ = vm.stop();
                return Ok(());
            }
            Some(outcome) => outcome,
        },
        _ => vm.wait(Some(left)),
    };
    if let Outcome::QemuFailed { stderr } = &outcome {
        bail!("QEMU failed: {stderr}");
    }
    ensure!(ends.is(&outcome), "the machine ended as {outcome:?}, not as {ends:?}");
    Ok(())
}

/// Make sure that the console never showed what it must not show.
fn silence(case: &Case, log: &Path) -> anyhow::Result<()> {
    let console = fs::read(log).context("the console was not kept")?;
    let console = String::from_utf8_lossy(&console);
    for text in &case.never {
        if let Some(line) = console.lines().find(|line| line.contains(text)) {
            bail!("the console showed `{line}`");
        }
    }
    Ok(())
}
