//! From a cell and the files of a build to a machine.

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linuxkit_yaml::test::{Action, Host, Test};

use super::VerifyError;
use super::cell::{self, Cell, Starter};
use crate::platform::Arch;
use crate::vm::{
    Boot, Bus, DiskLayout, Drive, Firmware, Image, LooseDisk, Machine, Memory, Protocol, Publish, Screen, VmError, Web,
    Writes, find_secure, find_uefi, with_console,
};
use crate::write::format::Format;

/// RAM of a machine, if nobody says.
const USUAL_MEMORY: u32 = 1024;

/// A host to be tested: a machine, and what reports say of it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name, if there are several.
    pub name: Option<String>,
    /// The machine.
    pub machine: Machine,
    /// Disks that it gets: name and bytes.
    pub disks: Vec<(String, u64)>,
    /// Devices that steps plug in: name, and what `-device` takes.
    pub devices: Vec<(String, String)>,
    /// It has a TPM.
    pub tpm: bool,
    /// Arguments put before the machine's own for QEMU; `{folder}` is the folder of its boots.
    pub qemu: Vec<String>,
    /// What it boots from, if that is the network.
    pub web: Option<Arc<Web>>,
    /// A file that is its user data.
    pub user_data: Option<PathBuf>,
    /// A program of the firmware's that it boots from a disk, which is made of it.
    pub program: Option<PathBuf>,
    /// Bytes of the files that it boots.
    pub size: u64,
    /// What its control socket is called, as far as that is free.
    pub control: String,
}

/// What a machine is apart from what it boots.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// RAM.
    pub memory: Memory,
    /// Processors.
    pub cpus: NonZeroU16,
    /// A file that is the host's user data.
    pub user_data: Option<PathBuf>,
    /// Secure Boot, with a file of the firmware's variables if they are not those with Microsoft's keys.
    pub secure_boot: Option<Option<PathBuf>>,
    /// Arguments appended to QEMU's.
    pub extra: Vec<std::ffi::OsString>,
}

impl Hardware {
    /// Take over what a test says of a host. User data are for whoever knows where the test is.
    ///
    /// # Errors
    ///
    /// [`VmError::Memory`]: no machine has so much RAM.
    pub fn of(test: &Test, host: Option<&Host>) -> Result<Self, VmError> {
        let own = host.and_then(|host| host.memory.as_ref());
        let wanted = own.or(test.budget.ram.as_ref()).or(test.memory.as_ref());
        let mib = wanted.map_or(USUAL_MEMORY, |bytes| u32::try_from(bytes.value.0 >> 20).unwrap_or(u32::MAX));
        let cpus = test.cpus.as_ref().and_then(|cpus| NonZeroU16::new(cpus.value));
        Ok(Self {
            memory: Memory::from_mib(mib)?,
            cpus: cpus.unwrap_or(NonZeroU16::MIN),
            user_data: None,
            secure_boot: None,
            extra: Vec::new(),
        })
    }
}

/// What a machine boots, what it has it on, what starts it, and the files that are read for it.
#[derive(Debug)]
pub struct Booted {
    /// What it boots.
    pub boot: Boot,
    /// Its disk or CD, if that is where it is.
    pub drives: Vec<Drive>,
    /// What starts it.
    pub firmware: Firmware,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The server that a machine needs as long as it runs, if it boots over the network.
    pub web: Option<Web>,
}

/// Find what a cell boots among the files of a build.
///
/// In: `name`, the first part of the files' names; `words`, put before the kernel's command line.
///
/// # Errors
///
/// [`VerifyError`]: a file is missing, there is no firmware, or the command line is not a file of its own.
pub fn booted(cell: &Cell, name: &Path, words: &str) -> Result<Booted, VerifyError> {
    let firmware = match cell.firmware {
        Starter::Bios => Firmware::Board,
        Starter::Uefi => Firmware::Uefi(find_uefi(cell.arch)?),
    };
    let inside = !words.is_empty() && cell.format != Format::KernelInitrd;
    if inside {
        let what = "its command line is in the image: `cmdline` of a test is for `kernel+initrd`".to_owned();
        return Err(VerifyError::Cell { text: cell.to_string(), what });
    }
    let (boot, drives, files, web) = match (cell.format, cell.file(name)) {
        (Format::Netboot, _) => netboot(cell.arch, name)?,
        (_, None) => kernel(cell, name, words)?,
        (_, Some(file)) => image(cell, file)?,
    };
    Ok(Booted { boot, drives, firmware, files, web })
}

