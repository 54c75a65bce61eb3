//! What the machine shows of itself without a network: strings of its firmware, items of QEMU's, the kernel's command line, files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hullkit_init::contract::RESOLV_CONF;
use linuxkit_yaml::Provider;

use crate::LONGEST;
use crate::error::Refusal;

/// The machine this runs on.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
}

/// Where QEMU's items are.
const FW_CFG: &str = "sys/firmware/qemu_fw_cfg/by_name";

/// What a machine of Azure's has as its chassis' asset tag.
const AZURE: &str = "7783-7084-3265-9085-8269-3286-77";

/// What `ds=nocloud` says, in the machine's serial number or on the kernel's command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seed {
    /// Name of the host.
    pub hostname: Option<String>,
    /// The machine's identity.
    pub instance: Option<String>,
    /// Where the rest is, with a `/` at its end.
    pub url: Option<String>,
}

impl Machine {
    /// The machine whose files are below `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Read a file.
    ///
    /// # Errors
    ///
    /// [`Refusal::Absent`], [`Refusal::Read`]: it is not there, cannot be read, or is too long.
    pub fn file(&self, path: &str) -> Result<Vec<u8>, Refusal> {
        read(&self.root.join(path.trim_start_matches('/'))).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => Refusal::Absent(format!("there is no `{path}`")),
            _ => Refusal::Read { path: path.to_owned(), cause },
        })
    }

    /// Read an item that QEMU was given.
    ///
    /// # Errors
    ///
    /// As [`Machine::file`].
    pub fn item(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        self.file(&format!("{FW_CFG}/{name}/raw")).map_err(|refusal| match refusal {
            Refusal::Absent(_) => Refusal::Absent(format!("QEMU was given no item `{name}`")),
            other => other,
        })
    }

    /// A string of the firmware; empty if there is none.
    fn dmi(&self, name: &str) -> String {
        let bytes = self.file(&format!("sys/class/dmi/id/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    /// What `ds=nocloud` says; the serial number comes first.
    ///
    /// # Source
    ///
    /// cloud-init's documentation, "NoCloud", section "Runtime configurations".
    #[must_use]
    pub fn seed(&self) -> Option<Seed> {
        let cmdline = self.file("proc/cmdline").unwrap_or_default();
        let cmdline = String::from_utf8_lossy(&cmdline).into_owned();
        let serial = self.dmi("product_serial");
        std::iter::once(serial.as_str()).chain(cmdline.split_ascii_whitespace()).find_map(seed)
    }

    /// Tell whose machine this is, as far as a cloud says so.
    #[must_use]
    pub fn clouds(&self) -> Vec<Provider> {
        let (vendor, product, chassis) =
            (self.dmi("sys_vendor"), self.dmi("product_name"), self.dmi("chassis_asset_tag"));
        let shows = |provider: &Provider| match provider {
            Provider::Aws => vendor == "Amazon EC2" || self.dmi("bios_version").ends_with(".amazon"),
            Provider::Gcp => product == "Google Compute Engine",
            Provider::Azure => chassis == AZURE,
            Provider::Openstack => {
                product == "OpenStack Nova"
                    || product == "OpenStack Compute"
                    || chassis == "OpenStack Nova"
                    || chassis == "OpenTelekomCloud"
            }
            Provider::Digitalocean => vendor == "DigitalOcean",
            Provider::Hetzner => vendor == "Hetzner",
            Provider::Scaleway => vendor == "Scaleway",
            Provider::Vultr => vendor == "Vultr",
            Provider::Vmware => vendor.starts_with("VMware"),
            _ => false,
        };
        Provider::NAMED.into_iter().map(|(_, provider)| provider).filter(shows).collect()
    }

    /// Devices that may be volumes: path below the root and whether it is a CD, sorted.
    #[must_use]
    pub fn block_devices(&self) -> Vec<(PathBuf, bool)> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let entries = std::fs::read_dir(self.root.join("sys/class/block"));
        let names = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        // Empty until somebody fills them, or a drive that takes seconds to say that it is empty.
        let mut names: Vec<String> =
            names.filter(|name| !["loop", "ram", "zram", "fd"].iter().any(|kind| name.starts_with(kind))).collect();
        names.sort();
        // A name with a slash is written with an exclamation mark.
        names.iter().map(|name| (self.root.join("dev").join(name.replace('!', "/")), name.starts_with("sr"))).collect()
    }

    /// Let names be looked up where the network says: a host of its own has no `/etc/resolv.conf`.
    pub(crate) fn find_names(&self) {
        // One that is there is the manifest's, and stays.
        let _ = std::os::unix::fs::symlink(RESOLV_CONF, self.root.join("etc/resolv.conf"));
    }

    /// The folder that volumes are mounted on.
    #[must_use]
    pub fn mount_point(&self) -> PathBuf {
        self.root.join("run/hullkit/metadata")
    }
}

/// Read a regular file that is not too long, without following a link at its end.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Read `ds=nocloud;s=http://…;h=name;i=identity`.
#[must_use]
pub(crate) fn seed(text: &str) -> Option<Seed> {
    let mut parts = text.strip_prefix("ds=")?.split(';');
    if !matches!(parts.next()?, "nocloud" | "nocloud-net") {
        return None;
    }
    let mut seed = Seed::default();
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        match key {
            "h" | "local-hostname" => seed.hostname = Some(value.to_owned()),
            "i" | "instance-id" => seed.instance = Some(value.to_owned()),
            "s" | "seedfrom" if value.starts_with("http://") => {
                let slash = if value.ends_with('/') { "" } else { "/" };
                seed.url = Some(format!("{value}{slash}"));
            }
            _ => {}
        }
    }
    Some(seed)
}
