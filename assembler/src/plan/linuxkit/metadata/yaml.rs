//! YAML as yaml.v2 writes it (`encode.go`, `emitterc.go`, `sorter.go`): two spaces, dashes not indented, lines folded
//! at the first space behind column 80.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

use super::model::Node;
use super::resolve::is_text;

/// Column behind which a line is folded.
const WIDTH: usize = 80;

/// Longest key, in bytes, that is written without a question mark.
const LONGEST_KEY: usize = 128;

/// Write a tree as a document.
pub(super) fn to_string(root: &Node) -> String {
    let mut emitter = Emitter { out: String::new(), column: 0, whitespace: true, indention: true };
    emitter.node(root, None, false);
    emitter.indent(0);
    emitter.out
}

/// Sort pairs by key in the order of yaml.v2, numbers in keys by their value.
pub(super) fn sort(pairs: &mut [(String, Node)]) {
    // The order need not be a total one, which the sorts of the standard library may refuse; Go's sort of up to twelve
    // items is by insertion, as this one is.
    for end in 1..pairs.len() {
        let mut at = end;
        while at > 0 && pairs.get(at).zip(pairs.get(at - 1)).is_some_and(|(this, last)| less(&this.0, &last.0)) {
            pairs.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Whether a key goes before another.
fn less(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len() < b.len() };
    let (here, there) = (a[at], b[at]);
    match (here.is_alphabetic(), there.is_alphabetic()) {
        (true, true) => return here < there,
        (false, false) => {}
        (_, letter) => return letter,
    }
    // Behind a digit other than 0, a 0 is a digit of the same number and not one that leads it.
    let before = a[..at].iter().rev().take_while(|letter| letter.is_ascii_digit());
    let inside = (here == '0' || there == '0') && before.into_iter().any(|digit| *digit != '0');
    let number = |text: &[char]| {
        let digits = text[at..].iter().map_while(|letter| letter.to_digit(10));
        digits.fold((i64::from(inside), 0_usize), |(number, count), digit| {
            (number.wrapping_mul(10).wrapping_add(i64::from(digit)), count + 1)
        })
    };
    number(&a).cmp(&number(&b)).then(here.cmp(&there)) == Ordering::Less
}

/// What may be done with a text.
struct Analysis {
    plain: bool,
    single: bool,
    literal: bool,
    multiline: bool,
}

/// Whether a character ends a line.
fn is_break(letter: char) -> bool {
    matches!(letter, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character may stand unescaped.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Find out which styles hold a text.
fn analyze(text: &str) -> Analysis {
    if text.is_empty() {
        return Analysis { plain: true, single: true, literal: false, multiline: false };
    }
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let mut special = false;
    let mut multiline = false;
    let (mut break_space, mut space_break) = (false, false);
    let mut before = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let blank_after = letters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        let blank_before = before.is_none_or(|letter| matches!(letter, ' ' | '\t' | '\0') || is_break(letter));
        indicators |= match letter {
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                before.is_none()
            }
            '#' => blank_before,
            ':' => blank_after,
            '?' | '-' => before.is_none() && blank_after,
            _ => false,
        };
        special |= !is_printable(letter);
        multiline |= is_break(letter);
        break_space |= letter == ' ' && before.is_some_and(is_break);
        space_break |= is_break(letter) && before == Some(' ');
        before = Some(letter);
    }
    let edge = |letter: Option<char>| letter.is_some_and(|letter| letter == ' ' || is_break(letter));
    let edges = edge(text.chars().next()) || edge(text.chars().next_back());
    let unquotable = space_break || special;
    Analysis {
        plain: !(edges || break_space || unquotable || multiline || indicators),
        single: !(break_space || unquotable),
        literal: !(text.ends_with(' ') || unquotable),
        multiline,
    }
}

/// The document so far, and where its last line stands.
struct Emitter {
    out: String,
    column: usize,
    /// The last character written was white space.
    whitespace: bool,
    /// Only white space and dashes were written on this line.
    indention: bool,
}

impl Emitter {
    fn put(&mut self, letter: char) {
        self.out.push(letter);
        self.column = if is_break(letter) { 0 } else { self.column.saturating_add(1) };
    }

    /// Go to a column, on a new line unless this one is still free up to there.
    fn indent(&mut self, to: usize) {
        if !self.indention || self.column > to || (self.column == to && !self.whitespace) {
            self.put('\n');
        }
        while self.column < to {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, spaced: bool, whitespace: bool, indention: bool) {
        if spaced && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|letter| self.put(letter));
        self.whitespace = whitespace;
        self.indention &= indention;
    }

    /// Write a value inside of something indented by `outer`, which is nothing for the document.
    fn node(&mut self, node: &Node, outer: Option<usize>, in_map: bool) {
        let inner = outer.map_or(0, |outer| outer.saturating_add(2));
        match node {
            Node::Null => self.plain("null", inner, true),
            Node::Bool(value) => self.plain(if *value { "true" } else { "false" }, inner, true),
            Node::Int(value) => self.plain(&value.to_string(), inner, true),
            Node::Text(text) => self.text(text, outer.map_or(2, |_| inner), false),
            Node::List(items) if items.is_empty() => self.empty("[", "]"),
            Node::Map(pairs) if pairs.is_empty() => self.empty("{", "}"),
            Node::List(items) => {
                let at = outer.filter(|_| in_map && !self.indention).unwrap_or(inner);
                for item in items {
                    self.indent(at);
                    self.indicator("-", true, false, true);
                    self.node(item, Some(at), false);
                }
            }
            Node::Map(pairs) => {
                for (key, value) in pairs {
                    self.indent(inner);
                    if key.len() <= LONGEST_KEY && !analyze(key).multiline {
                        self.text(key, inner, true);
                        self.indicator(":", false, false, false);
                    } else {
                        self.indicator("?", true, false, true);
                        self.text(key, inner.saturating_add(2), false);
                        self.indent(inner);
                        self.indicator(":", true, false, true);
                    }
                    self.node(value, Some(inner), true);
                }
            }
        }
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    /// Write a text in the style yaml.v2 chooses.
    fn text(&mut self, text: &str, indent: usize, key: bool) {
        let can = analyze(text);
        if text.contains('\n') && can.literal && !key {
            self.literal(text, indent);
        } else if text.contains('\n') || !is_text(text) {
            self.double(text, indent, !key);
        } else if can.plain {
            self.plain(text, indent, !key);
        } else if can.single && !(key && can.multiline) {
            self.single(text, indent, !key);
        } else {
            self.double(text, indent, !key);
        }
    }

    /// Whether a line is folded at a space.
    fn folds(&self, spaces: bool, fold: bool) -> bool {
        fold && !spaces && self.column > WIDTH
    }

    fn plain(&mut self, text: &str, indent: usize, fold: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.flow(text, indent, fold, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("'", true, false, false);
        self.flow(text, indent, fold, true);
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    /// Write what plain and single-quoted texts have in common.
    fn flow(&mut self, text: &str, indent: usize, fold: bool, quoted: bool) {
        let (mut spaces, mut breaks) = (false, false);
        let mut letters = text.chars().peekable();
        let mut first = true;
        while let Some(letter) = letters.next() {
            if letter == ' ' {
                let edge = quoted && (first || letters.peek().is_none());
                if self.folds(spaces, fold) && !edge && letters.peek() != Some(&' ') {
                    self.indent(indent);
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(letter) {
                self.put(letter);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if quoted && letter == '\'' {
                    self.put('\'');
                }
                self.put(letter);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
            first = false;
        }
    }

    fn double(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        let mut letters: Peekable<Chars<'_>> = text.chars().peekable();
        let mut first = true;
        while let Some(letter) = letters.next() {
            if letter == ' ' {
                if self.folds(spaces, fold) && !first && letters.peek().is_some() {
                    self.indent(indent);
                    if letters.peek() == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                if !is_printable(letter) || is_break(letter) || matches!(letter, '"' | '\\') {
                    escape(letter).chars().for_each(|letter| self.put(letter));
                } else {
                    self.put(letter);
                }
                spaces = false;
            }
            first = false;
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true, false, false);
        if text.starts_with(|letter| letter == ' ' || is_break(letter)) {
            self.indicator("2", false, false, false);
        }
        let mut back = text.chars().rev();
        let (last, next) = (back.next().is_some_and(is_break), back.next().is_none_or(is_break));
        if !last {
            self.indicator("-", false, false, false);
        } else if next {
            self.indicator("+", false, false, false);
        }
        self.put('\n');
        self.whitespace = true;
        self.indention = true;
        let mut breaks = true;
        for letter in text.chars() {
            if is_break(letter) {
                self.put(letter);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(letter);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

/// Escape a character for double quotes.
fn escape(letter: char) -> String {
    let short = match letter {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => letter,
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(letter);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}
