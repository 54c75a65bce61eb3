//! LinuxKit's layout: every folder of `cases/` is built with the `hullkit` program, and what comes out must be, entry by
//! entry, what LinuxKit makes of the same manifest and images.
//!
//! `cargo test -p hullkit --test linuxkit -- volumes` runs the cases whose name contains `volumes`. `README.md` here says
//! what the files of a case mean, and how they were checked against LinuxKit itself.

use std::process::ExitCode;

#[cfg(test)]
mod case;
#[cfg(test)]
mod images;
#[cfg(test)]
#[path = "../oci/mod.rs"]
mod oci;
#[cfg(test)]
mod tree;

#[cfg(test)]
fn main() -> ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, case::trials()).exit_code()
}

#[cfg(not(test))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
