//! What types cannot say: names that must differ, names that become directories, keys that exclude one another.

use crate::error::Diagnostic;
use crate::manifest::Manifest;

/// Add what is wrong with the meaning of `manifest` to `problems`.
pub(crate) fn manifest(_manifest: &Manifest, _problems: &mut Vec<Diagnostic>) {}
