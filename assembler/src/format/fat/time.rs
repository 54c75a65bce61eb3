//! Times as FAT has them: two seconds apart, from 1980 on, of no zone; UTC is written.

use chrono::{DateTime, Datelike as _, Timelike as _};
use zerocopy::little_endian::U16;

/// Seconds since 1970 of the first time that FAT can say, the start of 1980.
const FIRST: u32 = 315_532_800;

/// A time in the fields of a directory's entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// Hour, minute and half the second.
    pub(super) time: U16,
    /// Years since 1980, month and day.
    pub(super) date: U16,
    /// Hundredths of a second that `time` leaves out: 0 or 100.
    pub(super) hundredths: u8,
}

impl Time {
    /// Write seconds since 1970; what is before 1980 becomes its start.
    pub(super) fn new(seconds: u32) -> Self {
        let at = DateTime::from_timestamp(i64::from(seconds.max(FIRST)), 0).unwrap_or_default();
        let time = at.hour() << 11 | at.minute() << 5 | (at.second() / 2);
        let years = u32::try_from(at.year() - 1980).unwrap_or_default();
        let date = years << 9 | at.month() << 5 | at.day();
        let half = |bits: u32| U16::new(u16::try_from(bits).unwrap_or_default());
        Self { time: half(time), date: half(date), hundredths: if at.second() % 2 == 1 { 100 } else { 0 } }
    }
}
