//! The `depends_on` key of containers.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::span::Spanned;

/// What a container waits for before it starts, in the order written.
///
/// # Source
///
/// Compose specification, `05-services.md`, section `depends_on`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DependsOn(pub Vec<Dependency>);

/// One container that another waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: Spanned<String>,
    /// What must have become of it.
    pub condition: Condition,
}

/// What must have become of a container before those that depend on it start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It was started.
    #[default]
    ServiceStarted,
    /// Its health check has passed.
    ServiceHealthy,
    /// It has ended with exit code 0.
    ServiceCompletedSuccessfully,
}

/// The value of one name in the long form.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Dependency", deny_unknown_fields)]
struct Long {
    /// What must have become of it: `service_started` if absent.
    #[serde(default)]
    condition: Condition,
}

impl DependsOn {
    /// Tell whether there is nothing to wait for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for DependsOn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.iter().all(|one| one.condition == Condition::ServiceStarted) {
            return serializer.collect_seq(self.0.iter().map(|one| &one.name));
        }
        serializer.collect_map(self.0.iter().map(|one| (&one.name, Long { condition: one.condition })))
    }
}

impl<'de> Deserialize<'de> for DependsOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DependsOnVisitor)
    }
}

struct DependsOnVisitor;

impl<'de> Visitor<'de> for DependsOnVisitor {
    type Value = DependsOn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, or a mapping of names to `condition`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<DependsOn, A::Error> {
        let mut all = Vec::new();
        while let Some(name) = names.next_element()? {
            all.push(Dependency { name, condition: Condition::default() });
        }
        Ok(DependsOn(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DependsOn, A::Error> {
        let mut all = Vec::new();
        while let Some((name, Long { condition })) = map.next_entry()? {
            all.push(Dependency { name, condition });
        }
        Ok(DependsOn(all))
    }
}

impl JsonSchema for DependsOn {
    fn schema_name() -> Cow<'static, str> {
        "DependsOn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "object", "additionalProperties": long },
        ] })
    }
}
