//! The packet: what is asked, and what is believed of an answer. Bytes in, numbers out.
//!
//! Crates were looked at. `sntpc` sends the client's clock as the number that an answer must repeat: on a machine whose clock starts
//! at 1970 anybody can guess it. Here it is random, and tells nobody what the clock says.
//!
//! # Source
//!
//! RFC 5905, 7.3 (the header), 7.4 (kiss codes); RFC 4330, 5 (what a client checks).

/// Bytes of a packet without extensions.
pub const SIZE: usize = 48;

/// Seconds from 1900, where NTP counts from, to 1970.
const TO_1970: i64 = 2_208_988_800;

/// Version 4, from a client.
const REQUEST: u8 = 4 << 3 | 3;

/// Largest distance of a server from a real clock, in 65536ths of a second: half of its root delay, and its root dispersion.
const DISTANCE_MAX: u64 = 5 << 16;

/// Nanoseconds in a second.
pub const SECOND: i128 = 1_000_000_000;

/// When a server got a request and answered it, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// It got the request.
    pub got: i128,
    /// It sent the answer.
    pub sent: i128,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It answers nothing that was asked: somebody else sent it, and the right one may come yet.
    Foreign,
    /// The server asks to be asked less, or not at all: four letters.
    Kiss([u8; 4]),
    /// The server does not know the time itself, or contradicts itself.
    Useless,
    /// The server's clock is before the time at which this host was built.
    BeforeBuild,
}

/// Make a request. In: what the answer must repeat.
#[must_use]
pub fn request(cookie: u64) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[0] = REQUEST;
    bytes[40..].copy_from_slice(&cookie.to_be_bytes());
    bytes
}

/// Read an answer. In: a datagram from anybody; what was sent with the request; `built`, in seconds since 1970, before which no
/// answer can be.
///
/// # Errors
///
/// [`Refusal`].
pub fn read(bytes: &[u8], cookie: u64, built: u64) -> Result<Answer, Refusal> {
    let bytes: &[u8; SIZE] = bytes.first_chunk().ok_or(Refusal::Foreign)?;
    let (leap, version, mode) = (bytes[0] >> 6, bytes[0] >> 3 & 7, bytes[0] & 7);
    let (origin, got, sent) = (word(bytes, 24), word(bytes, 32), word(bytes, 40));
    if mode != 4 || !(3..=4).contains(&version) || origin != cookie {
        return Err(Refusal::Foreign);
    }
    let stratum = bytes[1];
    if stratum == 0 {
        return Err(Refusal::Kiss([bytes[12], bytes[13], bytes[14], bytes[15]]));
    }
    let root = word(bytes, 4);
    let distance = (root >> 32) / 2 + (root & 0xffff_ffff);
    if leap == 3 || stratum > 15 || distance > DISTANCE_MAX || got == 0 || sent == 0 {
        return Err(Refusal::Useless);
    }
    let answer = Answer { got: since_1970(got, built)?, sent: since_1970(sent, built)? };
    if answer.sent < answer.got { Err(Refusal::Useless) } else { Ok(answer) }
}

/// Eight bytes as a number.
fn word(bytes: &[u8; SIZE], at: usize) -> u64 {
    bytes[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Give a timestamp in nanoseconds since 1970. It says nothing of the era: the one is meant that is in the 68 years after `built`.
fn since_1970(stamp: u64, built: u64) -> Result<i128, Refusal> {
    let built = i64::try_from(built).unwrap_or(0);
    let [a, b, c, d, fraction @ ..] = stamp.to_be_bytes();
    let (seconds, fraction) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(fraction));
    let now = u32::try_from((built + TO_1970).rem_euclid(1 << 32)).unwrap_or(0);
    let after = seconds.wrapping_sub(now).cast_signed();
    if after < 0 {
        return Err(Refusal::BeforeBuild);
    }
    let nanos = (i128::from(fraction) * SECOND) >> 32;
    Ok(i128::from(built + i64::from(after)) * SECOND + nanos)
}
