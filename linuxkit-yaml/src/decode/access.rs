//! How a structure walks through lists, mappings, keys and positions; where a problem gets its place and its branch is cut.

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer, U32Deserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::{Context, Decoder, Dialect, Keys};
use crate::code::Code;
use crate::node::{Entry, Node, Place, shorten};
use crate::problem::{Inner, Problem, What, listed, nearest};
use crate::span::SPANNED;

/// The two halves of [`Decoder::split`].
pub(super) struct Halves<'a>(pub(super) std::array::IntoIter<Decoder<'a>, 2>);

impl<'a> SeqAccess<'a> for Halves<'a> {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        self.0.next().map(|half| seed.deserialize(half)).transpose()
    }
}

pub(super) struct Items<'a> {
    pub(super) items: std::slice::Iter<'a, Node>,
    pub(super) context: &'a Context<'a>,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        let Some(item) = self.items.by_ref().find(|item| !item.cut.get()) else { return Ok(None) };
        self.context.visits.set(self.context.visits.get().saturating_add(1));
        seed.deserialize(Decoder::new(item, self.context)).map(Some).map_err(|mut problem| {
            let inner = &mut *problem.0;
            if matches!(inner.what, What::Nothing) && inner.at.is_none() {
                inner.what = What::Message("a list item without a value".to_owned());
                inner.hint = None;
            }
            inner.at.get_or_insert(item.at);
            cut(item, inner);
            problem
        })
    }
}

/// Cut the innermost branch that holds a problem.
fn cut(node: &Node, problem: &mut Inner) {
    if !problem.cut {
        node.cut.set(true);
        problem.cut = true;
    }
}

pub(super) struct Entries<'a> {
    pub(super) entries: std::slice::Iter<'a, Entry>,
    pub(super) current: Option<&'a Entry>,
    pub(super) owner: Decoder<'a>,
    pub(super) fields: Option<(&'static str, &'static [&'static str])>,
}

impl<'a> Entries<'a> {
    /// Give the name under which the structure knows a key.
    fn spelling(&self, key: &'a str) -> &'a str {
        match self.fields {
            Some((_, fields)) if self.owner.context.dialect != Dialect::Manifest && !fields.contains(&key) => {
                fields.iter().find(|field| field.eq_ignore_ascii_case(key)).copied().unwrap_or(key)
            }
            _ => key,
        }
    }

    fn unknown_key(&self, entry: &Entry, key: &str, mut legal: Vec<String>) -> Problem {
        if let Keys::Except(head) = self.owner.keys {
            legal.splice(0..0, head.iter().map(|&key| key.to_owned()));
        }
        let suggestion = nearest(key, legal.iter().map(String::as_str));
        self.owner.node.excused.borrow_mut().extend(suggestion.clone());
        let message = match self.fields.map(|(name, _)| name) {
            Some("Manifest") => format!("`{}` is not a section of a manifest", shorten(key)),
            Some(name) => format!("`{}` is not a key of {}", shorten(key), self.owner.noun(name)),
            None => format!("`{}` is not a key here", shorten(key)),
        };
        let mut problem = Problem::message(message);
        problem.0.code = Code::UnknownKey;
        (problem.0.hint, problem.0.suggestion) = (listed(&legal, suggestion.as_deref()), suggestion);
        problem.0.at = Some(entry.key_at);
        problem
    }
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Problem;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        let keys = self.owner.keys;
        let next = self.entries.by_ref().find(|entry| !entry.value.cut.get() && keys.sees(&entry.key));
        let Some(entry) = next else { return Ok(None) };
        self.owner.context.visits.set(self.owner.context.visits.get().saturating_add(1));
        self.current = Some(entry);
        let key = Key { text: self.spelling(&entry.key), entry, context: self.owner.context };
        seed.deserialize(key).map(Some).map_err(|mut problem| {
            if let What::UnknownKey { key, legal } = &mut problem.0.what {
                let (key, legal) = (std::mem::take(key), std::mem::take(legal));
                problem = self.unknown_key(entry, &key, legal);
            }
            problem.0.at.get_or_insert(entry.key_at);
            cut(&entry.value, &mut problem.0);
            problem
        })
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        let entry = self.current.take().ok_or_else(|| Problem::custom("a value without a key"))?;
        let decoder = Decoder { under: Some(&entry.key), ..Decoder::new(&entry.value, self.owner.context) };
        seed.deserialize(decoder).map_err(|mut problem| {
            let inner = &mut *problem.0;
            if matches!(inner.what, What::Nothing) && inner.at.is_none() {
                inner.what = What::Message(format!("`{}` has no value", shorten(&entry.key)));
                inner.at = Some(entry.key_at);
            }
            inner.at.get_or_insert(entry.value.at);
            if !inner.cut {
                self.owner.node.excused.borrow_mut().push(self.spelling(&entry.key).to_owned());
            }
            cut(&entry.value, inner);
            problem
        })
    }
}

/// A key on its own.
pub(super) struct Key<'a> {
    pub(super) text: &'a str,
    pub(super) entry: &'a Entry,
    pub(super) context: &'a Context<'a>,
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        if name == SPANNED {
            let place = self.entry.key_at;
            visitor.visit_seq(Placed { step: 0, file: self.context.file, place, value: Value::Key(self) })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

pub(super) enum Value<'a> {
    Node(Decoder<'a>),
    Key(Key<'a>),
}

/// What [`crate::Spanned`] reads: file, line, column, width, value.
pub(super) struct Placed<'a> {
    pub(super) step: u8,
    pub(super) file: &'a str,
    pub(super) place: Place,
    pub(super) value: Value<'a>,
}

impl<'a> SeqAccess<'a> for Placed<'a> {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        self.step = self.step.saturating_add(1);
        let number = |value: u32| -> U32Deserializer<Problem> { value.into_deserializer() };
        let done = match self.step {
            1 => seed.deserialize(BorrowedStrDeserializer::new(self.file)),
            2 => seed.deserialize(number(self.place.line)),
            3 => seed.deserialize(number(self.place.column)),
            4 => seed.deserialize(number(self.place.width)),
            5 => match &self.value {
                Value::Node(decoder) => seed.deserialize(*decoder),
                Value::Key(key) => seed.deserialize(StrDeserializer::new(key.text)),
            },
            _ => return Ok(None),
        };
        done.map(Some)
    }
}
