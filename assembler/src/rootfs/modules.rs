//! What `depmod` would say about a kernel's modules, and the part of it that an image needs.
//!
//! In: the files below `lib/modules` of a kernel archive, one at a time, in any order. Out: a [`ModuleIndex`], which init reads
//! instead of `modules.dep` and `modules.alias`. Touches nothing: kernels of distributions ship without those tables because
//! they run `depmod` on the target, which for an image is too late.
//!
//! ```text
//!  add(path, bytes) --decompress--> ELF --.modinfo--> name, depends, softdep, alias --finish--> ModuleIndex --select--> ModuleIndex
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};

use hullkit_init::contract::{Module, ModuleIndex};
use hullkit_init::modalias;

pub use elf::ElfError;

pub(crate) mod boot;
mod elf;
mod order;
#[cfg(test)]
pub(crate) mod tests;

/// Largest module taken, in bytes after decompression; the largest of Debian's kernels is 11 MiB.
pub const MODULE_MAX: u64 = 64 << 20;
/// Largest list of built-in names taken, in bytes.
const BUILTIN_MAX: u64 = 4 << 20;
/// Most modules taken; a distribution's kernel has 4,000.
const MODULES_MAX: usize = 1 << 15;
/// Most aliases taken, over all modules; a distribution's kernel has 50,000.
const ALIASES_MAX: usize = 1 << 20;

/// Why a kernel's modules cannot be indexed, or a choice of them not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModulesError {
    /// A file could not be read or decompressed.
    #[error("could not read kernel module `{path}`")]
    Read {
        /// Its path in the kernel archive.
        path: String,
        /// What the reader said.
        #[source]
        cause: io::Error,
    },
    /// A file is larger than any module.
    #[error("kernel module `{path}` is larger than {max} bytes")]
    TooLarge {
        /// Its path in the kernel archive.
        path: String,
        /// The limit it passes.
        max: u64,
    },
    /// A `.ko` file is not a kernel module.
    #[error("`{path}` is not a kernel module")]
    NotAModule {
        /// Its path in the kernel archive.
        path: String,
        /// What is wrong with it.
        #[source]
        cause: ElfError,
    },
    /// The archive has modules of two kernels.
    #[error("modules of two kernels, `{first}` and `{second}`, in one archive")]
    TwoReleases {
        /// Release met first.
        first: String,
        /// Release met next.
        second: String,
    },
    /// There is more than any kernel has.
    #[error("more than {max} {what} in one kernel")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit passed.
        max: usize,
    },
    /// Modules need each other in a circle, so none of them could ever be loaded.
    #[error("kernel module `{name}` needs itself, by way of others")]
    Cycle {
        /// One of the circle.
        name: String,
    },
    /// The manifest asks for a module that the kernel does not have.
    #[error("kernel {release} has no module `{name}`{}", nearest_text(.nearest))]
    Unknown {
        /// The name as the manifest writes it.
        name: String,
        /// Kernel release.
        release: String,
        /// Names most like it, best first; at most three.
        nearest: Vec<String>,
    },
}

/// Collects modules one file at a time; holds names and patterns, never the files.
#[derive(Debug, Default)]
pub struct Builder {
    release: Option<String>,
    found: BTreeMap<String, Found>,
    builtin: BTreeSet<String>,
    aliases: usize,
}

/// One module as its `.modinfo` describes it; names and aliases are normalised.
#[derive(Debug, Default)]
struct Found {
    path: String,
    depends: Vec<String>,
    softdeps: Vec<String>,
    aliases: Vec<String>,
}

impl Builder {
    /// Start with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take one file of the kernel archive, if it says anything about modules.
    ///
    /// In: `path` in the archive, with or without a leading `/` or `./`; `size` in bytes as the archive states it; `reader`,
    /// its content, compressed as the name's suffix says. Out: whether the file was read; others are left alone.
    ///
    /// # Errors
    ///
    /// - [`ModulesError::Read`], [`ModulesError::TooLarge`], [`ModulesError::NotAModule`]: this file is unusable.
    /// - [`ModulesError::TwoReleases`], [`ModulesError::TooMany`]: it does not go with those before it.
    pub fn add(&mut self, path: &str, size: u64, reader: impl Read) -> Result<bool, ModulesError> {
        let path = path.trim_start_matches("./").trim_start_matches('/');
        let Some((release, below)) = split(path) else { return Ok(false) };
        if below == "modules.builtin" {
            self.check_release(release)?;
            self.add_builtin(path, reader)?;
            return Ok(true);
        }
        let Some((stem, compression)) = stem(below) else { return Ok(false) };
        self.check_release(release)?;
        let too_large = || ModulesError::TooLarge { path: path.to_owned(), max: MODULE_MAX };
        if size > MODULE_MAX {
            return Err(too_large());
        }
        let file = compression.read(reader).map_err(|cause| ModulesError::Read { path: path.to_owned(), cause })?;
        if file.len() as u64 > MODULE_MAX {
            return Err(too_large());
        }
        let info = elf::modinfo(&file).map_err(|cause| ModulesError::NotAModule { path: path.to_owned(), cause })?;
        let (name, found) = parse(info, stem, path);
        self.keep(name, found)?;
        Ok(true)
    }

