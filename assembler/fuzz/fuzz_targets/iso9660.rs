//! An image of any bytes.
#![no_main]

use hullkit::format::iso9660::dump::dump;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = dump(&bytes.to_vec());
});
