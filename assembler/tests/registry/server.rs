//! A web server that says what a test wants it to.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hullkit::digest::Digest;
use linuxkit_yaml::Reference;

use crate::image::{Image, Layer};

/// What a client asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
}

/// What it is answered.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Length that is announced, if it is not the body's.
    pub(crate) announced: Option<usize>,
    /// Say nothing more for so long before the connection ends.
    pub(crate) silence: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec(), announced: None, silence: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A running server, and all it was asked.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// In: `answer`, told the request and how often this path was asked for before.
    pub(crate) fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, requests: Arc::clone(&requests) };
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &requests, &*answer));
            }
        });
        server
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn name(&self, image: &str) -> Reference {
        format!("{}/{image}", self.address).parse().unwrap()
    }
}

fn serve(mut stream: TcpStream, requests: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request, usize) -> Reply) {
    let Some(request) = read(&stream) else { return };
    let before = {
        let mut requests = requests.lock().unwrap();
        let before =
            requests.iter().filter(|earlier| earlier.path == request.path && earlier.method == request.method).count();
        requests.push(request.clone());
        before
    };
    let reply = answer(&request, before);
    let length = reply.announced.unwrap_or(reply.body.len());
    let mut head = format!("HTTP/1.1 {} x\r\nContent-Length: {length}\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    // A client that went away is part of some tests.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(b"\r\n"));
    let _ = stream.write_all(&reply.body);
    thread::sleep(reply.silence);
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    Some(Request { method, path, headers })
}

/// Answer as a registry with one image of one layer would; none for what belongs to the layer.
pub(crate) fn registry(image: &Image, layer: &Layer, request: &Request) -> Option<Reply> {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let ends = |what: Digest| request.path.ends_with(&what.to_string());
    if request.path.contains("/manifests/") {
        return Some(Reply::new(200, &image.manifest).header("Content-Type", kind));
    }
    if ends(Digest::of(&image.config)) {
        return Some(Reply::new(200, &image.config));
    }
    if ends(layer.digest()) {
        return None;
    }
    Some(Reply::new(200, b"{}"))
}
