//! Where the manifest's words stand: file, line and column, and how a later stage points at them.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::error::Diagnostic;

/// Name by which [`Spanned`] asks the decoder for a position; no manifest key can have it.
pub(crate) const SPANNED: &str = "$linuxkit_yaml::spanned";

/// Where a word of a manifest begins. Lines and columns count from 1, columns in characters.
///
/// All positions compare equal: where a word stands is not part of what a manifest says, so that a printed and reparsed
/// manifest equals the first.
#[derive(Clone)]
pub struct Position {
    /// The name that was given to [`crate::parse()`], shared by all positions of a file.
    pub file: Arc<str>,
    /// Line, from 1; 0 if the value did not come from text.
    pub line: u32,
    /// Column in characters, from 1; 0 if the value did not come from text.
    pub column: u32,
    /// Length in characters of what an error underlines; at least 1 for text.
    pub width: u32,
}

impl Default for Position {
    fn default() -> Self {
        Self { file: Arc::from(""), line: 0, column: 0, width: 0 }
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}

/// A value with the place where the user wrote it. Dereferences to the value; equality ignores the place.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub at: Position,
}

impl<T> Spanned<T> {
    /// Wrap a value that no file holds.
    #[must_use]
    pub fn unplaced(value: T) -> Self {
        Self { value, at: Position::default() }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        write!(f, " @ {}:{}", self.at.line, self.at.column)
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialOrd> PartialOrd for Spanned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Spanned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(std::marker::PhantomData))
    }
}

struct SpannedVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its position")
    }

    /// Any other deserializer than this crate's: the value alone.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        T::deserialize(deserializer).map(Spanned::unplaced)
    }

    /// This crate's decoder: file, line, column, width, value.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let short = || serde::de::Error::custom("a position without a value");
        let file: &str = seq.next_element()?.ok_or_else(short)?;
        let file = Arc::from(file);
        let line = seq.next_element()?.ok_or_else(short)?;
        let column = seq.next_element()?.ok_or_else(short)?;
        let width = seq.next_element()?.ok_or_else(short)?;
        let value = seq.next_element()?.ok_or_else(short)?;
        Ok(Spanned { value, at: Position { file, line, column, width } })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// The texts a manifest was read from, kept so that later stages can show the line they complain about.
///
/// All values compare equal, like positions.
#[derive(Clone, Default)]
pub struct Sources(Vec<Arc<Source>>);

struct Source {
    file: Arc<str>,
    text: Box<str>,
    /// Offset of each line; made when the first line is shown, because few manifests are wrong.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    /// Give a line, counted from 1.
    fn line(&self, number: u32) -> Option<&str> {
        let starts = self.lines.get_or_init(|| {
            let behind_break = |(offset, _): (usize, &str)| offset.saturating_add(1);
            std::iter::once(0).chain(self.text.match_indices('\n').map(behind_break)).collect()
        });
        let start = *starts.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        self.text.get(start..)?.lines().next()
    }
}

impl Sources {
    pub(crate) fn of(file: &str, text: &str) -> Self {
        Self(vec![Arc::new(Source { file: file.into(), text: text.into(), lines: OnceLock::new() })])
    }

    pub(crate) fn append(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Give the name and the text of every file, in the order they were read.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|source| (&*source.file, &*source.text))
    }

    /// Give the place of a position's file among the sources.
    pub(crate) fn rank(&self, at: &Position) -> Option<usize> {
        self.0.iter().position(|source| source.file == at.file)
    }

    /// Write a diagnostic at `at`, with the line it stands in if that file is known.
    #[must_use]
    pub fn diagnose(&self, at: &Position, message: impl Into<String>) -> Diagnostic {
        let line = self.rank(at).and_then(|rank| self.0.get(rank)).and_then(|source| source.line(at.line));
        Diagnostic::new(at.clone(), line, message.into())
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|source| &source.file)).finish()
    }
}

impl PartialEq for Sources {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Sources {}
