//! The whole document, sections in the order users write them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::boot::Boot;
use crate::file::File;
use crate::image::Container;
use crate::init::InitEntry;
use crate::kernel::Kernel;
use crate::logs::Logs;
use crate::metadata::HostMetadata;
use crate::metrics::Metrics;
use crate::modules::Modules;
use crate::network::Network;
use crate::period::Period;
use crate::reference::Reference;
use crate::scalar::Scalar;
use crate::span::{Position, Sources, Spanned};
use crate::storage::Storage;
use crate::time::Time;
use crate::volume::Volume;

/// What the user wrote. Holding one proves that the words are legal; it says nothing about the world.
///
/// Lists that are absent are empty; where "absent" means something else than "empty", the field is an `Option`.
/// Equality ignores positions and sources.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("$comment" = "LinuxKit's keys keep LinuxKit's meaning; boot, hostname, logs, metadata, metrics, network, wait_online, time, modules, storage, sysctl and persistent, and a container's depends_on, security, seccomp, healthcheck, restart, critical, stop_signal, stop_grace_period and resources.memory.high are Hullkit's."))]
pub struct Manifest {
    /// Kernel to boot; without one the result is not bootable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// Images unpacked into the host's root, in order. Absent, or with the word `builtin`: Hullkit's own init is in charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Vec<Spanned<InitEntry>>>,
    /// Containers run one after another at boot, before any service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onboot: Vec<Container>,
    /// Containers run one after another at a clean shutdown, after the services have stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onshutdown: Vec<Container>,
    /// Containers kept running; names are unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Container>,
    /// Writable or read-only volumes that containers bind by name; names are unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Files added to the host's root after everything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// LinuxKit's content trust; accepted and ignored, as LinuxKit does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Name of the host (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Spanned<String>>,
    /// How the host's interfaces are set up (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// How long a boot waits for the network; 30s if absent (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_online: Option<Spanned<Period>>,
    /// By whom the clock is set and kept; nobody if absent (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Who tells the host its name, keys and configuration when it boots (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<HostMetadata>,
    /// Disks that the host takes into use when it boots (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// How the host boots from disks and the like (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// Where what containers print goes (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// Where the host's figures can be fetched (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Kernel modules to include and to load (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<Modules>,
    /// Kernel parameters of the host, dotted name to value (Hullkit).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<Spanned<String>, Scalar>,
    /// The texts this was read from, for [`Manifest::diagnose`].
    #[serde(skip)]
    pub sources: Sources,
}

/// LinuxKit's `trust` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Images to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Vec<String>>,
    /// Organisations to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<Vec<String>>,
}

/// A section whose entries are containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `onboot`
    Onboot,
    /// `onshutdown`
    Onshutdown,
    /// `services`
    Services,
}

impl Section {
    /// Give the section's key in the manifest.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Onboot => "onboot",
            Self::Onshutdown => "onshutdown",
            Self::Services => "services",
        }
    }
}

impl Manifest {
    /// Tell whether Hullkit's own init is in charge: `init` is absent or contains the word `builtin`.
    #[must_use]
    pub fn builtin_init(&self) -> bool {
        self.init.as_ref().is_none_or(|entries| entries.iter().any(|entry| entry.value == InitEntry::Builtin))
    }

    /// Give all containers with their sections: `onboot`, then `onshutdown`, then `services`.
    ///
    /// This is the order in which LinuxKit numbers containers for named user ids.
    pub fn containers(&self) -> impl Iterator<Item = (Section, &Container)> {
        let sections = [
            (Section::Onboot, &self.onboot),
            (Section::Onshutdown, &self.onshutdown),
            (Section::Services, &self.services),
        ];
        sections
            .into_iter()
            .flat_map(|(section, containers)| containers.iter().map(move |container| (section, container)))
    }

    /// Give every image reference with its position: kernel, init, onboot, onshutdown, services, volumes, firmware, tools of storage.
    pub fn images(&self) -> impl Iterator<Item = (&Reference, &Position)> {
        let kernel = self.kernel.iter().filter_map(|kernel| kernel.image.as_ref()).map(pair);
        let init = self.init.iter().flatten().filter_map(|entry| Some((entry.value.image()?, &entry.at)));
        let containers = self.containers().map(|(_, container)| pair(&container.image));
        let volumes = self.volumes.iter().filter_map(|volume| volume.image.as_ref()).map(pair);
        let firmware = self.boot.iter().filter_map(|boot| boot.firmware.as_ref()).map(pair);
        let tools = self.storage.iter().filter_map(Storage::tools);
        kernel.chain(init).chain(containers).chain(volumes).chain(firmware).chain(tools)
    }

    /// Write a diagnostic about something in this manifest, with the line it stands in.
    #[must_use]
    pub fn diagnose(&self, at: &Position, message: impl Into<String>) -> crate::Diagnostic {
        self.sources.diagnose(at, message)
    }
}

fn pair(spanned: &Spanned<Reference>) -> (&Reference, &Position) {
    (&spanned.value, &spanned.at)
}
