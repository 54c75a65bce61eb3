//! System calls that are made for their refusal: what no safe function does, with arguments that do no harm if they get through.

#![expect(unsafe_code, reason = "calls with arguments that every wrapper would refuse")]

use std::io;

use crate::{one, outcome};

/// Calls by name: number, arguments, and what they lead to if the kernel looks at them.
const CALLS: [(&str, i64, [i64; 3]); 9] = [
    ("getpid", libc::SYS_getpid, [0; 3]),
    // The number of the session's keyring.
    ("keyctl", libc::SYS_keyctl, [0, -3, 1]),
    // No command: EINVAL.
    ("bpf", libc::SYS_bpf, [9999, 0, 0]),
    // From nothing on nothing: EFAULT.
    ("mount", libc::SYS_mount, [0; 3]),
    // Structures of no size: EINVAL.
    ("clone3", libc::SYS_clone3, [0; 3]),
    ("unshare-user", libc::SYS_unshare, [libc::CLONE_NEWUSER as i64, 0, 0]),
    // No randomized addresses.
    ("personality", libc::SYS_personality, [0x4_0000, 0, 0]),
    // The machine's hypervisor, over a protocol that is none.
    ("socket-vsock", libc::SYS_socket, [libc::AF_VSOCK as i64, libc::SOCK_STREAM as i64, 99]),
    // Nobody has that.
    ("unknown", 1000, [0; 3]),
];

/// Stop process 1 as a debugger does: it makes no step until this process lets it, or ends.
pub(crate) fn stop_init(_: &str) -> Vec<(String, String)> {
    let request = |request: u32| {
        // SAFETY: neither request reads or writes memory of this process.
        let answer = unsafe { libc::syscall(libc::SYS_ptrace, i64::from(request), 1_i64, 0_i64, 0_i64) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let done = request(libc::PTRACE_SEIZE).and_then(|()| request(libc::PTRACE_INTERRUPT));
    one("stop-init", outcome(done))
}

/// Make a call, and tell what came of it.
pub(crate) fn call(name: &str) -> Vec<(String, String)> {
    let Some((_, number, [first, second, third])) = CALLS.iter().find(|(known, ..)| *known == name) else {
        return one(format!("call.{name}"), "not understood");
    };
    // SAFETY: with these arguments none of the calls reads or writes memory of this process.
    let answer = unsafe { libc::syscall(*number, *first, *second, *third) };
    let done = if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    one(format!("call.{name}"), outcome(done))
}
