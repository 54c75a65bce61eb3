//! A tree becomes typed values, and every problem on the way becomes a diagnostic.
//!
//! Serde stops at the first error. So when a value is wrong, its branch is reported, cut off, and the tree decoded again, until
//! nothing wrong is left; what then decodes is the manifest without its errors, on which the checks of meaning can still run.

mod access;

use std::cell::Cell;

use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use self::access::{Entries, Halves, Items, Placed, Value};
use crate::node::{Kind, Node, shorten};
use crate::problem::{Problem, Problems, What};
use crate::span::SPANNED;

/// Name of a structure that is decoded in two halves; see [`Decoder::split`].
pub(crate) const SPLIT: &str = "$linuxkit_yaml::split";

/// Name of a newtype that takes the text of any scalar, whatever its type.
pub(crate) const SCALAR: &str = "$linuxkit_yaml::scalar";

/// Values looked at over all rounds. Bounds the time for a text full of problems; a text without any needs one round.
const MOST_VISITS: usize = 1_000_000;

/// How strictly scalars and keys are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As LinuxKit's JSON schema has it: text is text, numbers are numbers, null is nothing legal.
    Manifest,
    /// The same, but upper and lower case of keys do not matter: labels made by `linuxkit pkg build` carry Go's spelling.
    Label,
    /// As LinuxKit reads `build.yml`, without a schema: any scalar is text, null is absent, case of keys does not matter.
    Recipe,
}

/// What all rounds over one document share.
pub(crate) struct Context<'a> {
    file: &'a str,
    dialect: Dialect,
    visits: Cell<usize>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(file: &'a str, dialect: Dialect) -> Self {
        Self { file, dialect, visits: Cell::new(0) }
    }
}

/// Finds the problems of parts that can be decoded on their own, once it is known that there are any.
pub(crate) type Parts = fn(&Node, &Context<'_>, &mut Problems<'_>);

/// Decode `root` as far as it goes, adding what is wrong to `problems`.
///
/// In: `parts`, which spares a round over the whole document for every problem in a part. Out: the value, made from what is not
/// wrong; nothing if too little is left.
pub(crate) fn decode<T: DeserializeOwned>(
    root: &Node,
    context: &Context<'_>,
    problems: &mut Problems<'_>,
    parts: Option<Parts>,
) -> Option<T> {
    let mut parts = parts;
    loop {
        let problem = match T::deserialize(Decoder::new(root, context)) {
            Ok(value) => return Some(value),
            Err(problem) => *problem.0,
        };
        let at = problem.at.unwrap_or(root.at).position(context.file);
        let message = Problem::new(problem.what).to_string();
        if let Some(diagnostic) = (!problem.silent).then(|| problems.add(&at, message)).flatten() {
            diagnostic.code = problem.code;
            (diagnostic.hint, diagnostic.suggestion) = (problem.hint, problem.suggestion);
        }
        if !problem.cut {
            return None;
        }
        if context.visits.get() > MOST_VISITS {
            problems.give_up();
        }
        if problems.unfinished() {
            return None;
        }
        if let Some(parts) = parts.take() {
            parts(root, context, problems);
        }
    }
}

/// Find the problems of each item of a list, and cut items of which too little is left.
pub(crate) fn settle<T: DeserializeOwned>(list: &Node, context: &Context<'_>, problems: &mut Problems<'_>) {
    let Kind::List(items) = &list.kind else { return };
    for item in items.iter().filter(|item| !item.cut.get() && !matches!(item.kind, Kind::Null)) {
        if problems.unfinished() {
            return;
        }
        if decode::<T>(item, context, problems, None).is_none() {
            item.cut.set(true);
        }
    }
}

/// Which entries of a mapping a structure sees.
#[derive(Clone, Copy)]
enum Keys {
    All,
    Only(&'static [&'static str]),
    Except(&'static [&'static str]),
}

