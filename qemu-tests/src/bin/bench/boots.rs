//! Boots: how long to the first line of a container, and in how little memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::figure::{Figure, median};
use hullkit::platform::Arch;
use hullkit::vm::{Boot, Machine, Memory, with_console};
use qemu_tests::boot;
use qemu_tests::place::{self, Place};

/// The architecture that is measured; the floor needs its busybox on this machine.
pub(crate) const ARCH: Arch = Arch::Amd64;

/// Longest that one boot may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// RAM of the boots that are timed, in MiB.
const ROOMY: u32 = 256;

/// A host with one container of each kind, and no modules: what init itself costs.
pub(crate) const HOST: &str = "\
kernel:
  image: hullkit/kernel:latest
  cmdline: quiet
modules:
  include: []
onboot:
  - name: onboot
    image: hullkit/busybox:latest
    readonly: true
    command: [echo, first line]
services:
  - name: service
    image: hullkit/busybox:latest
    readonly: true
    command: [/bin/sh, -c, 'echo first line; exec sleep 1000']
";

/// Line of the host's service.
const SERVICE: &str = "service | first line";

/// Build the host and time it against the floor; look for the least memory.
pub(crate) fn measure(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let manifest = work.join("host.yml");
    fs::write(&manifest, HOST).context("could not write the manifest")?;
    let name = place.build(&manifest, "kernel+initrd", ARCH, work, &[])?;
    let file = |suffix: &str| PathBuf::from(format!("{}{suffix}", name.display()));
    let host = machine(file("-kernel"), file("-initrd.img"))?;
    let floor = machine(file("-kernel"), floor(work)?)?;

    let (mut bare, mut onboot, mut service) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=runs {
        eprintln!("boot {run} of {runs}");
        bare.extend(times(&floor, work, &["first line"])?);
        let [first, second] = times(&host, work, &["onboot | first line", SERVICE])?[..] else { bail!("two lines") };
        onboot.push(first);
        service.push(second);
    }
    let bare = median(bare);
    let size = fs::metadata(file("-initrd.img")).context("there is no initrd")?.len();
    #[expect(clippy::cast_precision_loss, reason = "an initrd is far below 2^52 bytes")]
    let megabytes = size as f64 / 1e6;
    let seconds = |what, value, target| Figure { what, value, unit: "s", target };
    Ok(vec![
        Figure { what: "initrd without kernel modules", value: megabytes, unit: "MB", target: Some(3.5) },
        seconds("floor: first line of a busybox as init", bare, None),
        seconds("first line of onboot, over the floor", median(onboot) - bare, Some(0.4)),
        seconds("first line of a service, over the floor", median(service) - bare, Some(0.6)),
        Figure {
            what: "smallest memory that boots",
            value: f64::from(smallest(&host, work)?),
            unit: "MiB",
            target: Some(96.0),
        },
    ])
}

fn machine(kernel: PathBuf, initrd: PathBuf) -> anyhow::Result<Machine> {
    let boot = Boot::Kernel { kernel, initrd: Some(initrd), cmdline: with_console(ARCH, "quiet") };
    // With a card, as the figures of other programs are measured.
    Ok(Machine { network: Some(Vec::new()), ..Machine::new(ARCH, Memory::from_mib(ROOMY)?, boot) })
}

/// Boot and give the seconds to each line.
fn times(machine: &Machine, work: &Path, lines: &[&str]) -> anyhow::Result<Vec<f64>> {
    let vm = boot::start(machine, &work.join("console.log"))?;
    let deadline = Instant::now() + PATIENCE;
    let time = |text: &&str| {
        let line = vm.console().wait_for(&mut 0, |line| line.contains(*text), deadline);
        line.map(|line| line.at.as_secs_f64()).with_context(|| format!("the console never showed `{text}`"))
    };
    lines.iter().map(time).collect()
}

/// Find the least memory, in steps of 4 MiB, with which the service comes up.
fn smallest(host: &Machine, work: &Path) -> anyhow::Result<u32> {
    let (mut fails, mut boots) = (32, 128);
    ensure!(comes_up(host, boots, work)?, "it does not boot in {boots} MiB");
    while boots - fails > 4 {
        let middle = (fails + boots) / 8 * 4;
        eprintln!("booting in {middle} MiB");
        if comes_up(host, middle, work)? {
            boots = middle;
        } else {
            fails = middle;
        }
    }
    Ok(boots)
}

fn comes_up(host: &Machine, mib: u32, work: &Path) -> anyhow::Result<bool> {
    let machine = Machine { memory: Memory::from_mib(mib)?, ..host.clone() };
    Ok(times(&machine, work, &[SERVICE]).is_ok())
}

/// Make an initrd whose init is a busybox that echoes one line.
fn floor(work: &Path) -> anyhow::Result<PathBuf> {
    let root = work.join("floor");
    place::empty(&root)?;
    for folder in ["bin", "dev"] {
        fs::create_dir(root.join(folder)).context("could not make the floor's root")?;
    }
    let busybox = Path::new("/bin/busybox");
    fs::copy(busybox, root.join("bin/busybox")).context("could not copy `/bin/busybox` (Debian's busybox-static)")?;
    let init = root.join("init");
    fs::write(&init, "#!/bin/busybox sh\necho first line\nexec /bin/busybox sleep 1000\n")
        .context("could not write init")?;
    let initrd = work.join("floor.img");
    // The console's device node needs root, so it is not in the archive: the kernel's own root has one.
    let script = r#"chmod 755 "$1/init" && cd "$1" && find . | sort | cpio -o -H newc --quiet | zstd -q -f -3 -o "$2""#;
    let status = Command::new("sh").args(["-c", script, "sh"]).args([&root, &initrd]).stdin(Stdio::null()).status();
    ensure!(status.context("could not run sh")?.success(), "could not pack the floor (Debian's cpio and zstd)");
    Ok(initrd)
}
