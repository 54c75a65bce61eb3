//! What is booted: a format, by a firmware, from a bus, on an architecture; and matrices of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum as _;
use serde::Deserialize;

use super::VerifyError;
use crate::platform::Arch;
use crate::vm::Bus;
use crate::write::format::{Format, Medium};

/// What starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Starter {
    /// What the board brings: SeaBIOS on a PC, nothing on arm64, where QEMU itself starts a kernel.
    Bios,
    /// OVMF on a PC, AAVMF on arm64.
    Uefi,
}

impl Starter {
    const ALL: [(&'static str, Self); 2] = [("bios", Self::Bios), ("uefi", Self::Uefi)];
}

/// One boot: which machine, by which firmware, from which file on which bus.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cell {
    /// What the machine is.
    pub arch: Arch,
    /// What starts it.
    pub firmware: Starter,
    /// What is built.
    pub format: Format,
    /// What the machine finds the file on; a kernel that is handed over is on none.
    pub bus: Option<Bus>,
}

impl Cell {
    /// Hand the kernel and the initrd to the machine.
    #[must_use]
    pub fn kernel(arch: Arch) -> Self {
        Self { arch, firmware: Starter::Bios, format: Format::KernelInitrd, bus: None }
    }

    /// Boot a format as `hullkit run` does if nothing else is said; nothing if it does not boot.
    #[must_use]
    pub fn usual(format: Format, arch: Arch) -> Option<Self> {
        let by_board = if arch == Arch::Amd64 { Starter::Bios } else { Starter::Uefi };
        let (firmware, bus) = match format.medium() {
            Medium::Loose if format == Format::KernelInitrd => (Starter::Bios, None),
            Medium::Netboot => (Starter::Bios, None),
            Medium::Uki => (Starter::Uefi, None),
            Medium::Disk(who) if who.bios => (by_board, Some(Bus::Virtio)),
            Medium::Disk(_) => (Starter::Uefi, Some(Bus::Virtio)),
            Medium::Iso(who) if who.bios => (by_board, Some(Bus::Cdrom)),
            Medium::Iso(_) => (Starter::Uefi, Some(Bus::Cdrom)),
            Medium::Loose | Medium::Card => return None,
        };
        Some(Self { arch, firmware, format, bus })
    }

    /// Boot a file that was built before as `hullkit run` does, by its name; nothing if no format that boots has such names.
    #[must_use]
    pub fn of_file(file: &Path, arch: Arch) -> Option<Self> {
        let name = file.to_str()?;
        let formats = Format::value_variants().iter().copied().filter(|format| Self::boots(*format));
        // The first of equal length: a name that several formats share is the usual one's.
        let known =
            formats.filter_map(|format| Some((format.ending().filter(|ending| name.ends_with(ending))?, format)));
        let (_, format) = known.reduce(|best, next| if next.0.len() > best.0.len() { next } else { best })?;
        Self::usual(format, arch)
    }

    /// Tell whether QEMU can hold the format's file as it is.
    fn boots(format: Format) -> bool {
        let packed = [Format::RawGz, Format::RawXz, Format::RawZst, Format::Ova, Format::Gcp];
        Self::usual(format, Arch::Amd64).is_some() && !packed.contains(&format)
    }

    /// Boot the same by UEFI with Secure Boot.
    ///
    /// # Errors
    ///
    /// - [`VerifyError::Cell`]: no UEFI starts it, or Secure Boot says nothing of it.
    pub fn by_secure_boot(self) -> Result<Self, VerifyError> {
        let cell = Self { firmware: Starter::Uefi, ..self };
        let obstacle = match cell.format.medium() {
            Medium::Loose | Medium::Netboot => {
                Some("Secure Boot does not look at a kernel that QEMU hands over: `--matrix` says what else, as `uki`")
            }
            _ if cell.bus == Some(Bus::Ide) => Some("`ide` makes the machine an older PC, which has no Secure Boot"),
            _ => cell.obstacle(),
        };
        match obstacle {
            Some(what) => Err(VerifyError::Cell { text: cell.to_string(), what: what.to_owned() }),
            None => Ok(cell),
        }
    }

