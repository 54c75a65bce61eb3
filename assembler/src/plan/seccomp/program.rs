//! Verdicts on system calls into a program of the kernel's.
//!
//! The program finds out which way the kernel was called, and searches the number among the ranges of equal verdicts, halving them
//! with every step: some ten instructions a call, and one for each range in the whole.
//!
//! # Source
//!
//! Linux, `include/uapi/linux/seccomp.h`, `struct seccomp_data`; `include/uapi/linux/bpf_common.h` for the instructions.

use std::collections::BTreeMap;

/// Verdicts by the number of a call; what is not in it is a call that nobody knows.
pub(super) type Table = BTreeMap<u32, Verdict>;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is made.
    Allowed,
    /// It is made if its first argument passes; else it is not permitted.
    If(Check),
    /// It fails with EPERM.
    NotPermitted,
    /// It fails with ENOSYS.
    NotImplemented,
}

/// A look at the lower half of the first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// It lies in one of these ranges, ends included; sorted, the last to the end or a single number.
    In(&'static [(u32, u32)]),
    /// None of these bits is set.
    Without(u32),
}

/// Offsets in what is looked at: the call's number, how the kernel was called, the first argument.
pub(super) const NUMBER: u32 = 0;
pub(super) const AUDIT: u32 = 4;
pub(super) const ARGUMENT: u32 = 16;

/// Load a word; jump; jump if equal, if not less, if a bit is set; end.
pub(super) const LOAD: u16 = 0x20;
pub(super) const JUMP: u16 = 0x05;
pub(super) const EQUAL: u16 = 0x15;
pub(super) const FROM: u16 = 0x35;
pub(super) const ANY_BIT: u16 = 0x45;
pub(super) const END: u16 = 0x06;

/// What the program answers: make the call, or fail with the error in the lower half.
pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const EPERM: u32 = 0x0005_0001;
pub(super) const ENOSYS: u32 = 0x0005_0026;

/// One instruction: operation, distances to jump if it holds and if not, constant.
fn word(code: u16, yes: u8, no: u8, number: u32) -> u64 {
    u64::from(code) | u64::from(yes) << 16 | u64::from(no) << 24 | u64::from(number) << 32
}

/// Compile. In: for each way to call the kernel its name and the verdicts there. What calls it in another way finds nothing implemented.
pub(super) fn compile(ways: &[(u32, Table)]) -> Vec<u64> {
    let mut words = vec![word(LOAD, 0, 0, AUDIT)];
    for (audit, table) in ways {
        let mut search = vec![word(LOAD, 0, 0, NUMBER)];
        search.extend(halve(&ranges(table)));
        words.push(word(EQUAL, 1, 0, *audit));
        words.push(word(JUMP, 0, 0, distance(&search)));
        words.extend(search);
    }
    words.push(word(END, 0, 0, ENOSYS));
    words
}

/// Where each range of equal verdicts begins; the first at 0, the last without an end.
fn ranges(table: &Table) -> Vec<(u32, Verdict)> {
    let mut ranges = vec![(0, Verdict::NotImplemented)];
    let mut put = |from: u32, verdict: Verdict| match ranges.last_mut() {
        Some((_, last)) if *last == verdict => {}
        Some((at, last)) if *at == from => *last = verdict,
        _ => ranges.push((from, verdict)),
    };
    let mut next = 0;
    for (number, verdict) in table {
        if *number > next {
            put(next, Verdict::NotImplemented);
        }
        put(*number, *verdict);
        next = number.saturating_add(1);
    }
    put(next, Verdict::NotImplemented);
    ranges
}

/// Search among ranges, of which there is at least one.
fn halve(ranges: &[(u32, Verdict)]) -> Vec<u64> {
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let Some((middle, verdict)) = high.first() else { return vec![word(END, 0, 0, ENOSYS)] };
    if low.is_empty() {
        return answer(*verdict);
    }
    let (low, high) = (halve(low), halve(high));
    let mut words = match u8::try_from(low.len()) {
        Ok(over) => vec![word(FROM, over, 0, *middle)],
        Err(_) => vec![word(FROM, 0, 1, *middle), word(JUMP, 0, 0, distance(&low))],
    };
    words.extend(low);
    words.extend(high);
    words
}

/// Over how many instructions a jump goes; a program has fewer than 4096.
fn distance(over: &[u64]) -> u32 {
    u32::try_from(over.len()).unwrap_or(u32::MAX)
}

/// Give a verdict, which ends the program.
fn answer(verdict: Verdict) -> Vec<u64> {
    let end = |number| word(END, 0, 0, number);
    match verdict {
        Verdict::Allowed => vec![end(ALLOW)],
        Verdict::NotPermitted => vec![end(EPERM)],
        Verdict::NotImplemented => vec![end(ENOSYS)],
        Verdict::If(Check::Without(bits)) => {
            vec![word(LOAD, 0, 0, ARGUMENT), word(ANY_BIT, 1, 0, bits), end(ALLOW), end(EPERM)]
        }
        Verdict::If(Check::In(ranges)) => {
            let mut words = vec![word(LOAD, 0, 0, ARGUMENT)];
            for (first, last) in ranges {
                words.push(word(FROM, 0, if *last == u32::MAX { 1 } else { 2 }, *first));
                // Past the end of this range it may lie in the next.
                words.extend(last.checked_add(1).map(|after| word(FROM, 1, 0, after)));
                words.push(end(ALLOW));
            }
            words.push(end(EPERM));
            words
        }
    }
}
