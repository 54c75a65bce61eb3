//! The `vm` module against QEMU itself, with guests of a few hundred bytes instead of a kernel.
fn main() {}
