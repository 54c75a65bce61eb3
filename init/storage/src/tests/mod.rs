//! What is on disks, and which of them is taken.

mod choosing;
mod images;
mod probing;
