//! Which accelerator to ask QEMU for.
//!
//! `/dev/kvm` alone proves nothing: on some hosts it opens, and even makes a virtual machine, whose guest then never
//! leaves its boot loader. So `auto` means KVM only where the guest has the host's architecture, the processor says it
//! virtualises, the device opens, and QEMU itself comes up with it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use super::{Accelerator, GuestArch, VmError};
use crate::platform::Arch;

/// How long QEMU may take to come up and quit when it is asked whether KVM works.
const PROBE: Duration = Duration::from_secs(5);

/// What the user wants to run the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accel {
    /// KVM where it works, else TCG.
    #[default]
    Auto,
    /// KVM or nothing.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl FromStr for Accel {
    type Err = VmError;

    fn from_str(text: &str) -> Result<Self, VmError> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Kvm),
            "tcg" => Ok(Self::Tcg),
            _ => Err(VmError::Accel { text: text.to_owned() }),
        }
    }
}

/// What this host has to offer a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The host's architecture.
    pub arch: Arch,
    /// The processor says that it virtualises: `vmx` or `svm` on x86; always on others, where no flag tells.
    pub virtualises: bool,
    /// `/dev/kvm` opens for reading and writing.
    pub device: bool,
}

impl HostFacts {
    /// Look at this host: its processor's flags and its KVM device.
    #[must_use]
    pub fn gather() -> Self {
        let arch = Arch::host();
        let virtualises = arch != Arch::Amd64 || {
            let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            has_virtualisation_flag(&cpuinfo)
        };
        let device = OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        Self { arch, virtualises, device }
    }

    /// Tell what keeps a guest of `arch` from running under KVM, if anything does.
    fn obstacle(&self, arch: GuestArch) -> Option<String> {
        if GuestArch::from(self.arch) != arch {
            Some(format!("the guest is {arch} and this host is not"))
        } else if !self.virtualises {
            Some("this host's processor shows neither `vmx` nor `svm`".to_owned())
        } else if !self.device {
            Some("`/dev/kvm` cannot be opened for reading and writing".to_owned())
        } else {
            None
        }
    }
}

fn has_virtualisation_flag(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().filter_map(|line| line.strip_prefix("flags"));
    flags.flat_map(str::split_ascii_whitespace).any(|flag| flag == "vmx" || flag == "svm")
}

/// The accelerator that was chosen, and why it is not the one the user would expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What to pass to QEMU.
    pub accelerator: Accelerator,
    /// One line for the user, if KVM looked usable and was not.
    pub note: Option<String>,
}

impl Accel {
    /// Choose an accelerator for a guest.
    ///
    /// In: what the host has, and the QEMU program that will run. QEMU is started once, without a guest, if all else
    /// speaks for KVM.
    ///
    /// # Errors
    ///
    /// [`VmError::NoKvm`]: KVM was asked for and cannot be used.
    pub fn choose(self, arch: impl Into<GuestArch>, host: &HostFacts, qemu: &Path) -> Result<Choice, VmError> {
        let tcg = Choice { accelerator: Accelerator::Tcg, note: None };
        if self == Self::Tcg {
            return Ok(tcg);
        }
        let expected = host.obstacle(arch.into());
        let obstacle = expected.clone().or_else(|| probe(qemu).err());
        match (self, obstacle) {
            (_, None) => Ok(Choice { accelerator: Accelerator::Kvm, note: None }),
            (Self::Kvm, Some(why)) => Err(VmError::NoKvm { why }),
            (_, Some(why)) if expected.is_none() => Ok(Choice {
                note: Some(format!("KVM cannot be used ({why}); the guest is emulated, more slowly")),
                ..tcg
            }),
            (_, Some(_)) => Ok(tcg),
        }
    }
}

/// Start QEMU with KVM and no guest, and ask it to quit.
fn probe(qemu: &Path) -> Result<(), String> {
    let board = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none", "-accel", "kvm"];
    let mut child = Command::new(qemu)
        .args(board)
        .args(["-S", "-monitor", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|cause| cause.to_string())?;
    if let Some(mut monitor) = child.stdin.take() {
        // A QEMU that is gone already says so by its exit status.
        let _ = monitor.write_all(b"quit\n");
    }
    let deadline = Instant::now() + PROBE;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => return Err("QEMU does not start with it".to_owned()),
            Ok(None) => thread::sleep(Duration::from_millis(10)),
            Err(cause) => return Err(cause.to_string()),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err("QEMU hangs with it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_QEMU: &str = "/nonexistent/qemu";

    fn host(virtualises: bool, device: bool) -> HostFacts {
        HostFacts { arch: Arch::Amd64, virtualises, device }
    }

    #[test]
    fn auto_is_tcg_without_a_word_where_kvm_was_never_to_be_expected() {
        let cases =
            [(Arch::Arm64, host(true, true)), (Arch::Amd64, host(false, true)), (Arch::Amd64, host(true, false))];
        for (arch, facts) in cases {
            let choice = Accel::Auto.choose(arch, &facts, Path::new(NO_QEMU)).expect("auto never fails");
            assert_eq!(choice, Choice { accelerator: Accelerator::Tcg, note: None }, "{facts:?}");
        }
    }

    #[test]
    fn auto_falls_back_with_a_note_if_qemu_disagrees() {
        let choice =
            Accel::Auto.choose(Arch::Amd64, &host(true, true), Path::new("/bin/false")).expect("auto never fails");
        assert_eq!(choice.accelerator, Accelerator::Tcg);
        assert_eq!(
            choice.note.as_deref(),
            Some("KVM cannot be used (QEMU does not start with it); the guest is emulated, more slowly")
        );
    }

    #[test]
    fn auto_is_kvm_if_everything_agrees() {
        let choice =
            Accel::Auto.choose(Arch::Amd64, &host(true, true), Path::new("/bin/true")).expect("auto never fails");
        assert_eq!(choice, Choice { accelerator: Accelerator::Kvm, note: None });
    }

    #[test]
    fn kvm_that_cannot_be_used_says_why() {
        let error = Accel::Kvm.choose(Arch::Amd64, &host(false, true), Path::new(NO_QEMU)).expect_err("no vmx");
        assert_eq!(error.to_string(), "KVM cannot be used: this host's processor shows neither `vmx` nor `svm`");
    }

    #[test]
    fn flags_are_whole_words() {
        assert!(has_virtualisation_flag("model name: x\nflags\t\t: fpu svm sse\n"));
        assert!(!has_virtualisation_flag("vmx flags\t\t: vmx\nflags\t\t: fpu vmxx\n"));
    }
}
