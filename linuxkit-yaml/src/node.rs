//! A YAML document as a tree in which every node knows its place, and from which bad branches can be cut.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::parse::Packages;
use crate::span::Position;

/// What a text begins with that names a package beside the manifest.
const PACKAGE: &str = "@pkg:";

/// Line, column and width of a node in its file; see [`Position`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) width: u32,
}

impl Place {
    pub(crate) fn position(self, file: &str) -> Position {
        Position { file: file.into(), line: self.line, column: self.column, width: self.width }
    }

    /// The same place, underlined by one character.
    pub(crate) fn narrow(self) -> Self {
        Self { width: 1, ..self }
    }
}

/// One value.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) kind: Kind,
    /// Set when this value was found wrong: the next decoding leaves it out and finds the next problem.
    pub(crate) cut: Cell<bool>,
    /// Keys whose absence needs no error of its own, because a wrong entry probably meant them.
    pub(crate) excused: RefCell<Vec<String>>,
}

/// What a value is. Numbers and booleans keep the text they were written with.
#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool, String),
    Integer(i128, String),
    Float(f64, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) value: Node,
}

impl Entry {
    pub(crate) fn new(key: String, key_at: Place, value: Node) -> Self {
        Self { key, key_at, value }
    }
}

impl Node {
    pub(crate) fn new(at: Place, kind: Kind) -> Self {
        Self { at, kind, cut: Cell::new(false), excused: RefCell::new(Vec::new()) }
    }

    /// Give the text of a scalar as it was written; nothing for collections and null.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Bool(_, text) | Kind::Integer(_, text) | Kind::Float(_, text) | Kind::Text(text) => Some(text),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// Replace every `@pkg:PATH` by what `packages` gives for the path; cut those it cannot give.
    pub(crate) fn expand(&mut self, packages: &mut Packages<'_>, report: &mut dyn FnMut(Place, String)) {
        match &mut self.kind {
            Kind::Text(text) => {
                if let Some(path) = text.strip_prefix(PACKAGE) {
                    match packages(path) {
                        Ok(image) => *text = image,
                        Err(reason) => {
                            report(self.at, format!("`{}`: {reason}", shorten(text)));
                            self.cut.set(true);
                        }
                    }
                }
            }
            Kind::List(items) => items.iter_mut().for_each(|item| item.expand(packages, report)),
            Kind::Map(entries) => {
                for entry in entries {
                    if let Some(path) = entry.key.strip_prefix(PACKAGE) {
                        match packages(path) {
                            Ok(image) => entry.key = image,
                            Err(reason) => report(entry.key_at, format!("`{}`: {reason}", shorten(&entry.key))),
                        }
                    }
                    entry.value.expand(packages, report);
                    if entry.value.cut.get() {
                        self.excused.borrow_mut().push(entry.key.clone());
                    }
                }
            }
            Kind::Null | Kind::Bool(..) | Kind::Integer(..) | Kind::Float(..) => (),
        }
    }

    /// Collect the places of all values in mappings of which something was cut: what such a mapping lacks is no news.
    pub(crate) fn wounded(&self, places: &mut BTreeSet<(u32, u32)>) {
        match &self.kind {
            Kind::List(items) => items.iter().for_each(|item| item.wounded(places)),
            Kind::Map(entries) => {
                if !self.excused.borrow().is_empty() {
                    places.extend(entries.iter().map(|entry| (entry.value.at.line, entry.value.at.column)));
                }
                entries.iter().for_each(|entry| entry.value.wounded(places));
            }
            _ => (),
        }
    }

    /// Say what this is, for an error.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(_, text) => format!("the boolean `{text}`"),
            Kind::Integer(_, text) | Kind::Float(_, text) => format!("the number `{text}`"),
            Kind::Text(text) => format!("the text `{}`", shorten(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Shorten foreign text for a message: one line, at most 60 characters.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push_str("...");
    }
    short
}
