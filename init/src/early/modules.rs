//! Loading of kernel modules: those the contract lists, then the driver of every device, again until no new device appears.
//!
//! In: the [`ModuleIndex`] that the assembler computed, so nothing is parsed here but one JSON file. Out: which modules were
//! loaded and which were not, and why. Touches: module files, `/sys`, the kernel. Does not fail: a host without a driver is
//! for the steps after this one to judge, and the report says what was tried.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use crate::contract::{Module, ModuleIndex};
use crate::modalias;
use rustix::io::Errno;
use rustix::system::{finit_module, init_module};
use uevent::Uevents;

#[cfg(test)]
mod tests;
mod uevent;

/// Largest module, in bytes after decompression: as the assembler has it.
const MODULE_MAX: u64 = 64 << 20;
/// Most rounds over new devices; a bus behind a bus behind a bus takes three.
const ROUNDS_MAX: usize = 16;
/// Devices loaded before all others of a round: the generator of random numbers, for which others would wait.
const FIRST: &str = "virtio:d00000004";
/// `MODULE_INIT_COMPRESSED_FILE` of `finit_module(2)`, since Linux 5.17: the kernel decompresses.
const COMPRESSED_FILE: i32 = 4;

/// Why a module was not loaded that the index does not have.
pub const ABSENT: &str = "not in this image";

/// Why the index cannot be used; the host then runs with what is built in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModulesError {
    /// The file is there, but cannot be read.
    #[error("could not read module index `{path}`")]
    Read {
        /// Where it lies.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        cause: io::Error,
    },
    /// The file is not a module index.
    #[error("could not understand module index `{path}`")]
    Parse {
        /// Where it lies.
        path: PathBuf,
        /// What the parser said.
        #[source]
        cause: serde_json::Error,
    },
}

/// What became of the modules that were asked for, in order of loading.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Names of those that were loaded.
    pub loaded: Vec<String>,
    /// Names that nothing in the index has; what to say of them is [`ABSENT`].
    pub absent: Vec<String>,
    /// Names of those that were not loaded, and the reason.
    pub failed: Vec<(String, String)>,
    /// The kernel told of a change, be it not a device that came.
    pub news: bool,
}

/// The index and what has been tried so far; kept for devices that appear later.
#[derive(Debug)]
pub struct Loader<K = Kernel> {
    index: ModuleIndex,
    kernel: K,
    tried: BTreeSet<u32>,
    seen: BTreeSet<String>,
}

/// The kernel's side of loading.
pub trait Insert {
    /// Tell whether the module is loaded already.
    fn is_live(&self, name: &str) -> bool;
    /// Load one module file whose needs are loaded.
    ///
    /// # Errors
    ///
    /// The kernel's or the file system's.
    fn insert(&mut self, name: &str, path: &str) -> io::Result<()>;
    /// Names of the devices that have appeared since the last call; `None` if that is not known and all are to be looked at.
    fn news(&mut self) -> Option<BTreeSet<String>>;
}

/// The running kernel.
#[derive(Debug, Default)]
pub struct Kernel {
    /// It does not decompress modules itself, as it told once.
    plain_only: bool,
    /// Its command line, where module parameters stand.
    cmdline: String,
    /// Where it tells of devices, if it does.
    uevents: Option<Uevents>,
}

impl Loader {
    /// Read the index; `None` if there is none.
    ///
    /// In: `path`, [`contract::MODULES_PATH`](crate::contract::MODULES_PATH) save in tests.
    ///
    /// # Errors
    ///
    /// [`ModulesError`]: it is there, but damaged.
    pub fn open(path: &Path) -> Result<Option<Self>, ModulesError> {
        let Some(index) = read(path)? else { return Ok(None) };
        // Without it modules get no parameters, which is what a command line that cannot be read asks for.
        let cmdline = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        // Before the first look at the devices, so that none is missed in between.
        let uevents = Uevents::listen().ok();
        Ok(Some(Self::new(index, Kernel { cmdline, plain_only: false, uevents })))
    }

    /// Go on with another index; tells whether there is one. What the kernel has told of devices meanwhile is kept.
    ///
    /// # Errors
    ///
    /// [`ModulesError`]: it is there, but damaged; the old one stays.
    pub fn reopen(&mut self, path: &Path) -> Result<bool, ModulesError> {
        let Some(index) = read(path)? else { return Ok(false) };
        self.replace(index);
        Ok(true)
    }

