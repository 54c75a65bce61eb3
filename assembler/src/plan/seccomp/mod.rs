//! Which system calls a container may make. In: the machine's architecture and what the container is capable of. Out: a program of
//! the kernel's, ready to be loaded. Pure.
//!
//! The list is Docker's ([`profile`]); what is made of it is a search by number ([`program`]), once for each way that programs of the
//! machine have to call the kernel. No crate does that: seccompiler's programs compare with one number after another, give one
//! error, and kill whatever was built for 32 bits. It judges ours in the tests.

mod profile;
mod program;

use hullkit_init::contract::Filter;

use crate::platform::Arch;
use program::{Table, Verdict};

/// One way to call the kernel: the name that seccomp has for it, and the number of every call.
struct Abi {
    audit: u32,
    numbers: Vec<(&'static str, u32)>,
}

/// Names and numbers of every call of a machine, from the crate's table of it.
macro_rules! numbers {
    ($arch:ident) => {{
        use syscalls::$arch::Sysno;
        // Not by `next`, which leaves out the last.
        let all = (0..=Sysno::last().id()).filter_map(|id| usize::try_from(id).ok().and_then(Sysno::new));
        all.filter_map(|call| Some((call.name(), u32::try_from(call.id()).ok()?))).collect::<Vec<_>>()
    }};
}

/// The ways to call the kernel of a machine, the usual one first. x32 is not among them: hardly a kernel has it, and none of its
/// numbers is known here.
///
/// # Source
///
/// Linux, `include/uapi/linux/audit.h`; `arch/arm/include/uapi/asm/unistd.h` for Arm's private calls.
fn abis(arch: Arch) -> Vec<Abi> {
    match arch {
        Arch::Amd64 => vec![
            Abi { audit: 0xc000_003e, numbers: numbers!(x86_64) },
            Abi { audit: 0x4000_0003, numbers: numbers!(x86) },
        ],
        Arch::Arm64 => {
            let private = [("breakpoint", 0xf_0001), ("cacheflush", 0xf_0002), ("set_tls", 0xf_0005)];
            let arm = numbers!(arm).into_iter().chain(private).collect();
            // The crate has the kernel's header's name for it, all others the one that 64-bit machines call it by.
            let usual = |name| if name == "fstatat" { "newfstatat" } else { name };
            let arm64 = numbers!(aarch64).into_iter().map(|(name, number)| (usual(name), number)).collect();
            vec![Abi { audit: 0xc000_00b7, numbers: arm64 }, Abi { audit: 0x4000_0028, numbers: arm }]
        }
    }
}

/// Compile Docker's list for a container. In: `held`, the capabilities that it may ever have.
///
/// A call that is not on it fails with "not permitted"; one that this version does not know, with "not implemented", so that
/// programs do without it as they do on an older kernel.
pub(super) fn filter(arch: Arch, held: &[String]) -> Filter {
    let tables: Vec<(u32, Table)> = abis(arch).iter().map(|abi| (abi.audit, table(abi, held))).collect();
    Filter(program::compile(&tables))
}

/// What becomes of each call that is known.
fn table(abi: &Abi, held: &[String]) -> Table {
    let allowed = profile::allowed(held);
    let verdict = |name: &str| allowed.get(name).copied().unwrap_or(Verdict::NotPermitted);
    abi.numbers.iter().map(|(name, number)| (*number, verdict(name))).collect()
}

#[cfg(test)]
mod tests;
