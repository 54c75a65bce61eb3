//! What is mounted where.
//!
//! # Source
//!
//! proc(5), `/proc/PID/mountinfo`.

use std::fs;

use crate::one;

/// Type, options and propagation of what is mounted on exactly this path, the last if there are several.
pub(crate) fn mount(path: &str) -> Vec<(String, String)> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found = table.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let fields: Vec<&str> = left.split(' ').collect();
        (*fields.get(4)? == path).then(|| {
            let tags: Vec<&str> = fields[6..].iter().filter_map(|tag| tag.split(':').next()).collect();
            let propagation = if tags.is_empty() { "private".to_owned() } else { tags.join("+") };
            format!("{} {} {propagation}", right.split(' ').next().unwrap_or_default(), fields[5])
        })
    });
    one(format!("mount.{path}"), found.next_back().unwrap_or_else(|| "none".to_owned()))
}