    /// Say why there is no such machine, if there is none.
    fn obstacle(&self) -> Option<&'static str> {
        let disk = matches!(self.format.medium(), Medium::Disk(_) | Medium::Iso(_));
        let (bios, uefi) = match self.format.medium() {
            Medium::Disk(who) | Medium::Iso(who) => (who.bios && self.arch == Arch::Amd64, who.uefi),
            Medium::Uki => (false, true),
            _ => (true, true),
        };
        match (self.firmware, self.bus) {
            (Starter::Bios, _) if !bios => Some("no BIOS starts it"),
            (Starter::Uefi, _) if !uefi => Some("no UEFI starts it"),
            (_, Some(_)) if !disk => Some("it is on no bus"),
            (_, None) if disk => Some("it is on no bus"),
            (_, Some(Bus::Ide)) if self.arch == Arch::Arm64 => Some("arm64 has no IDE bus"),
            _ if !self.format.is_for(self.arch) => Some("there is no such format for the architecture"),
            _ => None,
        }
    }

    /// Name the file that is booted, of those that were built under a name; nothing if there are several.
    #[must_use]
    pub fn file(&self, name: &Path) -> Option<PathBuf> {
        Some(file(name, self.format.ending()?))
    }
}

/// Name one of a build's files.
pub(super) fn file(name: &Path, ending: &str) -> PathBuf {
    let mut file = name.as_os_str().to_owned();
    file.push(ending);
    file.into()
}

impl FromStr for Cell {
    type Err = VerifyError;

    /// Read what means one boot, such as `raw` or `amd64 uefi raw nvme`.
    fn from_str(text: &str) -> Result<Self, VerifyError> {
        let mut cells = matrix(text, Arch::host())?;
        match (cells.pop(), cells.is_empty()) {
            (Some(cell), true) => Ok(cell),
            _ => Err(VerifyError::Cell { text: text.to_owned(), what: "it means several boots".to_owned() }),
        }
    }
}

impl TryFrom<String> for Cell {
    type Error = VerifyError;

    fn try_from(text: String) -> Result<Self, VerifyError> {
        text.parse()
    }
}

/// Words joined by `-`; the architecture alone for a kernel that QEMU itself starts.
impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::kernel(self.arch) {
            return write!(out, "{}", self.arch);
        }
        let firmware = Starter::ALL.into_iter().find(|(_, known)| *known == self.firmware).map_or("", |(name, _)| name);
        write!(out, "{}-{firmware}-{}", self.arch, self.format.name())?;
        self.bus.iter().try_for_each(|bus| write!(out, "-{bus}"))
    }
}

/// Words of one boot, or of several: each list holds what was parted by commas.
#[derive(Debug, Default)]
struct Words {
    arches: Vec<Arch>,
    firmware: Vec<Starter>,
    formats: Vec<Format>,
    buses: Vec<Bus>,
}

/// Read what is to be booted: words of formats, firmware, buses and architectures in any order, parted by spaces; words parted by commas
/// are each tried with all the others.
///
/// In: `arch`, which is meant if none is named. Out: every boot there can be of it, at least one; what there is no machine for is
/// left out, unless it is all.
///
/// # Errors
///
/// - [`VerifyError::Cell`]: a word means nothing, or nothing is left.
pub fn matrix(text: &str, arch: Arch) -> Result<Vec<Cell>, VerifyError> {
    let wrong = |what: String| VerifyError::Cell { text: text.to_owned(), what };
    let mut words = Words::default();
    for word in text.split_ascii_whitespace().flat_map(|group| group.split(',')).filter(|word| !word.is_empty()) {
        words.take(word).map_err(wrong)?;
    }
    let or = |list: Vec<Arch>| if list.is_empty() { vec![arch] } else { list };
    let arches = or(words.arches);
    let formats = if words.formats.is_empty() { vec![Format::KernelInitrd] } else { words.formats };
    let (mut cells, mut obstacle) = (Vec::new(), None);
    for arch in arches {
        for format in &formats {
            let Some(usual) = Cell::usual(*format, arch) else { continue };
            for firmware in given(&words.firmware, usual.firmware) {
                for bus in given(&words.buses.iter().copied().map(Some).collect::<Vec<_>>(), usual.bus) {
                    let cell = Cell { firmware, bus, ..usual.clone() };
                    match cell.obstacle() {
                        Some(why) => obstacle = Some(format!("{cell}: {why}")),
                        None if !cells.contains(&cell) => cells.push(cell),
                        None => {}
                    }
                }
            }
        }
    }
    if cells.is_empty() {
        return Err(wrong(obstacle.unwrap_or_else(|| "it means nothing that boots".to_owned())));
    }
    Ok(cells)
}

fn given<T: Copy>(list: &[T], usual: T) -> Vec<T> {
    if list.is_empty() { vec![usual] } else { list.to_vec() }
}

