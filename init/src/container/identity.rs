//! Whose files an image's are in a user namespace.
//!
//! An image says "root" and means the container's. Outside of the container that is another user, so every file of the root is
//! given the owner that the mappings name. Only owners are copied into the overlay (`metacopy`), never a file's bytes: what a
//! container of thousands of files costs is some memory for each, and a moment.

use std::fs;
use std::io;
use std::path::Path;

use oci_spec::runtime::{LinuxIdMapping, Spec};
use rustix::fs::{AtFlags, CWD, FileType, Mode};
use rustix::process::{Gid, Uid};

/// Where a container's numbers lie among the host's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift<'a> {
    users: &'a [LinuxIdMapping],
    groups: &'a [LinuxIdMapping],
}

impl<'a> Shift<'a> {
    /// What a configuration says; nothing if it lacks users or groups.
    pub(super) fn of(spec: &'a Spec) -> Option<Self> {
        let linux = spec.linux().as_ref()?;
        let list = |list: &'a Option<Vec<LinuxIdMapping>>| list.as_deref().filter(|list| !list.is_empty());
        Some(Self { users: list(linux.uid_mappings())?, groups: list(linux.gid_mappings())? })
    }

    /// The host's number of a user of the container; none if it has none.
    pub(super) fn user(self, inside: u32) -> Option<u32> {
        mapped(self.users, inside)
    }

    /// The host's number of a group of the container; none if it has none.
    pub(super) fn group(self, inside: u32) -> Option<u32> {
        mapped(self.groups, inside)
    }

    /// Give everything below `path`, and `path` itself, to the users that its owners are outside. What has no number outside
    /// keeps its owner, and looks like nobody's inside.
    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        let mut open = vec![path.to_path_buf()];
        while let Some(path) = open.pop() {
            let stat = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW)?;
            let owner = self.user(stat.st_uid).map(Uid::from_raw);
            let group = self.group(stat.st_gid).map(Gid::from_raw);
            rustix::fs::chownat(CWD, &path, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            // A change of owner takes the set-id bits away.
            if kind != FileType::Symlink && mode.intersects(Mode::SUID | Mode::SGID) {
                rustix::fs::chmod(&path, mode)?;
            }
            if kind == FileType::Directory {
                #[expect(clippy::disallowed_methods, reason = "every entry is treated alike, in whatever order")]
                for entry in fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
            }
        }
        Ok(())
    }
}

fn mapped(list: &[LinuxIdMapping], inside: u32) -> Option<u32> {
    list.iter().find_map(|one| {
        let above = inside.checked_sub(one.container_id()).filter(|above| *above < one.size())?;
        one.host_id().checked_add(above)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_mapped_by_the_range_it_lies_in() {
        let range = |container, host, size| {
            let text = format!(r#"{{"containerID":{container},"hostID":{host},"size":{size}}}"#);
            serde_json::from_str::<LinuxIdMapping>(&text).unwrap()
        };
        let list = [range(0, 100_000, 10), range(1000, 5000, 1), range(2000, u32::MAX, 2)];
        for (inside, want) in [
            (0, Some(100_000)),
            (9, Some(100_009)),
            (10, None),
            (1000, Some(5000)),
            (2000, Some(u32::MAX)),
            (2001, None),
        ] {
            assert_eq!(mapped(&list, inside), want, "{inside}");
        }
    }
}
