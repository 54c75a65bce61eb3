//! Services: how small init is and stays, how soon they run, run again and end, and what one that floods its output costs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::boots::{ARCH, PATIENCE};
use crate::figure::{Figure, median};
use crate::script::uptime;
use hullkit::vm::{Boot, ControlSocket, Machine, Memory, Vm, with_console};
use qemu_tests::boot;
use qemu_tests::place::Place;

/// RAM of the boots, in MiB.
const ROOMY: u32 = 1024;

/// What every host here has: a kernel, and what leads to the virtio port.
const HEAD: &str = "kernel: {image: 'hullkit/kernel:latest', cmdline: quiet}\nmodules: {include: [virtio_pci, virtio_console]}\nservices:\n";

/// A shell that says how long the kernel has run, and then waits to be asked to end.
const IDLE: &str = "trap 'exit 0' TERM; echo up at $(cut -d' ' -f1 /proc/uptime); while :; do sleep 1000 & wait; done";

/// How long a flood lasts before it is looked at.
const FLOOD: Duration = Duration::from_secs(10);

/// Measure everything about services.
pub(crate) fn measure(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures = vec![size(place)?];
    figures.extend(many(place, work, runs)?);
    figures.push(again(place, work, runs)?);
    figures.extend(twenty(place, work, runs)?);
    figures.extend(flood(place, work)?);
    Ok(figures)
}

fn size(place: &Place) -> anyhow::Result<Figure> {
    let program = place.target.join("init").join(ARCH.name()).join("hullkit-init");
    let size = fs::metadata(&program).with_context(|| format!("there is no `{}`", program.display()))?.len();
    Ok(Figure { what: "init, the program", value: megabytes(size), unit: "MB", target: Some(5.0) })
}

/// So many services of one command.
fn host(count: usize, command: &str) -> String {
    let mut text = HEAD.to_owned();
    for number in 1..=count {
        // A String takes all that is written to it.
        let _ = writeln!(
            text,
            "  - {{name: s{number}, image: 'hullkit/busybox:latest', readonly: true, restart: on-failure, command: [/bin/sh, -c, \"{command}\"]}}"
        );
    }
    text
}

/// Time the start of 100 services beside that of one.
fn many(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let one = built(place, work, "one", &host(1, IDLE))?;
    let hundred = built(place, work, "hundred-services", &host(100, IDLE))?;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for run in 1..=runs.div_ceil(2) {
        eprintln!("100 services: {run}");
        first.push(*uptimes(&started(&one, None, work)?, 1)?.last().context("no time")?);
        last.push(*uptimes(&started(&hundred, None, work)?, 100)?.last().context("no time")?);
    }
    let (first, last) = (median(first), median(last));
    Ok(vec![
        Figure { what: "kernel start to 100 services", value: last, unit: "s", target: None },
        Figure { what: "the same over that to one", value: last / first, unit: "x", target: Some(3.0) },
    ])
}