impl Keys {
    fn sees(self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.contains(&key),
            Self::Except(keys) => !keys.contains(&key),
        }
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    context: &'a Context<'a>,
    keys: Keys,
    /// The key whose value the node is; nothing for list items and the root.
    under: Option<&'a str>,
}

impl<'a> Decoder<'a> {
    fn new(node: &'a Node, context: &'a Context<'a>) -> Self {
        Self { node, context, keys: Keys::All, under: None }
    }

    fn relaxed(&self) -> bool {
        self.context.dialect == Dialect::Recipe
    }

    /// Report that this is not what the structure holds.
    fn wrong(&self, wanted: Wanted) -> Problem {
        if matches!(self.node.kind, Kind::Null) {
            return Problem::new(What::Nothing).hint(format!("omit the key or use `{}`", wanted.empty()));
        }
        let problem = Problem::wrong_type(format!("expected {}, found {}", wanted.name(), self.node.describe()));
        match (wanted, &self.node.kind) {
            (Wanted::Text, Kind::Bool(_, text) | Kind::Integer(_, text) | Kind::Float(_, text)) => {
                problem.hint(format!("quote it: \"{}\"", shorten(text)))
            }
            (Wanted::Bool, Kind::Text(text)) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => problem.hint("write `true`"),
                "no" | "off" | "n" | "false" => problem.hint("write `false`"),
                _ => problem,
            },
            (Wanted::List, Kind::Text(_)) => problem.hint("write a list: `- item` on a line of its own, or `[item]`"),
            _ => problem,
        }
    }

    fn text(&self) -> Result<&'a str, Problem> {
        match &self.node.kind {
            Kind::Text(text) => Ok(text),
            Kind::Null if self.relaxed() => Ok(""),
            _ if self.relaxed() => self.node.scalar().ok_or_else(|| self.wrong(Wanted::Text)),
            _ => Err(self.wrong(Wanted::Text)),
        }
    }

    fn boolean(&self) -> Result<bool, Problem> {
        match &self.node.kind {
            Kind::Bool(value, _) => Ok(*value),
            Kind::Text(text) if self.relaxed() => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" => Ok(true),
                "no" | "off" => Ok(false),
                _ => Err(self.wrong(Wanted::Bool)),
            },
            _ => Err(self.wrong(Wanted::Bool)),
        }
    }

    /// Give the integer; `1.0` is one, as it is for LinuxKit's schema.
    fn integer(&self) -> Result<i128, Problem> {
        match &self.node.kind {
            Kind::Integer(value, _) => Ok(*value),
            Kind::Float(value, _) if value.fract() == 0.0 && value.abs() < 9.0e15 => {
                // Whole and below 2^53: its decimal text is exact.
                format!("{value:.0}").parse().map_err(|_| self.wrong(Wanted::Integer))
            }
            Kind::Float(value, text) if value.fract() == 0.0 => Err(Self::too_long(text)),
            _ => Err(self.wrong(Wanted::Integer)),
        }
    }

    fn too_long(number: impl std::fmt::Display) -> Problem {
        Problem::message(format!("`{}` is out of range: expected an integer of 64 bits", shorten(&number.to_string())))
    }

    fn visit_integer<V: Visitor<'a>>(&self, visitor: V) -> Result<V::Value, Problem> {
        let value = self.integer()?;
        if let Ok(value) = u64::try_from(value) {
            visitor.visit_u64(value)
        } else if let Ok(value) = i64::try_from(value) {
            visitor.visit_i64(value)
        } else {
            Err(Self::too_long(value))
        }
    }

    fn items(&self) -> Result<Items<'a>, Problem> {
        match &self.node.kind {
            Kind::List(items) => Ok(Items { items: items.iter(), context: self.context }),
            Kind::Null if self.relaxed() => Ok(Items { items: [].iter(), context: self.context }),
            _ => Err(self.wrong(Wanted::List)),
        }
    }

    fn entries(&self, fields: Option<(&'static str, &'static [&'static str])>) -> Result<Entries<'a>, Problem> {
        let entries = match &self.node.kind {
            Kind::Map(entries) => entries.iter(),
            Kind::Null if self.relaxed() => [].iter(),
            _ => return Err(self.wrong(Wanted::Map)),
        };
        Ok(Entries { entries, current: None, owner: *self, fields })
    }

    /// Decode one mapping into two structures: what is not in `head` first, then what is.
    ///
    /// Serde's own `flatten` would do, but it copies everything and forgets every position. The rest comes first because a
    /// head without a required key ends the work on the whole mapping.
    fn split<V: Visitor<'a>>(self, head: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        let halves = [Self { keys: Keys::Except(head), ..self }, Self { keys: Keys::Only(head), ..self }];
        visitor.visit_seq(Halves(halves.into_iter()))
    }

    /// Name the mapping: by its key, or by what its type `name` is called, `a container` for `ContainerConfig`.
    fn noun(&self, name: &str) -> String {
        if let Some(key) = self.under {
            return format!("`{}`", shorten(key));
        }
        let mut words = String::new();
        for c in name.strip_suffix("Config").unwrap_or(name).chars() {
            if c.is_ascii_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.push(c.to_ascii_lowercase());
        }
        let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {words}")
    }

    /// Add to a problem what only the mapping knows: its name, its place, and whether the problem follows from another.
    fn complete(&self, name: &str, mut problem: Problem) -> Problem {
        let inner = &mut *problem.0;
        if inner.at.is_none() {
            inner.at = Some(self.node.at);
            if let What::Missing(key) = &inner.what {
                inner.silent = self.node.excused.borrow().contains(key);
                inner.what = What::Message(format!("`{key}` is missing in {}", self.noun(name)));
            }
        }
        problem
    }
}

/// What a structure wants of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Text,
    Bool,
    Integer,
    List,
    Map,
    Scalar,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bool => "`true` or `false`",
            Self::Integer => "an integer",
            Self::List => "a list",
            Self::Map => "a mapping",
            Self::Scalar => "a single value",
        }
    }

    fn empty(self) -> &'static str {
        match self {
            Self::Text | Self::Scalar => "\"\"",
            Self::Bool => "false",
            Self::Integer => "0",
            Self::List => "[]",
            Self::Map => "{}",
        }
    }
}

