//! A layer's index of any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    hullkit::rootfs::layer::read_any(bytes);
});
