//! Which formats a build writes, and why it may not.

use anyhow::bail;

use super::BuildArgs;
use crate::plan::boot::Root;
use crate::plan::volumes::Volume;
use crate::platform::Arch;
use crate::write::format::{Format, clash};

/// Tell what to write, each format once.
///
/// # Errors
///
/// - Two formats have one file, there is none for an architecture, or `-o` is given several.
pub(super) fn wanted(args: &BuildArgs) -> anyhow::Result<Vec<Format>> {
    let mut formats = match (args.format.as_slice(), &args.output) {
        ([], None) => vec![Format::KernelInitrd],
        ([], Some(_)) => vec![Format::Tar],
        (formats, _) => formats.to_vec(),
    };
    if args.output.is_some() {
        let [Format::Tar | Format::Docker] = formats.as_slice() else {
            bail!("-o takes one format, tar or docker; the others are written into --dir")
        };
        if args.arch.len() > 1 {
            bail!("-o takes one architecture; several are written into --dir");
        }
    }
    let mut seen = Vec::new();
    formats.retain(|format| !seen.contains(format) && (seen.push(*format), true).1);
    if let Some((one, other)) = clash(&formats) {
        bail!("{} and {} would be the same file: choose one of them", one.name(), other.name());
    }
    for arch in &args.arch {
        if let Some(format) = formats.iter().find(|format| !format.is_for(*arch)) {
            bail!("there is no {} for {arch}; there are {}", format.name(), Format::names_for(*arch));
        }
    }
    Ok(formats)
}

/// Tell where a format's images are. In: `said`, by the manifest.
///
/// # Errors
///
/// - The user wants them where the format has no place for them.
pub(super) fn root(args: &BuildArgs, said: Option<Root>, format: Format) -> anyhow::Result<Root> {
    let beside = format.root_beside();
    // What the manifest says holds for the formats that have a choice.
    match (args.root.or(said.filter(|_| beside.is_some())), beside) {
        (None, _) => Ok(format.default_root()),
        (Some(Root::Ram), _) => Ok(Root::Ram),
        (Some(_), Some(beside)) => Ok(beside),
        (Some(_), None) => {
            bail!("{} has no disk for the images: leave --root out, or choose a disk, an ISO or netboot", format.name())
        }
    }
}

/// Refuse formats that have no place for what a volume keeps.
pub(super) fn check_kept(formats: &[Format], volumes: &[Volume]) -> anyhow::Result<()> {
    let format = formats.iter().find(|format| !format.has_data());
    if let (Some(format), Some(volume)) = (format, volumes.iter().find(|volume| volume.persistent)) {
        bail!(
            "{} has no partition to keep the volume `{}` on: choose a disk (raw, qcow2, …), or leave `persistent` out",
            format.name(),
            volume.name
        );
    }
    Ok(())
}

/// Refuse formats that only the other layout has.
pub(super) fn check_native(formats: &[Format]) -> anyhow::Result<()> {
    match formats.iter().find(|format| format.is_linuxkits()) {
        Some(format) => bail!(
            "the format {} is of LinuxKit's layout: name an image in `init`, or choose one of {}",
            format.name(),
            Format::names_for(Arch::host())
        ),
        None => Ok(()),
    }
}
