//! The kernel's command line, completed for a machine that is watched over its serial port.

use super::GuestArch;

/// Add what a watched machine needs to a kernel's command line, where the writer did not decide it himself.
///
/// In: the manifest's command line. Out: the same words, then `console=` if they name no console this machine has, and
/// `panic=-1` if they say nothing of panics: a panic then resets the guest at once, which ends QEMU; on x86,
/// `no_timer_check`, because an emulated timer that a busy host keeps waiting looks broken to the kernel, which panics.
/// What follows `--` belongs to init and stays last.
///
/// # Source
///
/// Linux, `Documentation/admin-guide/kernel-parameters.rst`.
#[must_use]
pub fn with_console(arch: impl Into<GuestArch>, cmdline: &str) -> String {
    let arch = arch.into();
    let words: Vec<&str> = cmdline.split_ascii_whitespace().collect();
    let (kernel, init) = words.split_at(words.iter().position(|word| *word == "--").unwrap_or(words.len()));
    let port = serial_port(arch);
    let mut out = kernel.to_vec();
    let console = format!("console={port}");
    if !kernel.iter().any(|word| is_console_on(word, port)) {
        out.push(&console);
    }
    if !kernel.iter().any(|word| word.starts_with("panic=")) {
        out.push("panic=-1");
    }
    // Under KVM the kernel does the same by itself.
    if arch == GuestArch::Amd64 && !kernel.contains(&"no_timer_check") {
        out.push("no_timer_check");
    }
    out.extend(init);
    out.join(" ")
}

/// Name the kernel's device for the machine's only serial port.
fn serial_port(arch: GuestArch) -> &'static str {
    match arch {
        GuestArch::Amd64 | GuestArch::Riscv64 => "ttyS0",
        GuestArch::Arm64 => "ttyAMA0",
    }
}

fn is_console_on(word: &str, port: &str) -> bool {
    let device = word.strip_prefix("console=").and_then(|value| value.split(',').next());
    device == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_machine_has_a_console_and_resets_on_panic() {
        let table = [
            ("", "console=ttyS0 panic=-1 no_timer_check"),
            ("quiet\n", "quiet console=ttyS0 panic=-1 no_timer_check"),
            ("console=tty0", "console=tty0 console=ttyS0 panic=-1 no_timer_check"),
            ("console=ttyS0,115200 panic=5", "console=ttyS0,115200 panic=5 no_timer_check"),
            ("console=ttyS01", "console=ttyS01 console=ttyS0 panic=-1 no_timer_check"),
            ("quiet -- console=ttyS0", "quiet console=ttyS0 panic=-1 no_timer_check -- console=ttyS0"),
        ];
        for (given, want) in table {
            assert_eq!(with_console(GuestArch::Amd64, given), want, "{given}");
        }
        assert_eq!(with_console(GuestArch::Arm64, "console=ttyS0"), "console=ttyS0 console=ttyAMA0 panic=-1");
        assert_eq!(with_console(GuestArch::Riscv64, ""), "console=ttyS0 panic=-1");
    }
}
