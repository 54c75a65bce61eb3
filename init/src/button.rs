//! The power button: an input device with a power key, which appears when its driver is loaded.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};

/// Input devices looked at; the kernel numbers them from 0.
const DEVICES: u32 = 32;

/// `KEY_POWER` of linux/input-event-codes.h.
const KEY_POWER: u16 = 116;

/// `EV_KEY` of linux/input-event-codes.h.
const EV_KEY: u16 = 1;

/// Size of `struct input_event` where `long` has 64 bits: time (16), type (2), code (2), value (4).
const EVENT: usize = 24;

/// Open power buttons, and the watch that says when to look for more.
#[derive(Debug, Default)]
pub struct Buttons {
    watch: Option<OwnedFd>,
    known: Vec<(u32, Option<OwnedFd>)>,
}

impl Buttons {
    /// Open the buttons that are there, and watch for others.
    #[must_use]
    pub fn find() -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        let mut buttons = Self { watch, known: Vec::new() };
        buttons.look();
        buttons
    }

    /// What to wait for.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let devices = self.known.iter().filter_map(|(_, fd)| fd.as_ref());
        self.watch.iter().chain(devices).map(OwnedFd::as_fd)
    }

    /// Take in what happened. Out: whether the power key was pressed.
    pub fn pressed(&mut self) -> bool {
        let mut pressed = false;
        for (_, device) in &mut self.known {
            let Some(fd) = device else { continue };
            match crate::sys::read_some(fd) {
                Ok(bytes) if !bytes.is_empty() => pressed |= bytes.chunks_exact(EVENT).any(is_press),
                Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {}
                // The device is gone.
                _ => *device = None,
            }
        }
        if self.watch.as_ref().is_some_and(|watch| crate::sys::read_some(watch).is_ok()) {
            self.look();
        }
        pressed
    }

    fn look(&mut self) {
        if let Some(watch) = &self.watch {
            let folder = if Path::new("/dev/input").exists() { "/dev/input" } else { "/dev" };
            // Adding a watch twice is one watch.
            let _ = inotify::add_watch(watch, folder, WatchFlags::CREATE);
        }
        for number in 0..DEVICES {
            if self.known.iter().any(|(known, fd)| *known == number && fd.is_some()) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(fd) = rustix::fs::open(format!("/dev/input/event{number}"), flags, Mode::empty()) else { continue };
            if has_power_key(&fd) {
                self.known.push((number, Some(fd)));
            }
        }
        self.known.retain(|(_, fd)| fd.is_some());
    }
}

fn has_power_key(device: &OwnedFd) -> bool {
    let bits = crate::sys::key_bits(device);
    bits[usize::from(KEY_POWER / 8)] >> (KEY_POWER % 8) & 1 == 1
}

fn is_press(event: &[u8]) -> bool {
    let half = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
    half(16) == EV_KEY && half(18) == KEY_POWER && half(20) == 1
}
