//! A [`Machine`] as QEMU's arguments: pure, the same machine gives the same arguments.

mod drives;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::{Boot, Bus, Firmware, GuestArch, Machine, Screen, Share, lan};

/// File descriptor on which QEMU inherits the guest's serial port: its standard input.
const SERIAL_FD: u32 = 0;

/// File descriptor on which QEMU inherits the control socket: its standard output.
const QMP_FD: u32 = 1;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself, through `/dev/kvm`.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// Write down QEMU's arguments for a machine, without the program's name.
///
/// Out: arguments that make QEMU start paused (`-S`), with the serial port on descriptor 0 and QMP on descriptor 1,
/// both connected sockets. The user's `extra` arguments come last, so that they win.
///
/// # Source
///
/// qemu(1); QEMU, `docs/interop/qmp-spec.txt`.
#[must_use]
pub fn argv(machine: &Machine, accelerator: Accelerator) -> Vec<OsString> {
    let mut argv = Argv(Vec::new());
    argv.words(&["-nodefaults", "-no-user-config"]);
    argv.option("-display", if let Screen::Shown(how) = &machine.screen { how } else { "none" });
    argv.words(&["-no-reboot", "-S"]);
    argv.option("-machine", board(machine));
    argv.option(
        "-accel",
        match accelerator {
            Accelerator::Kvm => "kvm",
            Accelerator::Tcg => "tcg",
        },
    );
    argv.option("-cpu", processor(machine.arch, accelerator));
    argv.option("-m", machine.memory.to_string());
    argv.option("-smp", machine.cpus.to_string());
    argv.option("-chardev", format!("socket,id=serial0,fd={SERIAL_FD}"));
    argv.option("-serial", "chardev:serial0");
    argv.option("-chardev", format!("socket,id=qmp0,fd={QMP_FD}"));
    argv.option("-mon", "chardev=qmp0,mode=control");
    // A guest without a source of entropy can block for half a minute on its first random number.
    argv.option("-object", "rng-builtin,id=rng0");
    argv.option("-device", "virtio-rng-pci,rng=rng0");
    network(&mut argv, machine);
    control(&mut argv, machine);
    tpm(&mut argv, machine);
    beside(&mut argv, machine);
    if machine.arch != GuestArch::Amd64 {
        // The power button of arm64's `virt` is a GPIO key unless firmware brings ACPI; distribution kernels for clouds
        // have no driver for it; riscv64's has none. A keyboard has a power key.
        argv.option("-device", "virtio-keyboard-pci");
    }
    if let Firmware::Uefi(flash) = &machine.firmware {
        drives::flash(&mut argv, machine.arch, flash);
    }
    drives::drives(&mut argv, machine);
    drives::loose(&mut argv, machine);
    if machine.screen != Screen::None {
        argv.option("-device", screen(machine.arch));
    }
    if let Boot::Kernel { kernel, initrd, cmdline } = &machine.boot {
        argv.option("-kernel", kernel);
        if let Some(initrd) = initrd {
            argv.option("-initrd", initrd);
        }
        if !cmdline.is_empty() {
            argv.option("-append", cmdline);
        }
    }
    argv.0.extend(machine.extra.iter().cloned());
    argv.0
}

struct Argv(Vec<OsString>);

impl Argv {
    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.push(name.into());
        self.0.push(value.into());
    }
}

/// Append the TPM, if there is one.
fn tpm(argv: &mut Argv, machine: &Machine) {
    let Some(path) = &machine.tpm else { return };
    let mut chardev = OsString::from("socket,id=tpm0,path=");
    chardev.push(OsStr::from_bytes(&drives::escaped(path.as_os_str())));
    argv.option("-chardev", chardev);
    argv.option("-tpmdev", "emulator,id=tpm0,chardev=tpm0");
    let device = match machine.arch {
        GuestArch::Amd64 => "tpm-tis,tpmdev=tpm0",
        GuestArch::Arm64 | GuestArch::Riscv64 => "tpm-tis-device,tpmdev=tpm0",
    };
    argv.option("-device", device);
}

