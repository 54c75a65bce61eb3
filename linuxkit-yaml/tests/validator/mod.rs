//! As much of JSON Schema as `schema()` uses, to hold it against the parser.

use serde_json::Value;

/// Check `value` against `schema`, a part of `root`.
pub(crate) fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(words) = schema.as_object() else {
        return if schema == &Value::Bool(false) { Err("nothing is allowed here".to_owned()) } else { Ok(()) };
    };
    for (word, rule) in words {
        match word.as_str() {
            "$ref" => check(root, resolve(root, rule), value)?,
            "type" => kind(rule, value)?,
            "enum" => within(rule, value)?,
            "const" => within(&Value::Array(vec![rule.clone()]), value)?,
            "oneOf" | "anyOf" => {
                let choices = rule.as_array().expect("choices are a list");
                if !choices.iter().any(|choice| check(root, choice, value).is_ok()) {
                    return Err(format!("{value} is none of {rule}"));
                }
            }
            "required" => required(rule, value)?,
            "properties" => {
                for (key, part) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = rule.get(key) {
                        check(root, schema, part).map_err(|reason| format!("{key}: {reason}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = words.get("properties");
                for (key, part) in value.as_object().into_iter().flatten() {
                    if known.is_none_or(|known| known.get(key).is_none()) {
                        check(root, rule, part).map_err(|reason| format!("{key}: {reason}"))?;
                    }
                }
            }
            "items" => {
                for (index, part) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, part).map_err(|reason| format!("{index}: {reason}"))?;
                }
            }
            "minimum" if value.as_f64() < rule.as_f64() && value.is_number() => {
                return Err(format!("{value} is small"));
            }
            "maximum" if value.as_f64() > rule.as_f64() && value.is_number() => {
                return Err(format!("{value} is large"));
            }
            "minimum" | "maximum" | "pattern" | "minLength" | "format" | "description" | "title" | "default" => (),
            "$schema" | "$defs" | "$comment" => (),
            other => panic!("the schema uses `{other}`, which this does not check"),
        }
    }
    Ok(())
}

/// Follow a reference into the root schema.
pub(crate) fn resolve<'a>(root: &'a Value, reference: &Value) -> &'a Value {
    let path = reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
    root.pointer(path).expect("a reference leads somewhere")
}

fn kind(rule: &Value, value: &Value) -> Result<(), String> {
    let whole = |value: &Value| value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let is = |kind: &Value| match kind.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("integer") => whole(value),
        other => panic!("unknown type {other:?}"),
    };
    let fits = rule.as_array().map_or_else(|| is(rule), |kinds| kinds.iter().any(is));
    if fits { Ok(()) } else { Err(format!("{value} is not of type {rule}")) }
}

fn within(rule: &Value, value: &Value) -> Result<(), String> {
    let fits = rule.as_array().is_some_and(|words| words.contains(value));
    if fits { Ok(()) } else { Err(format!("{value} is not in {rule}")) }
}

fn required(rule: &Value, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let missing =
        rule.as_array().into_iter().flatten().find(|key| !object.contains_key(key.as_str().unwrap_or_default()));
    missing.map_or(Ok(()), |key| Err(format!("{key} is missing")))
}
