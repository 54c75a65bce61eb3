//! The JSON Schemas of manifests and of tests, generated from the types.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::manifest::Manifest;
use crate::test::TestWords;

/// Give the JSON Schema (draft 2020-12) of manifests, for editors.
///
/// It says what the parser says about keys and types; what the parser knows beyond (references, names that must differ, files
/// with two contents) a schema cannot say.
#[must_use]
pub fn schema() -> Value {
    of::<Manifest>("Hullkit manifest")
}

/// Give the JSON Schema (draft 2020-12) of tests, for editors.
#[must_use]
pub fn test_schema() -> Value {
    of::<TestWords>("Hullkit test")
}

fn of<T: JsonSchema>(title: &str) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.transforms.push(Box::new(NoNull));
    let mut value = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(root) = value.as_object_mut() {
        root.insert("title".to_owned(), title.into());
    }
    value
}

/// A key without a value is an error in a manifest, so optional keys are not "or null".
#[derive(Clone)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(object) = schema.as_object_mut() {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice != &serde_json::json!({ "type": "null" }));
                if let [Value::Object(one)] = choices.as_slice() {
                    let one = one.clone();
                    object.remove("anyOf");
                    object.extend(one);
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
        }
        transform_subschemas(self, schema);
    }
}
