//! The merged manifest, written into the host itself, in the bytes of LinuxKit's own encoders.
//!
//! LinuxKit marshals its own structs (commit 3bf33c3a, `moby/config.go`, and the OCI runtime specification's
//! `config.go`), so the order of the keys, which ones are left out, and how they are spelt follow those structs. JSON and
//! YAML differ in all three. What LinuxKit does not know follows what it does, and only if the manifest has it.

mod model;
mod resolve;
mod yaml;

use linuxkit_yaml::{Manifest, Metadata};

use crate::plan::PlanError;
use crate::plan::spec::json;

/// Write a manifest as `files: metadata:` asks for it.
///
/// # Errors
///
/// - [`PlanError::Json`].
pub(super) fn print(manifest: &Manifest, form: Metadata) -> Result<Vec<u8>, PlanError> {
    let tree = model::tree(manifest, form).map_err(PlanError::Json)?;
    match form {
        Metadata::Yaml => Ok(yaml::to_string(&tree).into_bytes()),
        Metadata::Json => json::to_string(&tree).map(String::into_bytes).map_err(PlanError::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Manifest, form, and what LinuxKit at the commit above wrote for it.
    const GOLDEN: [(&str, Metadata, &str); 3] = [
        (include_str!("golden/keys.yml"), Metadata::Yaml, include_str!("golden/keys.yaml.out")),
        (include_str!("golden/keys.yml"), Metadata::Json, include_str!("golden/keys.json.out")),
        (include_str!("golden/strings.yml"), Metadata::Yaml, include_str!("golden/strings.yaml.out")),
    ];

    #[test]
    fn metadata_has_the_bytes_that_linuxkit_writes() {
        for (text, form, want) in GOLDEN {
            let word = if form == Metadata::Json { "metadata: json" } else { "metadata: yaml" };
            let text = text.replace("metadata: yaml", word).replace("\"metadata\": \"yaml\"", word);
            let manifest = linuxkit_yaml::parse(&text, "golden.yml").unwrap();
            assert_eq!(String::from_utf8(print(&manifest, form).unwrap()).unwrap(), want);
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        // A number beyond what a float holds is text to Go, and no number worth having to us.
        let text = include_str!("golden/strings.yml").replace("1e999", "1e99x");
        let manifest = linuxkit_yaml::parse(text, "strings.yml").unwrap();
        let written = String::from_utf8(print(&manifest, Metadata::Yaml).unwrap()).unwrap();
        let again = linuxkit_yaml::parse(&written, "again.yml").unwrap();
        let contents = |manifest: &Manifest| {
            manifest.files.iter().map(|file| file.contents.as_ref().map(|text| text.value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(contents(&manifest), contents(&again));
    }
}
