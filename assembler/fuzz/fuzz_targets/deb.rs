//! A Debian package of any bytes: the `ar` framing and the decompressors behind it.
#![no_main]

use std::io::{self, Read as _};

use hullkit::package::deb;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(data) = deb::data(bytes) {
        let _ = io::copy(&mut data.take(1 << 20), &mut io::sink());
    }
});
