//! The file that tells programs where the name servers are.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

/// Largest file written, in bytes: one page, which is replaced at one stroke.
const SIZE_MAX: usize = 4096;
/// Most of each that is written; the C library reads three servers and six domains.
const SERVERS_MAX: usize = 6;
const DOMAINS_MAX: usize = 6;

/// Render name servers and domains in the format of `resolv.conf(5)`; each once, in order.
#[must_use]
pub fn render(servers: &[IpAddr], search: &[String]) -> String {
    let mut text = String::new();
    let mut domains = Vec::new();
    for domain in search {
        if domains.len() < DOMAINS_MAX && !domains.contains(&domain.as_str()) {
            domains.push(domain);
        }
    }
    if !domains.is_empty() {
        text = format!("search {}\n", domains.join(" "));
    }
    let mut seen: Vec<&IpAddr> = Vec::new();
    for server in servers {
        if seen.len() < SERVERS_MAX && !seen.contains(&server) {
            seen.push(server);
            text.push_str(&format!("nameserver {server}\n"));
        }
    }
    if text.len() > SIZE_MAX { String::new() } else { text }
}

/// Replace the content of the file at `path`, and nothing but its content.
///
/// Containers bind-mount this file, and such a mount holds on to the inode: a new file renamed over it would never reach them.
/// So the same file is written, in one call that covers all of the old content, the rest filled with line ends that a resolver
/// passes over, and cut to length only then: a reader meets the old text or the new, never half of one.
///
/// # Errors
///
/// The file system's.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let old = usize::try_from(file.metadata()?.len()).unwrap_or(SIZE_MAX).min(SIZE_MAX);
    let mut covering = text.as_bytes().to_vec();
    covering.resize(covering.len().max(old), b'\n');
    file.write_all(&covering)?;
    file.set_len(text.len() as u64)
}
