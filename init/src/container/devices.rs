//! Which devices a container may open or make: a small program that the kernel runs for its cgroup.
//!
//! libcontainer leaves this out unless it is built with a C library of its own, so the program is written here: a dozen words
//! for each rule, the last rule that covers a request deciding. What no rule covers is refused.
//!
//! # Source
//!
//! Linux, `Documentation/admin-guide/cgroup-v2.rst`, "Device controller", and `Documentation/bpf/standardization/
//! instruction-set.rst`; runc, `libcontainer/specconv/spec_linux.go`, `AllowedDevices`, for what is always allowed.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::{Section, StartError, cgroup};
use crate::contract::Container;
use crate::sys;

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`.
const BLOCK: i32 = 1;
const CHAR: i32 = 2;

/// `BPF_DEVCG_ACC_MKNOD`, `BPF_DEVCG_ACC_READ`, `BPF_DEVCG_ACC_WRITE`.
const ACCESS: [(char, i32); 3] = [('m', 1), ('r', 2), ('w', 4)];
const ANY_ACCESS: i32 = 7;

/// One rule. What is absent matches everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    kind: Option<i32>,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

const fn allow(kind: i32, major: Option<i32>, minor: Option<i32>, access: i32) -> Rule {
    Rule { allow: true, kind: Some(kind), major, minor, access }
}

/// What every container may do, whatever its rules say: make any node, and use the harmless devices.
const ALWAYS: [Rule; 10] = [
    allow(CHAR, None, None, 1),
    allow(BLOCK, None, None, 1),
    allow(CHAR, Some(1), Some(3), ANY_ACCESS),
    allow(CHAR, Some(1), Some(5), ANY_ACCESS),
    allow(CHAR, Some(1), Some(7), ANY_ACCESS),
    allow(CHAR, Some(1), Some(8), ANY_ACCESS),
    allow(CHAR, Some(1), Some(9), ANY_ACCESS),
    allow(CHAR, Some(5), Some(0), ANY_ACCESS),
    allow(CHAR, Some(5), Some(2), ANY_ACCESS),
    allow(CHAR, Some(136), None, ANY_ACCESS),
];

/// Let the container's cgroup, which is there already, use what its configuration allows and nothing else.
pub(super) fn restrict(section: Section, container: &Container) -> Result<(), StartError> {
    let linux = container.spec.linux().as_ref();
    let resources = linux.and_then(|linux| linux.resources().as_ref());
    let own = resources.and_then(|resources| resources.devices().as_ref()).into_iter().flatten().filter_map(rule);
    let rules: Vec<Rule> = own.chain(ALWAYS).collect();
    let path = PathBuf::from(format!("/sys/fs/cgroup{}", cgroup(section, container)));
    sys::restrict_devices(&path, &program(&rules)).map_err(StartError::Devices)
}

/// Understand a rule of the OCI configuration; none if it is about no device that Linux has.
fn rule(rule: &LinuxDeviceCgroup) -> Option<Rule> {
    let kind = match rule.typ() {
        None | Some(LinuxDeviceType::A) => None,
        Some(LinuxDeviceType::B) => Some(BLOCK),
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(CHAR),
        Some(LinuxDeviceType::P) => return None,
    };
    // -1 is the runtimes' way to write "any".
    let number = |number: Option<i64>| match number.filter(|number| *number >= 0) {
        Some(number) => i32::try_from(number).ok().map(Some),
        None => Some(None),
    };
    let words = rule.access().as_deref().unwrap_or("rwm");
    let access = ACCESS.iter().filter(|(letter, _)| words.contains(*letter)).map(|(_, bit)| bit).sum();
    Some(Rule { allow: rule.allow(), kind, major: number(rule.major())?, minor: number(rule.minor())?, access })
}

/// Write one instruction: operation, registers, jump distance, constant.
fn word(code: u8, to: u8, from: u8, jump: i16, number: i32) -> u64 {
    u64::from(code)
        | u64::from(from << 4 | to) << 8
        | u64::from(jump.cast_unsigned()) << 16
        | u64::from(number.cast_unsigned()) << 32
}

/// Load a word of the request.
const LOAD: u8 = 0x61;
/// 32-bit `and`, shift right, copy.
const AND: u8 = 0x54;
const SHIFT: u8 = 0x74;
const COPY: u8 = 0xbc;
/// Jump if it is not this number, or not what is in this register.
const UNLESS: u8 = 0x55;
const UNLESS_SAME: u8 = 0x5d;
/// Set a register, end.
const SET: u8 = 0xb7;
const END: u8 = 0x95;

/// Compile the rules. The last that covers all that is asked for decides, so they are asked from the end.
///
/// In registers: 2 what kind of device, 3 what is asked for, 4 and 5 its numbers.
fn program(rules: &[Rule]) -> Vec<u64> {
    let mut words = vec![
        word(LOAD, 2, 1, 0, 0),
        word(AND, 2, 0, 0, 0xffff),
        word(LOAD, 3, 1, 0, 0),
        word(SHIFT, 3, 0, 0, 16),
        word(LOAD, 4, 1, 4, 0),
        word(LOAD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let mut tests: Vec<(u8, u8, u8, i32)> = Vec::new();
        tests.extend(rule.kind.map(|kind| (UNLESS, 2, 0, kind)));
        if rule.access != ANY_ACCESS {
            tests.extend([(COPY, 1, 3, 0), (AND, 1, 0, rule.access), (UNLESS_SAME, 1, 3, 0)]);
        }
        tests.extend(rule.major.map(|major| (UNLESS, 4, 0, major)));
        tests.extend(rule.minor.map(|minor| (UNLESS, 5, 0, minor)));
        let end = tests.len();
        for (at, (code, to, from, number)) in tests.into_iter().enumerate() {
            let jumps = matches!(code, UNLESS | UNLESS_SAME);
            // Over the rest of this rule's tests and its two last words; a rule has at most six tests.
            let over = if jumps { i16::try_from(end - at + 1).unwrap_or(i16::MAX) } else { 0 };
            words.push(word(code, to, from, over, number));
        }
        words.extend([word(SET, 0, 0, 0, i32::from(rule.allow)), word(END, 0, 0, 0, 0)]);
        // It covers everything. What would come after it is never reached, and the kernel takes no such program.
        if end == 0 {
            return words;
        }
    }
    words.extend([word(SET, 0, 0, 0, 0), word(END, 0, 0, 0, 0)]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run a program as the kernel would. In: kind, numbers, what is asked for.
    fn run(words: &[u64], kind: u32, major: u32, minor: u32, access: u32) -> bool {
        let request = [access << 16 | kind, major, minor];
        let (mut registers, mut at) = ([0_u64; 6], 0_usize);
        loop {
            let bytes = words[at].to_le_bytes();
            let (to, from) = (usize::from(bytes[1] & 15), usize::from(bytes[1] >> 4));
            let jump = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
            let number = u64::from(u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]));
            at += 1;
            match bytes[0] {
                LOAD => registers[to] = u64::from(request[jump / 4]),
                AND => registers[to] &= number,
                SHIFT => registers[to] >>= number,
                COPY => registers[to] = registers[from],
                SET => registers[to] = number,
                UNLESS if registers[to] != number => at += jump,
                UNLESS_SAME if registers[to] != registers[from] => at += jump,
                UNLESS | UNLESS_SAME => {}
                END => return registers[0] == 1,
                other => panic!("{other:#x} is no instruction used here"),
            }
        }
    }

    #[test]
    fn the_last_rule_that_covers_a_request_decides_and_nothing_else_is_allowed() {
        let own = [
            Rule { allow: true, kind: Some(BLOCK), major: None, minor: None, access: ANY_ACCESS },
            Rule { allow: false, kind: Some(BLOCK), major: Some(8), minor: None, access: ANY_ACCESS },
            Rule { allow: true, kind: Some(BLOCK), major: Some(8), minor: Some(1), access: 2 },
        ];
        let rules: Vec<Rule> = own.into_iter().chain(ALWAYS).collect();
        let words = program(&rules);
        let cases = [
            (1, 254, 0, 6, true, "a disk"),
            (1, 8, 0, 2, false, "a disk that is denied"),
            (1, 8, 1, 2, true, "reading a partition of it"),
            (1, 8, 1, 6, false, "writing that partition"),
            (2, 1, 3, 6, true, "/dev/null"),
            (2, 1, 1, 2, false, "/dev/mem"),
            (2, 1, 1, 1, true, "making a node of /dev/mem"),
            (2, 136, 7, 6, true, "a terminal"),
            (2, 5, 1, 4, false, "the console"),
        ];
        for (kind, major, minor, access, want, what) in cases {
            assert_eq!(run(&words, kind, major, minor, access), want, "{what}");
        }
    }

    #[test]
    fn nothing_follows_a_rule_that_covers_everything() {
        let all = Rule { allow: true, kind: None, major: None, minor: None, access: ANY_ACCESS };
        let rules: Vec<Rule> = [all].into_iter().chain(ALWAYS).collect();
        let words = program(&rules);
        assert!(run(&words, 2, 1, 1, 6) && run(&words, 1, 8, 0, 6));
        assert_eq!(words[words.len() - 2..], [word(SET, 0, 0, 0, 1), word(END, 0, 0, 0, 0)]);
    }

    #[test]
    fn a_rule_of_the_configuration_is_understood() {
        let parse = |text: &str| rule(&serde_json::from_str(text).unwrap());
        let all = Rule { allow: true, kind: None, major: None, minor: None, access: ANY_ACCESS };
        assert_eq!(parse(r#"{"allow":true,"type":"a","access":"rwm"}"#), Some(all));
        assert_eq!(parse(r#"{"allow":true}"#), Some(all));
        let one = Rule { allow: false, kind: Some(CHAR), major: Some(4), minor: None, access: 6 };
        assert_eq!(parse(r#"{"allow":false,"type":"c","major":4,"minor":-1,"access":"rw"}"#), Some(one));
        assert_eq!(parse(r#"{"allow":true,"type":"p"}"#), None);
    }
}
