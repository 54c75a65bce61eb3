//! Web servers that do not behave as they should towards a host that fetches its root.

use std::io::{Cursor, Read};

use serde::Deserialize;

use hullkit::vm::Web;

/// What a host fetches itself; all else is fetched by its loader.
const ROOT: &str = "-root.img";

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manners {
    /// It ends its first answer with the root in the middle.
    Breaks,
    /// One byte of the root is not what it was.
    Damages,
}

impl Manners {
    /// Let a server behave so from now on.
    pub fn teach(self, web: &Web) {
        let mut breaks = self == Self::Breaks;
        web.misbehave(Box::new(move |name, length, mut part| {
            if !name.ends_with(ROOT) {
                return part;
            }
            if std::mem::take(&mut breaks) {
                return Box::new(part.take(length / 2));
            }
            let mut first = [0];
            if self == Self::Damages && part.read_exact(&mut first).is_ok() {
                return Box::new(Cursor::new([first[0] ^ 1]).chain(part));
            }
            part
        }));
    }
}
