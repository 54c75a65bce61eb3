//! The `boot` section: how a host boots from a disk, a CD, a web server or a card, and what happens if it does not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::period::Period;
use crate::reference::Reference;
use crate::span::Spanned;

/// What the formats that boot by themselves are made with, and what init does when things go wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// Where the images of the services are while the host runs; by the format if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Spanned<BootRoot>>,
    /// The program that UEFI starts in front of the kernel, read at build time from this file, relative to the working
    /// directory; systemd's stub if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stub: Option<Spanned<String>>,
    /// Image whose files are the firmware of a Raspberry Pi; the format `rpi` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Spanned<Reference>>,
    /// What follows a failed boot, and a panic of the kernel: `poweroff` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Spanned<OnFailure>>,
    /// Time after which a hardware watchdog resets a machine whose init does not answer any more; none is used if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Spanned<Period>>,
}

/// What follows a failed boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// A shell on the console, if the host has one.
    Shell,
    /// The machine starts again.
    Reboot,
    /// It is switched off.
    PowerOff,
    /// It stops, and the screen stays.
    Halt,
}

/// Where the images of the services are while the host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BootRoot {
    /// In memory, unpacked from the initial RAM file system.
    Ram,
    /// On what the host boots from.
    Disk,
}
