//! How transfers are shown: bars on a terminal, lines elsewhere, nothing with `-q`.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::digest::Digest;
use crate::pull::{Progress, Silent};

/// Choose how to show transfers. All goes to stderr: stdout belongs to results.
#[must_use]
pub fn new(quiet: bool) -> Box<dyn Progress> {
    if quiet {
        Box::new(Silent)
    } else if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::default())
    }
}

/// Write a number of bytes for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// One bar per blob; those that are full give way to the next.
#[derive(Debug, Default)]
struct Bars {
    all: MultiProgress,
    open: Mutex<BTreeMap<Digest, ProgressBar>>,
}

impl Progress for Bars {
    fn start(&self, blob: &Digest, reference: &str, size: u64) {
        let bar = self.all.add(ProgressBar::new(size));
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix} {bar:30} {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12} {wide_msg}",
        ) {
            bar.set_style(style);
        }
        bar.set_prefix(blob.short());
        bar.set_message(reference.to_owned());
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(*blob, bar);
    }

    fn at(&self, blob: &Digest, bytes: u64) {
        if let Some(bar) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(blob) {
            bar.set_position(bytes);
        }
    }

    fn done(&self, blob: &Digest) {
        if let Some(bar) = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(blob) {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // After a failure some are still open; the error should not stand between them. A closed stderr hears nothing.
        let _ = self.all.clear();
    }
}

/// One line per blob, when it is there.
#[derive(Debug, Default)]
struct Lines {
    open: Mutex<BTreeMap<Digest, (String, u64, Instant)>>,
}

impl Progress for Lines {
    fn start(&self, blob: &Digest, reference: &str, size: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(*blob, (reference.to_owned(), size, Instant::now()));
    }

    fn at(&self, _: &Digest, _: u64) {}

    fn done(&self, blob: &Digest) {
        let entry = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(blob);
        if let Some((reference, size, since)) = entry {
            let seconds = since.elapsed().as_secs_f64();
            let line = format!("{} {} in {seconds:.1} s for {reference}\n", blob.short(), self::size(size));
            // Whether anybody reads stderr is none of a transfer's business.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}
