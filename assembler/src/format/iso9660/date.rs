//! Times as a CD has them, always UTC when written.
//!
//! Source: ECMA-119, 8.4.26.1 and 9.1.5.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, Timelike as _, Utc};

/// First and last second since 1970 that seven bytes can say: the years 1900 and 2155.
const SHORT: (i64, i64) = (-2_208_988_800, 5_869_583_999);
/// First and last second that seventeen bytes can say: the years 1 and 9999.
const LONG: (i64, i64) = (-62_135_596_800, 253_402_300_799);

/// Write a time in the seven bytes of directories: years since 1900, month, day, hour, minute, second, zone. What lies outside of
/// the years 1900 to 2155 becomes their first or last second.
#[must_use]
pub fn short(seconds: i64) -> [u8; 7] {
    let time = utc(seconds.clamp(SHORT.0, SHORT.1));
    let year = u32::try_from(time.year() - 1900).unwrap_or_default();
    [year, time.month(), time.day(), time.hour(), time.minute(), time.second(), 0]
        .map(|field| u8::try_from(field).unwrap_or_default())
}

/// Read a time of seven bytes, its zone in quarters of an hour taken away.
#[must_use]
pub fn seconds(bytes: [u8; 7]) -> i64 {
    let [year, month, day, hour, minute, second, zone] = bytes;
    // The first of a month is a day in every year; a 31st of February counts on into March.
    let first = NaiveDate::from_ymd_opt(i32::from(year) + 1900, u32::from(month.clamp(1, 12)), 1).unwrap_or_default();
    let midnight = first.and_time(NaiveTime::MIN).and_utc();
    let minutes = i64::from(hour) * 60 + i64::from(minute) - i64::from(zone.cast_signed()) * 15;
    let since = TimeDelta::seconds((i64::from(day) - 1) * 86_400 + minutes * 60 + i64::from(second));
    (midnight + since).timestamp()
}

/// Write a time in the seventeen bytes of volume descriptors: sixteen digits and the zone.
#[must_use]
pub fn long(seconds: i64) -> [u8; 17] {
    let text = utc(seconds.clamp(LONG.0, LONG.1)).format("%Y%m%d%H%M%S00\0").to_string();
    text.into_bytes().try_into().unwrap_or(UNSET)
}

/// A time of seventeen bytes that says nothing.
pub const UNSET: [u8; 17] = *b"0000000000000000\0";

/// Give the date and time of a second; all of [`SHORT`] and [`LONG`] have one.
fn utc(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}
