//! What the root is looked for by. In: a word of the kernel command line, or the contract's UUID. Out: [`Wanted`]. Pure.

use super::probe::Found;

/// How the root is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `UUID=`: the identity in its superblock, in any case.
    Uuid(String),
    /// `LABEL=`: the name in its superblock.
    Label(String),
    /// `PARTUUID=`: the identity of its partition, in any case.
    PartUuid(String),
    /// `PARTLABEL=`: the name of its partition.
    PartLabel(String),
    /// A block device, an absolute path: the root starts where it starts, or in one of its partitions.
    Device(String),
    /// `file:`: a file on the host, an absolute path, which is there already.
    File(String),
    /// `http://` or `https://`: a file on a web server. Other protocols are taken here as well, to be refused with a sentence.
    Web(String),
}

impl Wanted {
    /// Read what follows `hullkit.root=`; `None` if it names nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("/dev/") {
            return Some(Self::Device(text.to_owned()));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return path.starts_with('/').then(|| Self::File(path.to_owned()));
        }
        if text.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            return Some(Self::Web(text.to_owned()));
        }
        let (key, value) = text.split_once('=').filter(|(_, value)| !value.is_empty())?;
        let kind = match key {
            "UUID" => Self::Uuid,
            "LABEL" => Self::Label,
            "PARTUUID" => Self::PartUuid,
            "PARTLABEL" => Self::PartLabel,
            _ => return None,
        };
        Some(kind(value.to_owned()))
    }

    /// Tell whether this file system is meant, by what it and its partition say of themselves.
    #[must_use]
    pub fn is(&self, found: &Found) -> bool {
        let partition = found.partition.as_ref();
        match self {
            Self::Uuid(uuid) => found.volume.uuid.eq_ignore_ascii_case(uuid),
            Self::Label(label) => found.volume.label == *label,
            Self::PartUuid(uuid) => partition.is_some_and(|partition| partition.uuid.eq_ignore_ascii_case(uuid)),
            Self::PartLabel(label) => partition.is_some_and(|partition| partition.label == *label),
            Self::Device(_) | Self::File(_) | Self::Web(_) => true,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::PartUuid(uuid) => write!(f, "PARTUUID={uuid}"),
            Self::PartLabel(label) => write!(f, "PARTLABEL={label}"),
            Self::Device(path) | Self::Web(path) => f.write_str(path),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_naming_a_root_is_read_and_shown_as_it_was_written() {
        let disks = ["UUID=a-b", "LABEL=hullkit-root", "PARTUUID=c", "PARTLABEL=x=y", "/dev/vda3", "file:/run/root"];
        for text in disks.into_iter().chain(["http://a/b?c=d", "https://[::1]:8443/b", "tftp://a/b"]) {
            assert_eq!(Wanted::parse(text).map(|wanted| wanted.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "UUID=", "ID=3", "vda3", "file:root", "uuid=a"] {
            assert_eq!(Wanted::parse(text), None, "{text}");
        }
    }
}
