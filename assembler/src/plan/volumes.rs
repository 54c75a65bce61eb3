//! The manifest's `volumes`: what each holds, and what a container means by its name.

use hullkit_init::contract;
use linuxkit_yaml::{Diagnostic, Manifest, Reference, Spanned, Volume as Entry, VolumeFormat, nearest};
use serde::{Deserialize, Serialize};

use super::{Layout, Names, Plan, PlanError};
use crate::digest::Digest;
use crate::platform::Arch;
use crate::pull::{Whole, name_of};

/// One volume, everything about it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// By which `binds` mean it; a single path component.
    pub name: String,
    /// What it holds from the start.
    pub content: Content,
    /// Containers may only read it.
    pub readonly: bool,
    /// What is written is kept on the data partition of the disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub persistent: bool,
}

/// What a volume holds from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Nothing.
    Empty,
    /// The files of an image, a key of [`Plan::images`].
    Image(Digest),
    /// An image as it is pushed and pulled, in the form of an OCI image layout.
    Layout(Whole),
}

impl Volume {
    /// The image that is laid out in the volume, if one is.
    #[must_use]
    pub fn layout(&self) -> Option<&Whole> {
        if let Content::Layout(whole) = &self.content { Some(whole) } else { None }
    }

    /// What init is told of the volume in the native layout: an image is there once, whoever uses it.
    #[must_use]
    pub fn contract(&self) -> contract::Volume {
        let lower = match &self.content {
            Content::Image(digest) => Plan::image_root(digest),
            Content::Empty | Content::Layout(_) => format!("{}/lower", contract::Volume::folder(&self.name)),
        };
        contract::Volume { name: self.name.clone(), lower, readonly: self.readonly, persistent: self.persistent }
    }
}

/// The image whose files a volume holds, if it holds those of one.
pub(super) fn flattened(volume: &Entry) -> Option<&Spanned<Reference>> {
    volume.image.as_ref().filter(|_| !is_layout(volume))
}

fn is_layout(volume: &Entry) -> bool {
    volume.format.as_ref().is_some_and(|format| format.value == VolumeFormat::Oci)
}

/// Tell which volumes cannot be what the manifest says: LinuxKit's init keeps nothing.
pub(super) fn check(manifest: &Manifest, layout: Layout) -> Vec<Diagnostic> {
    if layout == Layout::Native {
        return Vec::new();
    }
    let kept = manifest.volumes.iter().filter_map(|volume| Some((volume, volume.kept()?)));
    kept.map(|(volume, persistent)| {
        let message =
            format!("LinuxKit's init does not know volumes that keep what is written, as `{}` shall", volume.name);
        let problem = manifest.diagnose(&persistent.at, message);
        problem.with_hint("let Hullkit's init stand in for it with --replace-init, or leave `persistent` out")
    })
    .collect()
}

/// Decide about every volume. In: `found`, which gives the digest of an image that [`flattened`] named.
///
/// # Errors
///
/// - [`PlanError::Manifest`]: a volume without a name; all of them are told.
/// - [`PlanError::Image`]: an image for an OCI layout is not to be had.
pub(super) fn plan(
    manifest: &Manifest,
    names: &dyn Names,
    arch: Arch,
    found: impl Fn(&str) -> Option<Digest>,
) -> Result<Vec<Volume>, PlanError> {
    let mut volumes = Vec::new();
    for entry in &manifest.volumes {
        if entry.name.value.is_empty() {
            let problem = manifest.diagnose(&entry.name.at, "a volume needs a name, by which `binds` can mean it");
            return Err(PlanError::manifest(problem));
        }
        let content = match (flattened(entry), &entry.image) {
            (Some(image), _) => found(&name_of(image)).map_or(Content::Empty, Content::Image),
            (None, Some(image)) => Content::Layout(layout(entry, image, names, arch)?),
            (None, None) => Content::Empty,
        };
        let (readonly, persistent) = (entry.readonly == Some(true), entry.kept().is_some());
        volumes.push(Volume { name: entry.name.value.clone(), content, readonly, persistent });
    }
    Ok(volumes)
}

