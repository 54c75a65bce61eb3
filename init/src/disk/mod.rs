//! A disk, as those see it who look for something on it: bytes at offsets. Nothing read of one is trusted.

pub mod gpt;

use std::io;

/// Bytes that can be read anywhere.
pub trait Disk {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Fill `into` from `offset`, in bytes, on.
    ///
    /// # Errors
    ///
    /// The kernel's; [`io::ErrorKind::UnexpectedEof`] if it ends before.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Read `length` bytes from `offset` on; `None` if they are not all on the disk.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn part(&self, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        self.read_at(offset, &mut bytes)?;
        Ok(Some(bytes))
    }
}

impl Disk for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let from = self.get(start..).and_then(|rest| rest.get(..into.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(from);
        Ok(())
    }
}

/// The `N` bytes at an offset of what was read.
pub(crate) fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The little-endian integer of 4 bytes at an offset.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes_at(bytes, offset).map(u32::from_le_bytes)
}

/// The little-endian integer of 8 bytes at an offset.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes_at(bytes, offset).map(u64::from_le_bytes)
}

/// A name from a disk, fit for a console: what could move the cursor is shown as `?`.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Sixteen bytes as a UUID, in the order in which they lie.
pub(crate) fn uuid_text(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
    parts.map(Option::unwrap_or_default).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_all_on_the_disk_is_not_there() {
        let disk = vec![7; 10];
        assert_eq!(disk.part(4, 6).unwrap(), Some(vec![7; 6]));
        assert_eq!(disk.part(5, 6).unwrap(), None);
        assert_eq!(disk.part(u64::MAX, 2).unwrap(), None);
    }

    #[test]
    fn a_uuid_keeps_its_zeros() {
        let mut bytes = [0; 16];
        bytes[15] = 0xab;
        assert_eq!(uuid_text(bytes), "00000000-0000-0000-0000-0000000000ab");
    }
}