    fn check_release(&mut self, release: &str) -> Result<(), ModulesError> {
        let first = self.release.get_or_insert_with(|| release.to_owned());
        if first == release {
            return Ok(());
        }
        Err(ModulesError::TwoReleases { first: first.clone(), second: release.to_owned() })
    }

    /// Take the names of a `modules.builtin` file: one path a line.
    fn add_builtin(&mut self, path: &str, reader: impl Read) -> Result<(), ModulesError> {
        let mut text = Vec::new();
        let read = reader.take(BUILTIN_MAX + 1).read_to_end(&mut text);
        read.map_err(|cause| ModulesError::Read { path: path.to_owned(), cause })?;
        if text.len() as u64 > BUILTIN_MAX {
            return Err(ModulesError::TooLarge { path: path.to_owned(), max: BUILTIN_MAX });
        }
        let text = String::from_utf8_lossy(&text);
        let names = text.lines().filter_map(|line| Some(modalias::normalise(stem(line)?.0)));
        self.builtin.extend(names);
        Ok(())
    }

    fn keep(&mut self, name: String, found: Found) -> Result<(), ModulesError> {
        self.aliases += found.aliases.len();
        if self.aliases > ALIASES_MAX {
            return Err(ModulesError::TooMany { what: "aliases", max: ALIASES_MAX });
        }
        if self.found.len() == MODULES_MAX {
            return Err(ModulesError::TooMany { what: "modules", max: MODULES_MAX });
        }
        match self.found.get(&name) {
            Some(other) if preference(&other.path) <= preference(&found.path) => {}
            _ => drop(self.found.insert(name, found)),
        }
        Ok(())
    }

    /// Name every module that needs another which is neither in the archive nor built in, and that other.
    ///
    /// Such a module is still in the index: only the kernel can tell whether it loads.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.found.iter().flat_map(move |(name, found)| {
            let absent = |need: &&String| !self.found.contains_key(*need) && !self.builtin.contains(*need);
            found.depends.iter().filter(absent).map(move |need| (name.as_str(), need.as_str()))
        })
    }

    /// Compute load orders and the alias table.
    ///
    /// Out: the same index whatever the order in which files were added. `release` is empty if nothing was.
    ///
    /// # Errors
    ///
    /// - [`ModulesError::Cycle`], [`ModulesError::TooMany`]: no load order exists, or only an absurd one.
    pub fn finish(self) -> Result<ModuleIndex, ModulesError> {
        let needs = order::needs(&self.found, &self.builtin)?;
        let mut index = ModuleIndex { release: self.release.unwrap_or_default(), ..ModuleIndex::default() };
        let mut aliases = BTreeSet::new();
        for (position, ((name, found), needs)) in (0u32..).zip(self.found.into_iter().zip(needs)) {
            aliases.extend(found.aliases.into_iter().map(|alias| (alias, position)));
            index.modules.push(Module { name, path: format!("/{}", found.path), needs });
        }
        index.aliases = aliases.into_iter().collect();
        index.builtin = self.builtin.into_iter().collect();
        Ok(index)
    }
}

/// Tell whether there is such a module.
pub(crate) fn has(index: &ModuleIndex, name: &str) -> bool {
    let name = modalias::normalise(name);
    index.modules.binary_search_by(|module| module.name.cmp(&name)).is_ok()
}

/// Keep the named modules and all that they need.
///
/// In: `include`, names with `-` or `_`; a name that is built in counts as present. Out: an index whose positions are its own.
///
/// # Errors
///
/// - [`ModulesError::Unknown`]: the kernel has no such module.
pub fn select(index: &ModuleIndex, include: &[String]) -> Result<ModuleIndex, ModulesError> {
    let mut kept = BTreeSet::new();
    for wanted in include {
        let name = modalias::normalise(wanted);
        match index.modules.binary_search_by(|module| module.name.cmp(&name)) {
            Ok(at) => {
                kept.insert(at);
                kept.extend(index.modules[at].needs.iter().map(|&need| need as usize));
            }
            Err(_) if index.builtin.binary_search(&name).is_ok() => {}
            Err(_) => {
                let (release, nearest) = (index.release.clone(), nearest(index, &name));
                return Err(ModulesError::Unknown { name: wanted.clone(), release, nearest });
            }
        }
    }
    let moved: BTreeMap<usize, u32> = kept.iter().copied().zip(0..).collect();
    let place = |old: u32| moved.get(&(old as usize)).copied();
    let keep = |&at: &usize| {
        let module = index.modules.get(at)?;
        let needs = module.needs.iter().filter_map(|&need| place(need)).collect();
        Some(Module { needs, ..module.clone() })
    };
    Ok(ModuleIndex {
        release: index.release.clone(),
        modules: kept.iter().filter_map(keep).collect(),
        aliases: index.aliases.iter().filter_map(|(alias, at)| Some((alias.clone(), place(*at)?))).collect(),
        builtin: index.builtin.clone(),
    })
}

