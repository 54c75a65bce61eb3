//! `--size`.

use std::fmt;
use std::str::FromStr;

/// A length of a disk, in bytes; whole MiB, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// Give the length in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// A text that is no length of a disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write 512M, 2G, 1T or a number of GiB, 8T at most")]
pub struct SizeError(String);

/// Longest disk, in MiB: more than any machine has, and far from the end of what 64 bits count.
const MIB_MAX: u64 = 8 << 20;

impl FromStr for Size {
    type Err = SizeError;

    /// Read LinuxKit's form: `M` and `G` count MiB and GiB, a number alone GiB; and `T`, which counts TiB.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let wrong = || SizeError(text.to_owned());
        let units = [(['M', 'm'], 1), (['G', 'g'], 1 << 10), (['T', 't'], 1 << 20)];
        let found = units.into_iter().find_map(|(unit, mib)| Some((text.strip_suffix(unit)?, mib)));
        let (digits, factor) = found.unwrap_or((text, 1 << 10));
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let mib = count.checked_mul(factor).filter(|mib| (1..=MIB_MAX).contains(mib)).ok_or_else(wrong)?;
        Ok(Self(mib << 20))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}M", self.0 >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_linuxkits() {
        for (text, mib) in [("512M", 512), ("2G", 2048), ("3", 3072), ("1024m", 1024), ("8t", 8 << 20)] {
            assert_eq!(text.parse::<Size>().unwrap().bytes(), mib << 20, "{text}");
        }
        for text in ["", "M", "0", "0M", "much", "1.5G", "-1", "1P", "9T", "99999999999999999999", "8193G", "512MB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
