//! From what the user names to a machine: a manifest is built first, an image becomes its disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Hardware, RunArgs, net};
use crate::cli::Global;
use crate::cli::build::{self, BuildArgs, Input};
use crate::digest::Digest;
use crate::vm::{
    Boot, Bus, ControlSocket, DiskLayout, Drive, Firmware, GuestArch, Image, Machine, Screen, Tools, Tpm, VmError,
    Writes, cidata, esp, find_secure, find_uefi, with_console,
};
use crate::write::format::Format;

/// Describe the machine that boots what the user names, which is built if it is a manifest.
///
/// # Errors
///
/// There is no such thing, it cannot be built, or its firmware is not installed.
pub(super) fn machine(
    args: &RunArgs,
    arch: GuestArch,
    control: &ControlSocket,
    global: &Global,
) -> anyhow::Result<Machine> {
    let hardware = &args.hardware;
    let (boot, image, firmware) = match image(&args.what)? {
        Some(Image::Program) if hardware.bios => {
            bail!("`{}` is a program of UEFI's: no BIOS boots it", args.what.display())
        }
        // On a disk, which is made when there is a folder for it.
        Some(Image::Program) if hardware.secure_boot.is_some() => (Boot::Drives, None, firmware(hardware, arch, true)?),
        Some(Image::Program) => {
            let boot = Boot::Kernel { kernel: args.what.clone(), initrd: None, cmdline: String::new() };
            (boot, None, firmware(hardware, arch, true)?)
        }
        Some(image) => {
            let by_uefi = hardware.uefi || (arch == GuestArch::Arm64 && !hardware.bios);
            (Boot::Drives, Some(drive(hardware, &args.what, image, hardware.bus)), firmware(hardware, arch, by_uefi)?)
        }
        // Before anything is built.
        None if hardware.secure_boot.is_some() => return Err(VmError::Unlooked.into()),
        None => (kernel(args, arch, global)?, None, firmware(hardware, arch, hardware.uefi)?),
    };
    let more = hardware.disk.iter().map(|path| extra(hardware, path));
    Ok(Machine {
        cpus: args.cpus,
        firmware,
        drives: image.map(Ok).into_iter().chain(more).collect::<anyhow::Result<_>>()?,
        network: (hardware.net == "user").then(|| args.publish.clone()),
        screen: hardware.display.clone().map_or(Screen::None, Screen::Shown),
        shares: hardware.share.clone(),
        control: Some(control.path().to_owned()),
        extra: net::card(&hardware.net, &args.publish, &control.name())?
            .into_iter()
            .chain(args.extra.iter().cloned())
            .collect(),
        ..Machine::new(arch, args.mem, boot)
    })
}

