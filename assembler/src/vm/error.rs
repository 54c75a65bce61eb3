//! Why a machine could not be described, started or spoken to.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::GuestArch;
use crate::platform::Arch;

/// Why a machine could not be described, started or spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// A machine cannot have this name.
    #[error("`{name}`: {what}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no place for the sockets of machines.
    #[error("could not use `{path}` for the sockets of machines")]
    Sockets {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// An amount of memory that means nothing.
    #[error("`{text}` is not an amount of memory; write MiB as `256` or `256M`, GiB as `1G`")]
    Memory {
        /// What was written.
        text: String,
    },
    /// An architecture that there is no machine of.
    #[error("`{text}` is not an architecture hullkit runs; it knows amd64 (x86_64), arm64 (aarch64) and riscv64")]
    Arch {
        /// What was written.
        text: String,
    },
    /// An architecture that no host is built for.
    #[error(
        "`hullkit build` has no init for {arch}: name a kernel and an initrd that were built elsewhere, as the NAME of NAME-kernel"
    )]
    NoInit {
        /// What the machine is.
        arch: GuestArch,
    },
    /// A machine without a firmware that could boot what it has.
    #[error(
        "there is no firmware for {arch} that hullkit knows and that boots disks or programs: name a kernel, as the NAME of NAME-kernel"
    )]
    NoLoader {
        /// What the machine is.
        arch: GuestArch,
    },
    /// An accelerator that does not exist.
    #[error("`{text}` is not an accelerator; known are `auto`, `kvm` and `tcg`")]
    Accel {
        /// What was written.
        text: String,
    },
    /// A published port that does not parse.
    #[error(
        "`{text}` does not publish a port; write `HOST:GUEST`, or `GUEST` for a free host port, then `/tcp` or `/udp`"
    )]
    Publish {
        /// What was written.
        text: String,
    },
    /// A bus that disks are not on.
    #[error("`{text}` is not a bus for a disk; known are virtio, ide, ahci, nvme, usb, scsi and cdrom")]
    Bus {
        /// What was written.
        text: String,
    },
    /// There is no TPM for a machine that is to have one.
    #[error("could not start `{program}`, the machine's TPM; Debian's package is `swtpm`")]
    Tpm {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Files cannot be served to a machine that boots over the network.
    #[error("could not open a port of 127.0.0.1 for a web server")]
    Web {
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// User data cannot be given to a machine.
    #[error("could not give `{path}` to the machine as user data")]
    Metadata {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A folder that does not parse as one to be shared.
    #[error("`{text}` shares no folder; write `TAG=DIR`, or `TAG=DIR:ro`, the tag of letters, digits, `-` and `_`")]
    Share {
        /// What was written.
        text: String,
    },
    /// QEMU is not installed.
    #[error("`{program}` is not installed; Debian's package is `{package}`")]
    NoQemu {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// UEFI firmware is not installed.
    #[error("{what} for {arch} is not installed; Debian's package is `{package}`")]
    NoFirmware {
        /// What was looked for.
        what: &'static str,
        /// What the machine is.
        arch: Arch,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A file cannot be the firmware's variables.
    #[error(
        "`{path}` has {found} bytes, and the variables of this firmware have {wanted}: take a copy of a file that came with it"
    )]
    Variables {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
        /// Those of the firmware's own file.
        wanted: u64,
    },
    /// Secure Boot would say nothing of what is booted.
    #[error("Secure Boot does not look at a kernel that QEMU hands over: boot a disk, a CD or a `.efi`")]
    Unlooked,
    /// A program cannot be put on a disk.
    #[error("could not put `{path}` on a disk for the firmware")]
    Program {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The machine with this bus has no Secure Boot.
    #[error("`ide` makes the machine an older PC, which has no Secure Boot; take another bus for `{path}`")]
    OldPc {
        /// The drive's file.
        path: PathBuf,
    },
    /// The machine has no firmware that could find what to boot.
    #[error("{arch} has no BIOS: its disks and networks are booted by UEFI")]
    NoBios {
        /// What the machine is.
        arch: GuestArch,
    },
    /// The machine has no such bus.
    #[error("{arch} has no IDE bus; take another for `{path}`")]
    NoIde {
        /// What the machine is.
        arch: GuestArch,
        /// The drive's file.
        path: PathBuf,
    },
    /// KVM was asked for and cannot be had.
    #[error("KVM cannot be used: {why}")]
    NoKvm {
        /// What is in the way.
        why: String,
    },
    /// A file to boot from cannot be read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The kernel cannot run on this machine.
    #[error("`{path}` is a kernel for {found}, and the machine is {wanted}")]
    ForeignKernel {
        /// The kernel.
        path: PathBuf,
        /// What it is for.
        found: GuestArch,
        /// What the machine is.
        wanted: GuestArch,
    },
    /// A host port is not free.
    #[error("port {port}/{protocol} of 127.0.0.1 cannot be published")]
    Port {
        /// The host's port.
        port: u16,
        /// `tcp` or `udp`.
        protocol: super::Protocol,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The process could not be made.
    #[error("could not start `{program}`")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// QEMU ended before the guest ran.
    #[error("QEMU did not start the guest: {stderr}")]
    Refused {
        /// What QEMU said, in one line.
        stderr: String,
    },
    /// The control socket broke.
    #[error("could not speak to QEMU")]
    Control {
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// QEMU did not answer a command.
    #[error("QEMU did not answer `{command}` within {} s", within.as_secs())]
    Silent {
        /// The QMP command.
        command: &'static str,
        /// How long was waited.
        within: Duration,
    },
    /// QEMU refused a command.
    #[error("QEMU refused `{command}`: {message}")]
    Command {
        /// The QMP command.
        command: &'static str,
        /// QEMU's words.
        message: String,
    },
    /// Signals cannot be watched.
    #[error("could not watch for signals")]
    Signals {
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The terminal cannot be set up.
    #[error("could not set up the terminal")]
    Terminal {
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}
