//! How a failure is told: the chain of causes once, then what the user can do.

use std::fmt::Write as _;
use std::io;

use crate::manifest::ReadError;
use crate::plan::PlanError;
use crate::pull::PullError;

/// Write an error and its causes, one a line, no text twice, then a hint if there is one.
#[must_use]
pub fn report(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let said = cause.to_string();
        if !last.contains(&said) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n  caused by: {said}");
        }
        last = said;
    }
    if let Some(hint) = error.chain().find_map(hint) {
        let _ = write!(text, "\nhint: {hint}");
    }
    text
}

/// Tell whether an error is that nobody reads standard output any more. Broken connections of a registry are a
/// [`PullError`]'s cause and do not count.
#[must_use]
pub fn reader_left(error: &anyhow::Error) -> bool {
    let written = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let printed = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    written.or(printed) == Some(io::ErrorKind::BrokenPipe)
}

/// What the user can do about one error of a chain.
fn hint(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(PlanError::Image { cause, .. }) = error.downcast_ref() {
        return cause.hint();
    }
    if let Some(ReadError::Fetch(cause)) = error.downcast_ref() {
        return cause.hint();
    }
    error.downcast_ref::<PullError>()?.hint()
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::report;

    #[test]
    fn every_cause_is_told_once() {
        let inner: anyhow::Result<()> = Err(anyhow::anyhow!("no space left"));
        let error = inner.context("no space left").context("could not write `x`").unwrap_err();
        assert_eq!(report(&error), "error: could not write `x`\n  caused by: no space left");
    }
}
