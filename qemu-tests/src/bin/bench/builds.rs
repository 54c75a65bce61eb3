//! Builds of which nothing changed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::figure::{Figure, median};
use hullkit::platform::Arch;
use qemu_tests::place::Place;

/// What a build took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) seconds: f64,
    /// Most memory it held, in MB.
    pub(crate) megabytes: f64,
}

/// Time a build of which nothing changed; the boots left it built.
pub(crate) fn measure(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let costs = (0..runs).map(|_| build(place, &work.join("host.yml"), work, &place.cache));
    let costs = costs.collect::<anyhow::Result<Vec<_>>>()?;
    let seconds = median(costs.iter().map(|cost| cost.seconds).collect());
    Ok(vec![Figure { what: "build, nothing changed", value: seconds, unit: "s", target: Some(0.05) }])
}

/// Build a kernel and an initrd.
pub(crate) fn build(place: &Place, manifest: &Path, into: &Path, cache: &Path) -> anyhow::Result<Cost> {
    run(place, manifest, into, cache, &["--format", "kernel+initrd", "--arch", Arch::Amd64.name()])
}

/// Run `hullkit build` to its end.
pub(crate) fn run(place: &Place, manifest: &Path, into: &Path, cache: &Path, more: &[&str]) -> anyhow::Result<Cost> {
    let mut command = Command::new(&place.hullkit);
    command.arg("build").arg(manifest).arg("--dir").arg(into).args(more).arg("--quiet").env("HULLKIT_CACHE", cache);
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().context("could not start `hullkit`")?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    let status = loop {
        peak = peak_megabytes(&status_file).unwrap_or(peak);
        if let Some(status) = child.try_wait().context("could not wait for `hullkit`")? {
            break status;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let seconds = started.elapsed().as_secs_f64();
    ensure!(status.success(), "`hullkit build` ended with {status}");
    Ok(Cost { seconds, megabytes: peak })
}

/// Read the most memory a process ever held; nothing once it is gone.
fn peak_megabytes(status_file: &str) -> Option<f64> {
    let status = std::fs::read_to_string(status_file).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
