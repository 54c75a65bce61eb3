//! Why a host did not do what it should, as far as it can be known from outside: what init reported, how the machine ended, how far its
//! console shows it came. Pure.

use serde_json::Value;

use crate::vm::Outcome;

/// What is known of a host.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// What init says on its failure screen, by event or from the console.
    pub(super) failure: Option<&'a Value>,
    /// How the machine ended, if it did.
    pub(super) outcome: Option<&'a Outcome>,
    /// The kernel's panic line, of a machine that did not end by it.
    pub(super) panic: Option<&'a str>,
    /// Init has answered at its port.
    pub(super) answered: bool,
    /// Init speaks another version of the protocol.
    pub(super) foreign: Option<u32>,
    /// The console's lines.
    pub(super) console: &'a [String],
}

/// Find what init wrote on a console of why its boot failed.
pub(super) fn failure_on(console: &[String]) -> Option<Value> {
    console.iter().rev().find_map(|line| {
        let start = line.find("{\"")?;
        let value: Value = serde_json::from_str(line.get(start..)?).ok()?;
        (value.get("hullkit")?.as_str()? == "boot failed").then_some(value)
    })
}

/// Name the cause; nothing if the host is up and answers, so that what was asked of it says all.
pub(super) fn cause(evidence: &Evidence<'_>) -> Option<String> {
    if let Some(report) = evidence.failure {
        return Some(told(report));
    }
    if let Some(version) = evidence.foreign {
        return Some(format!(
            "init speaks version {version} of the control protocol, and this program another: use the `hullkit` it was built with"
        ));
    }
    match evidence.outcome {
        Some(Outcome::Panicked { line }) => return Some(format!("the kernel panicked: {line}")),
        Some(Outcome::QemuFailed { stderr }) => return Some(format!("QEMU failed: {stderr}")),
        Some(Outcome::Rebooted) => return Some(format!("the machine reset itself{}", place(evidence))),
        Some(Outcome::PoweredOff) => return Some(format!("the host powered itself off{}", place(evidence))),
        Some(Outcome::TimedOut | Outcome::Killed) | None => {}
    }
    if let Some(line) = evidence.panic {
        return Some(format!("the kernel panicked: {line}"));
    }
    (!evidence.answered).then(|| silence(evidence.console))
}

/// Tell whether a line of the console is the firmware's that Secure Boot starts nothing of what it found.
///
/// Source: edk2, `MdeModulePkg/Library/UefiBootManagerLib`, `MdeModulePkg/Universal/BdsDxe`.
pub(super) fn is_refusal(line: &str) -> bool {
    let line = line.trim_end();
    line.contains("BdsDxe: failed to ") && (line.ends_with(": Access Denied") || line.ends_with(": Security Violation"))
}

/// Put the failure screen into a sentence.
fn told(report: &Value) -> String {
    let word = |key| report.get(key).and_then(Value::as_str);
    let stage = word("stage").unwrap_or("?");
    let mut text = format!("the boot failed in stage `{stage}`: {}", word("error").unwrap_or("no reason given"));
    let causes = report.get("causes").and_then(Value::as_array);
    for cause in causes.into_iter().flatten().filter_map(Value::as_str) {
        text.push_str(": ");
        text.push_str(cause);
    }
    if let Some(name) = word("container") {
        text.push_str(&format!(" (container `{name}`)"));
    }
    if let Some(hint) = word("hint") {
        text.push_str(&format!("; try: {hint}"));
    }
    text
}

/// How far a console shows that a machine came.
#[derive(Debug, PartialEq, Eq)]
enum Reached {
    Nothing,
    Firmware,
    Kernel,
    Init,
}

fn reached(console: &[String]) -> Reached {
    let has = |text: &str| console.iter().any(|line| line.contains(text));
    let init = console.iter().any(|line| line.starts_with('[') && line.contains("] hullkit: "));
    if init {
        Reached::Init
    } else if has("Linux version ") || has("Run /init as init process") {
        Reached::Kernel
    } else if console.iter().any(|line| !line.trim().is_empty()) {
        Reached::Firmware
    } else {
        Reached::Nothing
    }
}

