//! Finding out whether a container works: the whole life of a helper process. In: the container's process. Out: an exit code for PID 1,
//! and for people a line that says why it is not 0.
//!
//! Nothing here watches the time. Whoever takes too long is killed by PID 1.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::ThreadNameSpaceType;

use super::exec;
use crate::contract::{Container, Filter, Probe};

/// Longest status line that is read, in bytes; real ones have some 20.
const LONGEST_STATUS: u64 = 1024;

/// Probe a container.
///
/// In: `filter`, what decides over its system calls; its first process; `broken`, what already failed while the helper was set up. Out: 0 if it works.
pub fn probe(
    container: &Container,
    filter: Option<&Filter>,
    (pid, target): (u32, &OwnedFd),
    broken: Option<io::Error>,
) -> i32 {
    let Some(check) = &container.health else { return 0 };
    let result = match (broken, &check.probe) {
        (Some(cause), _) => Err(cause),
        (None, Probe::Exec(words)) => exec::run(&container.spec, filter, (pid, target), words),
        (None, Probe::Tcp(addresses)) => join_network(target).and_then(|()| connect(addresses)).map(|_| 0),
        (None, Probe::Http { addresses, host, path }) => join_network(target)
            .and_then(|()| connect(addresses))
            .and_then(|stream| get(stream, host, path))
            .map(|()| 0),
    };
    result.unwrap_or_else(|cause| {
        let _ = writeln!(io::stdout(), "{cause}");
        1
    })
}

fn join_network(target: &OwnedFd) -> io::Result<()> {
    Ok(rustix::thread::move_into_thread_name_spaces(target.as_fd(), ThreadNameSpaceType::NETWORK)?)
}

/// Connect to the first address that takes it. The error names the last that did not.
fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(cause) => failed = io::Error::new(cause.kind(), format!("{address}: {cause}")),
        }
    }
    Err(failed)
}

/// Ask for a page. Whatever follows the status is not read.
fn get(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<()> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: hullkit\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST_STATUS)).read_until(b'\n', &mut line)?;
    let line = String::from_utf8_lossy(&line);
    match status(&line) {
        Some(200..=399) => Ok(()),
        Some(_) => Err(io::Error::other(line.trim_end().to_owned())),
        None => Err(io::Error::other("the answer is not HTTP")),
    }
}

/// Read the number of a status line: `HTTP/1.1 200 OK`.
///
/// # Source
///
/// RFC 9112, 4.
fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    let number = rest.get(..3).filter(|_| rest.get(3..4).is_none_or(|next| next.trim().is_empty()))?;
    version.starts_with("HTTP/1.").then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that answers with this text, whatever it is asked.
    struct Answers(&'static [u8], Vec<u8>);

    impl Read for Answers {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Answers {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_status_below_400_is_success_and_any_other_is_told() {
        let cases: [(&[u8], Result<(), &str>); 9] = [
            (b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody", Ok(())),
            (b"HTTP/1.0 204\r\n", Ok(())),
            (b"HTTP/1.1 302 Found", Ok(())),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Err("HTTP/1.1 503 Service Unavailable")),
            (b"HTTP/1.1 100 Continue\r\n\r\n", Err("HTTP/1.1 100 Continue")),
            (b"HTTP/1.1 2000\r\n", Err("the answer is not HTTP")),
            (b"-ERR unknown command\r\n", Err("the answer is not HTTP")),
            (b"", Err("the answer is not HTTP")),
            (&[b'x'; 5000], Err("the answer is not HTTP")),
        ];
        for (answer, want) in cases {
            let got = get(Answers(answer, Vec::new()), "localhost:80", "/").map_err(|error| error.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn the_first_address_that_takes_a_connection_is_asked() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = server.local_addr().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(connect(&[closed, open]).unwrap().peer_addr().unwrap(), open);
        let error = connect(&[closed]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{closed}: ")), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".*") {
            let _ = status(&line);
        }
    }
}
