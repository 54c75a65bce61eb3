//! Volume descriptors: what says that this is a volume, and where its trees are.

use std::mem::size_of;

use zerocopy::FromZeros;

use super::continuation::narrow;
use super::date;
use super::hierarchy::{Hierarchy, Kind};
use super::layout::{JOLIET, PRIMARY, Record, SECTOR, SELF, STANDARD, SUPPLEMENTARY, TERMINATOR, VolumeDescriptor};
use super::write::Image;

impl Image<'_> {
    /// Give the descriptor of one of the trees.
    pub(super) fn descriptor(&self, hierarchy: &Hierarchy) -> VolumeDescriptor {
        let joliet = hierarchy.kind == Kind::Joliet;
        let text = |text: &str, slot: &mut [u8]| {
            let spaces = std::iter::repeat(' ');
            let chars = text.chars().chain(spaces);
            if joliet {
                let units = chars.flat_map(|char| [0, ascii(char)]);
                slot.iter_mut().zip(units).for_each(|(slot, byte)| *slot = byte);
            } else {
                slot.iter_mut().zip(chars).for_each(|(slot, char)| *slot = ascii(char));
            }
        };
        let mut head = VolumeDescriptor::new_zeroed();
        (head.kind, head.standard, head.version) = (if joliet { SUPPLEMENTARY } else { PRIMARY }, *STANDARD, 1);
        text("LINUX", &mut head.system);
        text(&self.options.volume, &mut head.volume);
        text(&self.options.application, &mut head.application);
        text(&self.options.preparer, &mut head.preparer);
        for slot in [&mut head.set[..], &mut head.publisher, &mut head.files] {
            text("", slot);
        }
        if joliet {
            head.escapes[..JOLIET.len()].copy_from_slice(JOLIET);
        }
        head.sectors = self.sectors.into();
        (head.set_size, head.sequence, head.block_size) = (1.into(), 1.into(), narrow::<u16>(SECTOR).into());
        head.path_table_size = hierarchy.table_size.into();
        head.path_table_little[0] = hierarchy.tables[0].into();
        head.path_table_big[0] = hierarchy.tables[1].into();
        head.root = self.head(hierarchy, 0, SELF);
        head.root.length = narrow((size_of::<Record>() + SELF.len()) as u64);
        let time = date::long(self.options.time);
        head.times = [time, time, date::UNSET, time];
        head.structure = 1;
        head
    }
}

/// Give the descriptor that ends the list.
pub(super) fn terminator() -> VolumeDescriptor {
    let mut end = VolumeDescriptor::new_zeroed();
    (end.kind, end.standard, end.version) = (TERMINATOR, *STANDARD, 1);
    end
}

/// Give a character that was checked to be one byte.
fn ascii(char: char) -> u8 {
    u8::try_from(char).unwrap_or(b'_')
}
