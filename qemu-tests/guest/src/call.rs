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

/// Signals that ask process 1 to go down.
const ASK: [i32; 5] = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPWR];

/// Send process 1 so many signals of all kinds, save those that ask it to go down.
pub(crate) fn signal_init(count: &str) -> Vec<(String, String)> {
    let (mut sent, mut number) = (0_u32, 1_u32);
    let count = count.parse().unwrap_or(1);
    while sent < count {
        // Numbers that look random and are the same each time (Numerical Recipes).
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let signal = i32::try_from(number >> 26).unwrap_or(0) + 1;
        if ASK.contains(&signal) {
            continue;
        }
        // SAFETY: the call takes two numbers and touches no memory.
        if unsafe { libc::kill(1, signal) } != 0 {
            return one("signals", outcome::<()>(Err(io::Error::last_os_error())));
        }
        sent += 1;
    }
    one("signals", sent.to_string())
}

/// Children that one process leaves behind.
const LITTER: u32 = 500;

/// Leave process 1 so many dead children, some hundred at once.
pub(crate) fn orphan(count: &str) -> Vec<(String, String)> {
    let count = count.parse().unwrap_or(1);
    let mut left = 0;
    while left < count {
        // SAFETY: this program has one thread, and a child makes system calls only.
        let parent = unsafe { libc::fork() };
        if parent == 0 {
            for _ in 0..LITTER {
                // SAFETY: as above.
                if unsafe { libc::fork() } <= 0 {
                    break;
                }
            }
            // SAFETY: ends this process and touches no memory.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: no status is asked for.
        if parent < 0 || unsafe { libc::waitpid(parent, std::ptr::null_mut(), 0) } != parent {
            return one("orphans", outcome::<()>(Err(io::Error::last_os_error())));
        }
        left += LITTER;
    }
    one("orphans", left.to_string())
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