/// Describe the machine that boots one of a build's formats.
///
/// In: `name`, the first part of the files' names; `host`, whose ports the test's steps ask, if there are several.
///
/// # Errors
///
/// As [`booted`].
pub fn subject(
    cell: &Cell,
    name: &Path,
    test: &Test,
    host: Option<&str>,
    hardware: &Hardware,
) -> Result<Subject, VerifyError> {
    let words = test.cmdline.as_ref().map_or("", |words| words.as_str());
    let Booted { mut boot, drives, mut firmware, files, web } = booted(cell, name, words)?;
    let mut program = None;
    if let Some(variables) = &hardware.secure_boot {
        firmware = Firmware::Uefi(find_secure(cell.arch, variables.as_deref())?);
        if let Boot::Kernel { kernel, initrd: None, .. } = boot {
            (program, boot) = (Some(kernel), Boot::Drives);
        }
    }
    let mut size = 0;
    for file in &files {
        size += fs::metadata(file).map_err(|cause| VerifyError::File { path: file.clone(), cause })?.len();
    }
    // A kernel that is handed over says all on its console; firmware and loaders may say it on a screen alone.
    let seen = boot == Boot::Drives || cell.firmware == Starter::Uefi;
    let disks: Vec<(String, u64)> =
        test.disks.iter().map(|disk| (disk.name.value.clone(), disk.size.value.0)).collect();
    let loose = test.disks.iter().map(|disk| LooseDisk {
        name: disk.name.value.clone(),
        path: PathBuf::new(),
        later: disk.later,
    });
    let devices = test.devices.iter().map(|one| (one.name.value.clone(), one.device.value.clone()));
    let machine = Machine {
        cpus: hardware.cpus,
        firmware,
        drives,
        loose: loose.collect(),
        network: Some(ports(test, host)),
        screen: if seen { Screen::Hidden } else { Screen::None },
        extra: hardware.extra.clone(),
        ..Machine::new(cell.arch, hardware.memory, boot)
    };
    let stem = name.file_name().unwrap_or_default().to_string_lossy();
    let control = format!("test-{}-{}", std::process::id(), host.unwrap_or(&stem));
    let (name, user_data) = (host.map(str::to_owned), hardware.user_data.clone());
    Ok(Subject {
        name,
        machine,
        disks,
        devices: devices.collect(),
        tpm: test.tpm,
        qemu: test.qemu.clone(),
        web: web.map(Arc::new),
        user_data,
        program,
        size,
        control,
    })
}

/// Every port that steps ask of a host.
fn ports(test: &Test, host: Option<&str>) -> Vec<Publish> {
    let mine = test.steps.iter().filter(|step| step.host.as_ref().map(|name| name.as_str()) == host);
    let asked = mine.filter_map(|step| match &step.action {
        Action::Http(page) => Some(page.port.value),
        Action::Tcp(tcp) => Some(tcp.port.value),
        _ => None,
    });
    let mut ports: Vec<u16> = asked.collect();
    ports.sort_unstable();
    ports.dedup();
    ports.into_iter().map(|guest| Publish { host: 0, guest, protocol: Protocol::Tcp }).collect()
}

type Parts = (Boot, Vec<Drive>, Vec<PathBuf>, Option<Web>);

fn kernel(cell: &Cell, name: &Path, words: &str) -> Result<Parts, VerifyError> {
    let file = |ending| cell::file(name, ending);
    let path = file("-cmdline");
    let cmdline = fs::read_to_string(&path).map_err(|cause| VerifyError::File { path, cause })?;
    let files = vec![file("-kernel"), file("-initrd.img")];
    let boot = Boot::Kernel {
        kernel: file("-kernel"),
        initrd: Some(file("-initrd.img")),
        cmdline: with_console(cell.arch, format!("{words} {}", cmdline.trim()).trim()),
    };
    Ok((boot, Vec::new(), files, None))
}

