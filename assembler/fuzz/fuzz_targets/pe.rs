//! A program of any bytes, as a stub and as a kernel.
#![no_main]

use hullkit::format::pe::{Kernel, Machine, dump, kernel_version};
use hullkit::format::sparse::Sparse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let program = Sparse::of_bytes(bytes);
    let _ = dump(&program);
    for machine in [Machine::X64, Machine::Arm64] {
        let _ = Kernel::read(machine, &program);
        let _ = kernel_version(machine, &program);
    }
});