/// Append what leads to others than the user: a network of machines, user data, folders.
fn beside(argv: &mut Argv, machine: &Machine) {
    let with = |start: &str, path: &OsStr| {
        let mut text = OsString::from(start);
        text.push(OsStr::from_bytes(&drives::escaped(path)));
        text
    };
    if let Some((socket, number)) = &machine.lan {
        argv.option("-netdev", with("stream,id=lan0,server=off,addr.type=unix,addr.path=", socket.as_os_str()));
        let mac = lan::mac(*number).map(|byte| format!("{byte:02x}")).join(":");
        argv.option("-device", format!("virtio-net-pci,netdev=lan0,mac={mac},romfile="));
    }
    for Share { tag, folder, readonly } in &machine.shares {
        let access = if *readonly { ",readonly=on" } else { "" };
        // Owners stay the guest's: who runs QEMU need not be root.
        let start = format!("local,mount_tag={tag},security_model=mapped-xattr{access},path=");
        argv.option("-virtfs", with(&start, folder.as_os_str()));
    }
}

/// Name the graphics card whose picture firmware and kernels draw.
fn screen(arch: GuestArch) -> &'static str {
    match arch {
        GuestArch::Amd64 => "VGA",
        GuestArch::Arm64 => "ramfb",
        GuestArch::Riscv64 => "bochs-display",
    }
}

fn board(machine: &Machine) -> &'static str {
    match machine.arch {
        // The older PC has the older disks.
        GuestArch::Amd64 if machine.drives.iter().any(|drive| drive.bus == Bus::Ide) => "pc",
        // Only what runs in System Management Mode may then change the firmware's variables.
        GuestArch::Amd64 if matches!(&machine.firmware, Firmware::Uefi(flash) if flash.secure) => "q35,smm=on",
        GuestArch::Amd64 => "q35",
        GuestArch::Arm64 | GuestArch::Riscv64 => "virt",
    }
}

/// Choose a processor: the host's own under KVM, else one that is cheap to translate.
fn processor(arch: GuestArch, accelerator: Accelerator) -> &'static str {
    match (accelerator, arch) {
        (Accelerator::Kvm, _) => "host",
        // `max` has RDRAND, which seeds the kernel's random numbers at once; 57-bit addresses would add a level to
        // every page walk for memory that no guest here has.
        (Accelerator::Tcg, GuestArch::Amd64) => "max,la57=off",
        // `max` signs every return address in software and boots in 8 s instead of 2 s.
        (Accelerator::Tcg, GuestArch::Arm64) => "cortex-a57",
        (Accelerator::Tcg, GuestArch::Riscv64) => "rv64",
    }
}

/// A virtio port: what is written into the socket, the host's init reads, and the other way round.
fn control(argv: &mut Argv, machine: &Machine) {
    let Some(path) = &machine.control else { return };
    let mut chardev = OsString::from("socket,id=control0,server=on,wait=off,path=");
    chardev.push(OsStr::from_bytes(&drives::escaped(path.as_os_str())));
    argv.option("-chardev", chardev);
    argv.option("-device", "virtio-serial-pci");
    argv.option("-device", format!("virtserialport,chardev=control0,name={}", hullkit_init::control::PORT));
}

/// Append the network card, if there is one. A machine that boots over the network has one in any case.
fn network(argv: &mut Argv, machine: &Machine) {
    let mut netdev = OsString::from("user,id=net0");
    for publish in machine.network.iter().flatten() {
        netdev.push(format!(",hostfwd={}:127.0.0.1:{}-:{}", publish.protocol, publish.host, publish.guest));
    }
    let device = match (&machine.boot, &machine.network) {
        (Boot::Network { folder, file }, _) => {
            for (key, value) in [("tftp", folder.as_os_str()), ("bootfile", OsStr::new(file))] {
                netdev.push(format!(",{key}="));
                netdev.push(OsStr::from_bytes(&drives::escaped(value)));
            }
            "virtio-net-pci,netdev=net0,bootindex=0"
        }
        // No option ROM: it costs time on every boot, and its file is in a package that need not be installed.
        (_, Some(_)) => "virtio-net-pci,netdev=net0,romfile=",
        (_, None) => return,
    };
    argv.option("-netdev", netdev);
    argv.option("-device", device);
}

#[cfg(test)]
mod tests;
