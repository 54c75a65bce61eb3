//! What a machine boots, whatever it boots from: the one input of disks, CDs, cards and web servers.

use std::borrow::Cow;

use super::linuxkit::initrd::Packed;
use super::{WriteError, initrd};
use crate::digest::Digest;
use crate::format::gpt::{self, Uuid};
use crate::format::pe::{self, Machine, Parts, Uki};
use crate::format::sparse::Sparse;
use crate::plan::{LinuxkitPlan, Plan};
use crate::platform::Arch;
use crate::rootfs::{Root, Segments};

/// What is made, for messages.
const WHAT: &str = "the unified kernel image";

/// Consoles of a machine that nobody described: its screen, and its first serial port, which is then the one that init speaks to.
/// On arm64 the firmware names the console, and the kernel believes it.
const CONSOLES: &str = "console=tty0 console=ttyS0,115200";

/// A kernel and all that it finds.
#[derive(Debug)]
pub struct Boot {
    /// What the host is called in lists of what can be booted.
    pub name: String,
    /// For which machines.
    pub arch: Arch,
    /// The kernel, as its distribution ships it.
    pub kernel: Sparse,
    /// The initial RAM file system, microcode included.
    pub initrd: Sparse,
    /// The kernel's command line, without a newline.
    pub cmdline: String,
    /// The file system that the images are on; they are in the initial RAM file system if absent.
    pub root: Option<Root>,
    /// Volumes keep what is written, on a partition of their own.
    pub keeps: bool,
    /// The program that UEFI starts in front of the kernel.
    pub stub: Cow<'static, [u8]>,
    /// Equal for equal inputs only: every identity on a disk comes from it.
    pub identity: Digest,
    /// Time of everything generated, in seconds since 1970.
    pub epoch: u32,
}

impl Boot {
    /// Take a host that Hullkit's init runs.
    ///
    /// # Errors
    ///
    /// - [`WriteError::NoKernel`]: the plan has none.
    /// - [`WriteError::Io`]: a packed part is gone.
    pub fn native(
        name: &str,
        plan: &Plan,
        segments: &Segments,
        stub: Cow<'static, [u8]>,
        format: &str,
    ) -> Result<Self, WriteError> {
        let (Some(planned), Some(files)) = (&plan.kernel, &segments.kernel) else {
            return Err(WriteError::NoKernel { format: format.to_owned() });
        };
        // The parts are named by what they are made of; a plan says nothing of the program that becomes init.
        let parts: Vec<_> = segments.parts.iter().filter_map(|part| part.path.file_name()).collect();
        Ok(Self {
            name: name.to_owned(),
            arch: plan.arch,
            kernel: initrd::whole(&files.binary)?,
            initrd: initrd::joined(segments)?,
            cmdline: with_consoles(plan.arch, &planned.cmdline),
            root: segments.root.clone(),
            keeps: plan.volumes.iter().any(|volume| volume.persistent),
            stub,
            identity: Digest::of(format!("{}{parts:?}", Digest::of(&json(plan))).as_bytes()),
            epoch: plan.epoch,
        })
    }

    /// Take a host that LinuxKit's init runs.
    ///
    /// # Errors
    ///
    /// - [`WriteError::NoKernel`]: the plan has none.
    pub fn linuxkit(
        name: &str,
        plan: &LinuxkitPlan,
        packed: &Packed,
        stub: Cow<'static, [u8]>,
        format: &str,
    ) -> Result<Self, WriteError> {
        if packed.files.kernel.is_empty() {
            return Err(WriteError::NoKernel { format: format.to_owned() });
        }
        Ok(Self {
            name: name.to_owned(),
            arch: plan.arch,
            kernel: Sparse::of_bytes(packed.files.kernel.as_slice()),
            initrd: packed.initrd.clone(),
            cmdline: with_consoles(plan.arch, String::from_utf8_lossy(&packed.files.cmdline).trim()),
            root: None,
            keeps: false,
            stub,
            identity: Digest::of(&json(plan)),
            epoch: plan.epoch,
        })
    }

    /// Make an identity for one use: equal hosts have equal ones, different uses different ones.
    #[must_use]
    pub fn id(&self, purpose: &str) -> [u8; 16] {
        let digest = Digest::of(format!("{} {purpose}", self.identity).as_bytes());
        let mut id = [0; 16];
        id.iter_mut().zip(digest.bytes()).for_each(|(slot, byte)| *slot = *byte);
        id
    }