/// A folder for what a machine has beside its own files.
#[derive(Debug)]
pub(super) struct Beside {
    folder: PathBuf,
    kept: bool,
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.kept {
            // What is left is found and emptied by the next machine of the name.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Put what a machine has beside its own files into a folder of its name: user data on a CD, a program on a disk.
///
/// # Errors
///
/// There is no place, or the user data or the program cannot be read.
pub(super) fn beside(
    args: &RunArgs,
    machine: &mut Machine,
    name: &str,
    global: &Global,
) -> anyhow::Result<Option<Beside>> {
    let hardware = &args.hardware;
    let program = machine.boot == Boot::Drives && image(&args.what)? == Some(Image::Program);
    if hardware.metadata.is_none() && !hardware.tpm && !program {
        return Ok(None);
    }
    let folder = global.store()?.folder("machines").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("could not make the folder `{}`", folder.display()))?;
    let beside = Beside { folder, kept: hardware.persist && hardware.tpm };
    if program {
        machine.drives.insert(0, esp(machine.arch, &args.what, &beside.folder.join("esp.img"))?);
    }
    if let Some(file) = &hardware.metadata {
        machine.drives.push(cidata(file, &beside.folder.join("cidata.iso"))?);
    }
    Ok(Some(beside))
}

/// Start the machine's TPM, if it is to have one. It ends with what is given.
///
/// # Errors
///
/// It is not installed, or does not start.
pub(super) fn tpm(
    args: &RunArgs,
    machine: &mut Machine,
    beside: &Option<Beside>,
    tools: &Tools,
) -> anyhow::Result<Option<Tpm>> {
    let Some(beside) = beside.as_ref().filter(|_| args.hardware.tpm) else { return Ok(None) };
    let state = beside.folder.join("tpm");
    if !args.hardware.persist {
        // Left by one whose end nobody saw.
        let _ = fs::remove_dir_all(&state);
    }
    fs::create_dir_all(&state).with_context(|| format!("could not make the folder `{}`", state.display()))?;
    let tpm = Tpm::start(&state, Path::new("swtpm"), &tools.launcher)?;
    machine.tpm = Some(tpm.socket().to_owned());
    Ok(Some(tpm))
}

fn firmware(hardware: &Hardware, arch: GuestArch, by_uefi: bool) -> anyhow::Result<Firmware> {
    let built = || arch.built().map_err(|_| VmError::NoLoader { arch });
    Ok(match &hardware.secure_boot {
        Some(variables) => Firmware::Uefi(find_secure(built()?, variables.as_deref())?),
        None if by_uefi => Firmware::Uefi(find_uefi(built()?)?),
        None => Firmware::Board,
    })
}

/// Tell what image a file is; nothing if it is none, or no file.
fn image(what: &Path) -> anyhow::Result<Option<Image>> {
    Ok(if what.is_file() { Image::of_file(what)? } else { None })
}

/// Describe one of the disks that `--disk` adds.
fn extra(hardware: &Hardware, path: &Path) -> anyhow::Result<Drive> {
    let image = Image::of_file(path)?.unwrap_or(Image::Disk(DiskLayout::Raw));
    Ok(drive(hardware, path, image, hardware.bus.filter(|bus| *bus != Bus::Cdrom)))
}

fn drive(hardware: &Hardware, path: &Path, image: Image, bus: Option<Bus>) -> Drive {
    let (layout, usual) = match image {
        Image::Disk(layout) => (layout, Bus::Virtio),
        Image::Iso => (DiskLayout::Raw, Bus::Cdrom),
        Image::Program => (DiskLayout::Raw, Bus::Virtio),
    };
    let writes = if hardware.persist { Writes::Kept } else { Writes::Discarded };
    Drive { path: path.to_owned(), layout, bus: bus.unwrap_or(usual), writes }
}

/// The files of a kernel that QEMU hands over.
#[derive(Debug)]
struct KernelFiles {
    kernel: PathBuf,
    initrd: PathBuf,
    cmdline: PathBuf,
}

impl KernelFiles {
    /// Name the files that `hullkit build` makes for a NAME.
    fn of_name(name: &Path) -> Self {
        let file = |suffix: &str| {
            let mut path = name.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { kernel: file("-kernel"), initrd: file("-initrd.img"), cmdline: file("-cmdline") }
    }
}

/// Find the kernel to boot: that of a NAME, or that of a manifest, which is built.
fn kernel(args: &RunArgs, arch: GuestArch, global: &Global) -> anyhow::Result<Boot> {
    let named = KernelFiles::of_name(&args.what);
    let files = if args.what.is_file() || args.what.as_os_str() == "-" {
        build_for_run(args, arch, global)?
    } else if named.kernel.is_file() {
        named
    } else {
        bail!("there is neither a file `{}` nor a kernel `{}`", args.what.display(), named.kernel.display())
    };
    let cmdline =
        fs::read_to_string(&files.cmdline).with_context(|| format!("could not read `{}`", files.cmdline.display()))?;
    Ok(Boot::Kernel { kernel: files.kernel, initrd: Some(files.initrd), cmdline: with_console(arch, &cmdline) })
}

/// Build a manifest into a folder of the store that is its own.
fn build_for_run(args: &RunArgs, arch: GuestArch, global: &Global) -> anyhow::Result<KernelFiles> {
    let place = std::path::absolute(&args.what).context("could not find the working directory")?;
    let key = Digest::of(place.as_os_str().as_encoded_bytes()).short();
    let input =
        Input { manifests: vec![args.what.clone()], ssh_key: args.ssh_key.clone(), naming: args.naming.clone() };
    let arch = arch.built()?;
    let dir = global.store()?.folder("run").join(format!("{key}-{arch}"));
    let build = BuildArgs::to_boot(input, vec![Format::KernelInitrd], arch, dir);
    build::build(&build, global)?;
    Ok(KernelFiles::of_name(&build.dir.join(build.base_name())))
}