    /// What to wait on for later devices; [`Loader::load_for_new_devices`] takes what has come. `None` if the kernel tells nothing.
    #[must_use]
    pub fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.kernel.uevents.as_ref().map(Uevents::fd)
    }

    /// Tell whether the kernel has told of any change since the last call.
    #[must_use]
    pub fn heard(&self) -> bool {
        self.kernel.uevents.as_ref().is_some_and(Uevents::heard)
    }
}

impl<K: Insert> Loader<K> {
    fn new(index: ModuleIndex, kernel: K) -> Self {
        Self { index, kernel, tried: BTreeSet::new(), seen: BTreeSet::new() }
    }

    /// Take another index, in which every device may have another driver.
    fn replace(&mut self, index: ModuleIndex) {
        self.index = index;
        self.tried.clear();
        self.seen.clear();
    }

    /// Load what the contract lists and what the devices ask for. In: `wanted`, names with `-` or `_`. A module that does not
    /// load is in the report.
    pub fn load_all(&mut self, wanted: &[String], report: &mut Report) {
        for name in wanted {
            self.load_named(name, report);
        }
        self.load_for_devices(Path::new("/sys/devices"), report);
    }

    /// Load a module by name, or by an alias if no module has that name.
    pub fn load_named(&mut self, name: &str, report: &mut Report) {
        let name = modalias::normalise(name);
        if self.index.builtin.binary_search(&name).is_ok() {
            return;
        }
        let at = self.index.modules.binary_search_by(|module| module.name.cmp(&name));
        let found = match at.ok().and_then(|at| u32::try_from(at).ok()) {
            Some(at) => BTreeSet::from([at]),
            None => self.drivers(&name),
        };
        if found.is_empty() {
            report.absent.push(name);
        }
        for at in found {
            self.load(at, Asks::Name, report);
        }
    }

    /// Load every driver of a device that has appeared: `MODALIAS` of its uevent.
    pub fn handle(&mut self, modalias: &str, report: &mut Report) {
        let name = modalias::normalise(modalias);
        if !self.seen.insert(name.clone()) {
            return;
        }
        for at in self.drivers(&name) {
            self.load(at, Asks::Device, report);
        }
    }

    /// Load the drivers of all devices below `devices`, and of those that appear by that.
    pub fn load_for_devices(&mut self, devices: &Path, report: &mut Report) {
        let before = report.loaded.len();
        self.load_round(collect(devices), report);
        if report.loaded.len() > before {
            self.load_for_new_devices(devices, report);
        }
    }

    /// Load the drivers of the devices that have appeared since the last call, until no other appears by that.
    pub fn load_for_new_devices(&mut self, devices: &Path, report: &mut Report) {
        for _ in 0..ROUNDS_MAX {
            let before = report.loaded.len();
            let names = self.kernel.news().unwrap_or_else(|| collect(devices));
            self.load_round(names, report);
            if report.loaded.len() == before {
                return;
            }
        }
    }

    /// Load the drivers of devices with these names.
    fn load_round(&mut self, names: BTreeSet<String>, report: &mut Report) {
        let (first, rest): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.starts_with(FIRST));
        for name in first.into_iter().chain(rest) {
            self.handle(name, report);
        }
    }

    /// Positions of the modules with a pattern that matches, each once.
    fn drivers(&self, name: &str) -> BTreeSet<u32> {
        let matching = |(pattern, _): &&(String, u32)| modalias::matches(pattern, name);
        self.index.aliases.iter().filter(matching).map(|&(_, at)| at).collect()
    }

    /// Load one module after those it needs, unless that was tried before.
    fn load(&mut self, wanted: u32, asks: Asks, report: &mut Report) {
        let Some(module) = self.index.modules.get(wanted as usize) else { return };
        // A need that fails does not end the attempt: it may be a soft one, and the kernel knows better.
        for &at in module.needs.iter().chain([&wanted]) {
            let Some(Module { name, path, .. }) = self.index.modules.get(at as usize) else { continue };
            if !self.tried.insert(at) || self.kernel.is_live(name) {
                continue;
            }
            match self.kernel.insert(name, path) {
                Ok(()) => report.loaded.push(name.clone()),
                // Nothing here is what it drives. Nobody has asked for it by name, so nobody misses it.
                Err(cause) if cause.raw_os_error() == Some(libc::ENODEV) && (at, asks) != (wanted, Asks::Name) => {}
                Err(cause) => report.failed.push((name.clone(), cause.to_string())),
            }
        }
    }
}

