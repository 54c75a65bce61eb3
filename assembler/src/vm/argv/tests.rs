use std::path::PathBuf;

use super::*;
use crate::platform::Arch;
use crate::vm::{DiskLayout, Drive, Flash, LooseDisk, Writes};

fn machine(arch: impl Into<GuestArch>) -> Machine {
    let boot = Boot::Kernel {
        kernel: PathBuf::from("out dir/web-kernel"),
        initrd: Some(PathBuf::from("out dir/web-initrd.img")),
        cmdline: "console=ttyS0 panic=-1".to_owned(),
    };
    Machine {
        network: Some(vec!["8080:80".parse().expect("a port"), "53/udp".parse().expect("a port")]),
        extra: vec!["-device".into(), "usb-ehci".into()],
        ..Machine::new(arch, "256".parse().expect("an amount"), boot)
    }
}

/// A machine that has nothing but these drives.
fn disks(arch: Arch, drives: &[(&str, DiskLayout, Bus)]) -> Machine {
    let drive = |(path, layout, bus): &(&str, DiskLayout, Bus)| Drive {
        path: PathBuf::from(path),
        layout: *layout,
        bus: *bus,
        writes: Writes::Discarded,
    };
    let drives = drives.iter().map(drive).collect();
    Machine { drives, ..Machine::new(arch, "256".parse().expect("an amount"), Boot::Drives) }
}

fn uefi() -> Firmware {
    Firmware::Uefi(Flash {
        code: PathBuf::from("/fw/CODE.fd"),
        variables: PathBuf::from("/fw/VARS.qcow2"),
        secure: false,
    })
}

