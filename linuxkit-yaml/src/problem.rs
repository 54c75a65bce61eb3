//! What goes wrong while a tree becomes typed values, before it is known where.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::code::Code;
use crate::error::{Diagnostic, ManifestError};
use crate::node::{Place, shorten};
use crate::span::{Position, Sources};

/// Problems reported in one run; whoever has more will not read them.
const MOST_PROBLEMS: usize = 1_000;

/// The problems found so far in one or more texts.
pub(crate) struct Problems<'a> {
    sources: &'a Sources,
    found: Vec<Diagnostic>,
    /// The search ended before everything was looked at.
    unfinished: bool,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(sources: &'a Sources) -> Self {
        Self { sources, found: Vec::new(), unfinished: false }
    }

    /// Add a problem; the diagnostic can still be completed.
    pub(crate) fn add(&mut self, at: &Position, message: impl Into<String>) -> Option<&mut Diagnostic> {
        if self.found.len() >= MOST_PROBLEMS {
            self.unfinished = true;
            return None;
        }
        self.found.push(self.sources.diagnose(at, message));
        self.found.last_mut()
    }

    /// Make an error of one problem that hides all others.
    pub(crate) fn only(&self, at: &Position, message: String) -> ManifestError {
        self.sources.diagnose(at, message).with_code(Code::Syntax).into()
    }

    /// Say that not everything was looked at.
    pub(crate) fn give_up(&mut self) {
        self.unfinished = true;
    }

    pub(crate) fn unfinished(&self) -> bool {
        self.unfinished
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Make an error of what was found: the files in the order given, the problems of each in the order of its text.
    pub(crate) fn into_error(self) -> ManifestError {
        let mut diagnostics = self.found;
        let rank = |problem: &Diagnostic| self.sources.rank(&problem.at);
        diagnostics.sort_by_key(|problem| (rank(problem), problem.at.line, problem.at.column));
        if let Some(last) = diagnostics.last().filter(|_| self.unfinished) {
            let at = Position { line: 0, column: 0, width: 0, ..last.at.clone() };
            let text = "there are too many problems to look for all of them";
            diagnostics.push(self.sources.diagnose(&at, text).with_code(Code::TooMany));
        }
        ManifestError { diagnostics }
    }
}

/// Longest list of legal keys that is printed although the nearest is known.
const MOST_KEYS: usize = 16;

/// One problem, on its way from the value that has it to the entry that holds the value.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Box<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    /// Filled in by the innermost entry or list item the problem passes.
    pub(crate) at: Option<Place>,
    pub(crate) what: What,
    pub(crate) code: Code,
    pub(crate) hint: Option<String>,
    pub(crate) suggestion: Option<String>,
    /// The branch that has the problem is cut already.
    pub(crate) cut: bool,
    /// Follows from a problem that is reported: not worth a word.
    pub(crate) silent: bool,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum What {
    /// A sentence.
    Message(String),
    /// A key that the structure does not have.
    UnknownKey { key: String, legal: Vec<String> },
    /// A key that the structure cannot do without.
    Missing(String),
    /// A key without a value.
    Nothing,
}

impl Problem {
    pub(crate) fn new(what: What) -> Self {
        let code = match &what {
            What::Message(_) => Code::WrongValue,
            What::UnknownKey { .. } => Code::UnknownKey,
            What::Missing(_) => Code::MissingKey,
            What::Nothing => Code::NoValue,
        };
        Self(Box::new(Inner { at: None, what, code, hint: None, suggestion: None, cut: false, silent: false }))
    }

    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::new(What::Message(text.into()))
    }

    /// Report a value of another type than the key takes.
    pub(crate) fn wrong_type(text: impl Into<String>) -> Self {
        let mut problem = Self::message(text);
        problem.0.code = Code::WrongType;
        problem
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Say that `word` is not in `legal`, naming the nearest.
    fn choice(word: &str, legal: &[&str]) -> Self {
        let mut problem = Self::message(format!("`{}` is not one of the legal words", shorten(word)));
        problem.0.hint = Some(format!("expected one of {}", legal.join(", ")));
        problem.0.suggestion = nearest(word, legal.iter().copied());
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.what {
            What::Message(text) => f.write_str(text),
            What::UnknownKey { key, .. } => write!(f, "`{}` is not a key here", shorten(key)),
            What::Missing(key) => write!(f, "`{key}` is missing"),
            What::Nothing => f.write_str("no value"),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::message(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(value) => format!("the boolean `{value}`"),
            Unexpected::Unsigned(value) => format!("the number `{value}`"),
            Unexpected::Signed(value) => format!("the number `{value}`"),
            Unexpected::Float(value) => format!("the number `{value}`"),
            Unexpected::Str(value) => format!("the text `{}`", shorten(value)),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a mapping".to_owned(),
            Unexpected::Unit => "nothing".to_owned(),
            other => other.to_string(),
        };
        Self::wrong_type(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Signed(value) => value.to_string(),
            Unexpected::Unsigned(value) => value.to_string(),
            Unexpected::Str(value) => shorten(value),
            other => other.to_string(),
        };
        Self::message(format!("`{found}` is out of range: expected {}", range(&expected.to_string())))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::choice(variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let legal = expected.iter().map(|&key| key.to_owned()).collect();
        Self::new(What::UnknownKey { key: field.to_owned(), legal })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Missing(field.to_owned()))
    }
}

/// Name an integer type of Rust by its bounds.
fn range(expected: &str) -> String {
    match expected {
        "u8" => "0 to 255".to_owned(),
        "u16" => "0 to 65535".to_owned(),
        "u32" => "0 to 4294967295".to_owned(),
        "u64" => "0 to 18446744073709551615".to_owned(),
        "i32" => "-2147483648 to 2147483647".to_owned(),
        "i64" => "-9223372036854775808 to 9223372036854775807".to_owned(),
        other => other.to_owned(),
    }
}

/// List legal keys for an error; a container's forty would only hide the one that was meant.
pub(crate) fn listed(legal: &[String], suggestion: Option<&str>) -> Option<String> {
    match legal {
        [] => None,
        [one] => Some(format!("expected {one}")),
        many if many.len() > MOST_KEYS && suggestion.is_some() => None,
        many => Some(format!("expected one of {}", many.join(", "))),
    }
}

/// Find the legal word that was most probably meant: at most a third of its letters differ, or letters were left out.
#[must_use]
pub fn nearest<'a>(word: &str, legal: impl Iterator<Item = &'a str>) -> Option<String> {
    // Longer words are no misspelt keys, and the distance costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    legal
        .filter_map(|candidate| {
            let target = candidate.to_ascii_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &target);
            let near = distance.saturating_mul(3) <= target.len().max(3) || shortens(&lower, &target);
            near.then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// Tell whether `word` is `target` with letters left out: `img` for `image`, `cmd` for `command`.
fn shortens(word: &str, target: &str) -> bool {
    let mut letters = target.chars();
    word.len() >= 3 && word.chars().next() == target.chars().next() && word.chars().all(|c| letters.any(|l| l == c))
}
