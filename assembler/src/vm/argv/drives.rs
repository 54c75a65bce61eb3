//! Drives, flash chips and what they are plugged into, as QEMU's arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::Argv;
use crate::vm::{Boot, Bus, Drive, Flash, GuestArch, Machine, Writes};

/// Something that drives are plugged into, made once if any drive needs it.
struct Controller {
    device: &'static str,
    buses: &'static [Bus],
}

/// The controllers that no board has of itself, or not every board.
const CONTROLLERS: [Controller; 3] = [
    Controller { device: "virtio-scsi-pci,id=scsi0", buses: &[Bus::Scsi, Bus::Cdrom] },
    Controller { device: "ich9-ahci,id=ahci0", buses: &[Bus::Ahci] },
    Controller { device: "qemu-xhci,id=usb0", buses: &[Bus::Usb] },
];

/// Append the firmware's flash: its program, and a copy of its variables that is gone with the machine.
pub(super) fn flash(argv: &mut Argv, arch: GuestArch, flash: &Flash) {
    if flash.secure && arch == GuestArch::Amd64 {
        argv.option("-global", "driver=cfi.pflash01,property=secure,value=on");
    }
    for (unit, file, writes) in [(0, &flash.code, "readonly=on"), (1, &flash.variables, "snapshot=on")] {
        let layout = if file.extension() == Some(OsStr::new("qcow2")) { "qcow2" } else { "raw" };
        argv.option("-drive", with_file(&format!("if=pflash,unit={unit},driver={layout},{writes}"), file));
    }
}

/// Append the machine's drives, in their order.
pub(super) fn drives(argv: &mut Argv, machine: &Machine) {
    for controller in CONTROLLERS {
        if machine.drives.iter().any(|drive| controller.buses.contains(&drive.bus)) {
            argv.option("-device", controller.device);
        }
    }
    let mut ports = Ports::default();
    for (number, drive) in machine.drives.iter().enumerate() {
        argv.option("-drive", medium(number, drive));
        let mut device = format!("{},drive=disk{number}", ports.next(drive.bus, number));
        // Without drives to boot from, the numbers are taken by what QEMU itself adds to hand a kernel over.
        if machine.boot == Boot::Drives {
            device.push_str(&format!(",bootindex={number}"));
        }
        argv.option("-device", device);
    }
}

/// Append the disks that can be pulled out, each behind a port of its own: the board's own bus keeps what is in it.
pub(super) fn loose(argv: &mut Argv, machine: &Machine) {
    for (number, disk) in (1..).zip(&machine.loose) {
        let name = &disk.name;
        argv.option("-blockdev", with_file(&format!("driver=raw,node-name=file-{name},discard=unmap"), &disk.path));
        argv.option("-device", format!("pcie-root-port,id=port-{name},chassis={number}"));
        if !disk.later {
            argv.option("-device", disk.device());
        }
    }
}

/// Say what is in a drive.
fn medium(number: usize, drive: &Drive) -> OsString {
    let writes = match (drive.bus, drive.writes) {
        (Bus::Cdrom, _) => ",media=cdrom,readonly=on",
        (_, Writes::Discarded) => ",snapshot=on",
        (_, Writes::Kept) => "",
    };
    with_file(&format!("if=none,id=disk{number},driver={}{writes}", drive.layout.driver()), &drive.path)
}

/// Add a file to a list of options. Named by its driver, it may have a colon, which else means a protocol; a comma is
/// written twice.
fn with_file(options: &str, file: &Path) -> OsString {
    let mut bytes = format!("{options},file.driver=file,file.filename=").into_bytes();
    bytes.extend(escaped(file.as_os_str()));
    OsString::from_vec(bytes)
}

/// Write a text so that QEMU's lists of options do not end in it.
pub(super) fn escaped(text: &OsStr) -> Vec<u8> {
    text.as_bytes()
        .split_inclusive(|byte| *byte == b',')
        .flat_map(|part| {
            let comma: &[u8] = if part.ends_with(b",") { b"," } else { b"" };
            [part, comma].concat()
        })
        .collect()
}

/// How many drives are plugged in already, where a drive has to say which port it takes.
#[derive(Debug, Default)]
struct Ports {
    ahci: usize,
    ide: usize,
}

impl Ports {
    /// Name the device that a drive is, and where it is plugged in.
    fn next(&mut self, bus: Bus, number: usize) -> String {
        let next = |count: &mut usize| {
            *count += 1;
            *count - 1
        };
        match bus {
            Bus::Virtio => "virtio-blk-pci".to_owned(),
            Bus::Nvme => format!("nvme,serial=disk{number}"),
            Bus::Usb => "usb-storage,bus=usb0.0".to_owned(),
            Bus::Scsi => "scsi-hd,bus=scsi0.0".to_owned(),
            Bus::Ahci => format!("ide-hd,bus=ahci0.{}", next(&mut self.ahci)),
            Bus::Cdrom => "scsi-cd,bus=scsi0.0".to_owned(),
            Bus::Ide => {
                let port = next(&mut self.ide);
                format!("ide-hd,bus=ide.{},unit={}", port / 2, port % 2)
            }
        }
    }
}
