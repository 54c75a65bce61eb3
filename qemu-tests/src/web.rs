//! A web server on the loopback, from which a machine boots: the files of one build, whole or in ranges.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Context;
use serde::Deserialize;

/// Under which address a machine sees the loopback of the host it runs on (QEMU, "Network emulation", user mode).
const GATEWAY: &str = "10.0.2.2";

/// What a host fetches itself; all else is fetched by its loader.
const ROOT: &str = "-root.img";

/// How the server behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manners {
    /// As it should.
    #[default]
    Good,
    /// It ends its first answer with the root in the middle.
    Breaks,
    /// One byte of the root is not what it was.
    Damages,
}

/// A server; it ends when this is dropped.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    name: String,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Serve the files of a build, whose names begin with the last part of `name`.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub fn serve(name: &Path, manners: Manners) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not open a port")?;
        let address = listener.local_addr().context("the port has no address")?;
        let folder = name.parent().unwrap_or(Path::new(".")).to_owned();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut files = Files { folder, manners, breaks: manners == Manners::Breaks };
            for connection in listener.incoming().flatten().take_while(|_| !seen.load(Ordering::Relaxed)) {
                // Who has heard enough closes the connection.
                let _ = files.answer(&connection);
            }
        });
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { address, name, over, thread: Some(thread) })
    }

    /// Give the folder's address, as a machine sees it.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{GATEWAY}:{}/", self.address.port())
    }

    /// Give the address of one of the build's files, as a machine sees it.
    #[must_use]
    pub fn url(&self, suffix: &str) -> String {
        format!("{}{}{suffix}", self.base(), self.name)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Files {
    folder: PathBuf,
    manners: Manners,
    /// The next answer with the root breaks.
    breaks: bool,
}

impl Files {
    /// Read one request, and answer it.
    fn answer(&mut self, mut connection: &TcpStream) -> io::Result<()> {
        let lines = BufReader::new(connection).lines();
        let head = lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
        let head = head.collect::<io::Result<Vec<_>>>()?;
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        // One folder: what has a further slash is nothing of it.
        let name = path.strip_prefix('/').filter(|name| !name.contains('/'));
        let Some(mut bytes) = name.and_then(|name| fs::read(self.folder.join(name)).ok()) else {
            return connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let (size, is_root) = (bytes.len(), path.ends_with(ROOT));
        if is_root && self.manners == Manners::Damages {
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        }
        let range = head.iter().filter_map(|line| line.split_once(": "));
        let range = range.filter(|(name, _)| name.eq_ignore_ascii_case("range")).find_map(|(_, value)| {
            let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
            Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
        });
        let range = range.filter(|(first, last)| first <= last && *last < size);
        let (status, part) = match range {
            Some((first, last)) => {
                (format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{size}"), &bytes[first..=last])
            }
            None => ("200 OK".to_owned(), &bytes[..]),
        };
        let length = part.len();
        write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
        let sent = if is_root && std::mem::take(&mut self.breaks) { &part[..length / 2] } else { part };
        connection.write_all(sent)
    }
}
