//! A web server of a few lines: every connection is one request, and its answer is the very bytes that the test gives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// How many came before it.
    pub(crate) number: usize,
    pub(crate) path: String,
    /// First byte of its range.
    pub(crate) from: Option<usize>,
}

/// A server that ends with the test.
#[derive(Debug)]
pub(crate) struct Server {
    scheme: &'static str,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answer over plain HTTP.
    pub(crate) fn start(reply: impl Fn(&Request) -> Vec<u8> + Send + 'static) -> Self {
        Self::serve("http", |connection| Box::new(connection), reply)
    }

    /// Answer over HTTPS.
    pub(crate) fn start_tls(config: Arc<ServerConfig>, reply: impl Fn(&Request) -> Vec<u8> + Send + 'static) -> Self {
        let wrap = move |connection| -> Box<dyn Stream> {
            let tls = ServerConnection::new(Arc::clone(&config)).expect("a good configuration");
            Box::new(StreamOwned::new(tls, connection))
        };
        Self::serve("https", wrap, reply)
    }

    fn serve(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static,
        reply: impl Fn(&Request) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, over) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for connection in listener.incoming().flatten().take_while(|_| !over.load(Ordering::Relaxed)) {
                let mut connection = wrap(connection);
                let number = log.lock().expect("no test panics with it").len();
                if let Some(request) = read(&mut connection, number) {
                    log.lock().expect("no test panics with it").push(request.clone());
                    // Who has heard enough closes the connection.
                    let _ = connection.write_all(&reply(&request)).and_then(|()| connection.flush());
                }
            }
        });
        Self { scheme, address, asked, stop, thread: Some(thread) }
    }

    /// Give the address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Tell which paths were asked for, and from which byte on.
    pub(crate) fn asked(&self) -> Vec<(String, Option<usize>)> {
        let asked = self.asked.lock().expect("no test panics with it");
        asked.iter().map(|request| (request.path.clone(), request.from)).collect()
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

/// A connection, encrypted or not.
pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn read(connection: &mut dyn Stream, number: usize) -> Option<Request> {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let ranges = lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let from = value.strip_prefix("bytes=")?.split('-').next()?.parse().ok();
        from.filter(|_| name.eq_ignore_ascii_case("range"))
    });
    Some(Request { number, path, from: ranges.last() })
}

/// Write the head of an answer.
pub(crate) fn head(status: u16, headers: &[(&str, String)]) -> Vec<u8> {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Whatever\r\n{lines}\r\n").into_bytes()
}

/// Write an answer whose length is told.
pub(crate) fn answer(status: u16, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let length = [("Content-Length", body.len().to_string()), ("Connection", "close".to_owned())];
    [head(status, &[headers, &length].concat()).as_slice(), body].concat()
}
