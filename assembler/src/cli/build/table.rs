//! What a build tells at its end.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::progress::size;
use crate::write::listing::What;
use crate::write::output::Written;

/// One file of a build.
#[derive(Debug, Clone)]
pub struct Built {
    /// What it is, and how long it took to make; a list of the others is neither.
    pub what: Option<(What, Duration)>,
    /// Where it is.
    pub file: Written,
}

/// Write a table for people: on its own where there are digests, else the lines that LinuxKit's users know.
pub(super) fn text(built: &[Built]) -> String {
    let mut text = String::new();
    if built.iter().all(|one| one.file.digest.is_none()) {
        for one in built {
            // A String takes all.
            let _ = writeln!(text, "{}\t{}", one.file.path.display(), size(one.file.size));
        }
        return text;
    }
    let head = ["FILE", "SIZE", "ON DISK", "SECONDS", "SHA256"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(built.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    for [path, size, allocated, seconds, digest] in &rows {
        let [one, two, three, four] = widths;
        let _ = writeln!(text, "{path:one$}  {size:>two$}  {allocated:>three$}  {seconds:>four$}  {digest}");
    }
    text
}

fn row(built: &Built) -> [String; 5] {
    let file = &built.file;
    let seconds = built.what.map(|(_, time)| format!("{:.2}", time.as_secs_f64())).unwrap_or_default();
    let digest = file.digest.map(|digest| digest.hex()).unwrap_or_default();
    [file.path.display().to_string(), size(file.size), size(file.allocated), seconds, digest]
}

/// Write the same for programs.
pub(super) fn json(built: &[Built]) -> serde_json::Value {
    let rows = built.iter().map(|one| {
        let file = &one.file;
        let mut row = serde_json::json!({"path": file.path, "size": file.size, "allocated": file.allocated});
        if let Some((what, time)) = one.what {
            row["format"] = what.format.name().into();
            row["arch"] = what.arch.name().into();
            row["seconds"] = time.as_secs_f64().into();
        }
        if let Some(digest) = file.digest {
            row["sha256"] = digest.hex().into();
        }
        row
    });
    rows.collect()
}
