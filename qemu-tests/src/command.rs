//! A case that is a command: run it, look at its exit code and at what it says.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, ensure};

use crate::case::{Case, Command, Verb};
use crate::place::{self, Place};
use hullkit::platform::Arch;
use hullkit::write::format::Format;

/// Run the command and check how it ends.
///
/// # Errors
///
/// What was different.
pub fn check(case: &Case, command: &Command, arch: Arch, place: &Place) -> anyhow::Result<()> {
    let work = place.folder(&format!("{}-{arch}", case.name()));
    place::empty(&work)?;
    let out = work.join("out");
    place::empty(&out)?;
    let manifest = case.folder.join("host.yml");
    let mut args = match command.verb {
        Verb::Build => place::build_args(&manifest, &Format::KernelInitrd.name(), arch, &out),
        Verb::Plan => vec!["plan".into(), manifest.into(), "--arch".into(), arch.name().into()],
        Verb::Run => {
            let words = ["--arch", arch.name(), "--accel", "tcg", "--mem", "256"];
            ["run".into(), manifest.into()].into_iter().chain(words.map(OsString::from)).collect()
        }
    };
    args.extend(command.args.iter().map(OsString::from));
    // What `run` makes stays with the test; what a manifest names lies beside it.
    let folder = if command.verb == Verb::Run { &out } else { &case.folder };
    let output = place.hullkit(folder, args)?;

    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    fs::write(work.join("stdout"), &output.stdout).context("could not keep the output")?;
    fs::write(work.join("stderr"), &output.stderr).context("could not keep the output")?;
    ensure!(
        output.status.code() == Some(command.exit),
        "it ended with {}, not with exit code {}; it said:\n{stderr}",
        output.status,
        command.exit
    );
    for text in &command.stderr {
        ensure!(stderr.contains(text), "it did not say `{text}`, but:\n{stderr}");
    }
    for text in &command.never {
        ensure!(!stderr.contains(text) && !stdout.contains(text), "it said `{text}`:\n{stderr}");
    }
    if command.verb == Verb::Build && command.exit != 0 {
        // Not sorted: one is too many.
        #[expect(clippy::disallowed_methods, reason = "only counted")]
        let left = fs::read_dir(&out).context("the output folder is gone")?.count();
        ensure!(left == 0, "it left {left} files in the output folder");
    }
    Ok(())
}