    /// As [`Boot::id`], in the form of a GUID.
    #[must_use]
    pub fn guid(&self, purpose: &str) -> Uuid {
        gpt::guid(self.id(purpose))
    }

    /// As [`Boot::id`], of 32 bits.
    #[must_use]
    pub fn serial(&self, purpose: &str) -> u32 {
        let [one, two, three, four, ..] = self.id(purpose);
        u32::from_le_bytes([one, two, three, four])
    }

    /// Join stub, kernel, initrd and command line into the one program that UEFI starts, and whose parts BIOS loads.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Layout`]: the kernel, the stub or the command line cannot be in one.
    pub fn uki(&self) -> Result<Uki, WriteError> {
        let machine = machine(self.arch);
        let version = pe::kernel_version(machine, &self.kernel)
            .map_err(|cause| WriteError::layout(WHAT, cause))?
            .unwrap_or_default();
        let parts = Parts {
            osrel: &self.os_release(),
            cmdline: &self.cmdline,
            uname: &version,
            initrd: &self.initrd,
            linux: &self.kernel,
        };
        pe::uki(machine, &self.stub, &parts).map_err(|cause| WriteError::layout(WHAT, cause))
    }

    /// Name the host for who lists what can be booted.
    ///
    /// Source: os-release(5).
    fn os_release(&self) -> String {
        let name: String = self.name.chars().filter(|char| !char.is_control() && !"\"\\$`".contains(*char)).collect();
        let build = self.identity.short();
        format!("ID=hullkit\nNAME=\"Hullkit\"\nPRETTY_NAME=\"{name}\"\nIMAGE_ID=\"{name}\"\nBUILD_ID={build}\n")
    }
}

fn machine(arch: Arch) -> Machine {
    match arch {
        Arch::Amd64 => Machine::X64,
        Arch::Arm64 => Machine::Arm64,
    }
}

/// Refuse a command line of which the kernel would lose the end.
///
/// # Errors
///
/// - [`WriteError::Cmdline`].
pub(super) fn check_cmdline(arch: Arch, kernel: &Sparse, cmdline: &str) -> Result<(), WriteError> {
    let len = cmdline.len() as u64;
    match pe::cmdline_max(machine(arch), kernel) {
        Some(most) if len > most => Err(WriteError::Cmdline { len, most }),
        _ => Ok(()),
    }
}

/// Add consoles to a command line that names none.
fn with_consoles(arch: Arch, cmdline: &str) -> String {
    let mut kernel = cmdline.split_ascii_whitespace().take_while(|word| *word != "--");
    if arch != Arch::Amd64 || kernel.any(|word| word.starts_with("console=")) {
        return cmdline.trim().to_owned();
    }
    with_words(cmdline, CONSOLES)
}

/// Add words to a command line; what follows `--` belongs to init and stays last.
pub(super) fn with_words(cmdline: &str, more: &str) -> String {
    let words: Vec<&str> = cmdline.split_ascii_whitespace().collect();
    let (kernel, init) = words.split_at(words.iter().position(|word| *word == "--").unwrap_or(words.len()));
    [kernel, &[more], init].concat().join(" ")
}

/// Write down a plan. Texts, numbers and lists only: there is nothing in it that JSON cannot say.
fn json(plan: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(plan).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_of_which_the_kernel_would_lose_the_end_is_refused() {
        let kernel = Sparse::new(4096);
        check_cmdline(Arch::Arm64, &kernel, &"x".repeat(2047)).unwrap();
        let said = check_cmdline(Arch::Arm64, &kernel, &"x".repeat(2048)).unwrap_err().to_string();
        assert_eq!(
            said,
            "the kernel's command line has 2048 bytes; this kernel takes at most 2047: shorten `kernel.cmdline`"
        );
        // What does not say how much it takes is believed.
        check_cmdline(Arch::Amd64, &kernel, &"x".repeat(5000)).unwrap();
    }

    #[test]
    fn consoles_are_added_where_none_is_named() {
        let both = "quiet console=tty0 console=ttyS0,115200";
        for (arch, cmdline, want) in [
            (Arch::Amd64, "quiet", both),
            (Arch::Amd64, "console=hvc0 quiet", "console=hvc0 quiet"),
            (Arch::Amd64, "-- console=x", "console=tty0 console=ttyS0,115200 -- console=x"),
            (Arch::Arm64, " quiet ", "quiet"),
        ] {
            assert_eq!(with_consoles(arch, cmdline), want);
        }
    }
}
