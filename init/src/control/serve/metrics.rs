//! The host's figures as text (Prometheus text format 0.0.4): a `# HELP` and a `# TYPE` line for each name, then its samples.

use std::fmt::Write as _;

use super::state;
use crate::control::protocol::{Health, Service, State};
use crate::host::Host;
use crate::sys::Sys;

/// Write everything.
pub(super) fn text<S: Sys>(host: &mut Host<S>) -> String {
    let services = state::services(host);
    let mut text = Text::default();
    text.metric("hullkit_uptime_seconds", "gauge", "Time since the kernel started.");
    text.sample("hullkit_uptime_seconds", "", host.sys.uptime().as_secs_f64());
    text.metric(
        "hullkit_boot_stage_seconds",
        "gauge",
        "Time since the kernel started at which a stage of the boot was over.",
    );
    for (number, stage) in host.timeline.iter().enumerate() {
        if let Some(end) = stage.end {
            let labels = format!("order=\"{number}\",stage=\"{}\"", escaped(&stage.stage));
            text.sample("hullkit_boot_stage_seconds", &labels, seconds(end, 1_000));
        }
    }
    text.metric("hullkit_init_memory_bytes", "gauge", "Resident memory of PID 1.");
    let status = host.sys.read("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = resident(&String::from_utf8_lossy(&status)) {
        text.sample("hullkit_init_memory_bytes", "", number(bytes));
    }
    for column in COLUMNS {
        text.metric(column.name, column.kind, column.help);
        for service in &services {
            if let Some(value) = (column.value)(service) {
                let labels =
                    format!("section=\"{}\",service=\"{}\"", escaped(&service.section), escaped(&service.name));
                text.sample(column.name, &labels, value);
            }
        }
    }
    text.0
}

/// One figure that every container has.
struct Column {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Service) -> Option<f64>,
}

const COLUMNS: [Column; 8] = [
    Column {
        name: "hullkit_service_running",
        kind: "gauge",
        help: "1 if the container runs, else 0.",
        value: |service| Some(f64::from(u8::from(service.state == State::Running))),
    },
    Column {
        name: "hullkit_service_healthy",
        kind: "gauge",
        help: "1 if the health check has passed, else 0; absent without a health check.",
        value: |service| service.health.map(|health| f64::from(u8::from(health == Health::Healthy))),
    },
    Column {
        name: "hullkit_service_restarts_total",
        kind: "counter",
        help: "How often the container was started again.",
        value: |service| Some(number(service.restarts)),
    },
    Column {
        name: "hullkit_service_memory_bytes",
        kind: "gauge",
        help: "Memory that the container uses (memory.current).",
        value: |service| service.memory.map(number),
    },
    Column {
        name: "hullkit_service_cpu_seconds_total",
        kind: "counter",
        help: "Processor time that the container used (cpu.stat).",
        value: |service| service.cpu.map(|cpu| seconds(cpu, 1_000_000)),
    },
    Column {
        name: "hullkit_service_pids",
        kind: "gauge",
        help: "Processes and threads of the container (pids.current).",
        value: |service| service.pids.map(number),
    },
    Column {
        name: "hullkit_service_oom_kills_total",
        kind: "counter",
        help: "Processes of the container that were killed for want of memory (memory.events).",
        value: |service| service.oom_kills.map(number),
    },
    Column {
        name: "hullkit_service_log_lines_dropped_total",
        kind: "counter",
        help: "Lines that the container printed and that are kept no more.",
        value: |service| Some(number(service.lines_dropped)),
    },
];

#[derive(Default)]
struct Text(String);

impl Text {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// A label's value: backslash, quote and line feed have escapes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(count: u64, per_second: u32) -> f64 {
    number(count) / f64::from(per_second)
}

/// Bytes of `VmRSS` (proc(5)).
fn resident(status: &str) -> Option<u64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kilobytes.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_memory_is_in_bytes() {
        assert_eq!(escaped("a\"b\\c\n"), "a\\\"b\\\\c\\n");
        assert_eq!(resident("Name:\tinit\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!(resident("VmRSS: many"), None);
    }

    #[test]
    fn a_sample_is_one_line() {
        let mut text = Text::default();
        text.sample("x_total", "service=\"a\"", 2.5);
        text.sample("y", "", 3.0);
        assert_eq!(text.0, "x_total{service=\"a\"} 2.5\ny 3\n");
    }
}
