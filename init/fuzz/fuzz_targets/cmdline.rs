//! Any kernel command line is read without a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = hullkit_init::cmdline::parse(&String::from_utf8_lossy(bytes));
});
