//! LinuxKit manifests, with Hullkit's own keys: text in, typed and positioned [`Manifest`] out. No files, no network.
//!
//! ```
//! let text = "
//! services:
//!   - name: web
//!     image: nginx:1.27
//!     restart: on-failure:3
//! ";
//! let manifest = linuxkit_yaml::parse(text, "web.yml")?;
//! assert_eq!(manifest.services[0].image.to_string(), "docker.io/library/nginx:1.27");
//! assert_eq!(manifest.services[0].image.at.line, 4);
//!
//! let wrong = linuxkit_yaml::parse("servces: []", "web.yml").unwrap_err();
//! assert_eq!(wrong.diagnostics[0].suggestion.as_deref(), Some("services"));
//! # Ok::<(), linuxkit_yaml::ManifestError>(())
//! ```
//!
//! How the text becomes the types:
//!
//! ```text
//! text --yaml--> Node --decode--> Manifest --check--> Manifest --merge--> Manifest
//!      syntax    every scalar's   types, keys         meaning   several files
//!                text and place
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod boot;
mod check;
mod code;
mod decode;
mod defaults;
mod depends;
mod encrypt;
mod error;
mod file;
mod health;
mod image;
mod init;
mod kernel;
mod link;
mod lint;
mod linuxkit;
mod logs;
mod manifest;
mod merge;
mod metadata;
mod metrics;
mod modules;
mod network;
mod node;
mod parse;
mod period;
mod print;
mod problem;
mod reference;
mod resources;
mod restart;
mod runtime;
mod scalar;
mod schema;
mod security;
mod signal;
mod span;
mod storage;
pub mod test;
mod time;
mod user_data;
mod volume;
mod yaml;

pub use boot::{Boot, BootRoot, OnFailure};
pub use code::{Code, Severity};
pub use depends::{Condition, Dependency, DependsOn};
pub use encrypt::{Encrypt, KeySource, Tpm};
pub use error::{Diagnostic, Excerpt, ManifestError};
pub use file::{File, Metadata};
pub use health::{Endpoint, HealthTest, Healthcheck, HttpProbe, TcpProbe};
pub use image::{Container, ContainerConfig, Device, IdMapping, Mount};
pub use init::{BUILTIN, InitEntry};
pub use kernel::Kernel;
pub use link::{Bond, BondMode, Bridge, HashPolicy, HostPort, LacpRate, Peer, PublicKey, Vlan, Wireguard};
pub use lint::{LintOptions, lint};
pub use logs::{Bytes, Forward, LogFormat, LogServer, Logs};
pub use manifest::{Manifest, Section, Trust};
pub use merge::merge;
pub use metadata::{Allow, HostMetadata, Provider};
pub use metrics::{Listen, Metrics};
pub use modules::Modules;
pub use network::{Address, Cidr, Destination, Mac, Match, Network, NetworkRule, Route};
pub use parse::{MAX_BYTES, Packages, from_yaml, parse, parse_label, parse_with_packages};
pub use period::Period;
pub use print::print;
pub use problem::nearest;
pub use reference::{Algorithm, DEFAULT_REGISTRY, Digest, Reference, ReferenceError, RegistryReference};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, NetworkLimits, Pids, Resources, ThrottleDevice,
    WeightDevice,
};
pub use restart::Restart;
pub use runtime::{BindNs, Runtime, RuntimeInterface};
pub use scalar::{Id, Mode, Scalar};
pub use schema::{schema, test_schema};
pub use security::{Seccomp, Security};
pub use signal::Signal;
pub use span::{Position, Sources, Spanned};
pub use storage::{DiskMatch, SizeMatch, Storage, StorageDisk, StorageFormat, StoragePartition, StorageVolume};
pub use time::{Time, TimeServer};
pub use user_data::{UserData, parse_user_data};
pub use volume::{Volume, VolumeFormat};
