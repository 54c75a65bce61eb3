//! An image as text, for golden tests and for people.

use std::fmt::Write as _;

use super::IsoError;
use super::boot::Catalog;
use super::read::{Names, Reader};
use crate::format::tree::{self, Contents, shown};

/// List an image. Of the boot catalog: one line an image, with its platform (00 BIOS, ef UEFI), its first byte, what is emulated, segment,
/// units of 512 bytes that are loaded, and sector. Of each tree: the volume descriptor, the path table, then one line a name: offset of the record, sector and bytes of
/// the data, time, and of Rock Ridge mode, links, owner, serial number, device, target.
///
/// # Errors
///
/// - [`IsoError::Damaged`], [`IsoError::Io`].
pub fn dump(image: &dyn Contents) -> Result<String, IsoError> {
    // Writing to a `String` cannot fail.
    let mut text = String::new();
    if let Some(catalog) = Catalog::read(image)? {
        let _ = writeln!(text, "boot catalog at {}", catalog.sector);
        for (offset, platform, image) in catalog.images {
            let _ = writeln!(
                text,
                "{offset:08x} platform {platform:02x} {:02x} media {} segment {} load {} at {}",
                image.bootable, image.media, image.segment, image.count, image.sector,
            );
        }
    }
    for names in [Names::Primary, Names::RockRidge, Names::Joliet] {
        let reader = Reader::new(image, names)?;
        let head = &reader.head;
        let _ = writeln!(
            text,
            "{:08x} {names:?} `{}` sectors {} path table {} at {} and {} t{}",
            reader.offset,
            shown(&head.volume).replace('\0', "").trim_end(),
            head.sectors.little,
            head.path_table_size.little,
            head.path_table_little[0],
            head.path_table_big[0],
            shown(&head.times[0]).trim_end_matches('\0'),
        );
        if names != Names::RockRidge {
            for (sector, parent, name) in reader.path_table()? {
                let _ = writeln!(text, "  directory at {sector} in {parent} `{}`", name.escape_ascii());
            }
        }
        for found in reader.walk()? {
            let _ = write!(text, "{:08x}", found.offset);
            for (at, section) in found.sections.iter().enumerate() {
                let _ = write!(text, " {} {} {}", if at == 0 { "at" } else { "+" }, section.sector, section.size);
            }
            let _ = write!(text, " t{}", found.mtime);
            let rock = &found.rock;
            if let Some(posix) = rock.posix {
                let _ = write!(
                    text,
                    " {:06o} x{} {}:{} #{} t{}",
                    posix.mode.little,
                    posix.nlink.little,
                    posix.uid.little,
                    posix.gid.little,
                    posix.serial.little,
                    rock.mtime.unwrap_or_default(),
                );
            }
            if let Some((major, minor)) = rock.device {
                let _ = write!(text, " rdev {major}:{minor}");
            }
            let _ = write!(text, " /{}", shown(&found.path));
            if rock.posix.is_some_and(|posix| posix.mode.little.get() & tree::TYPE == tree::SYMLINK) {
                let _ = write!(text, " -> {}", shown(&rock.target));
            }
            text.push('\n');
        }
    }
    Ok(text)
}
