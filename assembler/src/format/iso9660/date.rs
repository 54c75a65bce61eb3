//! Times as a CD has them, always UTC when written.
//!
//! Source: ECMA-119, 8.4.26.1 and 9.1.5.

/// First and last second since 1970 that seven bytes can say: the years 1900 and 2155.
const SHORT: (i64, i64) = (-2_208_988_800, 5_869_583_999);
/// First and last second that seventeen bytes can say: the years 1 and 9999.
const LONG: (i64, i64) = (-62_135_596_800, 253_402_300_799);
const DAY: i64 = 86_400;

/// Write a time in the seven bytes of directories: years since 1900, month, day, hour, minute, second, zone. What lies outside of
/// the years 1900 to 2155 becomes their first or last second.
#[must_use]
pub fn short(seconds: i64) -> [u8; 7] {
    let seconds = seconds.clamp(SHORT.0, SHORT.1);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    [year - 1900, month, day, second / 3600, second / 60 % 60, second % 60, 0]
        .map(|field| u8::try_from(field).unwrap_or_default())
}

/// Read a time of seven bytes, its zone in quarters of an hour taken away.
#[must_use]
pub fn seconds(bytes: [u8; 7]) -> i64 {
    let [year, month, day, hour, minute, second, zone] = bytes;
    let days = days(i64::from(year) + 1900, i64::from(month.clamp(1, 12)), i64::from(day));
    let minutes = i64::from(hour) * 60 + i64::from(minute) - i64::from(zone.cast_signed()) * 15;
    days * DAY + minutes * 60 + i64::from(second)
}

/// Write a time in the seventeen bytes of volume descriptors: sixteen digits and the zone.
#[must_use]
pub fn long(seconds: i64) -> [u8; 17] {
    let seconds = seconds.clamp(LONG.0, LONG.1);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}00\0");
    text.into_bytes().try_into().unwrap_or(UNSET)
}

/// A time of seventeen bytes that says nothing.
pub const UNSET: [u8; 17] = *b"0000000000000000\0";

/// Turn days since 1970 into year, month and day. Counted in eras of 400 years that begin in March, so that the leap day is last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Count the days from 1970 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
