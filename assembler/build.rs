//! Embeds PID 1, the programs it starts and the boot stub, for every architecture they are there for.
//!
//! `make init` puts the static programs into `target/init/<arch>/`, and `make stubs` systemd's stubs and their notice into
//! `target/stub/<arch>/`; `HULLKIT_INIT_DIR` and `HULLKIT_STUB_DIR` name other folders. What is absent is not embedded, and a build
//! that would need it says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Architectures, each with the name that its stub has.
const ARCHES: [(&str, &str); 2] = [("amd64", "linuxx64.efi.stub"), ("arm64", "linuxaa64.efi.stub")];

/// Static programs, each in a file with `hullkit-` before its name.
const PROGRAMS: [&str; 4] = ["init", "fetch", "metadata", "storage"];

fn main() {
    let manifest = variable("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    let out = variable("OUT_DIR").expect("cargo sets it for build scripts");
    let folder = |name: &str, default: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        variable(name).unwrap_or_else(|| manifest.join(default))
    };
    let inits = folder("HULLKIT_INIT_DIR", "../target/init");
    let stubs = folder("HULLKIT_STUB_DIR", "../target/stub");
    let mut carried = String::from("[\n");
    for (arch, stub) in ARCHES {
        let programs = PROGRAMS.map(|name| (name, inits.join(arch).join(format!("hullkit-{name}"))));
        for (name, path) in programs.into_iter().chain([("stub", stubs.join(arch).join(stub))]) {
            if let Some(path) = present(&path) {
                writeln!(carried, "    ({name:?}, {arch:?}, include_bytes!({path:?}).as_slice()),")
                    .expect("a String takes all");
            }
        }
    }
    write(&out.join("carried.rs"), &(carried + "]"));
    // The same for all architectures.
    let mut notices = ARCHES.iter().filter_map(|(arch, _)| present(&stubs.join(arch).join("copyright")));
    let notice = notices.next().map_or_else(|| "\"\"".to_owned(), |path| format!("include_str!({path:?})"));
    write(&out.join("notice.rs"), &notice);
}

/// Give the full path of a file if it is there; and look again when it changes.
fn present(path: &Path) -> Option<PathBuf> {
    println!("cargo::rerun-if-changed={}", path.display());
    path.is_file().then(|| path.canonicalize().expect("the file was there a moment ago"))
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("OUT_DIR is writable");
}
