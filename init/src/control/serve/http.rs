//! The child that shows the host's figures to whoever asks over HTTP. In: requests from anywhere. Out: the answer of PID 1, which it
//! asks as `hullctl metrics` does. One request at a time, each with little time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::boot::BootError;
use crate::host::{Host, Kind};
use crate::hullctl;
use crate::sys::Sys;

/// How long a caller may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest request that is read, in bytes.
const LONGEST: usize = 8 << 10;

/// Type of Prometheus' text format.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Start the child, if the host is to have it.
///
/// # Errors
///
/// None: a host does its work without.
pub fn start<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if host.contract.metrics.is_some() {
        let position = host.add(Kind::Metrics, "metrics");
        host.start(position);
    }
    Ok(())
}

/// Answer for ever.
///
/// # Errors
///
/// The port cannot be had.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming() {
        // Whoever breaks off has no answer; the next one does.
        let _ = stream.and_then(|stream| answer(&stream, || hullctl::metrics().map_err(io::Error::other)));
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, metrics: impl FnOnce() -> io::Result<String>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while request.len() < LONGEST && !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let (status, body) = match page(&request) {
        Page::Metrics => match metrics() {
            Ok(text) => ("200 OK", text),
            Err(cause) => ("503 Service Unavailable", format!("{cause}\n")),
        },
        Page::None => ("404 Not Found", "the figures are at /metrics\n".to_owned()),
        Page::Wrong => ("400 Bad Request", "GET /metrics is what is understood here\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {TYPE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[derive(Debug, PartialEq, Eq)]
enum Page {
    Metrics,
    None,
    Wrong,
}

/// What a request asks for (RFC 9112, 3).
fn page(request: &[u8]) -> Page {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next().map(|version| version.starts_with("HTTP/1."))) {
        (Some("GET"), Some(path), Some(true)) if path.split('?').next() == Some("/metrics") => Page::Metrics,
        (Some("GET"), Some(_), Some(true)) => Page::None,
        _ => Page::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_page_is_there() {
        let cases: [(&[u8], Page); 6] = [
            (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Page::Metrics),
            (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", Page::Metrics),
            (b"GET / HTTP/1.1\r\n\r\n", Page::None),
            (b"POST /metrics HTTP/1.1\r\n\r\n", Page::Wrong),
            (b"GET /metrics\r\n", Page::Wrong),
            (b"\xff\xfe", Page::Wrong),
        ];
        for (request, want) in cases {
            assert_eq!(page(request), want, "{}", String::from_utf8_lossy(request));
        }
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        caller.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let (stream, _) = listener.accept().unwrap();
        answer(&stream, || Ok("x 1\n".to_owned())).unwrap();
        drop(stream);
        let mut text = String::new();
        caller.read_to_string(&mut text).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n")
                && text.ends_with("Content-Length: 4\r\nConnection: close\r\n\r\nx 1\n")
        );
    }
}