/// Names most like `name`, best first.
fn nearest(index: &ModuleIndex, name: &str) -> Vec<String> {
    let names = index.modules.iter().map(|module| &module.name).chain(&index.builtin);
    let distance = |other: &String| strsim::damerau_levenshtein(name, other);
    let mut close: Vec<(usize, &String)> = names.map(|other| (distance(other), other)).collect();
    // A third of the name may be wrong; beyond that a suggestion is noise.
    close.retain(|(distance, _)| *distance <= name.len().div_ceil(3));
    close.sort();
    close.into_iter().take(3).map(|(_, name)| name.clone()).collect()
}

fn nearest_text(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { String::new() } else { format!("; nearest: {}", quoted.join(", ")) }
}

/// Split `lib/modules/RELEASE/BELOW`, on systems with and without a merged `/usr`.
fn split(path: &str) -> Option<(&str, &str)> {
    let (release, below) = path.strip_prefix("usr/").unwrap_or(path).strip_prefix("lib/modules/")?.split_once('/')?;
    let climbs = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    (!climbs).then_some((release, below))
}

/// Which of two modules with one name is the kernel's choice: `depmod` searches `updates` first.
fn preference(path: &str) -> (bool, &str) {
    let updates = split(path).is_some_and(|(_, below)| below.starts_with("updates/"));
    (!updates, path)
}

/// How a module file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

/// Split the name of a module file; `None` for any other file.
fn stem(path: &str) -> Option<(&str, Compression)> {
    let file = path.rsplit('/').next()?;
    let suffixes = [
        (".ko", Compression::None),
        (".ko.gz", Compression::Gzip),
        (".ko.xz", Compression::Xz),
        (".ko.zst", Compression::Zstd),
    ];
    suffixes.into_iter().find_map(|(suffix, packed)| Some((file.strip_suffix(suffix)?, packed)))
}

impl Compression {
    /// Read it all, one byte past [`MODULE_MAX`] at most.
    fn read(self, reader: impl Read) -> io::Result<Vec<u8>> {
        let (mut file, limit) = (Vec::new(), MODULE_MAX + 1);
        match self {
            Self::None => reader.take(limit).read_to_end(&mut file)?,
            Self::Gzip => flate2::read::MultiGzDecoder::new(reader).take(limit).read_to_end(&mut file)?,
            Self::Xz => lzma_rust2::XzReader::new(BufReader::new(reader), true).take(limit).read_to_end(&mut file)?,
            Self::Zstd => zstd::Decoder::new(reader)?.take(limit).read_to_end(&mut file)?,
        };
        Ok(file)
    }
}

/// Read the strings of a `.modinfo` section; bytes that are not text, and keys of no interest, are passed over.
///
/// # Source
///
/// Linux, `include/linux/moduleparam.h` and `scripts/mod/modpost.c`: `__MODULE_INFO`, `add_depends`.
fn parse(info: &[u8], stem: &str, path: &str) -> (String, Found) {
    // Kernels before 4.13 do not write the name; the file's is the same.
    let mut name = modalias::normalise(stem);
    let mut found = Found { path: path.to_owned(), ..Found::default() };
    for entry in info.split(|&byte| byte == 0) {
        let Some((key, value)) = std::str::from_utf8(entry).ok().and_then(|text| text.split_once('=')) else {
            continue;
        };
        match key {
            "name" if !value.is_empty() => name = modalias::normalise(value),
            "depends" => {
                found.depends = value.split(',').filter(|name| !name.is_empty()).map(modalias::normalise).collect()
            }
            "alias" => found.aliases.push(modalias::normalise(value)),
            "softdep" => found.softdeps.extend(pre_softdeps(value)),
            _ => {}
        }
    }
    (name, found)
}

/// The `pre:` part of `pre: a b post: c`.
fn pre_softdeps(value: &str) -> impl Iterator<Item = String> {
    let mut before = false;
    value.split_ascii_whitespace().filter_map(move |word| match word {
        "pre:" | "post:" => {
            before = word == "pre:";
            None
        }
        name => before.then(|| modalias::normalise(name)),
    })
}
