//! A [`Machine`] as QEMU's arguments: pure, the same machine gives the same arguments.

use std::ffi::OsString;

use super::Machine;
use crate::platform::Arch;

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
    argv.words(&["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-S"]);
    argv.option("-machine", board(machine.arch));
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
    argv.option("-netdev", netdev(machine));
    // No option ROM: it costs time on every boot, and its file is in a package that need not be installed.
    argv.option("-device", "virtio-net-pci,netdev=net0,romfile=");
    if machine.arch == Arch::Arm64 {
        // The power button of `virt` is a GPIO key unless firmware brings ACPI; distribution kernels for clouds
        // have no driver for it. A keyboard has a power key too.
        argv.option("-device", "virtio-keyboard-pci");
    }
    argv.option("-kernel", &machine.kernel);
    if let Some(initrd) = &machine.initrd {
        argv.option("-initrd", initrd);
    }
    argv.option("-append", &machine.cmdline);
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

fn board(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "q35",
        Arch::Arm64 => "virt",
    }
}

/// Choose a processor: the host's own under KVM, else one that is cheap to translate.
fn processor(arch: Arch, accelerator: Accelerator) -> &'static str {
    match (accelerator, arch) {
        (Accelerator::Kvm, _) => "host",
        // `max` has RDRAND, which seeds the kernel's random numbers at once; 57-bit addresses would add a level to
        // every page walk for memory that no guest here has.
        (Accelerator::Tcg, Arch::Amd64) => "max,la57=off",
        // `max` signs every return address in software and boots in 8 s instead of 2 s.
        (Accelerator::Tcg, Arch::Arm64) => "cortex-a57",
    }
}

fn netdev(machine: &Machine) -> String {
    let mut netdev = "user,id=net0".to_owned();
    for publish in &machine.publish {
        netdev.push_str(&format!(",hostfwd={}:127.0.0.1:{}-:{}", publish.protocol, publish.host, publish.guest));
    }
    netdev
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::path::PathBuf;

    use super::*;

    fn machine(arch: Arch) -> Machine {
        Machine {
            arch,
            memory: "256".parse().expect("an amount"),
            cpus: NonZeroU16::MIN,
            kernel: PathBuf::from("out dir/web-kernel"),
            initrd: Some(PathBuf::from("out dir/web-initrd.img")),
            cmdline: "console=ttyS0 panic=-1".to_owned(),
            publish: vec!["8080:80".parse().expect("a port"), "53/udp".parse().expect("a port")],
            extra: vec!["-device".into(), "usb-ehci".into()],
        }
    }

    fn lines(machine: &Machine, accelerator: Accelerator) -> String {
        let words = argv(machine, accelerator).into_iter().map(|word| word.into_string().expect("plain text"));
        words.collect::<Vec<_>>().join("\n").replace("\n-", "§-").replace('\n', " ").replace('§', "\n")
    }

    #[test]
    fn amd64_is_a_q35_with_two_ports() {
        let want = "\
-nodefaults
-no-user-config
-display none
-no-reboot
-S
-machine q35
-accel tcg
-cpu max,la57=off
-m 256M
-smp 1
-chardev socket,id=serial0,fd=0
-serial chardev:serial0
-chardev socket,id=qmp0,fd=1
-mon chardev=qmp0,mode=control
-object rng-builtin,id=rng0
-device virtio-rng-pci,rng=rng0
-netdev user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:0-:53
-device virtio-net-pci,netdev=net0,romfile=
-kernel out dir/web-kernel
-initrd out dir/web-initrd.img
-append console=ttyS0 panic=-1
-device usb-ehci";
        assert_eq!(lines(&machine(Arch::Amd64), Accelerator::Tcg), want);
    }

    #[test]
    fn arm64_is_a_virt_board_with_a_keyboard() {
        let text = lines(&machine(Arch::Arm64), Accelerator::Tcg);
        assert!(text.contains("\n-machine virt\n-accel tcg\n-cpu cortex-a57\n"), "{text}");
        assert!(text.contains("\n-device virtio-keyboard-pci\n"), "{text}");
    }

    #[test]
    fn kvm_gives_the_guest_the_hosts_processor() {
        let text = lines(&machine(Arch::Amd64), Accelerator::Kvm);
        assert!(text.contains("\n-accel kvm\n-cpu host\n"), "{text}");
    }
}
