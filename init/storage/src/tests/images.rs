//! Bytes that begin as file systems do.

use hullkit_init::contract::storage::Format;

/// Length of every image.
pub(crate) const SIZE: usize = 3 << 20;

fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    disk[at..][..bytes.len()].copy_from_slice(bytes);
}

/// A file system with this label, of which there are 512 blocks.
pub(crate) fn image(format: Format, label: &str) -> Vec<u8> {
    let mut disk = vec![0; SIZE];
    let label = label.as_bytes();
    match format {
        Format::Ext4 => {
            put(&mut disk, 1024 + 0x38, &[0x53, 0xef]);
            put(&mut disk, 1024 + 0x18, &[2]);
            put(&mut disk, 1024 + 4, &512_u32.to_le_bytes());
            put(&mut disk, 1024 + 0x60, &[0x40]);
            put(&mut disk, 1024 + 0x78, label);
        }
        Format::Xfs => {
            put(&mut disk, 0, b"XFSB");
            put(&mut disk, 4, &4096_u32.to_be_bytes());
            put(&mut disk, 8, &512_u64.to_be_bytes());
            put(&mut disk, 108, label);
            put(&mut disk, 127, &[25]);
        }
        Format::Btrfs => {
            put(&mut disk, 0x10040, b"_BHRfS_M");
            put(&mut disk, 0x10090, &4096_u32.to_le_bytes());
            put(&mut disk, 0x100d1, &(512_u64 * 4096).to_le_bytes());
            put(&mut disk, 0x1012b, label);
        }
        Format::Vfat => {
            put(&mut disk, 11, &[0, 2, 8, 32, 0, 2]);
            put(&mut disk, 0x20, &4096_u32.to_le_bytes());
            put(&mut disk, 0x47, b"           ");
            put(&mut disk, 0x47, label);
            put(&mut disk, 0x52, b"FAT32   ");
            put(&mut disk, 510, &[0x55, 0xaa]);
        }
        Format::Swap => {
            put(&mut disk, 4086, b"SWAPSPACE2");
            put(&mut disk, 1028, &511_u32.to_le_bytes());
            put(&mut disk, 1052, label);
        }
    }
    disk
}

/// A volume of LUKS2 with this label.
pub(crate) fn luks(label: &str) -> Vec<u8> {
    let mut disk = vec![0; SIZE];
    put(&mut disk, 0, b"LUKS\xba\xbe\0\x02");
    put(&mut disk, 24, label.as_bytes());
    disk
}
