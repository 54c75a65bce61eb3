//! What stands where, as far as the `tar` crate does not say it: its `GnuHeader` and `GnuExtSparseHeader` have the offsets.

/// Bytes of a block.
pub const BLOCK: u64 = 512;
/// What an archive is padded to, in bytes: what `tar` writes at once.
pub const RECORD: u64 = 20 * BLOCK;
/// What a disk is a multiple of, in bytes.
pub const GIB: u64 = 1 << 30;
/// The longest disk, in bytes.
pub const MAX: u64 = 64 << 40;
/// Name that Compute Engine looks for.
pub const NAME: &str = "disk.raw";
/// Regions in the header.
pub const FIRST: usize = 4;
/// Regions in each block behind it.
pub const MORE: usize = 21;

/// Write a number as GNU tar does: octal digits and a NUL, or from 8 GiB on a bit that says so and the number in binary, big-endian.
#[must_use]
pub fn number(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if value < 1 << 33 {
        for (at, place) in field.iter_mut().take(11).enumerate() {
            // A digit of three bits.
            *place = b'0' + u8::try_from(value >> (30 - 3 * at) & 7).unwrap_or_default();
        }
    } else {
        let [head @ .., _, _, _, _, _, _, _, _] = &mut field;
        head[0] = 0x80;
        field.iter_mut().skip(4).zip(value.to_be_bytes()).for_each(|(place, byte)| *place = byte);
    }
    field
}

/// Read such a number; `None` if it is none or longer than 64 bits.
#[must_use]
pub fn value(field: &[u8; 12]) -> Option<u64> {
    if let [0x80, 0, 0, 0, rest @ ..] = field {
        return Some(u64::from_be_bytes(*rest));
    }
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?.trim_matches(' '), 8).ok()
}