/// Time from one start of a service that ends at once to the next.
fn again(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Figure> {
    let command = "echo up at $(cut -d' ' -f1 /proc/uptime); exit 1";
    let name = built(place, work, "crash", &host(1, command))?;
    let mut waits = Vec::new();
    for _ in 0..runs {
        if let [first, second, ..] = uptimes(&started(&name, None, work)?, 2)?[..] {
            waits.push(second - first);
        }
    }
    Ok(Figure { what: "a crashed service runs again", value: median(waits), unit: "s", target: Some(1.2) })
}

/// Weigh init with 20 services, and time their shutdown.
fn twenty(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let name = built(place, work, "twenty", &host(20, IDLE))?;
    let (mut memory, mut shutdown) = (Vec::new(), Vec::new());
    for _ in 0..runs.div_ceil(2) {
        let socket = ControlSocket::claim_any("bench-twenty")?;
        let vm = started(&name, Some(&socket), work)?;
        uptimes(&vm, 20)?;
        memory.push(figure(&ctl(place, &socket, &["metrics"])?, "hullkit_init_memory_bytes")? / 1e6);
        ctl(place, &socket, &["poweroff"])?;
        let (asked, over) = (stamp(&vm, "powering off")?, stamp(&vm, "bye")?);
        shutdown.push(over - asked);
    }
    Ok(vec![
        Figure { what: "memory of init with 20 services", value: median(memory), unit: "MB", target: Some(8.0) },
        Figure { what: "shutdown of 20 idle services", value: median(shutdown), unit: "s", target: Some(1.0) },
    ])
}

/// Let one service print as fast as it can beside one that is watched.
fn flood(place: &Place, work: &Path) -> anyhow::Result<Vec<Figure>> {
    let text = format!(
        "{HEAD}  - {{name: flood, image: 'hullkit/busybox:latest', readonly: true, command: [/bin/sh, -c, \"yes $(seq -s, 1 200)\"]}}\n  \
         - {{name: watched, image: 'hullkit/busybox:latest', readonly: true, healthcheck: {{test: [CMD, 'true'], interval: 1s, timeout: 5s, \
         retries: 1, start_interval: 500ms}}, command: [/bin/sh, -c, \"{IDLE}\"]}}\nlogs: {{console: [watched]}}\n"
    );
    let name = built(place, work, "flood", &text)?;
    let socket = ControlSocket::claim_any("bench-flood")?;
    let vm = started(&name, Some(&socket), work)?;
    uptimes(&vm, 1)?;
    let lines =
        |text: &str| figure(text, "hullkit_service_log_lines_dropped_total{section=\"services\",service=\"flood\"}");
    let before = (Instant::now(), lines(&ctl(place, &socket, &["metrics"])?)?);
    thread::sleep(FLOOD);
    let metrics = ctl(place, &socket, &["metrics"])?;
    // 1,2,3 to 200 and a line feed.
    let rate = (lines(&metrics)? - before.1) * 692.0 / 1e6 / before.0.elapsed().as_secs_f64();
    let memory = figure(&metrics, "hullkit_init_memory_bytes")? / 1e6;
    let sick = f64::from(u8::from(!ctl(place, &socket, &["ps"])?.contains("healthy")));
    Ok(vec![
        Figure { what: "lines of a flood, taken and counted each second", value: rate, unit: "MB", target: None },
        Figure { what: "memory of init after 10 s of it", value: memory, unit: "MB", target: Some(64.0) },
        Figure { what: "services beside it that became unhealthy", value: sick, unit: "", target: Some(0.0) },
    ])
}

fn built(place: &Place, work: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let manifest = work.join(format!("{name}.yml"));
    fs::write(&manifest, text).context("could not write a manifest")?;
    place.build(&manifest, "kernel+initrd", ARCH, work, &[])
}

fn started(name: &Path, socket: Option<&ControlSocket>, work: &Path) -> anyhow::Result<Vm> {
    let file = |suffix: &str| PathBuf::from(format!("{}{suffix}", name.display()));
    let (kernel, initrd) = (file("-kernel"), Some(file("-initrd.img")));
    let boot = Boot::Kernel { kernel, initrd, cmdline: with_console(ARCH, "quiet") };
    let control = socket.map(|socket| socket.path().to_owned());
    let machine = Machine { control, ..Machine::new(ARCH, Memory::from_mib(ROOMY)?, boot) };
    boot::start(&machine, &work.join("console.log"))
}

/// Wait for so many services' lines, and give the uptimes in them, in order.
fn uptimes(vm: &Vm, count: usize) -> anyhow::Result<Vec<f64>> {
    let (mut seen, mut times) = (0, Vec::new());
    let deadline = Instant::now() + PATIENCE;
    while times.len() < count {
        let line = vm.console().wait_for(&mut seen, |line| uptime(line, "up at ").is_some(), deadline);
        let line = line.with_context(|| format!("{} of {count} services came up", times.len()))?.text;
        times.extend(uptime(&line, "up at "));
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The uptime in front of one of init's lines.
fn stamp(vm: &Vm, text: &str) -> anyhow::Result<f64> {
    let line = vm.console().wait_for(
        &mut 0,
        |line| line.contains("hullkit: ") && line.contains(text),
        Instant::now() + PATIENCE,
    );
    let line = line.with_context(|| format!("init never said `{text}`"))?.text;
    let time = line.split(['[', ']']).nth(1).unwrap_or_default().trim();
    time.parse().with_context(|| format!("`{line}` has no uptime"))
}

fn ctl(place: &Place, socket: &ControlSocket, words: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(&place.hullkit);
    command.arg("ctl").arg("--vm").arg(socket.name()).args(words);
    let output = command.output().context("could not run `hullkit ctl`")?;
    ensure!(output.status.success(), "`hullkit ctl`: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A figure's value, by its name and labels.
fn figure(text: &str, name: &str) -> anyhow::Result<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.with_context(|| format!("there is no `{name}`"))?.parse().context("a figure is no number")
}

#[expect(clippy::cast_precision_loss, reason = "programs are far below 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