/// Boot what a build's script says: on a PC by the card's own iPXE; on arm64, whose card has none, as iPXE would.
fn netboot(arch: Arch, name: &Path) -> Result<Parts, VerifyError> {
    let file = |ending| cell::file(name, ending);
    let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let web = Web::serve(&folder)?;
    let files = ["-kernel", "-netboot.img", "-root.img"].map(file).to_vec();
    let script = file(".ipxe");
    if arch == Arch::Amd64 {
        let stem = name.file_name().unwrap_or_default().to_string_lossy();
        let boot = Boot::Network { folder, file: format!("{}{stem}.ipxe", web.base()) };
        return Ok((boot, Vec::new(), files, Some(web)));
    }
    let text = fs::read_to_string(&script).map_err(|cause| VerifyError::File { path: script.clone(), cause })?;
    // `kernel NAME-kernel WORDS…`
    let line = text.lines().find_map(|line| line.strip_prefix("kernel ")).ok_or_else(|| VerifyError::Cell {
        text: script.display().to_string(),
        what: "it has no line `kernel`".to_owned(),
    })?;
    let words: Vec<&str> = line.split(' ').skip(2).collect();
    let cmdline = words.join(" ").replace("${base}", &web.base());
    let boot = Boot::Kernel {
        kernel: file("-kernel"),
        initrd: Some(file("-netboot.img")),
        cmdline: with_console(arch, &cmdline),
    };
    Ok((boot, Vec::new(), files, Some(web)))
}

/// Describe what boots one file: a program of the firmware's, a disk or a CD.
fn image(cell: &Cell, file: PathBuf) -> Result<Parts, VerifyError> {
    let layout = match Image::of_file(&file)? {
        Some(Image::Program) => {
            let boot = Boot::Kernel { kernel: file.clone(), initrd: None, cmdline: String::new() };
            return Ok((boot, Vec::new(), vec![file], None));
        }
        Some(Image::Disk(layout)) => layout,
        Some(Image::Iso) | None => DiskLayout::Raw,
    };
    let drive = Drive { path: file.clone(), layout, bus: cell.bus.unwrap_or(Bus::Virtio), writes: Writes::Discarded };
    Ok((Boot::Drives, vec![drive], vec![file], None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_done_for_a_card_that_has_no_ipxe() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().join("host");
        let script = "#!ipxe\nset base ${cwduri}\nkernel ${base}host-kernel initrd=host-netboot.img hullkit.root=${base}host-root.img quiet\nboot\n";
        fs::write(folder.path().join("host.ipxe"), script).expect("a file");
        let cell: Cell = "arm64 bios netboot".parse().expect("a cell");
        let Booted { boot, web, files, .. } = booted(&cell, &name, "").expect("a machine");
        let base = web.expect("a server").base();
        let Boot::Kernel { kernel, cmdline, .. } = boot else { panic!("{boot:?}") };
        assert_eq!((kernel, files.len()), (folder.path().join("host-kernel"), 3));
        assert!(cmdline.contains(&format!("hullkit.root={base}host-root.img quiet")), "{cmdline}");
        let cell: Cell = "amd64 bios netboot".parse().expect("a cell");
        let Booted { boot, web, .. } = booted(&cell, &name, "").expect("a machine");
        let file = format!("{}host.ipxe", web.expect("a server").base());
        assert_eq!(boot, Boot::Network { folder: folder.path().to_owned(), file });
        fs::write(folder.path().join("host.ipxe"), "#!ipxe\n").expect("a file");
        let cell: Cell = "arm64 netboot".parse().expect("a cell");
        assert!(booted(&cell, &name, "").expect_err("no kernel").to_string().contains("it has no line `kernel`"));
    }

    #[test]
    fn words_are_put_before_a_command_line_that_is_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().join("host");
        fs::write(folder.path().join("host-cmdline"), "quiet\n").expect("a file");
        let Booted { boot, .. } = booted(&Cell::kernel(Arch::Amd64), &name, "debug").expect("a machine");
        let Boot::Kernel { cmdline, .. } = boot else { panic!("{boot:?}") };
        assert!(cmdline.starts_with("debug quiet"), "{cmdline}");
        let error = booted(&"raw amd64".parse().expect("a cell"), &name, "debug").expect_err("it is inside");
        assert!(error.to_string().contains("its command line is in the image"), "{error}");
    }
}
