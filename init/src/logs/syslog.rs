//! Lines as syslog servers read them. Pure.
//!
//! # Source
//!
//! RFC 5424, 6; over TCP with the length in front (RFC 6587, 3.4.1).

use std::time::{Duration, UNIX_EPOCH};

use crate::control::protocol::{KERNEL, Line, Stream};

/// Facilities: the kernel's, and daemons'.
const FACILITIES: [u8; 2] = [0, 3];

/// Longest name of a program, in bytes.
const NAME_MAX: usize = 48;

/// Write one message. In: `host`, the host's name; `stream`, for a connection rather than a packet.
pub(super) fn message(line: &Line, host: &str, stream: bool) -> Vec<u8> {
    let facility = FACILITIES[usize::from(line.service != KERNEL)];
    // Errors are 3, information is 6.
    let severity = if line.stream == Stream::Stderr { 3 } else { 6 };
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(line.time.min(LATEST)));
    let (host, name) = (word(host, 255), word(&line.service, NAME_MAX));
    let lost = if line.dropped > 0 { format!("({} lines before it are lost) ", line.dropped) } else { String::new() };
    let text = format!("<{}>1 {time} {host} {name} - - - {lost}{}", facility * 8 + severity, line.text);
    if stream { format!("{} {text}", text.len()).into_bytes() } else { text.into_bytes() }
}

/// The last millisecond of the year 9999, after which the format has no years.
const LATEST: u64 = 253_402_300_799_999;

/// What is printable ASCII of a word, or `-`.
fn word(text: &str, most: usize) -> String {
    let plain: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if plain.is_empty() { "-".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(service: &str, stream: Stream, dropped: u64) -> Line {
        Line { service: service.into(), stream, uptime: 1, time: 1_764_273_600_123, text: "it is ä".into(), dropped }
    }

    #[test]
    fn a_message_has_the_fields_of_the_rfc() {
        let text = |line: &Line, host, stream| String::from_utf8(message(line, host, stream)).unwrap();
        let out = line("web", Stream::Stdout, 0);
        assert_eq!(text(&out, "hull", false), "<30>1 2025-11-27T20:00:00.123Z hull web - - - it is ä");
        assert_eq!(text(&out, "", true), "51 <30>1 2025-11-27T20:00:00.123Z - web - - - it is ä");
        let kernel = line("kernel", Stream::Stderr, 2);
        assert_eq!(
            text(&kernel, "a b", false),
            "<3>1 2025-11-27T20:00:00.123Z ab kernel - - - (2 lines before it are lost) it is ä"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_time_makes_it_panic(time: u64) {
            message(&Line { time, ..line("x", Stream::Stdout, 0) }, "h", true);
        }
    }
}
