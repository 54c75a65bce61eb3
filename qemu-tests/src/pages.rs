//! Servers on the link of a machine, as clouds have them: what they answer is data, in a file beside the case.
//!
//! QEMU starts a program for every connection that a machine makes to one of their addresses, and hands it the connection as standard
//! input and output. That program is this one, under the word [`WORD`].

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use anyhow::Context;
use serde::Deserialize;

/// First argument by which the tests' program recognises that it is to answer one request; the pages' file follows.
pub const WORD: &str = "answer-one-request";

/// Addresses of such servers.
const SERVERS: [&str; 2] = ["169.254.169.254", "169.254.42.42"];

/// Longest head of a request, in bytes.
const HEAD: u64 = 16 << 10;

/// One page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Path and query; a `*` at its end stands for anything.
    pub path: String,
    /// What is done with it.
    #[serde(default = "get")]
    pub method: String,
    /// Headers that a request must have, or it is answered with 401: lower-case name, and value.
    #[serde(default)]
    pub needs: Vec<(String, String)>,
    /// The answer's status.
    #[serde(default = "ok")]
    pub status: u16,
    /// More headers of the answer.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// What is sent.
    #[serde(default)]
    pub body: String,
    /// How many bytes are announced; those that are sent if absent.
    pub length: Option<u64>,
    /// Seconds until the answer.
    #[serde(default)]
    pub after: u64,
}

fn get() -> String {
    "GET".to_owned()
}

fn ok() -> u16 {
    200
}

/// Give QEMU's arguments for a network card on a link that has these servers, and on which addresses are given out.
///
/// # Errors
///
/// This program does not know where it lies.
pub fn network(pages: &Path) -> anyhow::Result<Vec<OsString>> {
    let program = env::current_exe().context("could not tell which program this is")?;
    // Not 169.254.0.0/16: that would make the machine's own address one that leads nowhere else.
    let mut netdev = "user,id=link,net=169.0.0.0/8,host=169.0.0.2,dns=169.0.0.3,dhcpstart=169.0.0.15".to_owned();
    for server in SERVERS {
        netdev += &format!(",guestfwd=tcp:{server}:80-cmd:{} {WORD} {}", program.display(), pages.display());
    }
    let words = ["-netdev", &netdev, "-device", "virtio-net-pci,netdev=link,romfile="];
    Ok(words.map(OsString::from).to_vec())
}

/// Answer one request if a program's arguments ask for it. Out: nothing if they ask for something else.
#[must_use]
pub fn requested(args: &[OsString]) -> Option<anyhow::Result<()>> {
    match args {
        [_, word, pages] if word == WORD => Some(answer(&PathBuf::from(pages), io::stdin(), io::stdout())),
        _ => None,
    }
}

fn answer(pages: &Path, request: impl Read, mut out: impl Write) -> anyhow::Result<()> {
    let text = fs::read_to_string(pages).with_context(|| format!("could not read `{}`", pages.display()))?;
    let pages: Vec<Page> =
        serde_saphyr::from_str(&text).with_context(|| format!("`{}` is no list of pages", pages.display()))?;
    let lines = BufReader::new(request.take(HEAD)).lines();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let mut words = head.first().map(|line| line.split(' ')).context("nothing was asked")?;
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let fits = |page: &&Page| match page.path.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => page.path == path,
    };
    let Some(page) = pages.iter().filter(|page| page.method == method).find(fits) else {
        return Ok(out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?);
    };
    let has = |(name, value): &(String, String)| {
        let headers = head.iter().skip(1).filter_map(|line| line.split_once(": "));
        headers.into_iter().any(|(known, found)| known.eq_ignore_ascii_case(name) && found == value)
    };
    if !page.needs.iter().all(has) {
        return Ok(out.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?);
    }
    thread::sleep(Duration::from_secs(page.after));
    let headers: String = page.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = page.length.unwrap_or(page.body.len() as u64);
    let head =
        format!("HTTP/1.1 {} Whatever\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n", page.status);
    out.write_all(head.as_bytes())?;
    Ok(out.write_all(page.body.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pages: &str, request: &str) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), pages).expect("a writable file");
        let mut out = Vec::new();
        answer(file.path(), request.as_bytes(), &mut out).expect("an answer");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_page_is_found_by_method_path_and_headers() {
        let pages = "- {path: /a, needs: [[token, x]], body: hello}\n- {path: /b*, status: 500}\n";
        assert!(asked(pages, "GET /a HTTP/1.1\r\nToken: x\r\n\r\n").ends_with("\r\n\r\nhello"));
        for (request, status) in [("GET /a HTTP/1.1", 401), ("PUT /a HTTP/1.1", 404), ("GET /bcd HTTP/1.1", 500)] {
            let answer = asked(pages, &format!("{request}\r\n\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }
}
