//! How a machine's run ended.

use std::process::ExitStatus;

use super::GuestArch;

/// How a machine's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The guest powered itself off.
    PoweredOff,
    /// The guest reset itself.
    Rebooted,
    /// The guest's kernel panicked.
    Panicked {
        /// The kernel's announcement, as it stood on the console.
        line: String,
    },
    /// The time that was allowed ran out.
    TimedOut,
    /// Someone on the host ended it.
    Killed,
    /// QEMU itself gave up.
    QemuFailed {
        /// What it said, in one line.
        stderr: String,
    },
}

/// Why the host ended a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its time ran out.
    TimedOut,
    /// It is not wanted any more.
    Killed,
}

/// What is known when QEMU is gone.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// What the machine was.
    pub(super) arch: Option<GuestArch>,
    /// Why we ended it, if we did.
    pub(super) cause: Option<Cause>,
    /// `reason` of QMP's `SHUTDOWN` event.
    pub(super) shutdown: Option<String>,
    /// The kernel's panic line.
    pub(super) panic: Option<String>,
    /// QEMU's exit status; none if it could not be had.
    pub(super) status: Option<ExitStatus>,
    /// The end of QEMU's standard error.
    pub(super) stderr: String,
}

impl Outcome {
    /// Conclude from what is known.
    ///
    /// A panic with `panic=-1` shows as a reset, one with `panic=0` as a machine that had to be ended; a panic line
    /// from a guest that then powered off in good order was printed by a program.
    ///
    /// # Source
    ///
    /// QEMU, `qapi/run-state.json`, `ShutdownCause`.
    pub(super) fn conclude(evidence: Evidence) -> Self {
        let panicked = |otherwise| evidence.panic.clone().map_or(otherwise, |line| Self::Panicked { line });
        match (evidence.shutdown.as_deref(), evidence.cause) {
            (Some("guest-shutdown"), _) => Self::PoweredOff,
            (Some("guest-reset" | "subsystem-reset"), _) => panicked(Self::Rebooted),
            (Some("guest-panic"), _) => {
                panicked(Self::Panicked { line: "the guest's firmware reported a panic".into() })
            }
            (_, Some(Cause::TimedOut)) => panicked(Self::TimedOut),
            (_, Some(Cause::Killed)) => Self::Killed,
            (Some(reason), None) if reason.starts_with("host-") => Self::Killed,
            // Until QEMU 9 the power switch of riscv64's board ends QEMU on the spot (`hw/misc/sifive_test.c`).
            (None, None) if evidence.arch == Some(GuestArch::Riscv64) && evidence.went_silently() => Self::PoweredOff,
            _ => Self::QemuFailed { stderr: said(&evidence) },
        }
    }
}

impl Evidence {
    /// Tell whether QEMU ended in order and without a word.
    fn went_silently(&self) -> bool {
        self.status.is_some_and(|status| status.success()) && self.stderr.is_empty()
    }
}

/// Put QEMU's last words, or its bare exit status, into one line.
fn said(evidence: &Evidence) -> String {
    let words = one_line(&evidence.stderr);
    match evidence.status {
        _ if !words.is_empty() => words,
        Some(status) => format!("QEMU ended without a word ({status})"),
        None => "QEMU ended without a word".to_owned(),
    }
}

/// Join lines with `; ` and drop the program's name that QEMU puts in front of each.
pub(super) fn one_line(stderr: &str) -> String {
    let lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let bare = lines.map(|line| match line.split_once(": ") {
        Some((program, rest)) if program.contains("qemu-system-") => rest,
        _ => line,
    });
    bare.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_board_that_ends_qemu_in_order_was_switched_off() {
        let evidence = |arch, status, stderr: &str| Evidence {
            arch: Some(arch),
            status: Some(ExitStatus::from_raw(status)),
            stderr: stderr.to_owned(),
            ..Evidence::default()
        };
        let riscv64 = GuestArch::Riscv64;
        assert_eq!(Outcome::conclude(evidence(riscv64, 0, "")), Outcome::PoweredOff);
        let failed = [(riscv64, 0, "out of memory"), (riscv64, 256, ""), (riscv64, 9, ""), (GuestArch::Amd64, 0, "")];
        for (arch, status, stderr) in failed {
            let outcome = Outcome::conclude(evidence(arch, status, stderr));
            assert!(matches!(outcome, Outcome::QemuFailed { .. }), "{outcome:?}");
        }
    }

    fn end(shutdown: Option<&str>, cause: Option<Cause>, panic: Option<&str>) -> Outcome {
        let evidence = Evidence {
            cause,
            shutdown: shutdown.map(str::to_owned),
            panic: panic.map(str::to_owned),
            stderr: "qemu-system-x86_64: -m 1: too small\n".to_owned(),
            ..Evidence::default()
        };
        Outcome::conclude(evidence)
    }

    #[test]
    fn the_end_is_read_from_qemus_event_first() {
        let panicked = Outcome::Panicked { line: "P".to_owned() };
        let table = [
            (end(Some("guest-shutdown"), None, None), Outcome::PoweredOff),
            (end(Some("guest-shutdown"), Some(Cause::Killed), None), Outcome::PoweredOff),
            (end(Some("guest-shutdown"), None, Some("P")), Outcome::PoweredOff),
            (end(Some("guest-reset"), None, None), Outcome::Rebooted),
            (end(Some("guest-reset"), None, Some("P")), panicked.clone()),
            (end(Some("host-signal"), Some(Cause::TimedOut), Some("P")), panicked),
            (end(Some("host-signal"), Some(Cause::TimedOut), None), Outcome::TimedOut),
            (end(Some("host-signal"), Some(Cause::Killed), None), Outcome::Killed),
            (end(Some("host-qmp-quit"), None, None), Outcome::Killed),
            (end(None, Some(Cause::Killed), None), Outcome::Killed),
            (end(None, None, None), Outcome::QemuFailed { stderr: "-m 1: too small".to_owned() }),
        ];
        for (got, want) in table {
            assert_eq!(got, want);
        }
    }
}
