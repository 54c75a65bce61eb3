//! The user's terminal in raw mode, and the keys that are not for the guest.

use std::io;
use std::os::fd::OwnedFd;

use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// The key that starts a command: Ctrl-A, as in QEMU's own terminal.
const ESCAPE: u8 = 0x01;

/// Standard input in raw mode; dropping this gives the terminal back as it was.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Put standard input into raw mode; nothing if it is no terminal.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn enter() -> io::Result<Option<Self>> {
        if !isatty(stdin()) {
            return Ok(None);
        }
        let terminal = rustix::io::dup(stdin())?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        // Output stays cooked, so that what the program prints still starts at the left.
        raw.output_modes = before.output_modes;
        tcsetattr(&terminal, OptionalActions::Flush, &raw)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A byte for the guest.
    Guest(u8),
    /// End the machine.
    Quit,
    /// Press its power button.
    Power,
    /// Show the keys.
    Help,
}

/// Tells the user's keys from the guest's, across reads.
#[derive(Debug, Default)]
pub(super) struct Keys {
    escaped: bool,
}

impl Keys {
    /// Take one byte from the terminal; nothing if it only began a command, or is no command.
    pub(super) fn read(&mut self, byte: u8) -> Option<Key> {
        if !self.escaped {
            self.escaped = byte == ESCAPE;
            return (!self.escaped).then_some(Key::Guest(byte));
        }
        self.escaped = false;
        match byte {
            b'x' => Some(Key::Quit),
            b'p' => Some(Key::Power),
            b'h' | b'?' => Some(Key::Help),
            ESCAPE | b'a' => Some(Key::Guest(ESCAPE)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_starts_a_command_even_across_reads() {
        let mut keys = Keys::default();
        let read: Vec<_> = b"a\x01xb\x01\x01\x01h\x01zc".iter().filter_map(|byte| keys.read(*byte)).collect();
        let want = [Key::Guest(b'a'), Key::Quit, Key::Guest(b'b'), Key::Guest(ESCAPE), Key::Help, Key::Guest(b'c')];
        assert_eq!(read, want);
    }
}
