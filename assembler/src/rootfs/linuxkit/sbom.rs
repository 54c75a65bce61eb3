//! The bill of materials: the SPDX documents of all images as one, paths moved to where the images' files lie.
//!
//! Source: SPDX 2.3, chapters 6 to 12, in their JSON form.

use std::io::{BufReader, Read};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path;
use crate::digest::Digest;
use crate::plan::linuxkit::{LinuxkitPlan, What};
use crate::rootfs::RootfsError;
use crate::store::Store;

/// Longest statement that is read, in bytes.
const STATEMENT_MAX: u64 = 256 << 20;

/// An in-toto statement, as far as it matters here.
#[derive(Deserialize)]
struct Statement {
    predicate: Parts,
}

/// The lists of an SPDX document, each as it stands.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    external_document_refs: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    packages: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    relationships: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Value>,
}

/// An SPDX document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'static str,
    document_namespace: String,
    creation_info: CreationInfo<'a>,
    #[serde(flatten)]
    parts: &'a Parts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreationInfo<'a> {
    license_list_version: &'static str,
    creators: [&'static str; 1],
    created: &'a str,
}

/// Join what was attested about the images of a host.
///
/// In: `created`, the date in the form `2017-04-18T16:30:00Z`. Equal plans and dates give equal text; the namespace, which
/// must be unique, is made of the content's digest.
///
/// # Errors
///
/// - [`RootfsError::Statement`]: what was attested is not SPDX.
/// - [`RootfsError::Store`].
pub fn bill(plan: &LinuxkitPlan, store: &Store, created: &str) -> Result<String, RootfsError> {
    let mut all = Parts::default();
    for step in &plan.steps {
        let (image, folder) = match &step.what {
            What::Kernel(kernel) => (kernel.image, ""),
            What::Image { image, folder, .. } => (*image, folder.as_str()),
            _ => continue,
        };
        for digest in plan.statements.get(&image).into_iter().flatten() {
            let unread = |cause| RootfsError::Statement { image: step.origin.source.clone(), digest: *digest, cause };
            let file = BufReader::new(store.open_blob(digest)?.take(STATEMENT_MAX));
            let statement: Statement = serde_json::from_reader(file).map_err(unread)?;
            all.extend(statement.predicate, folder);
        }
    }
    let draft = print(&all, created, String::new());
    let hex = Digest::of(draft.as_bytes()).hex();
    let namespace = format!("https://spdx.org/spdxdocs/sbom-{}", uuid(&hex));
    Ok(print(&all, created, namespace))
}

impl Parts {
    /// Take another document in, whose files lie below `folder`.
    fn extend(&mut self, mut other: Self, folder: &str) {
        for (list, key) in [(&mut other.files, "fileName"), (&mut other.packages, "packageFileName")] {
            for object in list.iter_mut().filter_map(Value::as_object_mut) {
                let own = object.get(key).and_then(Value::as_str).unwrap_or_default();
                let moved = below(folder, own);
                if !moved.is_empty() {
                    object.insert(key.to_owned(), Value::String(moved));
                }
            }
        }
        self.external_document_refs.extend(other.external_document_refs);
        self.packages.extend(other.packages);
        self.files.extend(other.files);
        self.has_extracted_licensing_infos.extend(other.has_extracted_licensing_infos);
        self.relationships.extend(other.relationships);
        self.annotations.extend(other.annotations);
    }
}

/// Put a path of an image below the image's folder. A path that would leave it stays in it.
fn below(folder: &str, own: &str) -> String {
    if folder.is_empty() {
        return own.to_owned();
    }
    let parts = path::parts(own.as_bytes()).filter(|part| *part != b"..");
    let all: Vec<&[u8]> = path::parts(folder.as_bytes()).chain(parts).collect();
    String::from_utf8_lossy(&all.join(&b'/')).into_owned()
}

fn print(parts: &Parts, created: &str, document_namespace: String) -> String {
    let document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: "SPDXRef-DOCUMENT",
        name: "sbom",
        document_namespace,
        creation_info: CreationInfo { license_list_version: "3.20", creators: ["Tool: hullkit"], created },
        parts,
    };
    // Texts and lists only: there is nothing in it that JSON cannot say.
    let mut text = serde_json::to_string(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Write the first digits of a digest as a UUID of version 8, which is free in its content (RFC 9562, 5.8).
fn uuid(hex: &str) -> String {
    let part = |range| hex.get(range).unwrap_or_default();
    format!("{}-{}-8{}-a{}-{}", part(0..8), part(8..12), part(12..15), part(15..18), part(18..30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_move_below_the_images_folder() {
        let parts = |text: &str| serde_json::from_str::<Parts>(text).unwrap();
        let mut all = Parts::default();
        let one = r#"{"files": [{"fileName": "/bin/sh", "SPDXID": "a"}], "packages": [{"name": "busybox"}]}"#;
        all.extend(parts(one), "containers/services/web/lower/");
        all.extend(parts(one), "");
        assert_eq!(all.files[0]["fileName"], "containers/services/web/lower/bin/sh");
        assert_eq!(all.packages[0]["packageFileName"], "containers/services/web/lower");
        assert_eq!(all.files[1]["fileName"], "/bin/sh");
        assert!(all.packages[1].get("packageFileName").is_none());
    }

    #[test]
    fn a_namespace_is_made_of_what_it_names() {
        let parts = Parts::default();
        let text = print(&parts, "2017-04-18T16:30:00Z", "n".to_owned());
        assert!(text.starts_with(r#"{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT""#));
        assert_eq!(uuid(&"0123456789abcdef".repeat(4)), "01234567-89ab-8cde-af01-23456789abcd");
    }
}
