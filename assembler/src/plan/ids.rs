//! Users and groups by container name: every container owns one number that files and processes can be given.

use std::collections::BTreeMap;

use linuxkit_yaml::{Id, Manifest};

/// First number given out.
const FIRST: u32 = 100;

/// The number of each container, from 100 on, in LinuxKit's order: `onboot`, `onshutdown`, `services`. Two containers of
/// one name share the later number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids(BTreeMap<String, u32>);

/// A name that is no container's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a number, `root`, nor the name of a container of this manifest")]
pub struct UnknownId(String);

impl Ids {
    /// Number the containers of a manifest.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let names = manifest.containers().map(|(_, container)| container.name.value.clone());
        Self(names.zip(FIRST..).collect())
    }

    /// Translate a user or group; an absent one is root.
    ///
    /// # Errors
    ///
    /// - [`UnknownId`].
    pub fn number(&self, id: Option<&Id>) -> Result<u32, UnknownId> {
        match id {
            None => Ok(0),
            Some(Id::Number(number)) => Ok(*number),
            Some(Id::Name(name)) if name.is_empty() || name == "root" => Ok(0),
            Some(Id::Name(name)) => self.0.get(name).copied().ok_or_else(|| UnknownId(name.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_numbered_in_linuxkits_order() {
        let text = "
onboot: [{name: a, image: x}, {name: b, image: x}]
services: [{name: web, image: x}]
onshutdown: [{name: a, image: x}]
";
        let ids = Ids::of(&linuxkit_yaml::parse(text, "t.yml").unwrap());
        let number = |name: &str| ids.number(Some(&Id::Name(name.into())));
        assert_eq!((number("a"), number("b"), number("web")), (Ok(102), Ok(101), Ok(103)));
        assert_eq!((number("root"), number(""), ids.number(None)), (Ok(0), Ok(0), Ok(0)));
        assert_eq!(number("0"), Err(UnknownId("0".into())));
    }
}
