//! Runs what the writers made: files in, a running QEMU out.
//!
//! ```text
//!  Machine --argv--> arguments --start--> Vm --wait--> Outcome
//!   plain data        pure        process   console lines, power button, ports
//! ```
//!
//! A [`Machine`] says what the guest sees, [`argv()`] turns it into QEMU's arguments without touching anything, and
//! [`Vm::start`] runs them. The guest is held until both its serial port and QEMU's control socket (QMP) are in our
//! hands, so no byte and no event of a boot is ever lost; both are socket pairs that QEMU inherits, so no file and no
//! port leads to them. A drive's file is not written to unless that is asked for. QEMU dies with the program that started it, even if that is killed (see [`launch`]).
//!
//! Touches: processes, and loopback ports that are published. Does not: make images, print, or read the environment.

mod accel;
mod argv;
mod attach;
mod check;
mod cidata;
mod cmdline;
mod console;
mod control;
mod drive;
mod error;
mod esp;
mod firmware;
mod guest;
mod image;
mod kernel;
mod lan;
pub mod launch;
mod machine;
mod outcome;
mod publish;
mod qemu;
mod qmp;
mod share;
mod signals;
mod start;
mod terminal;
mod tpm;
mod web;

pub use accel::{Accel, Choice, HostFacts};
pub use argv::{Accelerator, argv};
pub use attach::{HELP, attach, attach_to};
pub use cidata::cidata;
pub use cmdline::with_console;
pub use console::{Console, Line, Missed};
pub use control::{
    ControlSocket, Known, Record, console as machine_console, find as find_machine, forget as forget_machine,
    known as known_machines, socket as machine_socket,
};
pub use drive::{Bus, DiskLayout, Drive, LooseDisk, Writes};
pub use error::VmError;
pub use esp::esp;
pub use firmware::{Firmware, Flash, find_secure, find_uefi};
pub use guest::GuestArch;
pub use image::Image;
pub use lan::Lan;
pub use launch::Launcher;
pub use machine::{Boot, Machine, Memory, Screen, Share};
pub use outcome::{Cause, Outcome};
pub use publish::{Protocol, Publish};
pub use qemu::find_qemu;
pub use share::SharedConsole;
pub use signals::{Signal, on_signal};
pub use start::{Sink, Stopper, Tools, Vm};
pub use tpm::Tpm;
pub use web::{Manners, Part, Web};
