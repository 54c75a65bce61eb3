//! Questions to a service of the guest, over a published port.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Most bytes read of an answer.
const LONGEST: u64 = 1 << 20;

/// How long one answer may take; then the question is put again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a port that is to say nothing must keep a connection.
const HELD: Duration = Duration::from_millis(200);

/// Time between a refused question and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Characters of an answer that are shown.
const SHOWN: usize = 200;

/// Why an answer was not the right one, in a sentence without a full stop.
pub type Complaint = String;

/// Ask until the answer is right or the time is over.
///
/// The user network accepts a connection before the guest does, so a service that is not up yet shows as a connection
/// that closes at once.
///
/// # Errors
///
/// What was wrong with the last answer.
pub fn until<T>(deadline: Instant, mut ask: impl FnMut() -> Result<T, Complaint>) -> Result<T, Complaint> {
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(complaint) if Instant::now() >= deadline => return Err(complaint),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Send bytes to a port of 127.0.0.1 and read until the answer contains a text. Without a text the connection has to stay open for a
/// moment, or bring anything.
///
/// # Errors
///
/// There was no connection, or the connection ended without it.
pub fn tcp(port: u16, send: &[u8], contains: Option<&str>) -> Result<(), Complaint> {
    let mut stream = connect(port, if contains.is_some() { PATIENCE } else { HELD })?;
    stream.write_all(send).map_err(|cause| format!("could not send the question: {cause}"))?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !contains.is_some_and(|text| String::from_utf8_lossy(&answer).contains(text)) {
        match (stream.read(&mut buffer), contains) {
            (Ok(1..), None) => return Ok(()),
            (Err(cause), None) if is_late(&cause) => return Ok(()),
            (Ok(count @ 1..), Some(_)) if (answer.len() as u64) < LONGEST => answer.extend_from_slice(&buffer[..count]),
            (Ok(0), _) if answer.is_empty() => return Err("the connection was closed without an answer".to_owned()),
            (Ok(_), _) => {
                return Err(format!("the answer lacks `{}`: {}", contains.unwrap_or_default(), shown(&answer)));
            }
            (Err(cause), _) if is_late(&cause) => return Err(format!("no whole answer came: {}", shown(&answer))),
            (Err(cause), _) => return Err(format!("no whole answer came: {cause}")),
        }
    }
    Ok(())
}

/// Fetch a page from a port of 127.0.0.1 and make sure that it has a status and contains a text. Out: its body.
///
/// # Errors
///
/// There was no answer, another status, or not the text.
pub fn http(port: u16, path: &str, status: u16, contains: Option<&str>) -> Result<String, Complaint> {
    let mut stream = connect(port, PATIENCE)?;
    // In one piece: a server that answers the first line would reset the connection on the rest.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|cause| format!("could not send the request: {cause}"))?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).map_err(|cause| {
        let late = format!("no answer came in {} s", PATIENCE.as_secs());
        if is_late(&cause) { late } else { format!("no answer came: {cause}") }
    })?;
    if answer.is_empty() {
        return Err("the connection was closed without an answer".to_owned());
    }
    let text = String::from_utf8_lossy(&answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(format!("the answer is not HTTP: {}", shown(&answer)));
    };
    let found = head.split_ascii_whitespace().nth(1).unwrap_or_default();
    if found != status.to_string() {
        return Err(format!("`{path}` was answered with {found}, not with {status}"));
    }
    match contains.filter(|text| !body.contains(text)) {
        Some(text) => Err(format!("`{path}` lacks `{text}`: {}", shown(body.as_bytes()))),
        None => Ok(body.to_owned()),
    }
}

fn connect(port: u16, patience: Duration) -> Result<TcpStream, Complaint> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE);
    let stream = stream.and_then(|stream| stream.set_read_timeout(Some(patience)).map(|()| stream));
    stream.map_err(|cause| format!("could not connect to {address}: {cause}"))
}

fn is_late(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Shorten foreign bytes for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let short: String = text.trim().chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let more = if text.trim().chars().nth(SHOWN).is_some() { "..." } else { "" };
    format!("`{short}{more}`")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answer one connection with `words`, whatever it says.
    fn server(words: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(words);
        });
        port
    }

    #[test]
    fn a_page_is_right_by_status_and_text() {
        let page = b"HTTP/1.1 200 OK\r\n\r\nhello";
        assert_eq!(http(server(page), "/", 200, Some("hell")).as_deref(), Ok("hello"));
        assert_eq!(http(server(page), "/", 200, Some("x")), Err("`/` lacks `x`: `hello`".to_owned()));
        assert_eq!(http(server(page), "/a", 404, None), Err("`/a` was answered with 200, not with 404".to_owned()));
        assert_eq!(http(server(b"nonsense"), "/", 200, None), Err("the answer is not HTTP: `nonsense`".to_owned()));
        assert_eq!(http(server(b""), "/", 200, None), Err("the connection was closed without an answer".to_owned()));
    }

    #[test]
    fn a_port_is_right_by_what_it_says() {
        assert_eq!(tcp(server(b"+PONG\r\n"), b"PING\r\n", Some("PONG")), Ok(()));
        assert_eq!(
            tcp(server(b"+NO\r\n"), b"PING\r\n", Some("PONG")),
            Err("the answer lacks `PONG`: `+NO`".to_owned())
        );
        assert_eq!(tcp(server(b""), b"x", None), Err("the connection was closed without an answer".to_owned()));
        assert_eq!(tcp(server(b"SSH-2.0"), b"x", None), Ok(()));
    }
}
