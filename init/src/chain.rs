//! An error as PID 1's children tell it.

/// Write an error and its causes in one line, without what could move a cursor.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