impl Words {
    fn take(&mut self, word: &str) -> Result<(), String> {
        let starter = Starter::ALL.into_iter().find(|(name, _)| *name == word).map(|(_, starter)| starter);
        if let Ok(arch) = word.parse() {
            self.arches.push(arch);
        } else if let Some(starter) = starter {
            self.firmware.push(starter);
        } else if let Ok(bus) = word.parse() {
            self.buses.push(bus);
        } else if let Ok(format) = Format::from_str(word, false) {
            if !Cell::boots(format) {
                return Err(format!("QEMU does not boot `{word}` as it is"));
            }
            self.formats.push(format);
        } else {
            let formats =
                Format::value_variants().iter().copied().filter(|format| Cell::boots(*format)).map(Format::name);
            let formats: Vec<String> = formats.collect();
            let buses = Bus::ALL.map(|(name, _)| name).join(", ");
            let formats = formats.join(", ");
            return Err(format!(
                "`{word}` is neither an architecture (amd64, arm64) nor firmware (bios, uefi), nor a bus ({buses}), nor a format that \
                 boots ({formats})"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        matrix(text, Arch::Amd64).expect(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_boot_is_read_from_words_in_any_order() {
        let table = [
            ("", "amd64"),
            ("arm64 kernel+initrd", "arm64"),
            ("raw", "amd64-bios-raw-virtio"),
            ("nvme raw uefi", "amd64-uefi-raw-nvme"),
            ("iso arm64", "arm64-uefi-iso-cdrom"),
            ("uki", "amd64-uefi-uki"),
            ("netboot", "amd64-bios-netboot"),
            ("raw-efi", "amd64-uefi-raw-efi-virtio"),
            ("arm64 bios kernel+initrd", "arm64"),
        ];
        for (text, want) in table {
            assert_eq!(names(text), [want], "{text}");
        }
    }

    #[test]
    fn words_parted_by_commas_are_each_tried() {
        let want = ["amd64-bios-raw-virtio", "amd64-bios-raw-ide", "amd64-uefi-raw-virtio", "amd64-uefi-raw-ide"];
        assert_eq!(names("raw bios,uefi virtio,ide"), want);
        assert_eq!(names("amd64,arm64"), ["amd64", "arm64"]);
        // There is no BIOS and no IDE bus on arm64.
        assert_eq!(
            names("arm64,amd64 raw bios,uefi virtio,ide")[..2],
            ["arm64-uefi-raw-virtio", "amd64-bios-raw-virtio"]
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, want) in [
            ("floppy", "`floppy` is neither"),
            ("arm64 bios raw", "arm64-bios-raw-virtio: no BIOS starts it"),
            ("uki usb", "it is on no bus"),
            ("ova", "QEMU does not boot `ova`"),
            ("tar", "QEMU does not boot `tar`"),
            ("arm64 raw ide", "arm64 has no IDE bus"),
        ] {
            let error = matrix(text, Arch::Amd64).expect_err(text).to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
        "raw bios,uefi".parse::<Cell>().expect_err("two boots");
    }

    #[test]
    fn a_file_is_named_after_its_format() {
        let file = |text: &str| text.parse::<Cell>().expect(text).file(Path::new("out/host"));
        assert_eq!(file("amd64 uefi vhd ide").as_deref(), Some(Path::new("out/host.vhd")));
        assert_eq!(file("amd64 uefi uki").as_deref(), Some(Path::new("out/host.efi")));
        assert_eq!(file("kernel+initrd"), None);
    }

    #[test]
    fn a_file_that_was_built_before_says_what_it_is() {
        let table = [
            ("out/web.raw", Some("amd64-bios-raw-virtio")),
            ("web-efi.img", Some("amd64-uefi-raw-efi-virtio")),
            ("web.iso", Some("amd64-bios-iso-cdrom")),
            ("web-efi.iso", Some("amd64-uefi-iso-efi-cdrom")),
            ("web.qcow2", Some("amd64-bios-qcow2-virtio")),
            ("web.efi", Some("amd64-uefi-uki")),
            ("web.yml", None),
            ("web.raw.gz", None),
        ];
        for (file, want) in table {
            let cell = Cell::of_file(Path::new(file), Arch::Amd64).map(|cell| cell.to_string());
            assert_eq!(cell.as_deref(), want, "{file}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,80}") {
            let _ = matrix(&text, Arch::Amd64);
        }
    }
}
