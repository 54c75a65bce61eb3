//! CRC-32C, with which several formats sum up their headers.

/// Sum up bytes: begun with ones, and not inverted at the end.
///
/// Source: RFC 3720, B.4, for the polynomial.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}
