//! The manifest's `boot`: what disks and the like are made with.

use std::collections::BTreeMap;

use hullkit_init::contract;
use linuxkit_yaml::{BootRoot, Manifest, OnFailure};
use serde::{Deserialize, Serialize};

use super::files::{Places, expand, import};
use super::{FileContent, Found, PlanError};
use crate::digest::Digest;
use crate::pull::name_of;
use crate::store::Store;

/// Where the images of the services are while the host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Root {
    /// In memory, unpacked from the initial RAM file system.
    Ram,
    /// Beside the initial RAM file system: on the disk or the CD that the host boots from, or in a file of their own.
    Disk,
    /// On a web server, from which init fetches them into memory: what [`Root::Disk`] is where there is no disk.
    #[value(skip)]
    Web,
}

/// What the manifest says of how the host boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Boot {
    /// Where the images are; by the format if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// The program that UEFI starts in front of the kernel, as a blob in the store; Hullkit's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stub: Option<Digest>,
    /// The image with a board's firmware, a key of the plan's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Digest>,
}

impl Boot {
    /// Tell whether the manifest says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What init is told to do after a failed boot.
pub(super) fn on_failure(manifest: &Manifest) -> Option<contract::OnFailure> {
    let word = manifest.boot.as_ref()?.on_failure.as_ref()?;
    Some(match word.value {
        OnFailure::Shell => contract::OnFailure::Shell,
        OnFailure::Reboot => contract::OnFailure::Reboot,
        OnFailure::PowerOff => contract::OnFailure::PowerOff,
        OnFailure::Halt => contract::OnFailure::Halt,
    })
}

/// Seconds that the hardware watchdog waits, if there is to be one.
pub(super) fn watchdog(manifest: &Manifest) -> Option<u32> {
    let time = manifest.boot.as_ref()?.watchdog.as_ref()?;
    u32::try_from(time.value.0.as_secs()).ok()
}

impl Root {
    /// Write it as users do.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Disk => "disk",
            Self::Web => "web",
        }
    }
}

/// Plan what is said, and import the stub into the store.
pub(super) fn plan(
    manifest: &Manifest,
    found: &BTreeMap<String, Found>,
    store: &Store,
    places: &Places,
) -> Result<Boot, PlanError> {
    let Some(boot) = &manifest.boot else { return Ok(Boot::default()) };
    let stub = match &boot.stub {
        Some(path) => import(&expand(path, places), false, store)?,
        None => None,
    };
    Ok(Boot {
        root: boot.root.as_ref().map(|root| match root.value {
            BootRoot::Ram => Root::Ram,
            BootRoot::Disk => Root::Disk,
        }),
        stub: stub.and_then(|content| match content {
            FileContent::Blob(digest, _) => Some(digest),
            _ => None,
        }),
        firmware: boot.firmware.as_ref().and_then(|image| found.get(&name_of(image))).map(|one| one.resolved.digest),
    })
}
