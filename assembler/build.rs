//! Embeds PID 1 for every architecture it was built for.
//!
//! `make init` puts the static programs into `target/init/<arch>/hullkit-init`; `HULLKIT_INIT_DIR` names another folder.
//! One that is absent is embedded as nothing, and a build that would need it says so.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=HULLKIT_INIT_DIR");
    let variable = |name: &str| env::var_os(name).map(PathBuf::from);
    let manifest = variable("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    let folder = variable("HULLKIT_INIT_DIR").unwrap_or_else(|| manifest.join("../target/init"));
    let mut table = String::from("[\n");
    for arch in ["amd64", "arm64"] {
        let program = folder.join(arch).join("hullkit-init");
        println!("cargo::rerun-if-changed={}", program.display());
        if program.is_file() {
            let path = program.canonicalize().expect("the file was there a moment ago");
            writeln!(table, "    (\"{arch}\", include_bytes!({path:?}).as_slice()),").expect("a String takes all");
        }
    }
    table.push(']');
    let out = variable("OUT_DIR").expect("cargo sets it for build scripts");
    fs::write(out.join("embedded.rs"), table).expect("OUT_DIR is writable");
}
