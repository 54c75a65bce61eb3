//! Any bytes at the ends of a disk: nothing panics, and a disk is called empty only if both its ends are zeros.
#![no_main]

use hullkit_storage::{Holds, probe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u16)| {
    let (head, tail, between) = input;
    let disk = [head, vec![0; usize::from(between) * 64], tail].concat();
    let holds = probe(&disk).expect("bytes in memory can be read");
    assert!(!holds.to_string().contains(char::is_control));
    if holds == Holds::Nothing {
        let end = disk.len().min(1 << 20);
        assert!(disk[..end].iter().chain(&disk[disk.len() - end..]).all(|byte| *byte == 0));
    }
});
