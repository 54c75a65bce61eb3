//! JSON as Go's encoder writes it: four spaces of indent, no final newline, and what HTML would misread escaped.
//!
//! LinuxKit writes `config.json` and `runtime.json` with Go's `encoding/json`, `MarshalIndent`; equal bytes need equal
//! habits.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

/// Characters that Go escapes although JSON does not ask for it.
const ESCAPED: [(char, &str); 5] =
    [('&', "\\u0026"), ('<', "\\u003c"), ('>', "\\u003e"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];

/// Write a value as Go would.
///
/// # Errors
///
/// - The value has keys that are no text.
pub fn to_string(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Go(PrettyFormatter::with_indent(b"    ")));
    value.serialize(&mut serializer)?;
    // The serializer writes text only.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The pretty formatter, but for the characters of a string.
struct Go<'a>(PrettyFormatter<'a>);

impl Formatter for Go<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, mut fragment: &str) -> io::Result<()> {
        while let Some(at) = fragment.find(|letter| ESCAPED.iter().any(|(escaped, _)| *escaped == letter)) {
            let (plain, rest) = fragment.split_at(at);
            out.write_all(plain.as_bytes())?;
            let letter = rest.chars().next().unwrap_or_default();
            let escape = ESCAPED.iter().find(|(escaped, _)| *escaped == letter).map_or("", |(_, escape)| escape);
            out.write_all(escape.as_bytes())?;
            fragment = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
        out.write_all(fragment.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_and_objects_indented_as_go_does() {
        let value = serde_json::json!({"a": ["<b> & \u{2028}é\n"], "b": {}, "c": []});
        let want = "{\n    \"a\": [\n        \"\\u003cb\\u003e \\u0026 \\u2028é\\n\"\n    ],\n    \"b\": {},\n    \"c\": []\n}";
        assert_eq!(to_string(&value).unwrap(), want);
    }
}
