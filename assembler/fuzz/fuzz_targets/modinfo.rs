//! A kernel module of any bytes, plain and compressed, and an index made of it.
#![no_main]

use hullkit::rootfs::modules::{Builder, select};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["a.ko", "b.ko.gz", "c.ko.xz", "d.ko.zst", "modules.builtin"] {
        let mut builder = Builder::new();
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if builder.add(&format!("lib/modules/1/{name}"), size, bytes).is_ok()
            && let Ok(index) = builder.finish()
        {
            let names: Vec<String> = index.modules.iter().map(|module| module.name.clone()).collect();
            assert_eq!(select(&index, &names).ok(), Some(index));
        }
    }
});