/// Forward all integer types to one method.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
            self.visit_integer(visitor)
        })*
    };
}

impl<'a> Deserializer<'a> for Decoder<'a> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.node.kind {
            Kind::Null if self.relaxed() => visitor.visit_unit(),
            Kind::Null => Err(self.wrong(Wanted::Scalar)),
            Kind::Bool(value, _) => visitor.visit_bool(*value),
            Kind::Integer(..) => self.visit_integer(visitor),
            Kind::Float(value, _) => visitor.visit_f64(*value),
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(_) => visitor.visit_seq(self.items()?),
            Kind::Map(_) => visitor.visit_map(self.entries(None)?),
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_bool(self.boolean()?)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.node.kind {
            Kind::Float(value, _) => visitor.visit_f64(*value),
            _ => self.visit_integer(visitor),
        }
    }

    fn deserialize_char<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.node.kind {
            Kind::Null if self.relaxed() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.node.kind {
            Kind::Null => visitor.visit_unit(),
            _ => Err(Problem::wrong_type(format!("expected nothing, found {}", self.node.describe()))),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        match name {
            SPANNED => {
                let place = self.node.at;
                visitor.visit_seq(Placed { step: 0, file: self.context.file, place, value: Value::Node(self) })
            }
            SCALAR => match self.node.scalar() {
                Some(text) => visitor.visit_borrowed_str(text),
                None => Err(self.wrong(Wanted::Scalar)),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(self.items()?)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_map(self.entries(None)?)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if name == SPLIT {
            return self.split(fields, visitor);
        }
        let entries = self.entries(Some((name, fields)))?;
        visitor.visit_map(entries).map_err(|problem| self.complete(name, problem))
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
}
