//! What the machine kept of a kernel's crash. In: records of pstore. Out: lines in [`FILE`], for those who ask for the boot before.
//!
//! Records are removed once they are taken: firmware has room for few, and the next crash needs it.

use std::cmp::Reverse;
use std::time::Duration;

use crate::boot::BootError;
use crate::control::protocol::{KERNEL, Line, Stream, to_line};
use crate::host::Host;
use crate::sys::{Record, Sys};

/// Where the kernel shows records.
pub const FOLDER: &str = "/sys/fs/pstore";

/// Where the lines are afterwards: as `hullctl --json logs` prints them.
pub const FILE: &str = "/run/hullkit/crash.jsonl";

/// Longest of all records together, in bytes.
pub const MOST: usize = 256 << 10;

/// Take what there is. Few hosts have any: a record is made by a crash, in a machine with firmware that keeps it.
///
/// # Errors
///
/// None: a host does its work without.
pub fn take<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let lines = lines(host.sys.crash_records());
    if lines.is_empty() {
        return Ok(());
    }
    let text: Vec<u8> = lines.iter().flat_map(to_line).collect();
    let kept = host.sys.mkdir("/run/hullkit", 0o755).and_then(|()| host.sys.touch(FILE));
    let why =
        lines.iter().map(|line| &*line.text).find(|text| text.starts_with("Kernel panic")).unwrap_or("it crashed");
    match kept.and_then(|()| host.sys.write(FILE, &text)) {
        Ok(()) => host.say(&format!("the kernel's end in a boot before: {why}: `hullctl logs -b -1 kernel` shows it")),
        Err(cause) => host.say(&format!("the kernel's end in a boot before: {why}: its lines are lost: {cause}")),
    }
    Ok(())
}

/// The lines of all records, oldest first.
fn lines(records: Vec<Record>) -> Vec<Line> {
    let mut parts: Vec<(u64, Reverse<u64>, Record)> = records
        .into_iter()
        .filter_map(|record| part(&record.text).map(|(count, part)| (count, Reverse(part), record)))
        .collect();
    // The kernel writes the newest piece of its log first.
    parts.sort_by_key(|(count, part, record)| (record.time, *count, *part));
    parts
        .iter()
        .flat_map(|(.., record)| {
            let time = u64::try_from(record.time.as_millis()).unwrap_or(u64::MAX);
            record
                .text
                .split(|byte| *byte == b'\n')
                .skip(1)
                .filter(|text| !text.is_empty())
                .map(move |text| line(text, time))
        })
        .collect()
}

/// The first line of a record: `Panic#1 Part2`. Out: which crash of its boot, and which piece of the log.
///
/// # Source
///
/// Linux, `fs/pstore/platform.c`: `pstore_dump`.
fn part(record: &[u8]) -> Option<(u64, u64)> {
    let head = str::from_utf8(record.split(|byte| *byte == b'\n').next()?).ok()?;
    let (crash, part) = head.split_once(" Part")?;
    Some((crash.rsplit_once('#')?.1.parse().ok()?, part.parse().ok()?))
}

/// A line of the kernel's log as `syslog` shows it: `<6>[    1.234567] text`.
fn line(text: &[u8], time: u64) -> Line {
    let text = String::from_utf8_lossy(text);
    let (priority, rest) = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).unwrap_or(("6", &text));
    let stamp = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let stamp = stamp.and_then(|(stamp, rest)| Some((stamp.trim().parse::<f64>().ok()?, rest)));
    let (seconds, rest) = stamp.unwrap_or((0.0, rest));
    // Some kernels say who spoke.
    let rest = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, rest)| rest);
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let uptime =
        Duration::try_from_secs_f64(seconds).map_or(0, |uptime| u64::try_from(uptime.as_millis()).unwrap_or(0));
    // Emergency to error (syslog(3)).
    let stream =
        if priority.parse().is_ok_and(|priority: u32| priority & 7 < 4) { Stream::Stderr } else { Stream::Stdout };
    Line { service: KERNEL.to_owned(), stream, uptime, time, text: rest.to_owned(), dropped: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        Record { text: text.as_bytes().to_vec(), time: Duration::from_secs(5) }
    }

    #[test]
    fn pieces_are_put_in_order_and_lines_get_their_times() {
        let records = vec![
            record("Panic#2 Part1\n<0>[    9.000000] Kernel panic - not syncing: sysrq\n"),
            record("Panic#2 Part2\n<6>[    8.500000] later\n<3>[    8.750000][    T1] broken\n"),
            record("Oops#1 Part1\n<6>first\n\n"),
            record("rubbish\n<6>[    1.000000] never\n"),
        ];
        let seen: Vec<_> = lines(records).into_iter().map(|line| (line.uptime, line.stream, line.text)).collect();
        let want = [
            (0, Stream::Stdout, "first"),
            (8500, Stream::Stdout, "later"),
            (8750, Stream::Stderr, "broken"),
            (9000, Stream::Stderr, "Kernel panic - not syncing: sysrq"),
        ];
        assert_eq!(seen, want.map(|(uptime, stream, text)| (uptime, stream, text.to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn no_record_makes_it_panic(text in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = lines(vec![Record { text: [b"Panic#1 Part1\n", &text[..]].concat(), time: Duration::MAX }]);
        }
    }
}
