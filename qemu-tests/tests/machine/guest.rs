//! Guests of a few dozen bytes, in place of a kernel: they boot in a moment and do one thing.
//!
//! QEMU takes a file without the signature of a modern kernel for one from before 1995: it loads the first 2560 bytes at
//! 0x90000, points every data segment there, and jumps to 0x200 in real mode, on SeaBIOS.
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
}

/// Where the loader jumps to, from the beginning of the file.
const ENTRY: usize = 0x200;

/// What the loader wants at least: a boot sector and four sectors of setup.
const SIZE: usize = 5 * 512;

/// Where the text lies: behind all code.
const TEXT: u16 = 0x300;

/// Write a guest into a folder.
pub(crate) fn write(folder: &Path, text: &str, then: Then) -> PathBuf {
    let mut image = vec![0; SIZE];
    let code = code(then);
    image[ENTRY..ENTRY + code.len()].copy_from_slice(&code);
    let at = usize::from(TEXT);
    image[at..at + text.len()].copy_from_slice(text.as_bytes());
    let path = folder.join("guest");
    fs::write(&path, image).expect("a writable folder");
    path
}

fn code(then: Then) -> Vec<u8> {
    let [low, high] = TEXT.to_le_bytes();
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
