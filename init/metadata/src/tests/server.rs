//! A web server of a few lines: every connection is one request, and its answer is the very bytes that the test gives.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Port that the question came from.
    pub(crate) port: u16,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A server that ends with the test.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answer every question; an empty answer closes the connection.
    pub(crate) fn start(reply: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, over) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for mut connection in listener.incoming().flatten().take_while(|_| !over.load(Ordering::Relaxed)) {
                if let Some(request) = read(&connection) {
                    log.lock().expect("no test panics with it").push(request.clone());
                    reply(&request, &mut connection);
                }
            }
        });
        Self { address, asked, stop, thread: Some(thread) }
    }

    /// Serve pages: method and path, header that is needed, body. All else is not found.
    pub(crate) fn pages(pages: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self::start(move |request, connection| {
            let asked = format!("{} {}", request.method, request.path);
            let page = pages.iter().find(|(path, ..)| *path == asked);
            let (status, body) = match page {
                Some((_, "", body)) => (200, *body),
                Some((_, needed, body)) => {
                    let (name, value) = needed.split_once(": ").expect("a header");
                    if request.header(name) == Some(value) { (200, *body) } else { (401, "") }
                }
                None => (404, ""),
            };
            // Who has heard enough closes the connection.
            let _ = connection.write_all(&answer(status, "", body.as_bytes()));
        })
    }

    /// Make a client that gives up after a second.
    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address), Instant::now() + Duration::from_secs(1))
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn read(connection: &TcpStream) -> Option<Request> {
    let port = connection.peer_addr().ok()?.port();
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers =
        lines.filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())));
    Some(Request { method, path, headers: headers.collect(), port })
}

/// Write an answer; `headers` end with a line feed each.
pub(crate) fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}