/// Who wants a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Somebody who knows its name.
    Name,
    /// A device whose alias it has.
    Device,
}

impl Insert for Kernel {
    fn is_live(&self, name: &str) -> bool {
        // What is built in may have a folder as well, but only a module has a state.
        Path::new("/sys/module").join(name).join("initstate").exists()
    }

    fn insert(&mut self, name: &str, path: &str) -> io::Result<()> {
        let (file, parameters) = (File::open(path)?, parameters(&self.cmdline, name));
        let packed = !path.ends_with(".ko");
        if packed && !self.plain_only {
            match finit_module(&file, &parameters, COMPRESSED_FILE) {
                // Too old, built without, or built for another compression.
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOEXEC) => self.plain_only = true,
                other => return settle(other),
            }
        }
        if packed {
            return settle(init_module(&unpack(file, path)?, &parameters));
        }
        settle(finit_module(&file, &parameters, 0))
    }

    fn news(&mut self) -> Option<BTreeSet<String>> {
        self.uevents.as_ref()?.drain()
    }
}

/// Read an index; `None` if there is none.
fn read(path: &Path) -> Result<Option<ModuleIndex>, ModulesError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(ModulesError::Read { path: path.to_owned(), cause }),
    };
    let index = serde_json::from_slice(&text);
    index.map(Some).map_err(|cause| ModulesError::Parse { path: path.to_owned(), cause })
}

/// Parameters of a module: `NAME.KEY=VALUE` of the kernel command line becomes `KEY=VALUE`. The kernel itself does this only
/// for what is built in, and leaves the rest to whoever loads modules.
fn parameters(cmdline: &str, name: &str) -> CString {
    let mut quoted = false;
    let words = cmdline.split(|c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    });
    let own = words.filter_map(|word| {
        let (module, parameter) = word.split_once('.')?;
        (!module.contains('=') && modalias::normalise(module) == name).then_some(parameter)
    });
    CString::new(own.collect::<Vec<_>>().join(" ")).unwrap_or_default()
}

/// Being loaded already is what was wanted.
fn settle(done: rustix::io::Result<()>) -> io::Result<()> {
    match done {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) => Err(io::Error::other("a symbol it needs is missing")),
        Err(other) => Err(other.into()),
    }
}

/// Read a compressed module; its suffix says how it is packed.
fn unpack(file: File, path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (file, limit) = (io::BufReader::new(file), MODULE_MAX + 1);
    match path.rsplit('.').next() {
        Some("xz") => lzma_rust2::XzReader::new(file, true).take(limit).read_to_end(&mut bytes)?,
        Some("gz") => flate2::read::MultiGzDecoder::new(file).take(limit).read_to_end(&mut bytes)?,
        Some("zst") => {
            let frames = ruzstd::decoding::StreamingDecoder::new(file).map_err(io::Error::other)?;
            frames.take(limit).read_to_end(&mut bytes)?
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    if bytes.len() as u64 > MODULE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Names of all devices below `devices`: the content of every `modalias` file. Links are not followed: the tree is the devices,
/// once each. Under emulation every folder counts, so half of them are passed by: those of power management, which every
/// device has, and the devices without hardware, of which only the machine's own description has a name.
fn collect(devices: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open = vec![devices.join("virtual/dmi/id")];
    open.extend(folders(devices, &mut names).into_iter().filter(|path| !path.ends_with("virtual")));
    while let Some(dir) = open.pop() {
        open.extend(folders(&dir, &mut names));
    }
    names
}

/// Add the name of the device at `dir`, if it has one; the folders in it.
fn folders(dir: &Path, names: &mut BTreeSet<String>) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "what is found goes into a sorted set")]
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else { continue };
        if kind.is_dir() && name != "power" {
            folders.push(entry.path());
        } else if kind.is_file() && name == "modalias" {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            names.extend(Some(text.trim_end().to_owned()).filter(|name| !name.is_empty()));
        }
    }
    folders
}
