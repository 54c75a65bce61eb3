//! Any bytes are looked at as a disk without a panic, and what is found on it lies on it.
#![no_main]

use hullkit_init::root::probe::probe;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let disk = bytes.to_vec();
    let holds = probe(&disk).expect("memory can be read");
    for found in &holds.found {
        assert!(found.start.checked_add(found.room).is_some_and(|end| end <= holds.size));
    }
    assert!(holds.describe().iter().all(|line| !line.contains(char::is_control)));
});
