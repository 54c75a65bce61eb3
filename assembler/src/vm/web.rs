//! A web server on the loopback, from which a machine boots: the files of one folder, whole or in ranges.

use std::convert::Infallible;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http_range_header::parse_range_header;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_RANGE, HeaderValue, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::VmError;

/// Under which address a machine sees the loopback of the host it runs on (QEMU, "Network emulation", user mode).
const GATEWAY: &str = "10.0.2.2";

/// How long whoever asks may take over the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time until the next try where no connection could be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a file that are read at once.
const CHUNK: u64 = 64 << 10;

/// What is sent of a file.
pub type Part = Box<dyn Read + Send>;

/// What becomes of an answer on its way. In: the file's name, the number of bytes that are announced, and the bytes.
pub type Manners = dyn FnMut(&str, u64, Part) -> Part + Send;

/// A server; it ends when this is dropped.
pub struct Web {
    address: SocketAddr,
    shared: Arc<Shared>,
    over: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    folder: PathBuf,
    manners: Mutex<Option<Box<Manners>>>,
}

/// The bytes of an answer, and how many are left to send. They are read where they are sent: who boots from here waits for nothing else.
struct Rest {
    part: Part,
    left: u64,
}

impl Web {
    /// Serve the files of a folder, not those of folders in it.
    ///
    /// # Errors
    ///
    /// [`VmError::Web`]: there is no port.
    pub fn serve(folder: &Path) -> Result<Self, VmError> {
        let failed = |cause| VmError::Web { cause };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared { folder: folder.to_owned(), manners: Mutex::new(None) });
        let (over, ended) = oneshot::channel();
        let serving = answer_all(listener, Arc::clone(&shared));
        let body = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = ended => {}
                }
            });
        };
        let thread = thread::Builder::new().name("web".to_owned()).spawn(body).map_err(failed)?;
        Ok(Self { address, shared, over: Some(over), thread: Some(thread) })
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
        drop(self.over.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Answer everybody, several at once.
async fn answer_all(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let answer = shared.answer(&request);
            async { Ok::<_, Infallible>(answer) }
        });
        let mut connection = http1::Builder::new();
        connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let serving = connection.serve_connection(TokioIo::new(stream), service);
        // Who has heard enough closes the connection.
        tokio::spawn(async { drop(serving.await) });
    }
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>) -> Response<Rest> {
        // One folder: what has a further slash is nothing of it.
        let name = request.uri().path().trim_start_matches('/');
        let opened = Some(name).filter(|name| !name.contains('/')).and_then(|name| self.open(name).ok());
        let Some((mut file, size)) = opened else { return response(StatusCode::NOT_FOUND, Box::new(io::empty()), 0) };
        let ranges = request.headers().get(RANGE).and_then(|value| parse_range_header(value.to_str().ok()?).ok());
        let ranges = ranges.and_then(|ranges| ranges.validate(size).ok()).unwrap_or_default();
        // Who asks for several may be sent all (RFC 9110, 14.2).
        let range = if let [range] = &ranges[..] { Some(range) } else { None };
        let (first, length) = range.map_or((0, size), |range| (*range.start(), range.end() - range.start() + 1));
        if file.seek(SeekFrom::Start(first)).is_err() {
            return response(StatusCode::INTERNAL_SERVER_ERROR, Box::new(io::empty()), 0);
        }
        let mut part: Part = Box::new(file.take(length));
        if let Some(manners) = self.manners.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            part = manners(name, length, part);
        }
        let Some(range) = range else { return response(StatusCode::OK, part, length) };
        let mut answer = response(StatusCode::PARTIAL_CONTENT, part, length);
        let said = HeaderValue::try_from(format!("bytes {first}-{}/{size}", range.end()));
        answer.headers_mut().extend(said.ok().map(|said| (CONTENT_RANGE, said)));
        answer
    }

    /// Open a file of the folder. Out: it, and its length in bytes.
    fn open(&self, name: &str) -> io::Result<(File, u64)> {
        let path = self.folder.join(name);
        // A pipe would not open, and a folder is no file.
        let meta = fs::metadata(&path)?;
        if !meta.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((File::open(path)?, meta.len()))
    }
}

fn response(status: StatusCode, part: Part, length: u64) -> Response<Rest> {
    let mut answer = Response::new(Rest { part, left: length });
    *answer.status_mut() = status;
    answer
}

impl Body for Rest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut chunk = Vec::new();
        let read = (&mut self.part).take(CHUNK).read_to_end(&mut chunk);
        self.left = self.left.saturating_sub(chunk.len() as u64);
        Poll::Ready(match read {
            Ok(0) => None,
            Ok(_) => Some(Ok(Frame::data(chunk.into()))),
            Err(cause) => Some(Err(cause)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;

    use super::*;

    /// Ask, and give the whole answer; its headers' names are in lower case.
    fn ask(web: &Web, path: &str, more: &str) -> String {
        let mut stream = TcpStream::connect(web.address).expect("a server");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).expect("a listener");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn files_of_the_folder_alone_are_served() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), "hello").expect("a file");
        fs::create_dir(folder.path().join("in")).expect("a folder");
        fs::write(folder.path().join("in/b"), "hidden").expect("a file");
        let web = Web::serve(folder.path()).expect("a server");
        let whole = ask(&web, "/a", "");
        assert!(
            whole.starts_with("HTTP/1.1 200 OK\r\n")
                && whole.contains("\r\ncontent-length: 5\r\n")
                && whole.ends_with("\r\n\r\nhello"),
            "{whole}"
        );
        for (range, said, want) in [("1-3", "1-3", "ell"), ("3-", "3-4", "lo"), ("-2", "3-4", "lo")] {
            let part = ask(&web, "/a", &format!("Range: bytes={range}\r\n"));
            assert!(part.starts_with("HTTP/1.1 206 Partial Content\r\n"), "{part}");
            assert!(part.contains(&format!("content-range: bytes {said}/5\r\n")), "{part}");
            assert!(part.ends_with(&format!("\r\n\r\n{want}")), "{part}");
        }
        for path in ["/b", "/", "/in", "/in/b", "/..", "/../a", "//etc/passwd", "/in/../a"] {
            assert!(ask(&web, path, "").starts_with("HTTP/1.1 404 "), "{path}");
        }
        for wrong in ["bytes=3-1", "bytes=9-", "bytes=0-1,3-4", "lines=1-2", "bytes=99999999999999999999-1"] {
            assert!(ask(&web, "/a", &format!("Range: {wrong}\r\n")).ends_with("\r\n\r\nhello"), "{wrong}");
        }
        assert!(ask(&web, "a b", "").starts_with("HTTP/1.1 400 "));
        web.misbehave(Box::new(|_, length, part| Box::new(part.take(length / 2))));
        assert!(!ask(&web, "/a", "").ends_with("hello"));
    }

    #[test]
    fn several_are_answered_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), "hello").expect("a file");
        let web = Web::serve(folder.path()).expect("a server");
        let _silent = TcpStream::connect(web.address).expect("a server");
        assert!(ask(&web, "/a", "").ends_with("hello"));
    }
}
