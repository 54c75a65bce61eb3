//! Answers for people, in columns, and for scripts, as JSON.

use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use super::CtlError;
use crate::control::protocol::{Event, Health, Line, Service, Stage, State, Stream, What};

/// Colours of containers' names (SGR, ECMA-48): cyan, green, yellow, blue, magenta.
const COLOURS: [u8; 5] = [36, 32, 33, 34, 35];

pub(super) fn services(out: &mut impl Write, list: &[Service], json: bool) -> Result<u8, CtlError> {
    if json {
        return array(out, list);
    }
    let head = ["NAME", "SECTION", "STATE", "HEALTH", "RESTARTS", "AGE", "MEMORY", "PIDS", "ENDED"];
    let rows = list.iter().map(|service| {
        vec![
            service.name.clone(),
            service.section.clone(),
            state(service.state).to_owned(),
            service.health.map_or("-", health).to_owned(),
            service.restarts.to_string(),
            service.age.map_or_else(|| "-".to_owned(), age),
            service.memory.map_or_else(|| "-".to_owned(), memory),
            service.pids.map_or_else(|| "-".to_owned(), |pids| pids.to_string()),
            service.ended.clone().unwrap_or_default(),
        ]
    });
    table(out, &head, &rows.collect::<Vec<_>>())
}

pub(super) fn stages(out: &mut impl Write, list: &[Stage], json: bool) -> Result<u8, CtlError> {
    if json {
        return array(out, list);
    }
    let rows = list.iter().map(|stage| {
        let took = stage.end.map_or_else(|| "-".to_owned(), |end| seconds(end.saturating_sub(stage.begin)));
        vec![stage.stage.clone(), seconds(stage.begin), took]
    });
    table(out, &["STAGE", "BEGAN", "TOOK"], &rows.collect::<Vec<_>>())
}

pub(super) fn line(out: &mut impl Write, line: &Line, json: bool, times: bool, coloured: bool) -> Result<(), CtlError> {
    if json {
        return object(out, line);
    }
    let time = if times { format!("[{:>9}] ", seconds(line.uptime)) } else { String::new() };
    let (begin, end) =
        if coloured { (format!("\x1b[{}m", colour(&line.service)), "\x1b[0m") } else { (String::new(), "") };
    let mut text = String::new();
    if line.dropped > 0 {
        text = format!("{time}{begin}{} |{end} ({} lines are kept no more)\n", line.service, line.dropped);
    }
    let mark = if line.stream == Stream::Stderr { "!" } else { "|" };
    text.push_str(&format!("{time}{begin}{} {mark}{end} {}\n", line.service, visible(&line.text)));
    write(out, &text)
}

pub(super) fn event(out: &mut impl Write, event: &Event, json: bool) -> Result<(), CtlError> {
    if json {
        return object(out, event);
    }
    let text = match &event.what {
        What::Stage { stage } => format!("stage {stage}"),
        What::Ready => "ready".to_owned(),
        What::Service { service, section, state: now, ended } => {
            let ended = ended.as_ref().map(|ended| format!(" ({ended})")).unwrap_or_default();
            format!("{section} {service}: {}{ended}", state(*now))
        }
        What::Health { service, health: now } => format!("services {service}: {}", health(*now)),
        What::Failed { report } => {
            let word = |key| report.get(key).and_then(serde_json::Value::as_str).unwrap_or("?");
            format!("boot failed: stage {}: {}", word("stage"), word("error"))
        }
        What::Down { how } => format!("going down: {how:?}").to_lowercase(),
    };
    write(out, &format!("[{:>9}] {text}\n", seconds(event.uptime)))
}

fn state(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Starting => "starting",
        State::Running => "running",
        State::Stopping => "stopping",
        State::Restarting => "restarting",
        State::Exited => "exited",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Starting => "starting",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

fn colour(name: &str) -> u8 {
    let sum: usize = name.bytes().map(usize::from).sum();
    COLOURS[sum % COLOURS.len()]
}

/// What a container printed must not move the cursor over other lines; tabs and colours may stay.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' && c != '\x1b' { '?' } else { c }).collect()
}

fn seconds(millis: u64) -> String {
    let time = Duration::from_millis(millis);
    format!("{}.{:03} s", time.as_secs(), time.subsec_millis())
}

/// `42s`, `5m12s`, `2h03m`, `3d04h`.
fn age(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// MiB with one digit behind the point.
fn memory(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{}M", tenths / 10, tenths % 10)
}

fn table(out: &mut impl Write, head: &[&str], rows: &[Vec<String>]) -> Result<u8, CtlError> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count()));
        cells.chain([head[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let head = head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    for row in std::iter::once(&head).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    write(out, &text)?;
    Ok(0)
}

fn array(out: &mut impl Write, list: &[impl Serialize]) -> Result<u8, CtlError> {
    let text = serde_json::to_string_pretty(list).unwrap_or_default();
    write(out, &format!("{text}\n"))?;
    Ok(0)
}

fn object(out: &mut impl Write, value: &impl Serialize) -> Result<(), CtlError> {
    let text = serde_json::to_string(value).unwrap_or_default();
    write(out, &format!("{text}\n"))
}

fn write(out: &mut impl Write, text: &str) -> Result<(), CtlError> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CtlError::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut out = Vec::new();
        let service =
            Service { name: "a-long-name".into(), state: State::Running, age: Some(65_000), ..Service::default() };
        services(&mut out, &[service], false).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "NAME         SECTION  STATE    HEALTH  RESTARTS  AGE    MEMORY  PIDS  ENDED\n\
             a-long-name           running  -       0         1m05s  -       -\n"
        );
    }

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!([0, 59_999, 3_599_000, 86_399_000, 90_000_000].map(age), ["0s", "59s", "59m59s", "23h59m", "1d01h"]);
        assert_eq!([0, 1, 1 << 20, 1_600_000].map(memory), ["0.0M", "0.1M", "1.0M", "1.6M"]);
        assert_eq!(visible("a\x08\tb"), "a?\tb");
    }
}
