//! Flags that `linuxkit build` has as well.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::super::Global;
use super::stages::epoch;

/// Flags that `linuxkit build` has as well.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "LinuxKit's layout")]
pub struct LinuxkitArgs {
    /// Unpack the kernel, for loaders that take none that is compressed.
    #[arg(long)]
    pub decompress_kernel: bool,
    /// Leave the SPDX bill of materials out.
    #[arg(long)]
    pub no_sbom: bool,
    /// Path of the bill of materials in the root.
    #[arg(long, value_name = "PATH", default_value = "sbom.spdx.json")]
    pub sbom_output: String,
    /// Date the bill of materials today, which makes every build differ.
    #[arg(long)]
    pub sbom_current_time: bool,
    /// An earlier build; the content store makes it needless, so it is only checked to be there.
    #[arg(long, value_name = "FILE", conflicts_with = "pull")]
    pub input_tar: Option<PathBuf>,
    /// Refused: images come from registries, from the store, or from `docker save` (`docker-archive:FILE`).
    #[arg(long, hide = true)]
    pub docker: bool,
}

/// Say of LinuxKit's flags that have no meaning here what to use instead.
pub(super) fn check(args: &LinuxkitArgs, global: &Global) -> anyhow::Result<()> {
    if args.docker {
        bail!(
            "--docker has no engine to ask here: `docker save NAME >image.tar` and `image: docker-archive:image.tar`, or \
             `hullkit cache import image.tar`, bring an image of the engine"
        );
    }
    let bill = crate::rootfs::path::clean(args.sbom_output.as_bytes());
    if !args.no_sbom && bill.map_or(true, |path| path.is_empty()) {
        bail!("`{}` does not name a file below the host's root: give --sbom-output another path", args.sbom_output);
    }
    if let Some(tar) = &args.input_tar {
        std::fs::File::open(tar).with_context(|| format!("could not open `{}`", tar.display()))?;
        if !global.quiet {
            eprintln!("note: --input-tar is not needed: what did not change is taken from the content store");
        }
    }
    Ok(())
}

/// Date the bill of materials.
pub(super) fn created(args: &LinuxkitArgs) -> anyhow::Result<String> {
    let seconds = if args.sbom_current_time {
        #[expect(clippy::disallowed_methods, reason = "the flag asks for it")]
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    } else {
        u64::from(epoch()?)
    };
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let date = chrono::DateTime::from_timestamp(seconds, 0).context("today has no date")?;
    Ok(date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}
