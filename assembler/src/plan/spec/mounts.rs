//! The mounts of a container: LinuxKit's defaults, then `tmpfs`, `binds` and `mounts`, the later one winning a destination.

use std::collections::BTreeMap;

use super::Mount;

/// Why a mount means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// A `tmpfs` entry with more than one colon.
    #[error("`{0}` is not a tmpfs: write `destination` or `destination:option,option`")]
    Tmpfs(String),
    /// A `binds` entry without a colon, or with more than two.
    #[error("`{0}` is not a bind: write `source:destination` or `source:destination:option,option`")]
    Bind(String),
    /// A `mounts` entry whose type can be guessed from nothing.
    #[error("the mount on `{0}` needs a `type`")]
    NoType(String),
    /// A `mounts` entry whose destination can be guessed from nothing.
    #[error("a mount of type `{0}` needs a `destination`")]
    NoDestination(String),
}

/// Mounts by destination, the one key they are unique and sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounts(BTreeMap<String, Mount>);

impl Mounts {
    /// Start with what every container gets; `/dev` and `/sys` are read-only if the container is.
    #[must_use]
    pub fn defaults(readonly: bool) -> Self {
        let rows: [(&str, &str, &str, &str, bool); 5] = [
            ("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k", readonly),
            ("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620", false),
            ("/proc", "proc", "proc", "nosuid,nodev,noexec,relatime", false),
            ("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev", readonly),
            ("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro", false),
        ];
        let mut mounts = Self(BTreeMap::new());
        for (destination, kind, source, options, readonly) in rows {
            let mut options = words(options);
            options.extend(readonly.then(|| "ro".to_owned()));
            mounts.put(Mount {
                destination: destination.into(),
                kind: kind.into(),
                source: source.into(),
                options,
                ..Mount::default()
            });
        }
        mounts
    }

    /// Add a mount, in place of any at the same destination.
    pub fn put(&mut self, mount: Mount) {
        self.0.insert(mount.destination.clone(), mount);
    }

    /// Tell whether something is mounted on exactly this path.
    #[must_use]
    pub fn has(&self, destination: &str) -> bool {
        self.0.contains_key(destination)
    }

    /// Make what is mounted on a destination read-only, or writable; nothing if there is no mount.
    pub fn set_readonly(&mut self, destination: &str, readonly: bool) {
        if let Some(mount) = self.0.get_mut(destination) {
            mount.options.retain(|word| word != "ro");
            mount.options.extend(readonly.then(|| "ro".to_owned()));
        }
    }

    /// Add a `tmpfs` entry: `destination[:options]`.
    ///
    /// # Errors
    ///
    /// - [`MountError::Tmpfs`].
    pub fn tmpfs(&mut self, text: &str) -> Result<(), MountError> {
        let (destination, options) = match text.split(':').collect::<Vec<_>>()[..] {
            [destination] => (destination, Vec::new()),
            [destination, options] => (destination, words(options)),
            _ => return Err(MountError::Tmpfs(text.to_owned())),
        };
        self.put(Mount {
            destination: destination.into(),
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            options,
            ..Mount::default()
        });
        Ok(())
    }

    /// Add a `binds` entry: `source:destination[:options]`. The options written replace the default ones, and
    /// `rbind` is always among them.
    ///
    /// # Errors
    ///
    /// - [`MountError::Bind`].
    pub fn bind(&mut self, text: &str) -> Result<(), MountError> {
        let (source, destination, options) = match text.split(':').collect::<Vec<_>>()[..] {
            [source, destination] => (source, destination, words("rw,rbind,rshared")),
            [source, destination, options] => (source, destination, words(&format!("{options},rbind"))),
            _ => return Err(MountError::Bind(text.to_owned())),
        };
        self.put(Mount {
            destination: destination.into(),
            kind: "bind".into(),
            source: source.into(),
            options,
            ..Mount::default()
        });
        Ok(())
    }

    /// Add a `mounts` entry; an empty `kind`, `source` or `destination` is guessed from the others where that is sure.
    ///
    /// # Errors
    ///
    /// - [`MountError::NoType`], [`MountError::NoDestination`].
    pub fn mount(&mut self, mut mount: Mount) -> Result<(), MountError> {
        if mount.kind.is_empty() {
            mount.kind = match (mount.source.as_str(), mount.destination.as_str()) {
                ("mqueue" | "devpts" | "proc" | "sysfs" | "cgroup", _) => mount.source.clone(),
                (_, "/dev") => "tmpfs".into(),
                _ => return Err(MountError::NoType(mount.destination)),
            };
        }
        if mount.source.is_empty() {
            mount.source.clone_from(&mount.kind);
        }
        if mount.destination.is_empty() {
            mount.destination = match mount.kind.as_str() {
                "proc" => "/proc".into(),
                "devpts" => "/dev/pts".into(),
                "sysfs" => "/sys".into(),
                "cgroup" => "/sys/fs/cgroup".into(),
                "mqueue" => "/dev/mqueue".into(),
                _ => return Err(MountError::NoDestination(mount.kind)),
            };
        }
        self.put(mount);
        Ok(())
    }

    /// Give the mounts sorted by destination, so that a parent is mounted before what lies in it.
    #[must_use]
    pub fn into_vec(self) -> Vec<Mount> {
        self.0.into_values().collect()
    }
}

/// Split comma-separated words.
fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: &str, source: &str, destination: &str) -> Mount {
        Mount { destination: destination.into(), kind: kind.into(), source: source.into(), ..Mount::default() }
    }

    #[test]
    fn defaults_are_sorted_and_follow_readonly() {
        let list = Mounts::defaults(true).into_vec();
        let names: Vec<&str> = list.iter().map(|mount| mount.destination.as_str()).collect();
        assert_eq!(names, ["/dev", "/dev/pts", "/proc", "/sys", "/sys/fs/cgroup"]);
        assert_eq!(list[0].options.last().unwrap(), "ro");
        assert!(!Mounts::defaults(false).into_vec()[3].options.contains(&"ro".to_owned()));
    }

    #[test]
    fn a_later_mount_takes_the_destination() {
        let mut mounts = Mounts::defaults(false);
        mounts.tmpfs("/run:mode=755").unwrap();
        mounts.bind("/var/run:/run").unwrap();
        mounts.bind("/dev:/dev:ro").unwrap();
        let list = mounts.into_vec();
        assert_eq!(list[0].options, ["ro", "rbind"]);
        let run = list.iter().find(|mount| mount.destination == "/run").unwrap();
        assert_eq!((run.kind.as_str(), run.options.len()), ("bind", 3));
    }

    #[test]
    fn what_is_left_out_of_a_mount_is_guessed_or_refused() {
        let mut mounts = Mounts::defaults(false);
        mounts.mount(mount("", "proc", "")).unwrap();
        mounts.mount(mount("mqueue", "", "")).unwrap();
        assert!(mounts.has("/dev/mqueue"));
        assert_eq!(mounts.mount(mount("", "x", "/y")).unwrap_err(), MountError::NoType("/y".into()));
        assert_eq!(mounts.mount(mount("cgroup2", "", "")).unwrap_err(), MountError::NoDestination("cgroup2".into()));
        assert_eq!(mounts.bind("/a").unwrap_err(), MountError::Bind("/a".into()));
        assert_eq!(mounts.tmpfs("/a:b:c").unwrap_err(), MountError::Tmpfs("/a:b:c".into()));
    }
}
