//! A manifest back into YAML.

use crate::manifest::Manifest;

/// Write a manifest as YAML: defaults of `network` rules filled in, everything else as it was given.
///
/// Out: text that [`crate::parse()`] reads as an equal manifest; equal manifests give equal text.
///
/// # Panics
///
/// Never: a manifest is texts, numbers, lists and mappings with texts for keys, all of which YAML can hold.
#[must_use]
pub fn print(manifest: &Manifest) -> String {
    let options = serde_saphyr::ser_options! {
        compact_list_indent: false,
        // Folding would be shorter to read, but not what the user wrote.
        folded_wrap_chars: usize::MAX,
    };
    serde_saphyr::to_string_with_options(manifest, options).expect("texts, numbers, lists and mappings are YAML")
}
