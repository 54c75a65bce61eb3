//! Embeds PID 1, what fetches its root, what asks for metadata, what takes disks into use, and the boot stub for every architecture they are there for.
//!
//! `make init` puts the static programs into `target/init/<arch>/hullkit-init`, `target/fetch/<arch>/hullkit-fetch`,
//! `target/metadata/<arch>/hullkit-metadata` and `target/storage/<arch>/hullkit-storage`, and `make stubs` systemd's stubs and their notice into `target/stub/<arch>/`;
//! `HULLKIT_INIT_DIR`, `HULLKIT_FETCH_DIR`, `HULLKIT_METADATA_DIR`, `HULLKIT_STORAGE_DIR` and `HULLKIT_STUB_DIR` name other folders. What is absent is embedded as nothing, and a build that would need it says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Architectures, each with the name that its stub has.
const ARCHES: [(&str, &str); 2] = [("amd64", "linuxx64.efi.stub"), ("arm64", "linuxaa64.efi.stub")];

fn main() {
    let manifest = variable("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    let out = variable("OUT_DIR").expect("cargo sets it for build scripts");
    let folder = |name: &str, default: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        variable(name).unwrap_or_else(|| manifest.join(default))
    };
    let inits = folder("HULLKIT_INIT_DIR", "../target/init");
    let fetchers = folder("HULLKIT_FETCH_DIR", "../target/fetch");
    let metadata = folder("HULLKIT_METADATA_DIR", "../target/metadata");
    let storage = folder("HULLKIT_STORAGE_DIR", "../target/storage");
    let stubs = folder("HULLKIT_STUB_DIR", "../target/stub");
    write(&out.join("inits.rs"), &table(ARCHES.map(|(arch, _)| (arch, inits.join(arch).join("hullkit-init")))));
    write(&out.join("fetchers.rs"), &table(ARCHES.map(|(arch, _)| (arch, fetchers.join(arch).join("hullkit-fetch")))));
    let programs = ARCHES.map(|(arch, _)| (arch, metadata.join(arch).join("hullkit-metadata")));
    write(&out.join("metadata.rs"), &table(programs));
    let programs = ARCHES.map(|(arch, _)| (arch, storage.join(arch).join("hullkit-storage")));
    write(&out.join("storage.rs"), &table(programs));
    write(&out.join("stubs.rs"), &table(ARCHES.map(|(arch, name)| (arch, stubs.join(arch).join(name)))));
    // The same for all architectures.
    let mut notices = ARCHES.iter().filter_map(|(arch, _)| present(&stubs.join(arch).join("copyright")));
    let notice = notices.next().map_or_else(|| "\"\"".to_owned(), |path| format!("include_str!({path:?})"));
    write(&out.join("notice.rs"), &notice);
}

/// Write a list of architectures and the bytes of their files, without those that are not there.
fn table(files: [(&str, PathBuf); 2]) -> String {
    let mut table = String::from("[\n");
    for (arch, path) in files {
        if let Some(path) = present(&path) {
            writeln!(table, "    (\"{arch}\", include_bytes!({path:?}).as_slice()),").expect("a String takes all");
        }
    }
    table + "]"
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
