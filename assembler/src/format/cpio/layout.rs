//! What an entry looks like on disk.

/// First bytes of every entry: the "new ASCII" format without checksums.
pub const MAGIC: &[u8; 6] = b"070701";

/// Length of a header in bytes: the magic and thirteen numbers of eight hex digits.
pub const HEADER: usize = 6 + FIELDS * 8;

/// How many numbers a header has.
pub const FIELDS: usize = 13;

/// Name of the entry that ends an archive.
pub const TRAILER: &[u8] = b"TRAILER!!!";

/// Longest path, its NUL included, and longest target of a symbolic link that the kernel unpacks; others it skips silently.
///
/// Source: Linux, `init/initramfs.c`, `do_header`.
pub const PATH_MAX: usize = 4096;

/// Entries, and the data in them, start at multiples of this many bytes.
pub const ALIGN: u64 = 4;

/// Type bits of a mode, as in `st_mode`.
pub const TYPE: u32 = 0o170_000;
/// A FIFO.
pub const FIFO: u32 = 0o010_000;
/// A character device.
pub const CHAR: u32 = 0o020_000;
/// A directory.
pub const DIRECTORY: u32 = 0o040_000;
/// A block device.
pub const BLOCK: u32 = 0o060_000;
/// A regular file.
pub const REGULAR: u32 = 0o100_000;
/// A symbolic link; its data is the target.
pub const SYMLINK: u32 = 0o120_000;

/// The numbers of one header, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// 0x06: inode number; names with the same one are hard links of one file.
    pub ino: u32,
    /// 0x0e: type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// 0x16: owner.
    pub uid: u32,
    /// 0x1e: group.
    pub gid: u32,
    /// 0x26: number of names of the inode; the kernel looks for hard links only from 2 on.
    pub nlink: u32,
    /// 0x2e: seconds since 1970.
    pub mtime: u32,
    /// 0x36: length of the data in bytes.
    pub size: u32,
    /// 0x3e: device the file lay on, major and minor; 0x46. Together with `ino` it tells inodes apart.
    pub dev: (u32, u32),
    /// 0x4e: numbers of a device node, major and minor; 0x56.
    pub rdev: (u32, u32),
    /// 0x5e: length of the path in bytes, with its NUL.
    pub namesize: u32,
}

impl Header {
    /// Write the header's 110 bytes. The checksum is always 0.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let fields = [
            self.ino,
            self.mode,
            self.uid,
            self.gid,
            self.nlink,
            self.mtime,
            self.size,
            self.dev.0,
            self.dev.1,
            self.rdev.0,
            self.rdev.1,
            self.namesize,
            0,
        ];
        let mut bytes = [0; HEADER];
        let (magic, digits) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(MAGIC);
        for (slot, field) in digits.chunks_exact_mut(8).zip(fields) {
            for (digit, shift) in slot.iter_mut().zip((0..8).rev()) {
                let nibble = field >> (shift * 4) & 0xf;
                *digit = b"0123456789abcdef"[nibble as usize];
            }
        }
        bytes
    }

    /// Read a header; `None` if it is not one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; HEADER]) -> Option<Self> {
        let digits = bytes.strip_prefix(MAGIC)?;
        let mut fields = [0_u32; FIELDS];
        for (field, slot) in fields.iter_mut().zip(digits.chunks_exact(8)) {
            for digit in slot {
                *field = *field << 4 | char::from(*digit).to_digit(16)?;
            }
        }
        let [ino, mode, uid, gid, nlink, mtime, size, on_major, on_minor, major, minor, namesize, _] = fields;
        let (dev, rdev) = ((on_major, on_minor), (major, minor));
        Some(Self { ino, mode, uid, gid, nlink, mtime, size, dev, rdev, namesize })
    }
}

/// Count the bytes from `offset` to the next multiple of [`ALIGN`].
#[must_use]
pub fn padding(offset: u64) -> usize {
    // At most three.
    usize::try_from(offset.wrapping_neg() % ALIGN).unwrap_or_default()
}
