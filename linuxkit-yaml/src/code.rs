//! What kind of thing is wrong, as a word that programs can rely on.

use std::fmt;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing can be built of it.
    Error,
    /// It can be built, and is probably not what was meant, or not what LinuxKit would make of it.
    Warning,
}

impl Severity {
    /// Give the word, lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Make the list of codes: one row a code, in the order of `docs/manifest.md`.
macro_rules! codes {
    ($($(#[doc = $about:literal])+ $code:ident $name:literal $severity:ident,)*) => {
        /// What kind of problem a [`crate::Diagnostic`] is. The words stay; new ones may come.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $about])+ $code,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            /// Give the word that names it, lower case with hyphens.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// Tell how bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$code => Severity::$severity,)*
                }
            }

            /// Say in one sentence what it stands for.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$code => concat!($($about),+).trim_ascii(),)*
                }
            }
        }
    };
}

codes! {
    /// The file cannot be read.
    Unreadable "unreadable" Error,
    /// The text is no YAML, or more of it than is read.
    Syntax "syntax" Error,
    /// A key that does not exist.
    UnknownKey "unknown-key" Error,
    /// A key that must be there is not.
    MissingKey "missing-key" Error,
    /// A key without a value.
    NoValue "no-value" Error,
    /// A value of another type than the key takes.
    WrongType "wrong-type" Error,
    /// A value that means nothing here: a bad reference, name, mode, address.
    WrongValue "wrong-value" Error,
    /// A key or a name that is there twice.
    Duplicate "duplicate" Error,
    /// `@pkg:` and no such package.
    Package "package" Error,
    /// A bind or mount of a volume that no manifest declares.
    UnknownVolume "unknown-volume" Error,
    /// More problems than are reported.
    TooMany "too-many" Error,
    /// A file below a directory over which something is mounted at boot.
    HiddenFile "hidden-file" Warning,
    /// A file without `mode`, which in LinuxKit's layout closes the folders above it to all but root.
    ClosedParent "closed-parent" Warning,
    /// Two entries of `files` with one path: the later one wins.
    DuplicateFile "duplicate-file" Warning,
    /// An image without tag or digest: whatever is the latest.
    NoTag "no-tag" Warning,
    /// A read-only volume bound without `ro`: LinuxKit refuses it.
    ReadonlyVolume "readonly-volume" Warning,
    /// A key that has no effect beside another one, or none at all.
    NoEffect "no-effect" Warning,
    /// A container that is not confined: `security: privileged` or `seccomp: unconfined`.
    Privileged "privileged" Warning,
    /// Portable only: a key that is Hullkit's own; LinuxKit refuses it.
    OwnKey "own-key" Warning,
    /// Portable only: a value that only Hullkit understands.
    OwnValue "own-value" Warning,
    /// Portable only: a key that LinuxKit accepts and drops; Hullkit does what it says.
    DroppedKey "dropped-key" Warning,
    /// Portable only: a volume's name as the source of a mount; LinuxKit does not replace it by the volume's path.
    MountVolume "mount-volume" Warning,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
