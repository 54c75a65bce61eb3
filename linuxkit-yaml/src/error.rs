//! What is wrong with a manifest: every problem with its place, the line itself, and what was probably meant.

use std::fmt;

use crate::code::{Code, Severity};
use crate::span::Position;

/// Longest excerpt shown of a line, in characters: a manifest on one line must not fill the screen.
const EXCERPT_CHARS: usize = 160;

/// Last column that is shown: to find one in a line of megabytes takes time, and nobody reads such lines.
const MOST_COLUMNS: usize = 4096;

/// One problem of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem it is.
    pub code: Code,
    /// File, line and column; line 0 if the problem is the whole file.
    pub at: Position,
    /// What is wrong, lower case, one line.
    pub message: String,
    /// What would be right, one line; printed beside the caret.
    pub hint: Option<String>,
    /// The nearest legal word, if one is near enough to be what was meant.
    pub suggestion: Option<String>,
    /// The line the problem stands in, shortened if very long; absent if there is none.
    pub excerpt: Option<Excerpt>,
}

/// A line of the manifest and what is underlined in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line's text without its line break, control characters replaced by spaces.
    pub text: String,
    /// Characters of `text` before the underline.
    pub skip: usize,
    /// Characters underlined, at least 1.
    pub width: usize,
}

impl Diagnostic {
    /// Make a diagnostic at `at`, which stands in `line`.
    pub(crate) fn new(at: Position, line: Option<&str>, message: String) -> Self {
        let excerpt = line.and_then(|line| Excerpt::cut(line, &at));
        Self { code: Code::WrongValue, at, message, hint: None, suggestion: None, excerpt }
    }

    /// Report a problem of a whole file, or of reading it.
    #[must_use]
    pub fn of_file(code: Code, file: &str, message: impl Into<String>) -> Self {
        let at = Position { file: file.into(), ..Position::default() };
        Self::new(at, None, message.into()).with_code(code)
    }

    /// Say what kind of problem it is.
    #[must_use]
    pub fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Tell how bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Add what would be right.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// File that holds the problem, as it was named to the parser.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.at.file
    }

    /// Line, from 1; 0 if the problem is the whole file.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.at.line
    }

    /// Column in characters, from 1; 0 if the problem is the whole file.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.at.column
    }
}

impl Excerpt {
    fn cut(line: &str, at: &Position) -> Option<Self> {
        let column = usize::try_from(at.column).ok()?.saturating_sub(1);
        if column > MOST_COLUMNS {
            return None;
        }
        // A window around the problem: lines may be megabytes long.
        let start = if column > EXCERPT_CHARS / 2 { column.saturating_sub(EXCERPT_CHARS / 4) } else { 0 };
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = line.chars().skip(start).take(EXCERPT_CHARS).map(clean).collect();
        let skip = column.saturating_sub(start);
        let room = text.chars().count().saturating_sub(skip);
        let width = usize::try_from(at.width).unwrap_or(1).min(room).max(1);
        Some(Self { text: text.trim_end().to_owned(), skip, width })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at.file)?;
        if self.at.line > 0 {
            write!(f, ":{}:{}", self.at.line, self.at.column)?;
        }
        write!(f, ": {}", self.message)?;
        let Some(excerpt) = &self.excerpt else {
            return match self.help() {
                Some(words) => write!(f, " ({words})"),
                None => Ok(()),
            };
        };
        let number = self.at.line.to_string();
        let (skip, underline) = (" ".repeat(excerpt.skip), "^".repeat(excerpt.width));
        write!(f, "\n{number:>5} | {}\n{:>5} | {skip}{underline}", excerpt.text, "")?;
        self.help().map_or(Ok(()), |words| write!(f, " {words}"))
    }
}

impl Diagnostic {
    /// Say what would be right and which word was probably meant, if either is known; one line.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let nearest = self.suggestion.as_ref().map(|word| format!("nearest: {word}"));
        match (&self.hint, nearest) {
            (Some(hint), Some(nearest)) => Some(format!("{hint}; {nearest}")),
            (Some(hint), None) => Some(hint.clone()),
            (None, nearest) => nearest,
        }
    }
}

/// Why a text is no manifest: one or more problems, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// Every problem that was found, at least one.
    pub diagnostics: Vec<Diagnostic>,
}

impl ManifestError {
    /// Report a problem of the whole text.
    pub(crate) fn whole(file: &str, message: impl Into<String>) -> Self {
        Diagnostic::of_file(Code::Syntax, file, message).into()
    }
}

impl From<Diagnostic> for ManifestError {
    fn from(problem: Diagnostic) -> Self {
        Self { diagnostics: vec![problem] }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