/// Say where a machine was that ended by itself, if init had not answered.
fn place(evidence: &Evidence<'_>) -> String {
    match (evidence.answered, reached(evidence.console)) {
        (true, _) => String::new(),
        (false, Reached::Nothing) => " before anything came from it".to_owned(),
        (false, Reached::Firmware) => format!(" before the kernel began{}", last(evidence.console)),
        (false, Reached::Kernel) => format!(" before init began{}", last(evidence.console)),
        (false, Reached::Init) => " before init answered".to_owned(),
    }
}

/// Explain a machine that runs and does not answer.
fn silence(console: &[String]) -> String {
    if let Some(line) = console.iter().find(|line| is_refusal(line)) {
        return format!(
            "Secure Boot refused it: no key of the firmware's variables signed it; sign it, or name other variables (docs/run.md); the \
             firmware's words: `{}`",
            line.trim()
        );
    }
    match reached(console) {
        Reached::Nothing => "nothing came from the machine: its firmware found nothing to boot, the loader hangs, or its kernel prints \
                             nothing (`quiet`) or elsewhere (`console=ttyS0`; arm64: `ttyAMA0`)"
            .to_owned(),
        Reached::Firmware => format!("the kernel did not begin{}", last(console)),
        Reached::Kernel => format!("the kernel began, and Hullkit's init did not{}", last(console)),
        Reached::Init => "init runs and does not answer at its port: its kernel lacks `virtio_console` (add it to `modules.include`), or the \
                          boot hangs before drivers are loaded"
            .to_owned(),
    }
}

fn last(console: &[String]) -> String {
    let line = console.iter().rev().find(|line| !line.trim().is_empty());
    line.map(|line| format!("; the console's last line: `{}`", line.trim())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(console: &[&str], outcome: Option<&Outcome>) -> Option<String> {
        let console: Vec<String> = console.iter().map(|line| (*line).to_owned()).collect();
        let failure = failure_on(&console);
        cause(&Evidence {
            failure: failure.as_ref(),
            outcome,
            panic: None,
            answered: false,
            foreign: None,
            console: &console,
        })
    }

    #[test]
    fn what_init_says_comes_first() {
        let line = r#"{"hullkit":"boot failed","stage":"root","error":"no disk","causes":["gone"],"container":null,"hint":"plug it in"}"#;
        let want = "the boot failed in stage `root`: no disk: gone; try: plug it in";
        assert_eq!(of(&["[    0.000000] Linux version 6", line], Some(&Outcome::PoweredOff)).as_deref(), Some(want));
    }

    #[test]
    fn a_silent_machine_is_placed_by_its_console() {
        let table: [(&[&str], &str); 5] = [
            (
                &["BdsDxe: failed to load Boot0001 \"UEFI Disk\" from Pci(0x4,0x0): Access Denied"],
                "Secure Boot refused it",
            ),
            (&[], "nothing came from the machine"),
            (&["BdsDxe: failed"], "the kernel did not begin; the console's last line: `BdsDxe: failed`"),
            (
                &["[    0.000000] Linux version 6.1", "stuck"],
                "the kernel began, and Hullkit's init did not; the console's last line: `stuck`",
            ),
            (&["[    1.000] hullkit: stage early"], "lacks `virtio_console`"),
        ];
        for (console, want) in table {
            let got = of(console, None).expect("a cause");
            assert!(got.contains(want), "{got}");
        }
    }

    #[test]
    fn an_end_of_its_own_is_told() {
        let panicked = Outcome::Panicked { line: "Kernel panic - not syncing: x".into() };
        assert_eq!(of(&[], Some(&panicked)).as_deref(), Some("the kernel panicked: Kernel panic - not syncing: x"));
        let reset = of(&["SeaBIOS"], Some(&Outcome::Rebooted));
        assert_eq!(
            reset.as_deref(),
            Some("the machine reset itself before the kernel began; the console's last line: `SeaBIOS`")
        );
    }
}
