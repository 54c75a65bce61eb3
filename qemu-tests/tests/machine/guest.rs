//! Guests of a few dozen bytes, in place of a kernel: they boot in a moment and do one thing.
//!
//! QEMU takes a file without the signature of a modern kernel for one from before 1995: it loads the first 2560 bytes at
//! 0x90000, points every data segment there, and jumps to 0x200 in real mode, on SeaBIOS. A boot sector is put at
//! 0x7c00.
//!
//! # Source
//!
//! Linux, `Documentation/x86/boot.rst`; QEMU, `hw/i386/x86.c` (`x86_load_linux`), `pc-bios/optionrom/linuxboot_dma.c`.

use std::fs;
use std::path::{Path, PathBuf};

/// What a guest does after it has written its text on the serial port.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// Power off, through the power management block of a q35.
    PowerOff,
    /// Reset, through the keyboard controller.
    Reset,
    /// Sleep for ever.
    Sleep,
    /// Write the text again, for ever.
    Again,
    /// Send back every byte that the serial port receives.
    Echo,
    /// Write the boot sector to the disk's sector [`WRITTEN`] and power off; only on a disk.
    Write,
}

/// Where a PC's BIOS puts a boot sector, or what it fetched over the network.
const BOOT_SECTOR: u16 = 0x7c00;

/// Where the text lies in a boot sector: behind all code.
const SECTOR_TEXT: u16 = 0x100;

/// Bytes of a disk: some emulated adapters want one that has a geometry.
const DISK: usize = 1 << 20;

/// The sector of the disk that [`Then::Write`] writes its own boot sector to.
pub(crate) const WRITTEN: usize = 1;

/// Where the loader jumps to, from the beginning of the file.
const ENTRY: usize = 0x200;

/// What the loader wants at least: a boot sector and four sectors of setup.
const SIZE: usize = 5 * 512;

/// Where the text lies: behind all code.
const TEXT: u16 = 0x300;

/// Write a guest into a folder.
pub(crate) fn write(folder: &Path, text: &str, then: Then) -> PathBuf {
    let mut image = vec![0; SIZE];
    let code = code(TEXT, then);
    image[ENTRY..ENTRY + code.len()].copy_from_slice(&code);
    let at = usize::from(TEXT);
    image[at..at + text.len()].copy_from_slice(text.as_bytes());
    let path = folder.join("guest");
    fs::write(&path, image).expect("a writable folder");
    path
}

/// Write a disk into a folder whose boot sector is the guest.
pub(crate) fn write_disk(folder: &Path, text: &str, then: Then) -> PathBuf {
    let mut image = vec![0; DISK];
    // xor ax, ax; mov ds, ax; mov es, ax
    let code = [&[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0], code(BOOT_SECTOR + SECTOR_TEXT, then).as_slice()].concat();
    image[..code.len()].copy_from_slice(&code);
    let at = usize::from(SECTOR_TEXT);
    image[at..at + text.len()].copy_from_slice(text.as_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    let path = folder.join("guest.raw");
    fs::write(&path, image).expect("a writable folder");
    path
}

fn code(text: u16, then: Then) -> Vec<u8> {
    let [low, high] = text.to_le_bytes();
    let mut code = vec![
        0xfc, // cld
        0xbe, low, high, // mov si, text
        // next:
        0xac, // lodsb
        0x84, 0xc0, // test al, al
        0x74, 0x12, // jz then
        0x88, 0xc4, // mov ah, al
        0xba, 0xfd, 0x03, // mov dx, line status
        0xec, 0xa8, 0x20, 0x74, 0xfb, // wait until it can send
        0xba, 0xf8, 0x03, // mov dx, data
        0x88, 0xe0, // mov al, ah
        0xee, // out dx, al
        0xeb, 0xe9, // jmp next
    ];
    // then:
    code.extend_from_slice(match then {
        // mov dx, PM1a control; mov ax, sleep enable; out dx, ax
        Then::PowerOff => &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef],
        // mov ax, write one; mov cx, cylinder 0 sector 2; mov dh, head 0; mov dl, first disk; mov bx, 0x7c00; int 0x13;
        // then as above
        Then::Write => &[
            0xb8, 0x01, 0x03, 0xb9, 0x02, 0x00, 0xba, 0x80, 0x00, 0xbb, 0x00, 0x7c, 0xcd, 0x13, 0xba, 0x04, 0x06, 0xb8,
            0x00, 0x20, 0xef,
        ],
        // mov al, pulse reset; out 0x64, al
        Then::Reset => &[0xb0, 0xfe, 0xe6, 0x64],
        Then::Sleep => &[],
        // jmp to the mov si above
        Then::Again => &[0xeb, 0xe4],
        // mov dx, line status; wait until there is a byte; mov dx, data; in al, dx; out dx, al; once more
        Then::Echo => &[0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1],
    });
    code.extend_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]); // cli; hlt, for ever
    code
}