/// The arguments from the first one that is about firmware or drives.
fn storage(machine: &Machine) -> String {
    let text = lines(machine, Accelerator::Tcg);
    let start = text.find("rng=rng0\n").expect("every machine has entropy") + "rng=rng0\n".len();
    text[start..].to_owned()
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
fn a_tpm_is_spoken_to_over_its_socket() {
    for (arch, device) in [(Arch::Amd64, "tpm-tis"), (Arch::Arm64, "tpm-tis-device")] {
        let machine = Machine { tpm: Some("/run/a,b.tpm".into()), ..machine(arch) };
        let text = lines(&machine, Accelerator::Tcg);
        let want = format!(
            "-chardev socket,id=tpm0,path=/run/a,,b.tpm\n-tpmdev emulator,id=tpm0,chardev=tpm0\n-device {device},tpmdev=tpm0"
        );
        assert!(text.contains(&want), "{text}");
    }
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

#[test]
fn every_bus_of_a_pc_has_its_device() {
    use DiskLayout::{Qcow2, Raw, Vdi, Vhd, Vhdx, Vmdk};
    let all = [
        ("a.raw", Raw, Bus::Virtio),
        ("b.qcow2", Qcow2, Bus::Ahci),
        ("c.vmdk", Vmdk, Bus::Nvme),
        ("d.vhd", Vhd, Bus::Usb),
        ("e.vhdx", Vhdx, Bus::Scsi),
        ("f.vdi", Vdi, Bus::Scsi),
        ("g.iso", Raw, Bus::Cdrom),
    ];
    let want = "\
-device virtio-scsi-pci,id=scsi0
-device ich9-ahci,id=ahci0
-device qemu-xhci,id=usb0
-drive if=none,id=disk0,driver=raw,snapshot=on,file.driver=file,file.filename=a.raw
-device virtio-blk-pci,drive=disk0,bootindex=0
-drive if=none,id=disk1,driver=qcow2,snapshot=on,file.driver=file,file.filename=b.qcow2
-device ide-hd,bus=ahci0.0,drive=disk1,bootindex=1
-drive if=none,id=disk2,driver=vmdk,snapshot=on,file.driver=file,file.filename=c.vmdk
-device nvme,serial=disk2,drive=disk2,bootindex=2
-drive if=none,id=disk3,driver=vpc,snapshot=on,file.driver=file,file.filename=d.vhd
-device usb-storage,bus=usb0.0,drive=disk3,bootindex=3
-drive if=none,id=disk4,driver=vhdx,snapshot=on,file.driver=file,file.filename=e.vhdx
-device scsi-hd,bus=scsi0.0,drive=disk4,bootindex=4
-drive if=none,id=disk5,driver=vdi,snapshot=on,file.driver=file,file.filename=f.vdi
-device scsi-hd,bus=scsi0.0,drive=disk5,bootindex=5
-drive if=none,id=disk6,driver=raw,media=cdrom,readonly=on,file.driver=file,file.filename=g.iso
-device scsi-cd,bus=scsi0.0,drive=disk6,bootindex=6";
    assert_eq!(storage(&disks(Arch::Amd64, &all)), want);
}

#[test]
fn ide_disks_are_on_the_older_pc() {
    let disk = ("a", DiskLayout::Raw, Bus::Ide);
    let text = lines(&disks(Arch::Amd64, &[disk, disk, disk]), Accelerator::Tcg);
    assert!(text.contains("\n-machine pc\n"), "{text}");
    for port in ["ide.0,unit=0,drive=disk0", "ide.0,unit=1,drive=disk1", "ide.1,unit=0,drive=disk2"] {
        assert!(text.contains(&format!("\n-device ide-hd,bus={port},")), "{text}");
    }
}

#[test]
fn arm64_boots_by_uefi() {
    let machine = Machine { firmware: uefi(), ..disks(Arch::Arm64, &[("a.iso", DiskLayout::Raw, Bus::Cdrom)]) };
    let want = "\
-device virtio-keyboard-pci
-drive if=pflash,unit=0,driver=raw,readonly=on,file.driver=file,file.filename=/fw/CODE.fd
-drive if=pflash,unit=1,driver=qcow2,snapshot=on,file.driver=file,file.filename=/fw/VARS.qcow2
-device virtio-scsi-pci,id=scsi0
-drive if=none,id=disk0,driver=raw,media=cdrom,readonly=on,file.driver=file,file.filename=a.iso
-device scsi-cd,bus=scsi0.0,drive=disk0,bootindex=0";
    assert_eq!(storage(&machine), want);
}

#[test]
fn a_disk_that_keeps_its_writes_is_no_snapshot() {
    let mut machine = disks(Arch::Amd64, &[("nbd:a,b.raw", DiskLayout::Raw, Bus::Virtio)]);
    machine.drives[0].writes = Writes::Kept;
    let want = "\
-drive if=none,id=disk0,driver=raw,file.driver=file,file.filename=nbd:a,,b.raw
-device virtio-blk-pci,drive=disk0,bootindex=0";
    assert_eq!(storage(&machine), want);
}

#[test]
fn a_disk_beside_a_kernel_is_not_booted() {
    let disk = disks(Arch::Amd64, &[("data.raw", DiskLayout::Raw, Bus::Virtio)]).drives;
    let text = lines(&Machine { drives: disk, ..machine(Arch::Amd64) }, Accelerator::Tcg);
    assert!(text.contains("\n-device virtio-blk-pci,drive=disk0\n-kernel "), "{text}");
}

#[test]
fn a_unified_kernel_image_brings_its_own_command_line() {
    let boot = Boot::Kernel { kernel: PathBuf::from("web.efi"), initrd: None, cmdline: String::new() };
    let machine = Machine { firmware: uefi(), boot, ..disks(Arch::Amd64, &[]) };
    assert!(storage(&machine).ends_with("\n-kernel web.efi"), "{}", storage(&machine));
}

#[test]
fn the_network_is_booted_by_the_cards_own_rom() {
    let boot = Boot::Network { folder: PathBuf::from("out,dir"), file: "web.ipxe".to_owned() };
    let want = "\
-netdev user,id=net0,tftp=out,,dir,bootfile=web.ipxe
-device virtio-net-pci,netdev=net0,bootindex=0";
    assert_eq!(storage(&Machine { boot, ..disks(Arch::Amd64, &[]) }), want);
}

#[test]
fn a_disk_that_can_be_pulled_out_has_a_port_of_its_own() {
    let data = LooseDisk { name: "data".to_owned(), path: PathBuf::from("a,b"), later: false };
    let loose = vec![data.clone(), LooseDisk { name: "more".to_owned(), later: true, ..data }];
    let text = storage(&Machine { loose, screen: Screen::Hidden, ..disks(Arch::Amd64, &[]) });
    let want = "\
-blockdev driver=raw,node-name=file-data,discard=unmap,file.driver=file,file.filename=a,,b
-device pcie-root-port,id=port-data,chassis=1
-device virtio-blk-pci,id=disk-data,drive=file-data,bus=port-data,serial=data
-blockdev driver=raw,node-name=file-more,discard=unmap,file.driver=file,file.filename=a,,b
-device pcie-root-port,id=port-more,chassis=2
-device VGA";
    assert_eq!(text, want);
}

#[test]
fn what_leads_to_others_is_named_by_its_path() {
    let machine = Machine {
        tpm: Some(PathBuf::from("t")),
        lan: Some((PathBuf::from("l"), 10)),
        shares: vec!["src=/a b,c:ro".parse().expect("a folder")],
        ..disks(Arch::Arm64, &[])
    };
    let want = "\
-chardev socket,id=tpm0,path=t
-tpmdev emulator,id=tpm0,chardev=tpm0
-device tpm-tis-device,tpmdev=tpm0
-netdev stream,id=lan0,server=off,addr.type=unix,addr.path=l
-device virtio-net-pci,netdev=lan0,mac=52:54:00:4c:41:0a,romfile=
-virtfs local,mount_tag=src,security_model=mapped-xattr,readonly=on,path=/a b,,c
-device virtio-keyboard-pci";
    assert_eq!(storage(&machine), want);
}

#[test]
fn a_screen_is_shown_where_it_is_asked_for() {
    let text =
        lines(&Machine { screen: Screen::Shown("vnc=:1".to_owned()), ..disks(Arch::Arm64, &[]) }, Accelerator::Tcg);
    assert!(text.contains("\n-display vnc=:1\n") && text.contains("\n-device ramfb"), "{text}");
}

#[test]
fn secure_boot_keeps_the_guest_from_the_variables_where_it_can() {
    let secure = |arch| {
        let flash = Flash { code: "/fw/CODE.fd".into(), variables: "/fw/VARS.fd".into(), secure: true };
        lines(&Machine { firmware: Firmware::Uefi(flash), ..disks(arch, &[]) }, Accelerator::Tcg)
    };
    let pc = secure(Arch::Amd64);
    assert!(pc.contains("-machine q35,smm=on\n"), "{pc}");
    assert!(pc.contains("-global driver=cfi.pflash01,property=secure,value=on\n"), "{pc}");
    let arm = secure(Arch::Arm64);
    assert!(arm.contains("-machine virt\n") && !arm.contains("-global"), "{arm}");
}

#[test]
fn riscv64_is_a_virt_with_a_keyboard() {
    let words = lines(&machine(GuestArch::Riscv64), Accelerator::Tcg);
    for want in ["-machine virt\n", "-cpu rv64\n", "-device virtio-keyboard-pci\n", "-kernel out dir/web-kernel\n"] {
        assert!(words.contains(want), "no `{want}`: {words}");
    }
}
