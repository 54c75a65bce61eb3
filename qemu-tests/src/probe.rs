//! Questions to a service of the guest, over a published port.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::case::Http;

/// Most bytes read of an answer.
const LONGEST: u64 = 1 << 20;

/// How long one answer may take; then the question is put again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between a refused question and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Ask until the answer is right or the time is over.
///
/// The user network accepts a connection before the guest does, so a service that is not up yet shows as a connection
/// that closes at once.
///
/// # Errors
///
/// What was wrong with the last answer.
pub fn until<T>(deadline: Instant, mut ask: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Send bytes to a port and read until the answer contains a text.
///
/// # Errors
///
/// There was no connection, or the connection ended without it.
pub fn tcp(port: u16, send: &[u8], contains: &str) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("could not connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(send).context("could not send the question")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains(contains) {
        let count = stream.read(&mut buffer).context("no whole answer came")?;
        let so_far = String::from_utf8_lossy(&answer);
        ensure!(count > 0 && answer.len() as u64 <= LONGEST, "the answer lacks `{contains}`: `{so_far}`");
        answer.extend_from_slice(&buffer[..count]);
    }
    Ok(())
}

/// Fetch a page and make sure that it is there and contains a text; return its body.
///
/// # Errors
///
/// There was no answer, no 200, or not the text.
pub fn http(port: u16, page: &Http) -> anyhow::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("could not connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n", page.path)?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).context("no answer came")?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("the answer is not HTTP: `{answer}`") };
    let status = head.split_ascii_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "`{}` was answered with {status}", page.path);
    ensure!(body.contains(&page.contains), "`{}` lacks `{}`: `{body}`", page.path, page.contains);
    Ok(body.to_owned())
}