/// Find all that an OCI layout of an image holds.
pub(super) fn layout(
    entry: &Entry,
    image: &Spanned<Reference>,
    names: &dyn Names,
    arch: Arch,
) -> Result<Whole, PlanError> {
    let platforms: Vec<String> = entry.platforms.iter().flatten().map(|platform| platform.value.clone()).collect();
    names.whole(image, arch, &platforms).map_err(|cause| PlanError::Image {
        place: image.at.clone(),
        reference: name_of(image),
        arch,
        cause: Box::new(cause),
    })
}

/// Put a volume's path in place of its name. In: the source of a bind or of a mount of type `bind`, and its options, as the
/// manifest has them. Out: a path of the host.
///
/// A source that begins with `/` is such a path already. A volume that is read-only wants options that say `ro` before they
/// say `rw`.
pub(super) fn source(manifest: &Manifest, source: &str, options: &[&str]) -> Result<String, Problem> {
    if source.starts_with('/') {
        return Ok(source.to_owned());
    }
    let Some(volume) = manifest.volumes.iter().find(|volume| volume.name.value == source) else {
        return Err(Problem::Unknown {
            name: source.to_owned(),
            nearest: nearest(source, manifest.volumes.iter().map(|volume| volume.name.as_str())),
            any: !manifest.volumes.is_empty(),
        });
    };
    let decided = options.iter().find(|word| matches!(**word, "ro" | "rw"));
    if volume.readonly == Some(true) && decided != Some(&"ro") {
        return Err(Problem::ReadOnly { name: source.to_owned() });
    }
    Ok(contract::Volume::merged(source))
}

/// Why a container cannot have a volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// There is none of this name.
    #[error("`{name}` is not a volume of this manifest")]
    Unknown {
        /// The name in the bind.
        name: String,
        /// The volume that was probably meant.
        nearest: Option<String>,
        /// Whether there are volumes at all.
        any: bool,
    },
    /// It may only be read.
    #[error("the volume `{name}` is read-only")]
    ReadOnly {
        /// Its name.
        name: String,
    },
}

impl Problem {
    /// Add to a diagnostic what would be right.
    pub(super) fn explain(self, diagnostic: Diagnostic) -> Diagnostic {
        match self {
            Self::Unknown { nearest: Some(nearest), .. } => Diagnostic { suggestion: Some(nearest), ..diagnostic },
            Self::Unknown { any: false, .. } => {
                diagnostic.with_hint("a path of the host begins with `/`; a volume stands in `volumes`")
            }
            Self::Unknown { .. } => diagnostic.with_hint("a path of the host begins with `/`"),
            Self::ReadOnly { name } => {
                diagnostic.with_hint(format!("bind it with the option `ro`, as in `{name}:/path:ro`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        linuxkit_yaml::parse(text, "t.yml").unwrap()
    }

    #[test]
    fn a_name_becomes_a_path_and_a_path_stays() {
        let manifest = manifest("volumes: [{name: data}, {name: fixed, readonly: true}]\n");
        let merged = |name| Ok(format!("/containers/volumes/{name}/merged"));
        assert_eq!(source(&manifest, "data", &["rw", "rbind"]), merged("data"));
        assert_eq!(source(&manifest, "data", &[]), merged("data"));
        assert_eq!(source(&manifest, "fixed", &["ro", "rshared"]), merged("fixed"));
        assert_eq!(source(&manifest, "/data", &[]), Ok("/data".to_owned()));
    }

    #[test]
    fn a_volume_that_is_not_there_or_may_not_be_written_is_refused() {
        let manifest = manifest("volumes: [{name: data}, {name: fixed, readonly: true}]\n");
        let unknown = source(&manifest, "dta", &[]).unwrap_err();
        assert_eq!(unknown, Problem::Unknown { name: "dta".into(), nearest: Some("data".into()), any: true });
        for options in [&[][..], &["rw"], &["rshared"], &["rw", "ro"]] {
            assert_eq!(
                source(&manifest, "fixed", options),
                Err(Problem::ReadOnly { name: "fixed".into() }),
                "{options:?}"
            );
        }
    }

    #[test]
    fn an_image_is_shared_and_everything_else_lies_in_the_volumes_own_folder() {
        let digest = Digest::of(b"x");
        let volume = |content| Volume { name: "v".into(), content, readonly: true, persistent: false }.contract();
        assert_eq!(volume(Content::Image(digest)).lower, Plan::image_root(&digest));
        assert_eq!(volume(Content::Empty).lower, "/containers/volumes/v/lower");
        assert!(volume(Content::Empty).readonly);
    }
}
