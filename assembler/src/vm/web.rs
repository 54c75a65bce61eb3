//! A web server on the loopback, from which a machine boots: the files of one folder, whole or in ranges.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::VmError;

/// Under which address a machine sees the loopback of the host it runs on (QEMU, "Network emulation", user mode).
const GATEWAY: &str = "10.0.2.2";

/// Longest head of a request, in bytes.
const HEAD: u64 = 16 << 10;

/// How long whoever asks may be silent: others wait for their turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of an answer on its way. In: the file's name, the number of bytes that are announced, and the bytes.
pub type Manners = dyn FnMut(&str, u64, Box<dyn Read>) -> Box<dyn Read> + Send;

/// A server; it ends when this is dropped.
pub struct Web {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    folder: PathBuf,
    over: AtomicBool,
    manners: Mutex<Option<Box<Manners>>>,
}

impl Web {
    /// Serve the files of a folder, not those of folders in it.
    ///
    /// # Errors
    ///
    /// [`VmError::Web`]: there is no port.
    pub fn serve(folder: &Path) -> Result<Self, VmError> {
        let failed = |cause| VmError::Web { cause };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared =
            Arc::new(Shared { folder: folder.to_owned(), over: AtomicBool::new(false), manners: Mutex::new(None) });
        let owner = Arc::clone(&shared);
        let body = move || {
            for connection in listener.incoming().flatten().take_while(|_| !owner.over.load(Ordering::Relaxed)) {
                // Who has heard enough closes the connection.
                let _ = owner.answer(&connection);
            }
        };
        let thread = thread::Builder::new().name("web".to_owned()).spawn(body).map_err(failed)?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Let answers be changed on their way, for tests of who asks.
    pub fn misbehave(&self, manners: Box<Manners>) {
        *self.shared.manners.lock().unwrap_or_else(PoisonError::into_inner) = Some(manners);
    }

    /// Give the folder's address, as a machine sees it.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{GATEWAY}:{}/", self.address.port())
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Web").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Read one request, and answer it.
    fn answer(&self, mut connection: &TcpStream) -> io::Result<()> {
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let lines = BufReader::new(connection.take(HEAD)).lines();
        let head = lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
        let head = head.collect::<io::Result<Vec<_>>>()?;
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        // One folder: what has a further slash is nothing of it.
        let name = path.strip_prefix('/').filter(|name| !name.is_empty() && !name.contains('/') && *name != "..");
        let opened = name.and_then(|name| {
            let file = File::open(self.folder.join(name)).ok()?;
            let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((name, file, meta.len()))
        });
        let Some((name, mut file, size)) = opened else {
            return connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let (status, first, length) = match range(&head).filter(|(first, last)| first <= last && *last < size) {
            Some((first, last)) => {
                let status = format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{size}");
                (status, first, last - first + 1)
            }
            None => ("200 OK".to_owned(), 0, size),
        };
        write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
        file.seek(SeekFrom::Start(first))?;
        let mut part: Box<dyn Read> = Box::new(file.take(length));
        if let Some(manners) = self.manners.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            part = manners(name, length, part);
        }
        io::copy(&mut part, &mut connection).map(drop)
    }
}

/// Find which bytes are asked for: the first and the last of them (RFC 9110, 14.1.2); one without an end is not understood, which a
/// server may do.
fn range(head: &[String]) -> Option<(u64, u64)> {
    let fields = head.iter().filter_map(|line| line.split_once(": "));
    fields.filter(|(name, _)| name.eq_ignore_ascii_case("range")).find_map(|(_, value)| {
        let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(web: &Web, request: &str) -> String {
        let mut stream = TcpStream::connect(web.address).expect("a server");
        stream.write_all(format!("{request}\r\n\r\n").as_bytes()).expect("a listener");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn files_of_the_folder_alone_are_served() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), "hello").expect("a file");
        std::fs::create_dir(folder.path().join("in")).expect("a folder");
        let web = Web::serve(folder.path()).expect("a server");
        assert!(ask(&web, "GET /a HTTP/1.1").ends_with("Content-Length: 5\r\nConnection: close\r\n\r\nhello"));
        let part = ask(&web, "GET /a HTTP/1.1\r\nRange: bytes=1-3");
        assert!(
            part.contains("206 Partial Content\r\nContent-Range: bytes 1-3/5\r\n") && part.ends_with("ell"),
            "{part}"
        );
        for path in ["/b", "/", "/in", "/..", "/../a", "//etc/passwd", "a", ""] {
            assert!(ask(&web, &format!("GET {path} HTTP/1.1")).starts_with("HTTP/1.1 404 "), "{path}");
        }
        for wrong in ["bytes=3-1", "bytes=2-9", "bytes=-2", "lines=1-2", "bytes=99999999999999999999-1"] {
            assert!(ask(&web, &format!("GET /a HTTP/1.1\r\nRange: {wrong}")).ends_with("\r\n\r\nhello"), "{wrong}");
        }
        web.misbehave(Box::new(|_, length, part| Box::new(part.take(length / 2))));
        assert!(ask(&web, "GET /a HTTP/1.1").ends_with("Content-Length: 5\r\nConnection: close\r\n\r\nhe"));
    }
}
