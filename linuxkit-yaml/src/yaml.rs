//! YAML text to a positioned tree. The only file that knows the YAML library and its options.
//!
//! Everything is read once, into [`Node`]s that keep the text of every scalar: typed and untyped readings of the same
//! document otherwise differ (`0666` is 438, 666.0 or the text `0666`, depending on who asks).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location, MessageFormatter, NonFiniteFloatPolicy, Options, Spanned, UserMessageFormatter};

use crate::code::Code;
use crate::node::{Entry, Kind, Node, Place};
use crate::problem::Problems;
use crate::span::Position;

/// Nodes a document may have, aliases expanded: what fills [`crate::MAX_BYTES`] in a manifest that people write, and half a
/// second's work.
const MAX_NODES: usize = 300_000;

/// Nodes that aliases may add. A manifest repeats an environment or two; an alias bomb repeats itself.
const MAX_ALIASED_NODES: usize = 100_000;

/// Collections inside collections; the deepest key lies at 8. The library recurses over them, at 30 kB of stack each without
/// optimisation, and threads have 2 MB.
const MAX_DEPTH: usize = 24;

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: MAX_NODES.saturating_mul(3),
            max_depth: MAX_DEPTH,
            // One anchor used by two hundred services is a good manifest; the limits on replay bound the bad ones.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASED_NODES },
        emit_comments: false,
        // Found while the tree is built, so that all of them are reported.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        // `yes` and `on` are text, `0666` is an integer: as LinuxKit's YAML library has it.
        strict_booleans: true,
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    }
}

/// Read the first document of `text` into a tree.
///
/// Entries with wrong keys (duplicates, keys that are no scalars) are left out and reported to `problems`.
///
/// # Errors
///
/// The text is no YAML, or too much of it.
pub(crate) fn read(text: &str, file: &str, problems: &mut Problems<'_>) -> Result<Node, (Position, String)> {
    let first = first_document(text);
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(first, options()) {
        Ok(raw) => Ok(Builder { text: first, file, problems }.node(raw)),
        Err(error) => {
            let message = complaint(error.without_snippet());
            let place = error.location().map(|location| place(location, None)).unwrap_or_default();
            Err((place.position(file), message))
        }
    }
}

/// Say what the library complains about, in one line.
fn complaint(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => complaint(error),
        Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => {
            format!("aliases add more than {MAX_ALIASED_NODES} values to the document")
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("more than {MAX_DEPTH} lists and mappings inside each other")
        }
        Error::Budget { breach: BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. }, .. } => {
            format!("the document has more than {MAX_NODES} values")
        }
        Error::Budget { .. } => "the document has too many anchors, aliases or merge keys".to_owned(),
        other => {
            let message = UserMessageFormatter.format_message(other);
            message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        }
    }
}

/// Cut off everything behind the first document.
///
/// YAML forbids a line that begins with `---` or `...` inside any scalar, so such a line always ends the document.
fn first_document(text: &str) -> &str {
    let mut begun = false;
    let mut end = 0_usize;
    for line in text.split_inclusive('\n') {
        let marker = |word: &str| {
            line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        };
        if begun && (marker("---") || marker("...")) {
            return text.get(..end).unwrap_or(text);
        }
        let bare = line.trim_start_matches('\u{feff}').trim();
        begun |= !(bare.is_empty() || bare.starts_with('#') || bare.starts_with('%'));
        end = end.saturating_add(line.len());
    }
    text
}

/// A node as the library hands it over.
enum Raw {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

fn place(location: Location, width: Option<u64>) -> Place {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Place { line: narrow(location.line()), column: narrow(location.column()), width: narrow(width.unwrap_or(1)).max(1) }
}

/// Turns what the library read into [`Node`]s, taking the text of scalars from the source.
struct Builder<'a, 'b> {
    text: &'a str,
    file: &'a str,
    problems: &'a mut Problems<'b>,
}

impl Builder<'_, '_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let span = raw.defined.span();
        let mut at = place(raw.defined, Some(span.len()));
        let written = || self.written(raw.defined).unwrap_or_default().to_owned();
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Bool(value) => Kind::Bool(value, written()),
            Raw::Integer(value) => Kind::Integer(value, written()),
            Raw::Float(value) => Kind::Float(value, written()),
            Raw::Text(value) => Kind::Text(value),
            Raw::List(items) => Kind::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Kind::Map(self.entries(entries)),
        };
        match &kind {
            // A mapping is shown by its first key if it begins with one; a list has no text of its own.
            Kind::Map(entries) => {
                let begins = |entry: &&Entry| (entry.key_at.line, entry.key_at.column) == (at.line, at.column);
                at = entries.first().filter(begins).map_or(at.narrow(), |entry| entry.key_at);
            }
            Kind::List(_) | Kind::Null => at = at.narrow(),
            _ => (),
        }
        Node::new(at, kind)
    }

    fn entries(&mut self, raw: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Vec<Entry> {
        let mut seen = std::collections::BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            let key = self.node(key);
            let Some(name) = key.scalar() else {
                let message = "a key must be a word, not a list, a mapping or nothing";
                self.problem(Code::WrongType, key.at, message.to_owned());
                continue;
            };
            if let Some(first) = seen.insert(name.to_owned(), key.at) {
                let message = format!("`{name}` is given twice, first in line {}", first.line);
                self.problem(Code::Duplicate, key.at, message);
                continue;
            }
            let (name, value) = (name.to_owned(), self.node(value));
            entries.push(Entry::new(name, key.at, value));
        }
        entries
    }

    fn problem(&mut self, code: Code, at: Place, message: String) {
        if let Some(diagnostic) = self.problems.add(&at.position(self.file), message) {
            diagnostic.code = code;
        }
    }

    /// Give the source text of a scalar.
    fn written(&self, location: Location) -> Option<&str> {
        let start = usize::try_from(location.span().byte_offset()?).ok()?;
        let length = usize::try_from(location.span().byte_len()?).ok()?;
        self.text.get(start..start.checked_add(length)?).map(str::trim)
    }
}
