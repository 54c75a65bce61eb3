//! Words of fstab's fourth column into mount flags.

use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::contract::Mount;

/// What the words of one mount mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Bind an existing directory or file.
    pub(super) bind: bool,
    /// With what is mounted below it.
    pub(super) recursive: bool,
    /// Change an existing mount.
    pub(super) remount: bool,
    /// Move an existing mount.
    pub(super) moves: bool,
    /// Flags set.
    pub(super) flags: MountFlags,
    /// Propagation, applied after the mount.
    pub(super) propagation: Option<MountPropagationFlags>,
    /// What is left for the file system itself, comma-separated.
    pub(super) data: String,
}

/// Word, flag, and whether the word sets it.
const FLAGS: [(&str, MountFlags, bool); 22] = [
    ("ro", MountFlags::RDONLY, true),
    ("rw", MountFlags::RDONLY, false),
    ("nosuid", MountFlags::NOSUID, true),
    ("suid", MountFlags::NOSUID, false),
    ("nodev", MountFlags::NODEV, true),
    ("dev", MountFlags::NODEV, false),
    ("noexec", MountFlags::NOEXEC, true),
    ("exec", MountFlags::NOEXEC, false),
    ("sync", MountFlags::SYNCHRONOUS, true),
    ("async", MountFlags::SYNCHRONOUS, false),
    ("dirsync", MountFlags::DIRSYNC, true),
    ("noatime", MountFlags::NOATIME, true),
    ("atime", MountFlags::NOATIME, false),
    ("nodiratime", MountFlags::NODIRATIME, true),
    ("diratime", MountFlags::NODIRATIME, false),
    ("relatime", MountFlags::RELATIME, true),
    ("norelatime", MountFlags::RELATIME, false),
    ("strictatime", MountFlags::STRICTATIME, true),
    ("nostrictatime", MountFlags::STRICTATIME, false),
    ("silent", MountFlags::SILENT, true),
    ("loud", MountFlags::SILENT, false),
    ("defaults", MountFlags::empty(), true),
];

/// Word and propagation.
const PROPAGATION: [(&str, MountPropagationFlags); 8] = [
    ("shared", MountPropagationFlags::SHARED),
    ("rshared", MountPropagationFlags::SHARED.union(MountPropagationFlags::REC)),
    ("slave", MountPropagationFlags::DOWNSTREAM),
    ("rslave", MountPropagationFlags::DOWNSTREAM.union(MountPropagationFlags::REC)),
    ("private", MountPropagationFlags::PRIVATE),
    ("rprivate", MountPropagationFlags::PRIVATE.union(MountPropagationFlags::REC)),
    ("unbindable", MountPropagationFlags::UNBINDABLE),
    ("runbindable", MountPropagationFlags::UNBINDABLE.union(MountPropagationFlags::REC)),
];

/// Sort the words of a mount; the last of two that contradict each other holds.
pub(super) fn parse(mount: &Mount) -> Options {
    let mut options = Options {
        bind: mount.kind == "bind",
        recursive: false,
        remount: false,
        moves: false,
        flags: MountFlags::empty(),
        propagation: None,
        data: String::new(),
    };
    let mut data: Vec<&str> = Vec::new();
    for word in mount.options.iter().flat_map(|words| words.split(',')).filter(|word| !word.is_empty()) {
        match word {
            "bind" => options.bind = true,
            "rbind" => (options.bind, options.recursive) = (true, true),
            "remount" => options.remount = true,
            "move" => options.moves = true,
            _ => {
                if let Some((_, flag, set)) = FLAGS.iter().find(|(known, ..)| *known == word) {
                    options.flags.set(*flag, *set);
                } else if let Some((_, flags)) = PROPAGATION.iter().find(|(known, _)| *known == word) {
                    options.propagation = Some(*flags);
                } else {
                    data.push(word);
                }
            }
        }
    }
    options.data = data.join(",");
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(options: &[&str]) -> Mount {
        Mount { options: options.iter().map(ToString::to_string).collect(), ..Mount::default() }
    }

    #[test]
    fn unknown_words_are_left_for_the_file_system() {
        let options = parse(&mount(&["nosuid", "size=10m", "mode=755,noexec"]));
        assert_eq!(options.flags, MountFlags::NOSUID | MountFlags::NOEXEC);
        assert_eq!(options.data, "size=10m,mode=755");
    }

    #[test]
    fn the_last_of_two_contradicting_words_holds() {
        assert_eq!(parse(&mount(&["ro", "rw"])).flags, MountFlags::empty());
        assert_eq!(parse(&mount(&["rw", "ro"])).flags, MountFlags::RDONLY);
    }

    #[test]
    fn rbind_is_a_bind_with_what_lies_below() {
        let options = parse(&mount(&["rbind", "rshared"]));
        assert!(options.bind && options.recursive);
        assert_eq!(options.propagation, Some(MountPropagationFlags::SHARED | MountPropagationFlags::REC));
    }
}
